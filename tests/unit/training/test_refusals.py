"""Whatever MLflow refuses is told under its own reason, and says whether a person is needed."""

from __future__ import annotations

import pytest

from tandem.api.plan import EnsureRun, RegisterVersion
from tandem.training.case import TRANSIENT
from tests.reasons import refusals_of_mlflow
from tests.unit.training.world import World


def refused(reason: str, action: type[EnsureRun] | type[RegisterVersion]) -> World:
    world = World().settle().completes() if action is RegisterVersion else World()
    world.refuse[action] = (reason, "as MLflow says it")
    return world.settle()


@pytest.mark.parametrize("action", [EnsureRun, RegisterVersion])
@pytest.mark.parametrize("reason", sorted(refusals_of_mlflow() - TRANSIENT))
def test_what_a_person_must_change_stalls_it(reason: str, action: type[EnsureRun] | type[RegisterVersion]) -> None:
    world = refused(reason, action)
    assert (world.told("Ready"), world.told("Stalled")) == (("False", reason), ("True", reason))
    assert "as MLflow says it" in world.condition("Ready").message  # type: ignore[union-attr]
    assert world.told("Reconciling") is None


@pytest.mark.parametrize("reason", sorted(TRANSIENT))
def test_what_passes_by_itself_is_progress_with_its_reason(reason: str) -> None:
    world = refused(reason, RegisterVersion)
    assert world.told("Ready") == ("False", reason)
    assert world.told("Reconciling") == ("True", "ProgressingWithRetry")
    assert world.told("Stalled") is None
