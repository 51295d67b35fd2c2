"""What a status says to kubectl wait, Flux, Argo CD and Helm: the rules of kstatus, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from tandem.api.conditions import (
    MESSAGE_LIMIT,
    Failed,
    Outcome,
    Passed,
    Retrying,
    Undecided,
    Working,
    summarise,
    transitions,
    waiting_since,
)
from tandem.api.meta import Condition

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SETTLED = Passed("Complete", "Run 1 is complete.")

PASSED = Passed("Succeeded", "Trained.")
WORKING = Working("Running", "Step train runs.")
RETRYING = Retrying("Forbidden", "The quota is used up.")
FAILED = Failed("GateFailed", "accuracy is 0.8, at least 0.9 is needed.")
UNDECIDED = Undecided("NoThresholds", "Nothing is promoted without thresholds.")
EVERY_OUTCOME: tuple[Outcome, ...] = (PASSED, WORKING, RETRYING, FAILED, UNDECIDED)


def summary(
    *outcomes: Outcome, previous: tuple[Condition, ...] = (), generation: int = 1, now: datetime = NOW
) -> dict[str, Condition]:
    """The conditions after steps A, B, C … with these outcomes, by type."""
    steps = dict(zip("ABC", outcomes, strict=False))
    return {c.type: c for c in summarise(steps, previous, generation, now, SETTLED)}


def kstatus(conditions: dict[str, Condition]) -> str:
    """How cli-utils reads them, once the generation is observed (pkg/kstatus/status/generic.go)."""
    for condition in conditions.values():
        if condition.type == "Reconciling" and condition.status == "True":
            return "InProgress"
        if condition.type == "Stalled" and condition.status == "True":
            return "Failed"
    return "Current" if conditions["Ready"].status == "True" else "InProgress"


@pytest.mark.parametrize(
    ("steps", "ready", "reconciling", "stalled", "read_as"),
    [
        ((), "True", None, None, "Current"),
        ((PASSED, PASSED), "True", None, None, "Current"),
        ((PASSED, WORKING), "Unknown", "True", None, "InProgress"),
        ((PASSED, RETRYING), "False", "True", None, "InProgress"),
        ((PASSED, FAILED), "False", None, "True", "Failed"),
        ((PASSED, UNDECIDED), "True", None, None, "Current"),
        # the first step that has not passed decides
        ((WORKING, FAILED), "Unknown", "True", None, "InProgress"),
        ((FAILED, WORKING), "False", None, "True", "Failed"),
        ((RETRYING, FAILED), "False", "True", None, "InProgress"),
        ((UNDECIDED, WORKING), "Unknown", "True", None, "InProgress"),
    ],
)
def test_the_first_step_that_has_not_passed_decides(
    steps: tuple[Outcome, ...], ready: str, reconciling: str | None, stalled: str | None, read_as: str
) -> None:
    conditions = summary(*steps)

    assert conditions["Ready"].status == ready
    assert (c.status if (c := conditions.get("Reconciling")) else None) == reconciling
    assert (c.status if (c := conditions.get("Stalled")) else None) == stalled
    assert kstatus(conditions) == read_as


@pytest.mark.parametrize("steps", list(product(EVERY_OUTCOME, repeat=3)), ids=str)
def test_for_every_combination_of_outcomes_the_contract_holds(steps: tuple[Outcome, ...]) -> None:
    conditions = summary(*steps)

    assert "Ready" in conditions
    assert not {"Reconciling", "Stalled"} <= conditions.keys()
    assert all(conditions[type_].status == "True" for type_ in ("Reconciling", "Stalled") if type_ in conditions)
    assert {"A", "B", "C"} <= conditions.keys()
    if "Stalled" in conditions:
        assert conditions["Ready"].status == "False"
    if conditions["Ready"].status == "True":
        assert kstatus(conditions) == "Current"


@pytest.mark.parametrize(
    ("outcome", "reason", "message"),
    [
        (PASSED, "Complete", "Run 1 is complete."),
        (WORKING, "Running", "Step train runs."),
        (RETRYING, "Forbidden", "The quota is used up."),
        (FAILED, "GateFailed", "accuracy is 0.8, at least 0.9 is needed."),
    ],
)
def test_ready_repeats_the_reason_and_the_message_of_what_decides(outcome: Outcome, reason: str, message: str) -> None:
    ready = summary(outcome)["Ready"]

    assert (ready.reason, ready.message) == (reason, message)


def test_a_retry_is_told_by_the_reason_that_flux_knows() -> None:
    assert summary(RETRYING)["Reconciling"].reason == "ProgressingWithRetry"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(PASSED, "True"), (WORKING, "Unknown"), (RETRYING, "Unknown"), (FAILED, "False"), (UNDECIDED, "Unknown")],
)
def test_a_step_has_a_condition_of_its_own(outcome: Outcome, status: str) -> None:
    assert summary(outcome)["A"].status == status


# --- Generations and times -------------------------------------------------------------------------------------------


def test_every_condition_speaks_of_the_generation_that_was_observed() -> None:
    """kubectl wait hangs for ever on a condition that was left behind (kubectl#1414)."""
    before = tuple(summary(PASSED, FAILED, generation=1).values())

    after = summary(PASSED, WORKING, previous=before, generation=2)

    assert {condition.observed_generation for condition in after.values()} == {2}


def test_the_time_of_a_transition_stays_while_the_status_stays() -> None:
    before = tuple(summary(PASSED, WORKING).values())

    after = summary(PASSED, Working("Waiting", "For the quota."), previous=before, generation=2, now=LATER)

    assert {condition.last_transition_time for condition in after.values()} == {NOW}
    assert after["B"].reason == "Waiting"


def test_the_time_of_a_transition_moves_with_the_status() -> None:
    before = tuple(summary(PASSED, WORKING).values())

    after = summary(PASSED, PASSED, previous=before, now=LATER)

    assert after["Ready"].last_transition_time == LATER
    assert after["B"].last_transition_time == LATER
    assert after["A"].last_transition_time == NOW


def test_a_condition_that_comes_back_is_a_transition() -> None:
    stalled = tuple(summary(FAILED).values())
    working = tuple(summary(WORKING, previous=stalled, now=LATER).values())

    again = summary(FAILED, previous=working, now=LATER + timedelta(hours=1))

    assert again["Stalled"].last_transition_time == LATER + timedelta(hours=1)


def test_a_condition_that_nothing_says_any_more_is_gone() -> None:
    before = tuple(summary(PASSED, PASSED, FAILED).values())

    assert summary(PASSED, previous=before).keys() == {"Ready", "A"}


def test_times_have_whole_seconds_as_the_api_server_keeps_them() -> None:
    """metav1.Time drops the rest: a status with microseconds would differ from itself for ever."""
    assert summary(PASSED, now=NOW.replace(microsecond=7))["Ready"].last_transition_time == NOW


def test_the_same_again_is_equal_so_that_nothing_is_written() -> None:
    before = tuple(summary(PASSED, FAILED).values())

    assert tuple(summary(PASSED, FAILED, previous=before, now=LATER).values()) == before


@pytest.mark.parametrize("length", [MESSAGE_LIMIT - 1, MESSAGE_LIMIT, MESSAGE_LIMIT + 1, 100 * MESSAGE_LIMIT])
def test_a_message_is_kept_short(length: int) -> None:
    message = summary(Failed("Invalid", "x" * length))["A"].message

    assert len(message) == min(length, MESSAGE_LIMIT)
    assert message.endswith("…") == (length > MESSAGE_LIMIT)


# --- Events ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "emitted"),
    [
        (None, PASSED, [("Normal", "Succeeded", "Trained.")]),
        (WORKING, PASSED, [("Normal", "Succeeded", "Trained.")]),
        (WORKING, FAILED, [("Warning", "GateFailed", "accuracy is 0.8, at least 0.9 is needed.")]),
        (FAILED, PASSED, [("Normal", "Succeeded", "Trained.")]),
        (None, WORKING, []),
        (PASSED, PASSED, []),
        (PASSED, WORKING, []),
        (PASSED, RETRYING, []),
        (FAILED, FAILED, []),
    ],
)
def test_one_event_for_each_step_that_has_been_decided(
    before: Outcome | None, after: Outcome, emitted: list[tuple[str, str, str]]
) -> None:
    previous = tuple(summary(before).values()) if before else ()
    current = tuple(summary(after, previous=previous).values())

    events = transitions(previous, current)

    assert [(event.type, event.reason, event.message) for event in events] == emitted


def test_another_reason_for_the_same_status_is_told_too() -> None:
    before = tuple(summary(FAILED).values())
    after = tuple(summary(Failed("ImagePull", "No such image."), previous=before).values())

    assert [event.reason for event in transitions(before, after)] == ["ImagePull"]


def test_two_conditions_that_say_the_same_are_one_event() -> None:
    current = summarise({"Trained": PASSED, "Blessed": PASSED}, (), 1, NOW, SETTLED)

    assert len(transitions((), current)) == 1


def test_a_condition_that_is_bad_news_when_true_warns() -> None:
    current = tuple(c for c in summarise({"Failed": PASSED}, (), 1, NOW, SETTLED) if c.type == "Failed")

    assert [event.type for event in transitions((), current)] == ["Warning"]


def test_drift_is_told_by_its_own_controller_and_not_a_second_time() -> None:
    assert transitions((), summarise({"Drifted": PASSED}, (), 1, NOW, SETTLED)) == []


# --- since when ------------------------------------------------------------------------------------------------------

OTHER = Working("Queued", "A quota is used up.")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, WORKING, LATER),
        (WORKING, WORKING, NOW),
        (OTHER, WORKING, LATER),
        (WORKING, FAILED, LATER),
        (PASSED, WORKING, LATER),
        (WORKING, PASSED, None),
        (PASSED, PASSED, None),
    ],
    ids=["new", "goes on", "waits for something else", "has failed", "was ready", "is ready", "stays ready"],
)
def test_it_waits_since_its_reason_changed(before: Outcome | None, after: Outcome, expected: datetime | None) -> None:
    """Ready stays Unknown through all of these, and with it the time of the condition."""
    told = () if before is None else summarise({"A": before}, (), 1, NOW, SETTLED)
    since = None if before in {None, PASSED} else NOW
    now = summarise({"A": after}, told, 1, LATER, SETTLED)

    assert waiting_since(told, since, now, LATER) == expected


def test_what_was_told_by_an_operator_that_knew_no_such_time_counts_from_now() -> None:
    told = summarise({"A": WORKING}, (), 1, NOW, SETTLED)

    assert waiting_since(told, None, told, LATER) == LATER
