"""When a watch is alive, when it is deaf, and when nobody can tell (docs/design/liveness.md)."""

from __future__ import annotations

import pytest

from tandem.api import names
from tandem.api.meta import ObjectMeta
from tandem.engine.controller import JOBS, ResourceType
from tandem.engine.watches import Watches, is_watched, selector_of
from tests.unit.engine.objects import WIDGETS

OURS = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
WIDGETS_PATH, JOBS_PATH = "/apis/tandem.dev/v1alpha1/widgets", "/apis/batch/v1/jobs"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watches(clock: Clock) -> Watches:
    watches = Watches([WIDGETS, JOBS], (), clock, patience=120)
    watches.begin()
    return watches


def job(version: int, name: str = "iris-1", labels: dict[str, str] = OURS) -> ObjectMeta:
    return ObjectMeta(name=name, uid=f"uid-{name}", namespace="ns", resource_version=str(version), labels=labels)


# --- idle ------------------------------------------------------------------------------------------------------------


def test_an_idle_cluster_with_a_bookmark_a_minute_is_well_for_ever(watches: Watches, clock: Clock) -> None:
    for _ in range(24 * 60):
        clock.go(60)
        watches.heard(WIDGETS_PATH)
        watches.heard(JOBS_PATH)

    assert watches.problems() == []
    assert watches.overdue() == []


def test_a_comparison_that_lists_what_is_known_already_expects_nothing(watches: Watches, clock: Clock) -> None:
    watches.delivered("Job", "ns", "7")
    watches.expect("Job", job(7))
    watches.expect("Job", job(3, "older"))
    clock.go(10_000)

    assert watches.overdue() == []


def test_nothing_is_expected_before_the_watches_begin(clock: Clock) -> None:
    """The API server may be away when the process starts: then nothing is watched yet, and nothing is wrong here."""
    watches = Watches([WIDGETS, JOBS], (), clock)
    watches.expect("Job", job(7))
    clock.go(10_000)

    assert watches.problems() == []
    assert list(watches.states()) == []


# --- standing still --------------------------------------------------------------------------------------------------


def test_a_watch_of_which_nothing_is_heard_and_that_tries_nothing_stands_still(watches: Watches, clock: Clock) -> None:
    clock.go(100)
    watches.heard(WIDGETS_PATH)
    clock.go(81)

    assert watches.problems() == ["the watch of jobs stands still: nothing came and nothing was tried for 181 s"]

    watches.heard(JOBS_PATH)
    assert watches.problems() == []


def test_an_api_server_that_is_away_is_no_reason_to_restart(watches: Watches, clock: Clock) -> None:
    for _ in range(120):
        clock.go(30)
        watches.tried(WIDGETS_PATH)
        watches.tried(JOBS_PATH)

    assert watches.problems() == []
    assert {type_.plural: age for type_, age, _ in watches.states()} == {"widgets": 3600, "jobs": 3600}


def test_other_requests_say_nothing_about_a_watch(watches: Watches, clock: Clock) -> None:
    clock.go(181)
    watches.heard("/apis/batch/v1")
    watches.tried("/apis/batch/v1/namespaces/ns/jobs")

    assert len(watches.problems()) == 2


# --- deaf ------------------------------------------------------------------------------------------------------------


def test_what_was_learnt_elsewhere_must_come_through_the_watch_too(watches: Watches, clock: Clock) -> None:
    watches.expect("Job", job(8))
    clock.go(120)
    assert watches.overdue() == [], "it has two minutes"

    clock.go(1)
    (awaited,) = watches.overdue()

    assert (awaited.type_, awaited.meta.name) == (JOBS, "iris-1")


def test_a_suspicion_alone_makes_no_alarm_and_a_proof_does(watches: Watches, clock: Clock) -> None:
    watches.expect("Job", job(8))
    clock.go(130)
    (awaited,) = watches.overdue()
    assert watches.problems() == []

    told = watches.convict(awaited)

    assert told == "the watch of jobs is deaf: version 8 of ns/iris-1 is there for 130 s and never came"
    assert watches.problems() == [told]
    assert watches.convict(awaited) == "", "it is said once"
    assert [deaf for type_, _, deaf in watches.states() if type_ is JOBS] == [True]


@pytest.mark.parametrize("version", [8, 9], ids=["itself", "a later one"])
def test_a_watch_that_delivers_is_well_again(watches: Watches, clock: Clock, version: int) -> None:
    watches.expect("Job", job(8))
    clock.go(130)
    watches.convict(watches.overdue()[0])

    watches.delivered("Job", "ns", str(version))

    assert watches.overdue() == []
    assert watches.problems() == []


def test_an_older_version_proves_nothing_but_a_watch_that_brings_something_is_given_time(
    watches: Watches, clock: Clock
) -> None:
    """A first list of many thousand objects comes in no order of versions, and takes its time."""
    watches.expect("Job", job(8))
    for version in (1, 2, 3):
        clock.go(100)
        watches.delivered("Job", "ns", str(version))
        assert watches.overdue() == []

    clock.go(121)
    assert len(watches.overdue()) == 1


def test_what_is_gone_is_expected_no_more(watches: Watches, clock: Clock) -> None:
    """A watch that is connected anew lists what there is, and tells of no deletion in between."""
    watches.expect("Job", job(8))
    clock.go(130)

    watches.excuse(watches.overdue()[0])

    assert watches.overdue() == []
    assert watches.problems() == []


def test_a_verdict_that_comes_late_is_about_its_own_suspicion_alone(watches: Watches, clock: Clock) -> None:
    watches.expect("Job", job(8))
    clock.go(130)
    (awaited,) = watches.overdue()
    watches.delivered("Job", "ns", "8")
    watches.expect("Job", job(9))

    assert watches.convict(awaited) == ""
    watches.excuse(awaited)
    clock.go(130)

    assert [one.meta.resource_version for one in watches.overdue()] == ["9"]


def test_the_oldest_expectation_is_kept(watches: Watches, clock: Clock) -> None:
    watches.expect("Job", job(8))
    clock.go(100)
    watches.expect("Job", job(9, "iris-2"))
    clock.go(30)

    assert [one.meta.name for one in watches.overdue()] == ["iris-1"]


def test_one_kind_says_nothing_about_another(watches: Watches, clock: Clock) -> None:
    watches.expect("Job", job(8))
    watches.delivered("Widget", "ns", "9")
    clock.go(130)

    assert [one.type_ for one in watches.overdue()] == [JOBS]


def test_what_the_watch_does_not_select_is_not_expected(watches: Watches, clock: Clock) -> None:
    watches.expect("Job", job(8, labels={}))
    watches.expect("Secret", job(8))
    clock.go(130)

    assert watches.overdue() == []


@pytest.mark.parametrize("version", ["", "x", "-1"])
def test_a_version_that_cannot_be_read_stops_nothing(watches: Watches, version: str) -> None:
    watches.delivered("Job", "ns", version)


# --- namespaces ------------------------------------------------------------------------------------------------------


def test_each_namespace_has_a_watch_of_its_own(clock: Clock) -> None:
    watches = Watches([JOBS], ("a", "b"), clock, patience=120)
    watches.begin()
    watches.expect("Job", ObjectMeta(name="x", namespace="b", resource_version="8", labels=OURS))
    watches.delivered("Job", "a", "9")
    clock.go(130)
    watches.heard("/apis/batch/v1/namespaces/a/jobs")
    clock.go(60)

    assert [one.meta.namespace for one in watches.overdue()] == ["b"]
    assert [age for _, age, _ in watches.states()] == [190], "the worst of them"
    assert len(watches.problems()) == 1


@pytest.mark.parametrize(
    ("type_", "labels", "expected"),
    [(WIDGETS, {}, True), (JOBS, OURS, True), (JOBS, {}, False), (JOBS, {names.MANAGED_BY_LABEL: "helm"}, False)],
)
def test_our_own_kinds_are_watched_whole_and_children_by_their_label(
    type_: ResourceType, labels: dict[str, str], expected: bool
) -> None:
    assert is_watched(type_, job(1, labels=labels)) is expected
    assert bool(selector_of(type_)) is (type_ is JOBS)


# --- where a watch goes on from --------------------------------------------------------------------------------------


def test_what_was_listed_before_a_watch_began_is_not_expected_of_it(watches: Watches, clock: Clock) -> None:
    watches.begins(JOBS_PATH, "50")

    watches.expect("Job", job(50))
    clock.go(1000)

    assert watches.overdue() == []


def test_a_list_of_ours_proves_nothing_of_what_comes_after_it(watches: Watches, clock: Clock) -> None:
    watches.begins(JOBS_PATH, "50")

    watches.expect("Job", job(51))
    clock.go(121)

    assert [awaited.meta.resource_version for awaited in watches.overdue()] == ["51"]


def test_a_watch_that_begins_anew_has_no_debts(watches: Watches, clock: Clock) -> None:
    watches.expect("Job", job(51))

    watches.begins(JOBS_PATH, "60")
    clock.go(1000)

    assert watches.overdue() == []
