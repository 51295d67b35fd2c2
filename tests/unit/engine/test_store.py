"""What the store believes, after events that come late, twice, in the wrong order, or from somebody else."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from tandem.api.meta import Key
from tandem.engine.store import Store
from tandem.engine.stream import Version
from tests.unit.engine.objects import Json, Widget, child, controller, resource

W = Key("Widget", "ns", "w")


@pytest.fixture
def store() -> Store:
    return Store([controller()])


def names(store: Store, uid: str = "uid-w") -> set[str]:
    return {view.metadata.name for view in store.children_of(uid)}


def size(store: Store) -> int:
    entry = store.get(W)
    assert entry is not None
    widget = entry.read(Widget)
    assert isinstance(widget, Widget)
    return widget.spec.size


# --- reading ---------------------------------------------------------------------------------------------------------


class Strict(Widget, frozen=True):
    """A widget whose status has words of its own."""

    status: dict[Literal["phase"], Literal["Small", "Large"]] = {}  # type: ignore[assignment]


def test_a_status_in_words_that_are_not_known_counts_as_lost(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.observe("Widget", resource(spec={"size": 7}, status={"phase": "Enormous"}))
    entry = store.get(W)
    assert entry is not None

    read = entry.read(Strict)

    assert isinstance(read, Strict)
    assert (read.spec.size, read.status) == (7, {})
    assert "the status cannot be read and is derived anew: Invalid enum value 'Enormous'" in caplog.text
    assert entry.status() == {"phase": "Enormous"}, "what is there is still known, so that it is replaced"


def test_a_spec_that_cannot_be_read_is_an_error_that_names_its_field(store: Store) -> None:
    store.observe("Widget", resource(spec={"size": "large"}, status={"phase": "Enormous"}))
    entry = store.get(W)
    assert entry is not None

    with pytest.raises(msgspec.ValidationError, match=r"\$\.spec\.size"):
        entry.read(Strict)


# --- echoes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "uid", "version", "knows"),
    [
        ("Widget", "uid-w", "9", True),
        ("Widget", "uid-w", "8", True),
        ("Widget", "uid-w", "10", False),
        ("Widget", "uid-x", "1", False),
        ("Job", "uid-j", "9", True),
        ("Job", "uid-j", "10", False),
        ("Job", "uid-w", "1", False),
        ("Widget", "uid-w", "not a number", False),
    ],
)
def test_a_version_is_known_when_it_or_a_later_one_was_observed(
    store: Store, kind: str, uid: str, version: str, knows: bool
) -> None:
    store.observe("Widget", resource(version=9))
    store.observe("Job", child("Job", "j", "uid-j", 9, owner="uid-w"))

    assert store.knows(kind, Version(uid, version)) is knows


@pytest.mark.parametrize(("version", "knows"), [("9", True), ("10", False)])
def test_of_what_is_gone_nothing_is_news_but_a_later_version(store: Store, version: str, knows: bool) -> None:
    store.observe("Widget", resource(version=8))
    store.forget("Widget", resource(version=9))

    assert store.knows("Widget", Version("uid-w", version)) is knows


# --- resources -------------------------------------------------------------------------------------------------------


def test_a_newer_version_replaces_an_older_one(store: Store) -> None:
    store.observe("Widget", resource(version=9, spec={"size": 1}))

    assert store.observe("Widget", resource(version=10, spec={"size": 2})) == (W,)
    assert size(store) == 2


@pytest.mark.parametrize("version", [9, 10], ids=["older (as text it would be newer)", "the same"])
def test_an_older_or_known_version_is_no_news(store: Store, version: int) -> None:
    store.observe("Widget", resource(version=10, spec={"size": 2}))

    assert store.observe("Widget", resource(version=version, spec={"size": 1})) == ()
    assert size(store) == 2


def test_the_same_name_with_another_uid_is_another_resource_without_the_former_children(store: Store) -> None:
    store.observe("Widget", resource(version=1))
    store.observe("Job", child("Job", "j", "uid-j", owner="uid-w"))

    assert store.observe("Widget", resource(uid="uid-new", version=5)) == (W,)
    assert names(store, "uid-new") == set()
    assert store.observe("Job", child("Job", "j", "uid-j", version=6, owner="uid-w")) == (), "its owner is gone"


def test_a_late_answer_about_the_former_resource_does_not_bring_it_back(store: Store) -> None:
    """Our status patch was answered late: the resource had been deleted and made anew since."""
    store.observe("Widget", resource(uid="uid-new", version=5, spec={"size": 2}))

    assert store.observe("Widget", resource(uid="uid-w", version=3)) == ()
    assert size(store) == 2


def test_the_late_deletion_of_the_former_resource_leaves_the_new_one(store: Store) -> None:
    store.observe("Widget", resource(uid="uid-new", version=5))

    assert store.forget("Widget", resource(uid="uid-w", version=4)) == ()
    assert store.get(W) is not None


@pytest.mark.parametrize("kind", ["Widget", "Job"])
def test_what_is_gone_does_not_come_back_by_an_older_version(store: Store, kind: str) -> None:
    """A Job was created and deleted before the answer to its creation was read."""
    store.observe("Widget", resource(uid="uid-w", version=1))
    body = child(kind, "x", "uid-x", version=7, owner="uid-w")

    store.forget(kind, child(kind, "x", "uid-x", version=8, owner="uid-w"))

    assert store.observe(kind, body) == ()
    assert "uid-x" not in store.known(kind)


def test_what_lost_its_label_and_got_it_back_is_there_again(store: Store) -> None:
    """A watch with a selector reports a lost label as a deletion; the object lives on, with the same uid."""
    store.observe("Widget", resource())
    store.observe("Job", child("Job", "j", "uid-j", version=2, owner="uid-w"))
    assert store.forget("Job", child("Job", "j", "uid-j", version=3, owner="uid-w")) == (W,)
    assert names(store) == set()

    assert store.observe("Job", child("Job", "j", "uid-j", version=4, owner="uid-w")) == (W,)
    assert names(store) == {"j"}


def test_what_lost_its_label_is_there_again_when_it_is_found_by_its_name(store: Store) -> None:
    """As of the version at which a watch reported it deleted: no deletion has the version of what it deletes."""
    store.observe("Widget", resource())
    store.observe("Job", child("Job", "j", "uid-j", version=2, owner="uid-w"))
    unlabelled = child("Job", "j", "uid-j", version=3, owner="uid-w")
    store.forget("Job", unlabelled)

    assert store.observe("Job", unlabelled) == (W,)
    assert names(store) == {"j"}


def test_memory_of_what_is_gone_is_bounded(store: Store) -> None:
    for number in range(10_000):
        store.forget("Pod", child("Pod", "p", f"uid-{number}", version=number))

    assert len(store._gone) < 5_000


def test_a_resource_keeps_what_plans_read_and_no_more(store: Store) -> None:
    managed = [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]
    body = resource(status={"phase": "Running"})
    body["metadata"]["managedFields"] = managed
    store.observe("Widget", body)

    entry = store.get(W)
    assert entry is not None
    assert entry.status() == {"phase": "Running"}
    assert b"managedFields" not in entry.body


def test_a_resource_that_cannot_be_read_is_kept_and_says_so_when_it_is_read(store: Store) -> None:
    store.observe("Widget", resource(spec={"size": "large"}))

    entry = store.get(W)
    assert entry is not None
    with pytest.raises(msgspec.ValidationError, match=r"\$\.spec\.size"):
        entry.read(Widget)


def test_an_object_that_is_nothing_at_all_is_left_out_and_stops_nobody(store: Store) -> None:
    broken: list[Json] = [{}, {"metadata": {"name": 1}}, {"metadata": {"name": "x", "resourceVersion": "…"}}]

    assert [store.observe("Job", body) for body in broken] == [(), (), ()]


# --- children --------------------------------------------------------------------------------------------------------


def test_a_child_belongs_to_the_resource_at_the_top_of_its_chain(store: Store) -> None:
    store.observe("Widget", resource())
    store.observe("Job", child("Job", "j", "uid-j", owner="uid-w"))

    assert store.observe("Pod", child("Pod", "p", "uid-p", owner="uid-j")) == (W,)
    assert names(store) == {"j", "p"}


def test_a_version_that_changes_nothing_that_a_plan_sees_is_no_news(store: Store) -> None:
    """An autoscaler writes every 15 seconds what it measures: nobody plans because of that."""
    store.observe("Widget", resource())
    store.observe("Job", child("Job", "j", "uid-j", version=2, owner="uid-w"))
    measured = child("Job", "j", "uid-j", version=3, owner="uid-w") | {"somethingElse": 70}

    assert store.observe("Job", measured) == ()
    assert store.known("Job")["uid-j"].resource_version == "3", "or a comparison would find it missing"
    lost = child("Job", "j", "uid-j", version=4)
    assert store.observe("Job", lost) == (W,), "whoever loses it is told"


def test_the_longest_chain_has_three_links(store: Store) -> None:
    """Pod → ReplicaSet → Deployment → AppDeployment."""
    store.observe("Widget", resource())
    store.observe("Job", child("Job", "deployment", "uid-d", owner="uid-w"))
    store.observe("Job", child("Job", "replica-set", "uid-r", owner="uid-d"))

    assert store.observe("Pod", child("Pod", "p", "uid-p", owner="uid-r")) == (W,)
    assert names(store) == {"deployment", "replica-set", "p"}


def test_a_child_that_is_seen_before_its_owner_belongs_to_it_afterwards(store: Store) -> None:
    assert store.observe("Pod", child("Pod", "p", "uid-p", owner="uid-j")) == ()
    assert store.observe("Job", child("Job", "j", "uid-j", owner="uid-w")) == ()

    assert store.observe("Widget", resource()) == (W,)
    assert names(store) == {"j", "p"}


@pytest.mark.parametrize("owner", ["", "uid-of-somebody-else"])
def test_a_child_that_has_only_the_right_name_is_nobodys(store: Store, owner: str) -> None:
    store.observe("Widget", resource())

    assert store.observe("Job", child("Job", "w-1", "uid-j", owner=owner)) == ()
    assert names(store) == set()


def test_an_owner_that_is_not_the_controller_does_not_count(store: Store) -> None:
    store.observe("Widget", resource())
    body = child("Job", "j", "uid-j", owner="uid-w")
    body["metadata"]["ownerReferences"][0]["controller"] = False

    assert store.observe("Job", body) == ()
    assert names(store) == set()


def test_a_child_in_another_namespace_is_a_forgery(store: Store) -> None:
    """The API server takes any uid in an ownerReference; garbage collection removes such an object only later."""
    store.observe("Widget", resource())
    store.observe("Job", child("Job", "true", "uid-j", owner="uid-w"))

    assert store.observe("Job", child("Job", "forged", "uid-f", owner="uid-w", namespace="evil")) == ()
    assert store.observe("Pod", child("Pod", "forged", "uid-p", owner="uid-j", namespace="evil")) == ()
    assert names(store) == {"true"}


@pytest.mark.parametrize("length", [1, 2, 3])
def test_controllers_in_a_circle_lead_nowhere(store: Store, length: int) -> None:
    """Anybody who may patch a Job can make them; they must not keep the event loop for ever."""
    for number in range(length):
        uid, owner = f"uid-{number}", f"uid-{(number + 1) % length}"
        store.observe("Job", child("Job", f"j{number}", uid, version=1, owner=owner))

    assert store.observe("Job", child("Job", "j0", "uid-0", version=2, owner=f"uid-{1 % length}")) == ()


def test_a_child_that_changes_hands_wakes_both(store: Store) -> None:
    other = Key("Widget", "ns", "v")
    store.observe("Widget", resource())
    store.observe("Widget", resource("v", "uid-v"))
    store.observe("Job", child("Job", "j", "uid-j", version=1, owner="uid-w"))

    assert store.observe("Job", child("Job", "j", "uid-j", version=2, owner="uid-v")) == (W, other)
    assert (names(store), names(store, "uid-v")) == (set(), {"j"})


def test_a_child_whose_owner_reference_was_removed_wakes_the_former_owner(store: Store) -> None:
    store.observe("Widget", resource())
    store.observe("Job", child("Job", "j", "uid-j", version=1, owner="uid-w"))

    assert store.observe("Job", child("Job", "j", "uid-j", version=2)) == (W,)
    assert names(store) == set()


def test_a_child_that_is_gone_wakes_its_owner_once(store: Store) -> None:
    store.observe("Widget", resource())
    store.observe("Job", child("Job", "j", "uid-j", owner="uid-w"))
    gone = child("Job", "j", "uid-j", version=2, owner="uid-w")

    assert store.forget("Job", gone) == (W,)
    assert store.forget("Job", gone) == ()
    assert names(store) == set()


def test_a_pod_whose_job_went_first_is_no_child_any_more(store: Store) -> None:
    store.observe("Widget", resource())
    store.observe("Job", child("Job", "j", "uid-j", owner="uid-w"))
    store.observe("Pod", child("Pod", "p", "uid-p", owner="uid-j"))
    store.forget("Job", child("Job", "j", "uid-j", version=2, owner="uid-w"))

    assert names(store) == set()
    assert store.forget("Pod", child("Pod", "p", "uid-p", version=2, owner="uid-j")) == ()


def test_everything_that_came_and_went_leaves_nothing(store: Store) -> None:
    bodies = [
        ("Widget", resource()),
        ("Job", child("Job", "j", "uid-j", owner="uid-w")),
        ("Pod", child("Pod", "p", "uid-p", owner="uid-j")),
    ]
    for kind, body in bodies:
        store.observe(kind, body)
    for kind, body in bodies:
        store.forget(kind, body)

    assert store.all_keys() == []
    assert all(store.known(kind) == {} for kind, _ in bodies)
    assert not store._owned
    assert not store._keys


# --- what is told of those that are gone -----------------------------------------------------------------------------


def evicted(name: str, version: int = 3) -> Json:
    told = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    return child("Pod", name, f"uid-{name}", version=version, owner="uid-j") | {"status": {"conditions": [told]}}


@pytest.fixture
def with_job(store: Store) -> Store:
    store.observe("Widget", resource())
    store.observe("Job", child("Job", "j", "uid-j", owner="uid-w"))
    return store


def test_a_child_that_is_gone_is_still_told_of_where_its_kind_asks_for_it(with_job: Store) -> None:
    for body in (evicted("evicted"), child("Pod", "deleted", "uid-deleted", version=3, owner="uid-j")):
        with_job.observe("Pod", body)
        assert with_job.forget("Pod", body) == (W,)
        assert with_job.forget("Pod", body) == (), "the resync, which looks for it too"

    assert names(with_job) == {"j", "evicted"}
    assert with_job.known("Pod") == {}, "it is not there: a resync has nothing to find out"


RUNNING = child("Pod", "evicted", "uid-evicted", version=2, owner="uid-j")


@pytest.mark.parametrize("seen", [(), (RUNNING,)], ids=["never", "before it was evicted"])
def test_who_is_late_knows_by_the_deletion_what_is_told_of_a_child(with_job: Store, seen: tuple[Json, ...]) -> None:
    for body in seen:
        with_job.observe("Pod", body)

    assert with_job.forget("Pod", evicted("evicted")) == (W,)
    assert names(with_job) == {"j", "evicted"}
    assert with_job.known("Pod") == {}


def test_a_child_that_a_comparison_did_not_find_is_told_of_once(with_job: Store) -> None:
    """The event of its deletion may come after a resync has missed it."""
    seen = evicted("evicted", version=3)
    with_job.observe("Pod", seen)
    with_job.gone("Pod", with_job.known("Pod")["uid-evicted"])
    with_job.forget("Pod", evicted("evicted", version=4))

    assert sorted(view.metadata.name for view in with_job.children_of("uid-w")) == ["evicted", "j"]


def test_what_is_told_of_those_that_are_gone_goes_with_their_owner(with_job: Store) -> None:
    with_job.observe("Pod", evicted("p"))
    with_job.forget("Pod", evicted("p"))
    with_job.forget("Job", child("Job", "j", "uid-j", version=4, owner="uid-w"))
    with_job.observe("Job", child("Job", "j", "uid-j2", version=5, owner="uid-w"))

    assert names(with_job) == {"j"}


def test_only_the_last_ones_of_each_owner_are_kept(with_job: Store) -> None:
    for number in range(100):
        with_job.observe("Pod", evicted(f"p{number}"))
        with_job.forget("Pod", evicted(f"p{number}"))

    assert names(with_job) == {"j", *(f"p{number}" for number in range(92, 100))}
