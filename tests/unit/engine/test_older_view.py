"""A plan that was made from an older view takes nothing back, whenever the news come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from aiohttp import web

from tandem.api.meta import Key, controller_reference
from tandem.api.plan import Action, Apply, Create, Delete, Draft
from tandem.engine.controller import Named
from tests.unit.engine.desk import Desk
from tests.unit.engine.objects import Json, Widget, child, resource
from tests.unit.engine.strict_api import Serve

pytestmark = pytest.mark.asyncio

VERDICT = {"verdict": "it failed"}


def scale(known: Named) -> Action:
    """An apply that says nothing of a verdict, which takes a verdict back."""
    return Apply(scale_of(known))


def scale_of(known: Named) -> Json:
    reference = controller_reference("tandem.dev/v1alpha1", "Widget", known.metadata)
    meta = {"name": "w-1", "namespace": "ns", "annotations": {}, "ownerReferences": [{**reference, "uid": "uid-w"}]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta}


def remove(known: Named) -> Action:
    return Delete("batch/v1", "Job", "ns", "w-1", known.metadata.uid)


@pytest.mark.parametrize("takes_back", [scale, remove], ids=["apply", "delete"])
async def test_news_of_a_child_that_come_between_plan_and_action_are_planned_for_first(
    desk: Desk, takes_back: Callable[[Named], Action]
) -> None:
    """Measured: the watch delivers the newer child while the resource is confirmed, and the action names that one."""
    planned: list[bool] = []

    def rule(_: Widget, children: Sequence[Named], draft: Draft) -> str:
        judged = any(c.metadata.annotations == VERDICT for c in children)
        planned.append(judged)
        if not judged:
            draft.act(takes_back(children[0]))
        return "Judged" if judged else "Trying"

    async def judged_meanwhile(serve: Serve) -> web.StreamResponse:
        answer = await serve()
        desk.show("Job", desk.api.put("jobs", with_verdict(job)))
        return answer

    desk.rule = rule
    job = desk.api.put("jobs", child("Job", "w-1", "uid-job", owner="uid-w"))
    desk.show("Job", job)
    desk.api.fail("GET widgets", judged_meanwhile)
    desk.submit()

    await desk.until_phase("Judged")
    assert planned[0] is False, "the first plan did not know it"
    kept = desk.api.named("jobs", "w-1")
    assert kept is not None
    assert kept["metadata"]["annotations"] == VERDICT


@pytest.mark.parametrize("there", [False, True])
async def test_what_a_plan_takes_for_gone_is_asked_for_first(desk: Desk, there: bool) -> None:
    """Found by the sieve: a Service was seen before what it selects, and taken back from that."""

    def rule(widget: Widget, children: Sequence[Named], draft: Draft) -> str:
        draft.act(Apply(scale_of(children[0]), without="shop-2"))
        return "Taken back"

    desk.rule = rule
    if there:
        desk.api.put("deployments", {"kind": "Deployment", "metadata": {"name": "shop-2", "namespace": "ns"}})
    desk.show("Job", desk.api.put("jobs", child("Job", "w-1", "uid-job", owner="uid-w")))
    desk.submit()

    await desk.until(lambda: bool(desk.outcomes))
    assert desk.outcomes[0] == ("Widget", "stale" if there else "done")
    # Once for each plan, and another may have been made by now.
    assert {write for write in desk.api.writes() if "jobs" in write} == (set() if there else {"PATCH jobs"})


@pytest.mark.parametrize(
    ("owner", "ours"), [("uid-w", True), ("uid-of-another", False), ("", False)], ids=["ours", "another's", "none"]
)
async def test_a_job_that_a_plan_goes_without_is_asked_for_before_anything_is_told(
    desk: Desk, owner: str, ours: bool
) -> None:
    """Found by random sequences: a run had failed (JobDeleted) whose Job was only seen late."""

    def rule(_: Widget, children: Sequence[Named], draft: Draft) -> str:
        if not children:
            draft.without("w-1")
        return "Runs" if children else "Gone"

    desk.rule = rule
    if owner:
        desk.api.put("jobs", child("Job", "w-1", "uid-job", owner=owner))
    desk.submit()

    await desk.until_phase("Runs" if ours else "Gone")
    await desk.until_rest()
    assert desk.outcomes[0] == ("Widget", "stale" if ours else "done")
    assert desk.api.requests.index("GET jobs") < desk.api.requests.index("PATCH widgets/status")
    assert desk.api.writes() == ["PATCH widgets/status"], "nothing else was told before"


@pytest.mark.parametrize("remade", [False, True])
async def test_a_resource_that_a_write_does_not_find_is_forgotten_at_once(desk: Desk, remade: bool) -> None:
    """By a view that lags its children would be made for ever: nothing else tells that they have no owner any more."""
    desk.rule = lambda *_: "Told"
    body = desk.api.put("widgets", resource("w", "uid-w"))
    del desk.api.objects["ns", "widgets", "w"]
    if remade:
        desk.api.put("widgets", resource("w", "uid-w2"))
    desk.show("Widget", body)

    await desk.until(lambda: bool(desk.outcomes))
    entry = desk.store.get(Key("Widget", "ns", "w"))
    assert (entry and entry.metadata.uid) == ("uid-w2" if remade else None)
    await desk.until_phase("Told" if remade else "gone")


@pytest.mark.parametrize("counted", [False, True])
async def test_a_name_that_was_counted_from_an_older_view_is_counted_again(desk: Desk, counted: bool) -> None:
    """A name that is the same in every view needs no such care, and no read."""

    def rule(widget: Widget, _: Sequence[Named], draft: Draft) -> str:
        draft.act(Create(named(widget, f"w-{widget.spec.size}"), fenced=counted))
        return "Created"

    desk.rule = rule
    older = desk.api.put("widgets", resource("w", "uid-w", spec={"size": 1}))
    desk.api.put("widgets", {**older, "spec": {"size": 2}})
    desk.show("Widget", older)

    await desk.until_phase("Created")
    assert (desk.api.named("jobs", "w-1") is None) is counted
    assert desk.api.named("jobs", "w-2") is not None


def named(owner: Named, name: str) -> Json:
    reference = controller_reference("tandem.dev/v1alpha1", "Widget", owner.metadata)
    meta = {"name": name, "namespace": "ns", "ownerReferences": [reference]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta}


def with_verdict(job: Json) -> Json:
    return {**job, "metadata": {**job["metadata"], "annotations": VERDICT}}
