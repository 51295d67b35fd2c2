"""An app under load, with autoscaling, on real pods: Kubernetes' own autoscaler, and a real metrics-server.

Nearly all of it is waiting: for a metrics-server that has seen the pods twice, for an autoscaler that looks again. So
it begins with the session and goes on beside the other tests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import yaml

from cluster.paths import REPOSITORY
from demo.kubectl import Json, is_true
from tests.e2e.beside import Scenario, Stage
from tests.e2e.counting import audit, writes_of
from tests.e2e.scripts import resource

APP: Final = "busy"
MOST: Final = 3
# A tenth of a second of CPU each second, whoever answers: more than one pod's target, and little for the machine.
ANSWERS: Final = """
import http.server, time
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        end = time.thread_time() + 0.01
        while time.thread_time() < end: pass
        self.send_response(200 if self.path == "/" else 404); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
ASKS: Final = """
import time, urllib.request
while True:
    due = time.monotonic() + 0.1
    try: urllib.request.urlopen("http://busy/", timeout=5).read()
    except OSError: pass
    time.sleep(max(0, due - time.monotonic()))
"""


@dataclass(frozen=True)
class Facts:
    """What was seen of the app, in this order.

    ``grown``: at its maximum, under load; ``measured``: what the autoscaler had measured its pods by, then. ``tried``:
    how many pods a candidate had then, and ``scale``: what /scale said meanwhile. ``asked_for``: every number that
    spec.replicas was until the load ended. ``shrunk``: after that. ``written``: the resources that the operator wrote
    in the namespace; empty where nobody kept an audit log.
    """

    grown: Json
    measured: dict[str, str]
    tried: int
    scale: Json
    asked_for: list[int]
    shrunk: Json
    written: set[str]


def _see(stage: Stage) -> Facts:
    site, kubectl, diary = stage.site, stage.kubectl, stage.diary
    target, mark = f"appdeployments/{APP}", audit(site)
    kubectl.apply(resource("AppDeployment", APP, _spec()))
    site.cluster.serve_metrics()
    diary.until(target, lambda app: is_true(app, "Ready"), "it serves")
    kubectl.apply(_client())
    grown = diary.until(target, lambda app: _pods(app) == (MOST, MOST) and is_true(app, "Autoscaled"), "more pods")
    kubectl.wait_for(f"hpa/{APP}", "jsonpath={.status.currentMetrics[1].resource.current.averageValue}")
    measured = _measured(kubectl.get(f"hpa/{APP}"))

    # A revision that never becomes ready: as many pods again, which nobody may count.
    kubectl.merge(f"appdeployment/{APP}", {"spec": {"healthPath": "/nowhere"}})
    candidate = diary.until(
        f"deployments/{APP}-2", lambda d: d.get("status", {}).get("replicas") == MOST, "a candidate"
    )
    path = f"/apis/tandem.dev/v1alpha1/namespaces/{kubectl.namespace}/appdeployments/{APP}/scale"
    scale: Json = json.loads(kubectl.run("get", "--raw", path))
    kubectl.merge(f"appdeployment/{APP}", {"spec": {"healthPath": "/"}})

    asked_for = [app["spec"]["replicas"] for app in diary.versions(target)]
    under = len(diary.versions(target))
    kubectl.run("delete", "pod", "client", "--wait=false")
    at_once = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}  # Kubernetes would wait for five minutes
    kubectl.merge(f"appdeployment/{APP}", {"spec": {"autoscaling": at_once}})
    shrunk = diary.until(
        target, lambda app: app in diary.versions(target)[under:] and _pods(app) == (1, 1), "fewer pods without load"
    )
    written = {what for _, what in writes_of(site, mark, "tandem-operator", kubectl.namespace)}
    return Facts(grown, measured, candidate["status"]["replicas"], scale, asked_for, shrunk, written)


def _pods(app: Json) -> tuple[int, int]:
    """Asked for, and there."""
    return app["spec"]["replicas"], app.get("status", {}).get("replicas", 0)


def _measured(autoscaler: Json) -> dict[str, str]:
    """Resource → what its pods use, each, as Kubernetes' quantity."""
    metrics = autoscaler["status"].get("currentMetrics", ())
    return {m["resource"]["name"]: m["resource"]["current"]["averageValue"] for m in metrics if "resource" in m}


def _spec() -> Json:
    half: Json = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}}
    # Much more than there is: the one that asks for most pods counts, and that is the other one.
    plenty: Json = {"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1Gi"}}}
    return {
        "image": "tandem/runtime:dev",
        "command": ["python", "-c", ANSWERS],
        "healthPath": "/",
        "resources": {"requests": {"cpu": "50m"}},
        "autoscaling": {"maxReplicas": MOST, "metrics": [half, plenty]},
        "terminationGracePeriodSeconds": 2,
        "scaleDownDelaySeconds": 0,
    }


def _client() -> Json:
    """The garden's pod, restricted as it is, with another program."""
    pod: Json = yaml.safe_load((REPOSITORY / "examples/iris/garden.yaml").read_text())
    pod["metadata"] = {"name": "client"}
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    container |= {"name": "client", "command": ["python", "-c", ASKS], "workingDir": "/tmp", "volumeMounts": []}
    spec["volumes"] = []
    return pod


BUSY: Final = Scenario("busy", ("appdeployments", "deployments"), _see)
