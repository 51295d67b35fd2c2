"""The controllers themselves, with exactly the rights of the manifests, against a real API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tandem.api.names import MANAGED_BY, MANAGED_BY_LABEL
from tests.contract.api_server import ApiServer, Json
from tests.contract.crds.resources import resource, signal
from tests.crds import ROOT

NOBODY = "http://127.0.0.1:9"  # an MLflow that does not answer: what needs it has to say so
WITHIN = 120.0


@contextmanager
def controller(server: ApiServer, name: str, folder: Path) -> Iterator[str]:
    """`tandem operator` or `tandem drift` under its ServiceAccount; yields the name of that user."""
    user = f"system:serviceaccount:tandem-system:tandem-{name}"
    environment = {
        **os.environ,
        "KUBECONFIG": str(server.plane.kubeconfig_for(user, ["system:serviceaccounts"])),
        "PYTHONPATH": str(ROOT / "operator"),
        "POD_NAME": f"tandem-{name}-0",
        "POD_NAMESPACE": "tandem-system",
        "TANDEM_MLFLOW_URI": NOBODY,
        "TANDEM_RUNTIME_IMAGE": "tandem/runtime:test",
        "TANDEM_POLL_INTERVAL": "1",
    }
    # A busy machine is no reason to end: what is asked here is what it may do, not how fast.
    options = ["--health-port=0", "--metrics-port=0", "--lease-duration=60"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "tandem.cli", name, *options], env=environment, stderr=log)
        try:
            yield user
            assert process.poll() is None, (folder / "log").read_text()
        finally:
            process.terminate()
            process.wait(WITHIN)


def eventually(seen: Callable[[], object], what: str) -> None:
    """Wait for something that the controller does in its own time."""
    deadline = time.monotonic() + WITHIN
    while not seen():
        assert time.monotonic() < deadline, f"not within {WITHIN:.0f} s: {what}"
        time.sleep(0.2)


def condition(server: ApiServer, of: Json, type_: str) -> Json:
    return next((c for c in server.read(of)["status"].get("conditions", ()) if c["type"] == type_), {})


def exists(server: ApiServer, kind: str, name: str, namespace: str) -> bool:
    return f"/{name}" in server.plane.kubectl("get", kind, "-o", "name", "-n", namespace)


def test_the_operator_can_do_its_work(installed: ApiServer, namespace: str, tmp_path: Path) -> None:
    """It lists and watches, leads, creates a revision, tells what it waits for, and is never refused anything."""
    settings = ("create", "configmap", "settings", "-n", namespace, "--from-literal=GREETING=hello")
    installed.plane.kubectl(*settings)
    configured = {"envFrom": [{"configMapRef": {"name": "settings"}}]}
    app = installed.create(resource("AppDeployment", namespace, "shop", **configured))
    job = installed.create(resource("TrainingJob", namespace, "iris"))
    log = installed.plane.audit.mark()

    with controller(installed, "operator", tmp_path) as user:
        eventually(lambda: exists(installed, "deployments", "shop-1", namespace), "the Deployment of revision 1")
        eventually(lambda: condition(installed, app, "RolledOut"), "a status of the AppDeployment")
        assert exists(installed, "networkpolicies", "shop", namespace)
        first = copies(installed, namespace)
        assert list(first.values()) == [{"GREETING": "hello"}]
        installed.plane.kubectl("delete", "configmap", "settings", "-n", namespace)
        installed.plane.kubectl(*settings[:-1], "--from-literal=GREETING=good evening")
        eventually(lambda: exists(installed, "deployments", "shop-2", namespace), "a Deployment of revision 2")
        assert sorted(copy["GREETING"] for copy in copies(installed, namespace).values()) == ["good evening", "hello"]
        eventually(lambda: condition(installed, job, "Ready"), "a status of the TrainingJob")
        assert condition(installed, job, "Ready")["reason"] == "TrackingUnavailable"
        eventually(lambda: log.count(user=user, resource="events", writes=True), "an Event")

    assert exists(installed, "leases", "tandem-operator", "tandem-system")
    assert refused(installed, user) == []


def test_case_07_a_right_that_is_taken_is_told_and_given_back_it_is_used(
    installed: ApiServer, namespace: str, tmp_path: Path
) -> None:
    kubectl = installed.plane.kubectl
    whole = kubectl("get", "clusterrole", "tandem-operator", "-o", "json")
    role = json.loads(whole)
    for rule in role["rules"]:
        if rule["resources"] == ["deployments"]:
            rule["verbs"] = ["get", "list", "watch"]
    kubectl("replace", "-f", "-", stdin=json.dumps(role))
    app = installed.create(resource("AppDeployment", namespace, "forbidden"))
    try:
        with controller(installed, "operator", tmp_path):
            eventually(lambda: condition(installed, app, "RolledOut").get("reason") == "Forbidden", "the condition")
            assert "cannot create resource" in condition(installed, app, "RolledOut")["message"]
            assert not exists(installed, "deployments", "forbidden-1", namespace)

            del role["metadata"]["resourceVersion"]
            kubectl("replace", "-f", "-", stdin=json.dumps({**role, "rules": json.loads(whole)["rules"]}))
            eventually(lambda: exists(installed, "deployments", "forbidden-1", namespace), "recovery by itself")
    finally:
        kubectl("replace", "-f", "-", stdin=json.dumps({**role, "rules": json.loads(whole)["rules"]}))


def test_the_drift_controller_can_do_its_work(installed: ApiServer, namespace: str, tmp_path: Path) -> None:
    """It reads TrainingJobs and writes its part of their status, and is never refused anything."""
    job = installed.create(resource("TrainingJob", namespace, "iris", **signal(min="0.9")))

    with controller(installed, "drift", tmp_path) as user:
        eventually(lambda: installed.read(job)["status"].get("drift"), "status.drift")

    assert installed.read(job)["status"].keys() == {"observedGeneration", "drift"}
    assert refused(installed, user) == []


@pytest.mark.parametrize("name", ["operator", "drift"])
def test_a_lease_does_not_wait_behind_other_work(installed: ApiServer, tmp_path: Path, name: str) -> None:
    """The API server tells how many requests it has taken from each queue."""
    before = taken(installed)
    with controller(installed, name, tmp_path):
        eventually(lambda: taken(installed) > before, "a request about a Lease in the queue of leader elections")


def taken(server: ApiServer) -> float:
    counted = server.plane.kubectl("get", "--raw", "/metrics").splitlines()
    name, level = "apiserver_flowcontrol_dispatched_requests_total", 'priority_level="leader-election"'
    lines = [line for line in counted if line.startswith(name) and 'flow_schema="tandem-leader-election"' in line]
    assert all(level in line for line in lines)
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def copies(server: ApiServer, namespace: str) -> dict[str, Json]:
    """What the operator's own ConfigMaps hold, by name."""
    selector = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    found = json.loads(server.plane.kubectl("get", "configmaps", "-n", namespace, "-l", selector, "-o", "json"))
    assert all(one["immutable"] for one in found["items"])
    return {one["metadata"]["name"]: one["data"] for one in found["items"]}


def refused(server: ApiServer, user: str) -> list[str]:
    """What the API server has forbidden this user."""
    return [
        f"{one.verb} {one.uri}" for one in server.plane.audit.requests(user=user, succeeded=False) if one.code == 403
    ]
