"""Status, scale and generation: who may write what, and what moves the generation."""

from __future__ import annotations

import json

import pytest

from tests.contract.api_server import ApiServer, Json, Rejected
from tests.contract.crds.resources import resource
from tests.crds import KINDS

TJ, AD = "TrainingJob", "AppDeployment"
NOW = "2026-01-02T03:04:05Z"
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Complete",
    "message": "Run 1 is complete.",
    "lastTransitionTime": NOW,
    "observedGeneration": 1,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_resource_counts_as_not_observed(api_server: ApiServer, namespace: str, kind: str) -> None:
    created = api_server.create(resource(kind, namespace))

    assert created["status"] == {"observedGeneration": -1}
    assert created["metadata"]["generation"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_status_sent_with_a_new_resource_is_ignored(api_server: ApiServer, namespace: str, kind: str) -> None:
    """`kubectl get -o yaml | kubectl create -f -` must not bring somebody else's status along."""
    created = api_server.create(resource(kind, namespace) | {"status": {"phase": "Complete", "observedGeneration": 1}})

    assert created["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_of_the_resource_does_not_reach_the_status(api_server: ApiServer, namespace: str, kind: str) -> None:
    created = api_server.create(resource(kind, namespace))

    patched = api_server.merge(created, {"spec": {"suspend": True}, "status": {"phase": "Complete"}})

    assert patched["spec"]["suspend"] is True
    assert patched["status"] == {"observedGeneration": -1}
    assert patched["metadata"]["generation"] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_of_the_status_reaches_neither_spec_nor_generation(
    api_server: ApiServer, namespace: str, kind: str
) -> None:
    created = api_server.create(resource(kind, namespace))

    status = {"observedGeneration": 1, "conditions": [READY]}
    patched = api_server.merge(created, {"spec": {"suspend": True}, "status": status}, "/status")

    assert patched["spec"]["suspend"] is False
    assert patched["status"] == status
    assert patched["metadata"]["generation"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_one_condition_of_a_type(api_server: ApiServer, namespace: str, kind: str) -> None:
    created = api_server.create(resource(kind, namespace))

    with pytest.raises(Rejected) as refused:
        api_server.merge(created, {"status": {"conditions": [READY, READY]}}, "/status")

    assert refused.value.causes[0].field == "status.conditions[1]"


@pytest.mark.parametrize("missing", sorted(READY))
def test_a_condition_is_whole(api_server: ApiServer, namespace: str, missing: str) -> None:
    created = api_server.create(resource(TJ, namespace))

    part = {name: value for name, value in READY.items() if name != missing}
    with pytest.raises(Rejected) as refused:
        api_server.merge(created, {"status": {"conditions": [part]}}, "/status")

    assert any(missing in cause.field for cause in refused.value.causes)


def test_an_observed_generation_is_a_number(api_server: ApiServer, namespace: str) -> None:
    """kstatus fails on a string (argo-rollouts#4672)."""
    created = api_server.create(resource(TJ, namespace))

    with pytest.raises(Rejected):
        api_server.merge(created, {"status": {"observedGeneration": "1"}}, "/status")


def test_the_drift_part_and_the_rest_of_the_status_are_written_apart(api_server: ApiServer, namespace: str) -> None:
    """Two controllers patch the status of one TrainingJob; a merge patch of the one leaves the other's part."""
    created = api_server.create(resource(TJ, namespace))

    api_server.merge(created, {"status": {"phase": "Complete"}}, "/status")
    api_server.merge(created, {"status": {"drift": {"message": "healthy"}}}, "/status")

    assert api_server.read(created)["status"] == {
        "observedGeneration": -1,
        "phase": "Complete",
        "drift": {"message": "healthy"},
    }


def test_scale_sets_replicas_and_reads_the_stable_revision(api_server: ApiServer, namespace: str) -> None:
    created = api_server.create(resource(AD, namespace))
    api_server.merge(created, {"status": {"replicas": 2, "selector": "app=x"}}, "/status")

    scaled = api_server.merge(created, {"spec": {"replicas": 5}}, "/scale")

    assert scaled["spec"] == {"replicas": 5}
    assert scaled["status"] == {"replicas": 2, "selector": "app=x"}
    assert api_server.read(created)["spec"]["replicas"] == 5


def test_kubectl_scale_works(api_server: ApiServer, namespace: str) -> None:
    created = api_server.create(resource(AD, namespace))

    api_server.plane.kubectl("scale", "appd/example", "--replicas=3", f"--namespace={namespace}")

    assert api_server.read(created)["spec"]["replicas"] == 3


@pytest.mark.parametrize("words", ["tj", "trainingjob", "trainingjobs", "tandem", "all"])
def test_kubectl_knows_the_kind_by_its_short_names_and_categories(
    api_server: ApiServer, namespace: str, words: str
) -> None:
    api_server.create(resource(TJ, namespace))

    assert "trainingjob.tandem.dev/example" in api_server.plane.kubectl("get", words, "-o", "name", "-n", namespace)


def test_kubectl_get_shows_the_columns(api_server: ApiServer, namespace: str) -> None:
    created = api_server.create(resource(TJ, namespace))
    status = {
        "phase": "Complete",
        "keyFigure": "accuracy=0.97",
        "conditions": [READY],
        "run": {"number": 3, "trigger": {"type": "Created"}, "specDigest": "x", "step": "train"},
        "model": {"name": "iris", "version": "7"},
    }
    api_server.merge(created, {"status": status}, "/status")

    header, row = api_server.plane.kubectl("get", "tj", "-n", namespace).splitlines()

    assert header.split() == ["NAME", "PHASE", "STEP", "RUN", "FIGURE", "MODEL", "REASON", "AGE"]
    assert row.split()[:-1] == ["example", "Complete", "train", "3", "accuracy=0.97", "7", "Complete"]


def test_kubectl_wait_ends_on_a_condition_of_this_generation(api_server: ApiServer, namespace: str) -> None:
    created = api_server.create(resource(TJ, namespace))
    api_server.merge(created, {"status": {"observedGeneration": 1, "conditions": [READY]}}, "/status")

    met = api_server.plane.kubectl("wait", "tj/example", "--for=condition=Ready", "--timeout=5s", "-n", namespace)

    assert "condition met" in met


@pytest.mark.parametrize(("kind", "spec"), [(TJ, {}), (AD, {"image": None})])
def test_resources_are_found_by_their_model(api_server: ApiServer, namespace: str, kind: str, spec: Json) -> None:
    version = {"version": "1"} if kind == AD else {}
    for name in ("iris", "wine"):
        api_server.create(resource(kind, namespace, name, model={"name": name, **version}, **spec))

    found = api_server.list(kind, namespace, fieldSelector="spec.model.name=iris")

    assert [item["metadata"]["name"] for item in found] == ["iris"]


@pytest.mark.parametrize("how", [[], ["--server-side"]], ids=["client side", "server side"])
def test_an_apply_keeps_the_steps_in_the_order_in_which_they_are_written(
    api_server: ApiServer, namespace: str, how: list[str]
) -> None:
    """The list is merged by name, but what runs first is decided by the order."""
    for order in (["a", "b", "c"], ["c", "a", "b"], ["c", "new", "b"]):
        written = resource(TJ, namespace, steps=[{"name": name, "command": [name]} for name in order])
        api_server.plane.kubectl("apply", *how, "-f", "-", stdin=json.dumps(written))

        assert [step["name"] for step in api_server.read(written)["spec"]["steps"]] == order
