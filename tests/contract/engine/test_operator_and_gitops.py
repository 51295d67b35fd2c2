"""The same manifests, applied again and again while people and autoscalers do their part: nothing is undone.

No controllers run: a Deployment has the pods that it asks for as soon as this test says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tandem.api import names
from tandem.api.meta import Json
from tandem.cli.app import run
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.contract.engine.gitops import ArgoCd, Flux, Tool
from tests.contract.engine.operator_process import OperatorProcess

pytestmark = pytest.mark.slow

TRACKING = "argocd.argoproj.io/tracking-id"
INSTANCE = "app.kubernetes.io/instance"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OPERATOR = {"tandem", "tandem-operator"}  # what it applies, and what it creates
CHILDREN = "deployments,services,configmaps,poddisruptionbudgets,networkpolicies,horizontalpodautoscalers"


@dataclass
class Story:
    """One AppDeployment in Git, the tool that applies it, and everybody else."""

    server: ApiServer
    operator: OperatorProcess
    tool: Tool
    git: Json

    @property
    def live(self) -> Json:
        return self.server.read(self.git)

    @property
    def status(self) -> Json:
        return dict(self.live.get("status", {}))

    @property
    def notes(self) -> dict[str, str]:
        return dict(self.live["metadata"].get("annotations", {}))

    def commit(self, **spec: object) -> None:
        self.git["spec"] |= spec
        self.sync()

    def sync(self, times: int = 1) -> None:
        for _ in range(times):
            self.tool.sync(self.git)

    def says(self, *words: str) -> None:
        """`kubectl tandem …`; whatever was said, the next sync is not far."""
        meta = self.git["metadata"]
        assert run([*words, meta["name"], "-n", meta["namespace"], "--as-decider", "anna"]) == 0
        self.sync()

    def scaled_to(self, replicas: int) -> None:
        meta = self.git["metadata"]
        what = (f"appdeployment/{meta['name']}", "-n", meta["namespace"], f"--replicas={replicas}")
        self.server.plane.kubectl("scale", *what)

    def until(self, condition: Callable[[], object], what: str) -> None:
        def looked() -> bool:
            self._pods_come_and_go()
            return bool(condition())

        self.operator.await_that(looked, what)

    def awaits(self, revision: int) -> bool:
        approval = self.status.get("approval") or {}
        return (approval.get("revision"), approval.get("state")) == (revision, "Awaiting")

    def serves(self, revision: int) -> bool:
        return bool(self.status.get("stable", {}).get("revision") == revision)

    def record(self, revision: int) -> Json:
        return next((one for one in self.status.get("revisions", ()) if one["revision"] == revision), {})

    def children(self) -> list[Json]:
        meta = self.git["metadata"]
        mine = f"{names.APP_LABEL}={meta['name']}"
        get = ("get", CHILDREN, "-n", meta["namespace"], "-l", mine, "-o", "json", "--show-managed-fields")
        found = self.server.plane.kubectl(*get)
        return list(json.loads(found)["items"])

    def _pods_come_and_go(self) -> None:
        where = f"/apis/apps/v1/namespaces/{self.git['metadata']['namespace']}/deployments"
        mine = f"{names.APP_LABEL}={self.git['metadata']['name']}"
        for deployment in self.server.plane.get(f"{where}?labelSelector={mine}")["items"]:
            meta, wanted = deployment["metadata"], deployment["spec"]["replicas"]
            fields = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
            status = {"observedGeneration": meta["generation"], **dict.fromkeys(fields, wanted)}
            if any(deployment["status"].get(name, 0) != value for name, value in status.items()):
                what = ("deployment", meta["name"], "-n", meta["namespace"], "--subresource=status", "--type=merge")
                self.server.plane.kubectl("patch", *what, "-p", json.dumps({"status": status}))


@pytest.fixture(params=[Flux, ArgoCd], ids=["flux", "argocd"])
def story(
    request: pytest.FixtureRequest,
    api_server: ApiServer,
    operator: OperatorProcess,
    team: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Story]:
    monkeypatch.setenv("KUBECONFIG", str(api_server.plane.kubeconfig))
    tool: type[Any] = request.param
    spec = {"image": "shop:1", "rollout": {"approval": "Required"}, "autoscaling": {"minReplicas": 1, "maxReplicas": 5}}
    git = resource("AppDeployment", team, tool.__name__.lower(), **spec)
    git["metadata"] |= {"labels": {INSTANCE: "shop"}, "annotations": {TRACKING: "shop:tandem.dev/AppDeployment:x"}}
    yield Story(api_server, operator, tool(api_server.plane), git)
    api_server.plane.kubectl("delete", "appdeployment", git["metadata"]["name"], "-n", team)


def test_nothing_that_anybody_did_is_undone_and_no_field_is_fought_over(story: Story) -> None:
    # given an app that serves
    story.sync()
    story.until(lambda: story.awaits(1) or story.serves(1), "the first revision")
    if story.awaits(1):
        story.says("approve")
    story.until(lambda: story.serves(1), "the first revision serves")

    # its HorizontalPodAutoscaler scales, as the controller of it does: by /scale. Git does not say how many
    meta = story.git["metadata"]
    story.scaled_to(3)
    story.sync(2)
    assert story.live["spec"]["replicas"] == 3

    # a rollout is paused, goes on and is approved
    story.commit(image="shop:2")
    story.until(lambda: story.awaits(2), "revision 2 waits for a person")
    story.scaled_to(4)
    story.sync(2)
    assert story.live["spec"]["replicas"] == 4
    story.says("pause")
    story.sync()
    assert story.notes[names.PAUSE_ANNOTATION] == "2"
    story.says("resume")
    assert names.PAUSE_ANNOTATION not in story.notes
    story.until(lambda: story.awaits(2), "revision 2 waits again")
    story.says("approve")
    story.until(lambda: story.serves(2), "revision 2 serves")
    story.sync()
    assert story.notes[names.APPROVED_ANNOTATION] == "2/promotion"
    assert story.notes[names.DECIDED_BY_ANNOTATION] == "anna"
    assert story.live["spec"]["replicas"] == 4
    assert [(d["verb"], d["revision"], d["by"]) for d in story.status["decisions"][:3]] == [
        ("Approved", 2, "anna"),
        ("Resumed", 2, "anna"),
        ("Paused", 2, "anna"),
    ]

    # one is aborted, and Git, which still asks for it, does not bring it back
    story.commit(image="shop:3")
    story.until(lambda: story.status.get("candidate", {}).get("revision") == 3, "revision 3")
    story.says("abort")
    story.until(lambda: story.record(3).get("state") == "Failed", "revision 3 is set aside")
    story.sync(2)
    assert (story.serves(2), story.record(3)["state"]) == (True, "Failed")

    # a rollback, as Git says it
    story.commit(rollback={"toRevision": 1})
    story.until(lambda: story.serves(1), "revision 1 serves again")

    # then nobody writes anything any more, neither the tool nor the operator
    story.until(lambda: story.status["phase"] == "Healthy", "rest")
    story.operator.await_resyncs(story.server.plane.audit, 1)
    mark, generation = story.server.plane.audit.mark(), story.live["metadata"]["generation"]
    story.sync(2)
    story.operator.await_resyncs(story.server.plane.audit, 1)
    assert story.operator.writes(mark, meta["namespace"]) == {}
    assert story.live["metadata"]["generation"] == generation
    assert story.live["spec"]["replicas"] == 4
    _the_operator_owns_the_status_alone(story)
    _nobody_else_owns_a_field_of_the_children(story)
    _pruning_does_not_find_the_children(story)


def _the_operator_owns_the_status_alone(story: Story) -> None:
    meta = story.git["metadata"]
    get = ("get", "appdeployment", meta["name"], "-n", meta["namespace"], "-o", "json", "--show-managed-fields")
    entries = json.loads(story.server.plane.kubectl(*get))["metadata"]["managedFields"]
    by_the_operator = [entry for entry in entries if entry.get("subresource") == "status"]
    assert len(by_the_operator) == 1
    assert by_the_operator[0]["fieldsV1"].keys() == {"f:status"}
    of_the_status = [entry for entry in entries if "f:status" in entry["fieldsV1"]]
    assert of_the_status == by_the_operator, "nobody else writes the status"


def _nobody_else_owns_a_field_of_the_children(story: Story) -> None:
    children = story.children()
    assert "HorizontalPodAutoscaler" in {child["kind"] for child in children}
    for child in children:
        writers = {e["manager"] for e in child["metadata"]["managedFields"] if e.get("subresource") != "status"}
        assert writers <= OPERATOR, f"{child['kind']} {child['metadata']['name']}"


def _pruning_does_not_find_the_children(story: Story) -> None:
    """Argo CD would take what carries these for something that Git has forgotten."""
    children = story.children()
    assert {child["kind"] for child in children} >= {"Deployment", "Service"}
    for child in children:
        meta = child["metadata"]
        assert INSTANCE not in meta["labels"]
        assert not {TRACKING, LAST_APPLIED} & meta.get("annotations", {}).keys()
        assert [owner["name"] for owner in meta["ownerReferences"]] == [story.git["metadata"]["name"]]
        template = child.get("spec", {}).get("template", {}).get("metadata", {})
        assert INSTANCE not in template.get("labels", {})


def test_flux_takes_back_what_kubectl_annotates_and_not_what_kubectl_tandem_does(
    api_server: ApiServer, namespace: str
) -> None:
    """Else the page would warn of nothing, and this Flux would be none."""
    git = resource("AppDeployment", namespace, "shop")
    flux = Flux(api_server.plane)
    flux.sync(git)
    what = ("annotate", "appdeployment/shop", "-n", namespace, "--overwrite")
    api_server.plane.kubectl(*what, f"{names.PROMOTE_ANNOTATION}=1")
    api_server.plane.kubectl(*what, f"{names.APPROVED_ANNOTATION}=1/2", "--field-manager=tandem-cli")

    flux.sync(git)

    assert api_server.read(git)["metadata"]["annotations"] == {names.APPROVED_ANNOTATION: "1/2"}


@pytest.mark.parametrize("kind", ["AppDeployment", "TrainingJob"])
@pytest.mark.parametrize("tool", [Flux, ArgoCd])
def test_what_the_api_server_fills_in_is_no_difference_to_git(
    api_server: ApiServer, namespace: str, kind: str, tool: type[Any]
) -> None:
    git = resource(kind, namespace)
    tool(api_server.plane).sync(git)
    # Creating drops the status, its default too; the first apply by a server-side tool stores that (no new generation).
    tool(api_server.plane).sync(git)
    before = api_server.read(git)["metadata"]

    tool(api_server.plane).sync(git)

    assert api_server.read(git)["metadata"]["resourceVersion"] == before["resourceVersion"]
