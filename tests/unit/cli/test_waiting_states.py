"""Every state in which something waits: what for, since when, and which command moves it.

The states are those that the plans themselves come to. That none is forgotten is seen in tests/contract/kstatus.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import pytest

from tandem.apps.status import WAITS
from tandem.cli.explain import explain
from tests.unit.apps.deployments import CRASH, NEVER
from tests.unit.apps.judging import candidate, end, terminated
from tests.unit.apps.test_freeze import NOW as WINDOW
from tests.unit.apps.test_freeze import frozen
from tests.unit.apps.test_steps import UNTIL_APPROVED, canary, passes, step, waits
from tests.unit.apps.world import World as AppWorld
from tests.unit.apps.world import app, model
from tests.unit.training.world import World as TrainingWorld

STARTS_LATER = 20.0  # seconds after which a state begins: not with the rollout


class State(NamedTuple):
    """``moves``: what comes after `kubectl tandem -n NAMESPACE`, in the order in which they are told."""

    reason: str
    story: Callable[[], AppWorld]
    words: str
    moves: list[str]


def later(world: AppWorld) -> AppWorld:
    world.wait(STARTS_LATER)
    return world


def said(world: AppWorld, **words: str | None) -> AppWorld:
    world.say(**words)
    return world


def behaves(world: AppWorld, does: str) -> AppWorld:
    world.behaviour["shop:2"] = does
    return world


def undecided() -> AppWorld:
    world = candidate({"name": "errors", "max": "0.01", "pods": {"metric": "requestErrorRate"}})
    waits(world, "AnalysisRunning")
    end(world, terminated("measure", 0, "no verdict here"))
    return world


def configured() -> AppWorld:
    return app(configFrom=[{"configMapRef": {"name": "settings"}, "mountPath": "/etc/shop"}])


def suspended() -> AppWorld:
    world = canary(step(20, UNTIL_APPROVED))
    world.change(suspend=True)
    return world


ON_ITS_WAY = ["pause appd/shop", "promote appd/shop", "abort appd/shop"]

APPS = [
    State("NotReady", lambda: behaves(canary(step(20)), NEVER), "set aside after 600 seconds", ON_ITS_WAY),
    State("CrashLoopBackOff", lambda: behaves(canary(step(20)), CRASH), "exited with code 3", ON_ITS_WAY),
    State("StepPaused", lambda: canary(step(20, {"durationSeconds": 900})), "step 1 of 1 (20 %)", ON_ITS_WAY),
    State(
        "AwaitingApproval",
        lambda: canary(step(20, UNTIL_APPROVED)),
        "waits for a person",
        ["approve appd/shop", *ON_ITS_WAY],
    ),
    State(
        "AwaitingApproval",
        lambda: canary(approval="Required"),
        "the promotion of revision 2",
        ["approve appd/shop", *ON_ITS_WAY],
    ),
    State("Paused", lambda: said(canary(step(20)), pause="2"), "is held", ["resume appd/shop", *ON_ITS_WAY[1:]]),
    State("Frozen", lambda: frozen(WINDOW), "until", ON_ITS_WAY),
    State(
        "AnalysisRunning",
        lambda: candidate({"name": "errors", "max": "0.01", "pods": {"metric": "requestErrorRate"}}),
        "is judged",
        ON_ITS_WAY,
    ),
    State("AnalysisInconclusive", undecided, "no verdict", ["retry appd/shop", *ON_ITS_WAY]),
    State("Watching", lambda: canary(watchSeconds=900), "it is watched until", ["abort appd/shop"]),
    State(
        "CrashLoopBackOff",
        lambda: behaves(canary(step(20)), CRASH).converge(),
        "revision 1 keeps serving",
        ["retry appd/shop"],
    ),
    State("Aborted", lambda: said(canary(step(20)), abort="2"), "was aborted", ["retry appd/shop"]),
    State("ModelNotFound", lambda: forgotten(model("1")), "iris", []),
    State("ConfigMapNotFound", configured, "settings", []),
]


def forgotten(world: AppWorld) -> AppWorld:
    world.aliases = None
    world.versions = {}
    return world


def told(world: AppWorld) -> dict[str, str]:
    """The lines by their headings; what follows `next:` is not told here."""
    lines = explain(world.app, world.now)
    found = re.findall(r"^  (waits for|failed|since): +(.*)$", "\n".join(lines), re.MULTILINE)
    return dict(found)


def verbs(world: AppWorld) -> list[str]:
    text = "\n".join(explain(world.app, world.now))
    return re.findall(r"kubectl tandem -n team (.*?)   #", text)


@pytest.mark.parametrize("state", APPS, ids=lambda state: state.reason)
def test_an_app_says_what_it_waits_for_since_when_and_what_moves_it(state: State) -> None:
    world = state.story()
    begins = world.now if is_in(world, state.reason) or world.jobs else later(world).now
    until(world, state.reason)
    world.wait(5)
    passes(world, 2)

    lines = told(world)
    assert state.words in lines.get("waits for", lines.get("failed", ""))
    assert lines["since"].startswith(f"{begins:%Y-%m-%d %H:%M:%SZ}, 5s ({state.reason})")
    assert verbs(world) == state.moves


@pytest.mark.parametrize("state", [one for one in APPS if one.reason in WAITS], ids=lambda state: state.reason)
def test_the_status_itself_says_since_when_and_which_command_moves_it(state: State) -> None:
    """Not everybody who is asked has the command: Argo CD, a dashboard and kubectl show the message alone."""
    world = until(state.story(), state.reason)
    passes(world, 1)

    assert world.told.explain == world.condition("RolledOut").message
    assert re.search(r"since 2026-03-01 12:\d\d:\d\dZ", world.told.explain), world.told.explain
    named = re.findall(r"kubectl tandem (\w+) shop -n team", world.told.explain)
    assert named, world.told.explain
    assert set(named) <= {move.split(" ")[0] for move in state.moves}


def test_no_state_that_waits_for_a_person_or_the_clock_is_missing_here() -> None:
    assert {state.reason for state in APPS} >= WAITS


def until(world: AppWorld, reason: str) -> AppWorld:
    for _ in range(30):
        if is_in(world, reason):
            return world
        passes(world, 1)
    raise AssertionError(f"{world.conditions()} instead of {reason}")


def is_in(world: AppWorld, reason: str) -> bool:
    return "Ready" in world.conditions() and world.condition("Ready").reason == reason


# --- a TrainingJob ---------------------------------------------------------------------------------------------------


def approving() -> TrainingWorld:
    return TrainingWorld().change(model={"name": "iris", "approval": "Required"}).settle().completes().settle()


@pytest.mark.parametrize(
    ("world", "heading", "reason", "moves"),
    [
        (lambda: TrainingWorld().settle().runs_step("train").settle(), "waits for", "JobRunning", []),
        (approving, "waits for", "AwaitingApproval", ["approve tj/iris", "reject tj/iris"]),
        (lambda: TrainingWorld().change(suspend=True).settle(), "waits for", "Suspended", []),
        (lambda: TrainingWorld().mlflow_down().settle(), "waits for", "TrackingUnavailable", []),
        (
            lambda: TrainingWorld().settle().completes({"accuracy": 0.1}).settle(),
            "failed",
            "Threshold",
            ["retry tj/iris"],
        ),
    ],
    ids=["running", "a person", "suspended", "MLflow", "failed"],
)
def test_a_training_job_says_what_it_waits_for_since_when_and_what_moves_it(
    world: Callable[[], TrainingWorld], heading: str, reason: str, moves: list[str]
) -> None:
    there = world()
    lines = explain(there.resource, there.now)
    text = "\n".join(lines)

    assert re.search(rf"^  {heading}: +\S", text, re.MULTILINE), text
    since = re.search(r"^  since: +(\S+ \S+Z), .* \((\w+)\)", text, re.MULTILINE)
    assert since is not None
    assert datetime.fromisoformat(since[1]) <= there.now
    assert reason in since[2]
    assert re.findall(r"kubectl tandem -n ml (.*?)   #", text) == moves
    if there.spec.get("suspend"):
        assert "spec.suspend: false" in text
