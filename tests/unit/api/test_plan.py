"""What one pass gathers: actions, refusals that wait for their time, facts that were read, the next look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tandem.api.facts import Facts, ModelNamed, RegisteredModel, Unavailable
from tandem.api.plan import (
    Action,
    Apply,
    Create,
    Delete,
    Draft,
    Emit,
    EndRun,
    EnsureRun,
    MoveAlias,
    Refusal,
    RegisterVersion,
    TagRun,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "iris-1", "namespace": "default"}}
CREATE = Create(JOB)
REFUSAL = Refusal("Forbidden", "exceeded quota", since=NOW - timedelta(minutes=5), retry_at=NOW, attempts=3)


def draft(refusal: Refusal | None = None, facts: Facts | None = None) -> Draft:
    return Draft(facts or Facts(), {CREATE.id: refusal} if refusal else {}, NOW)


# --- Actions and refusals --------------------------------------------------------------------------------------------


def test_an_action_that_nobody_refused_is_planned() -> None:
    pass_ = draft()

    assert pass_.act(CREATE) is None
    assert pass_.finish(None).actions == (CREATE,)


def test_what_two_steps_both_find_missing_is_made_once() -> None:
    pass_ = draft()

    pass_.act(CREATE)
    pass_.act(CREATE)

    assert pass_.finish(None).actions == (CREATE,)


def test_a_refused_action_is_not_planned_before_its_time() -> None:
    waiting = replace(REFUSAL, retry_at=NOW + timedelta(seconds=30))
    pass_ = draft(waiting)

    assert pass_.act(CREATE) == waiting
    assert pass_.finish(None).actions == ()
    assert pass_.finish(None).requeue_after == timedelta(seconds=30)


@pytest.mark.parametrize("since_then", [timedelta(0), timedelta(seconds=1), timedelta(days=1)])
def test_a_refused_action_is_planned_again_when_its_time_has_come(since_then: timedelta) -> None:
    """And the refusal is still told: until the action succeeds, the status goes on saying what is wrong."""
    due = replace(REFUSAL, retry_at=NOW - since_then)
    pass_ = draft(due)

    assert pass_.act(CREATE) == due
    assert pass_.finish(None).actions == (CREATE,)
    assert pass_.finish(None).requeue_after is None


def test_a_refusal_holds_up_that_action_alone() -> None:
    other = Create({**JOB, "metadata": {"name": "iris-2"}})
    pass_ = draft(replace(REFUSAL, retry_at=NOW + timedelta(seconds=30)))

    pass_.act(CREATE)
    assert pass_.act(other) is None
    assert pass_.finish(None).actions == (other,)


def test_actions_are_carried_out_in_the_order_in_which_they_were_planned() -> None:
    first, second = Emit("Normal", "Started", "Run 1 starts."), CREATE
    pass_ = draft()

    pass_.act(first)
    pass_.act(second)

    assert pass_.finish(None).actions == (first, second)


EVERY_ACTION: list[Action] = [
    CREATE,
    Apply(JOB),
    Delete("batch/v1", "Job", "default", "iris-1", "uid-1"),
    Emit("Normal", "Started", "Run 1 starts."),
    EnsureRun("uid", 1, "iris", "iris-1", {}, {}),
    TagRun("run", {}),
    EndRun("run", "FAILED"),
    RegisterVersion("default", "iris", "run", "model", {}),
    MoveAlias("default", "iris", "champion", "2", "1"),
]


def test_no_two_kinds_of_action_share_a_key() -> None:
    """A refusal is found again by the key of its action."""
    assert len({action.id for action in EVERY_ACTION}) == len(EVERY_ACTION)


def test_the_key_of_an_action_does_not_depend_on_its_contents() -> None:
    """A Job that is refused for its quota stays refused while its template is worked out anew on each pass."""
    assert Create({**JOB, "spec": {"suspend": True}}).id == CREATE.id


# --- The next look ---------------------------------------------------------------------------------------------------


def test_the_earliest_of_all_wishes_is_when_to_look_again() -> None:
    pass_ = draft()

    for seconds in (60, 10, 30):
        pass_.requeue(timedelta(seconds=seconds))

    assert pass_.finish(None).requeue_after == timedelta(seconds=10)


def test_without_a_wish_nothing_is_looked_at_again() -> None:
    assert draft().finish(None).requeue_after is None


# --- Facts -----------------------------------------------------------------------------------------------------------

IRIS = ModelNamed("iris")
KNOWN = RegisteredModel("iris", exists=True)
DOWN = Unavailable(NOW, "TrackingUnavailable", "MLflow does not answer.")


@pytest.mark.parametrize("answer", [KNOWN, DOWN])
def test_a_plan_reads_the_answer_or_that_there_is_none(answer: RegisteredModel | Unavailable) -> None:
    assert draft(facts=Facts({IRIS: answer})).read(IRIS) == answer


def test_a_question_that_nobody_has_answered_is_asked_by_reading() -> None:
    pass_ = draft()

    assert pass_.read(IRIS) is None
    assert pass_.finish(None).reads == (IRIS,)


def test_a_question_is_asked_once_however_often_it_is_read() -> None:
    pass_ = draft(facts=Facts({IRIS: KNOWN}))

    pass_.read(IRIS)
    pass_.read(ModelNamed("iris"))
    pass_.read(ModelNamed("wine"))

    assert pass_.finish(None).reads == (IRIS, ModelNamed("wine"))


# --- The whole -------------------------------------------------------------------------------------------------------


def test_a_pass_hands_on_its_status_and_its_events() -> None:
    pass_ = draft()
    event = Emit("Warning", "GateFailed", "accuracy is too low.")
    pass_.events.append(event)

    plan = pass_.finish({"phase": "Failed"})

    assert (plan.status, plan.events) == ({"phase": "Failed"}, (event,))
