"""Every state of a rollout × everything that can happen in it: what comes next is defined, and nothing that failed
keeps traffic while anything else could take it.

What each comes to is written down in machine.txt: a line for each event that makes a difference to what would come
anyway ("nothing happens"). A line that changes is a behaviour that changes.
Written anew with: TANDEM_WRITE_TABLE=1 pytest tests/unit/apps/test_machine.py
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.crds import ROOT
from tests.unit.apps.machine import EVENTS, STATES, Machine, judged

__all__ = ["judged"]

TABLE = Path(__file__).with_name("machine.txt")
DIVISIONS = ("by pods", "by weight")
A_WHILE = timedelta(minutes=30)
_LOOKS = 12
# What takes pods or the traffic away from a revision that did nothing wrong, or asks for that.
TAKES_AWAY = frozenset(
    {
        *("no replicas", "revision 1 is down", "revision 2 is down", "the Service is deleted"),
        *("the Deployment of revision 1 is deleted", "the Deployment of revision 2 is deleted"),
        *("somebody selects revision 1", "somebody selects revision 2"),
    }
)


def has_traffic(world: Machine) -> set[int]:
    """The revisions whose pods anybody could be sent to."""
    if world.shared:
        found = {number for number, replicas in world.scale.items() if replicas}
    else:
        found = {world.serving} if world.serving is not None else set()
    preview = world.services.get(f"{world.name}-candidate")
    if preview is not None and world.weights.get(f"{world.name}-candidate"):
        found.add(int(preview["spec"]["selector"]["tandem.dev/revision"]))
    return found & world.scale.keys()


def ready(world: Machine, numbers: set[int]) -> bool:
    """Whether one of them has a pod that answers."""
    there = (world.deployments.get(f"{world.name}-{number}", {}) for number in numbers)
    return any(deployment.get("status", {}).get("availableReplicas") for deployment in there)


def failed(world: Machine) -> set[int]:
    """The revisions on which there is a verdict that nobody has lifted."""
    found = {record.revision for record in world.told.revisions if record.state == "Failed"}
    stalled = world.conditions().get("Stalled") == "True"
    verdict = world.deployments.get(f"{world.name}-{world.serving}", {}).get("metadata", {}).get("annotations", {})
    return found | ({world.serving} if stalled and "tandem.dev/failed" in verdict and world.serving else set())


def somebody_could(world: Machine) -> bool:
    """Whether a revision that has not failed has pods that answer, and may take the traffic back."""
    others = {number for number, replicas in world.scale.items() if replicas} - failed(world)
    return ready(world, others) and bool(world.spec["rollout"].get("autoRollback", True))


def in_words(world: Machine) -> str:
    others = sorted(has_traffic(world) - {world.serving})
    shares = "".join(f", {number} has a share" for number in others)
    return f"{world.told.phase} {world.condition('RolledOut').reason}: {world.serving or 'nothing'} serves{shares}"


def goes_on(world: Machine) -> Iterator[None]:
    """Every pass: at first at the same moment, then whenever the plan or the cluster would look again."""
    end = world.now + A_WHILE
    yield from world.passes()
    for _ in range(_LOOKS):
        due = [world.plan().requeue_after or A_WHILE, *(deadline - world.now for deadline in world.deadlines())]
        world.later(max(1.0, min(due).total_seconds()))
        if world.now >= end:
            return
        yield from world.passes()


def follow(start: Machine, event: str) -> str:
    """What the event comes to: at once, and in the end."""
    world = copy.deepcopy(start)
    had_pods = ready(world, has_traffic(world))
    EVENTS[event](world)
    at_once = ""
    for _ in goes_on(world):
        if had_pods and event not in TAKES_AWAY:
            assert ready(world, has_traffic(world)), f"nobody answers: {in_words(world)}"
        if world.at_rest:
            at_once = at_once or in_words(world)
            spared = has_traffic(world) & failed(world) if somebody_could(world) else set()
            assert not spared, f"{spared} failed and has traffic: {in_words(world)}"
            assert world.told.stable is None or world.told.stable.revision == world.serving, in_words(world)
            named = {told.revision for told in (world.told.stable, world.told.candidate) if told is not None}
            assert has_traffic(world) <= named, f"status names {named}: {in_words(world)}"
    end = in_words(world)
    return at_once if at_once == end else f"{at_once} -> {end}"


def rows(division: str, state: str) -> Iterator[tuple[str, str]]:
    start = STATES[state](division == "by weight")
    for event in EVENTS:
        try:
            yield f"{division} | {state} | {event}", follow(start, event)
        except AssertionError as error:
            raise AssertionError(f"{division}, {state}, {event}: {error}") from error


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, str]]:
    """Of each division, state and event what was written down."""
    lines = TABLE.read_text().splitlines() if TABLE.exists() else []
    found = dict(line.split(" => ") for line in lines)
    yield found
    if os.environ.get("TANDEM_WRITE_TABLE"):
        names = (f"{division} | {state} | {event}" for state in STATES for division in DIVISIONS for event in EVENTS)
        TABLE.write_text("".join(f"{name} => {found[name]}\n" for name in names if name in found))


def differing(found: dict[str, str]) -> dict[str, str]:
    """Of one state: what nothing comes to, and what comes to anything else."""
    usual = next(iter(found))
    return {name: to for name, to in found.items() if name == usual or to != found[usual]}


@pytest.mark.parametrize("division", DIVISIONS)
@pytest.mark.parametrize("state", STATES)
def test_every_event_has_a_defined_next_state(state: str, division: str, table: dict[str, str]) -> None:
    found = differing(dict(rows(division, state)))
    written = {name: to for name, to in table.items() if name.startswith(f"{division} | {state} | ")}
    if os.environ.get("TANDEM_WRITE_TABLE"):
        for name in written.keys() - found.keys():
            del table[name]
        table |= found
        return
    assert found == written


def test_every_state_that_is_come_to_is_explained_to_users(table: dict[str, str]) -> None:
    reasons = {to.split(": ")[0].split(" ")[1] for line in table.values() for to in line.split(" -> ")}
    page = (ROOT / "docs/spec/appdeployment.md").read_text()
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()
    assert {name.split(" | ")[1] for name in table} == set(STATES)


def _does_not_answer(world: Machine) -> None:
    world.answering = False


UNKNOWN: dict[str, Callable[[Machine], object]] = {
    "MLflow is away": EVENTS["MLflow goes away"],
    "nobody has answered yet": _does_not_answer,
}
WITH_TRAFFIC = (
    *("step 1 is judged", "step 1 has no verdict", "step 1 awaits approval", "step 1 is paused by a person"),
    *("step 1 is suspended", "step 2 grows", "step 2 pauses", "the promotion awaits approval"),
    *("it grows for the switch", "it is promoted and grows"),
    *("it serves and is watched", "it failed while it was watched"),
)
FAILURES = ("a container of revision 2 ends", "revision 2 is down", "a judgement fails it", "it is aborted")


@pytest.mark.parametrize("division", DIVISIONS)
@pytest.mark.parametrize("state", WITH_TRAFFIC)
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_what_fails_loses_its_traffic_also_while_it_is_not_known_what_to_run(
    unknown: str, state: str, division: str
) -> None:
    """Revision 2 ends without traffic, without pods and with a verdict, as it does where it is known what to run."""
    start = STATES[state](division == "by weight")
    assert 2 in has_traffic(start)
    for failure in FAILURES:
        if failure == "a judgement fails it" and not (start.serving == 2 or "reached" in start.note(2)):
            continue  # it is on its way to the place where it would be judged
        world = copy.deepcopy(start)
        UNKNOWN[unknown](world)
        next(goes_on(world))
        EVENTS[failure](world)
        for _ in goes_on(world):
            assert ready(world, has_traffic(world)) or failure == "revision 2 is down"
        found = (has_traffic(world), world.scale[2], "tandem.dev/failed" in notes(world, 2))
        assert found == ({1}, 0, True), f"{failure}: {in_words(world)}"


@pytest.mark.parametrize("unknown", UNKNOWN)
@pytest.mark.parametrize("state", STATES)
def test_nothing_goes_on_while_it_is_not_known_what_to_run(state: str, unknown: str) -> None:
    world = STATES[state](True)
    before = (world.weights.get("shop-candidate", 0), world.scale, world.serving)
    UNKNOWN[unknown](world)
    world.say(approved="2/1")
    for _ in goes_on(world) if "rollback" not in world.spec else ():
        share, scale, serving = world.weights.get("shop-candidate", 0), world.scale, world.serving
        has_failed = any("tandem.dev/failed" in notes(world, number) for number in scale)
        assert (share, scale, serving) == before or has_failed


def notes(world: Machine, number: int) -> dict[str, str]:
    found: dict[str, str] = world.deployments.get(f"shop-{number}", {}).get("metadata", {}).get("annotations", {})
    return found
