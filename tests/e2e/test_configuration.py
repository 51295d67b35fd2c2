"""A revision's configuration on real pods: a change is rolled out beside what serves, a rollback brings all back."""

from __future__ import annotations

from typing import Final

import pytest

from demo.kubectl import Json, Kubectl, condition, is_true
from tandem.api.names import REVISION_LABEL
from tests.e2e.scripts import resource

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# Answers with what it was configured with: by a variable, by a file, by a Secret.
ANSWERS: Final = """
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        told = os.environ["GREETING"], open("/etc/settings/GREETING").read(), os.environ["PASSWORD"]
        self.wfile.write(" ".join(told).encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
# Where the traffic goes, the nodes learn a moment after the Service has changed.
ASK: Final = """
import sys, time, urllib.request
deadline = time.monotonic() + 20
while True:
    answer = urllib.request.urlopen("http://app", timeout=20).read().decode()
    if answer == sys.argv[1] or time.monotonic() > deadline: break
    time.sleep(0.1)
print(answer)
"""


def settings(greeting: str) -> Json:
    meta = {"name": "settings"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"GREETING": greeting}}


def password(value: str) -> Json:
    """Each content has a name of its own: Tandem never reads a Secret."""
    meta = {"name": f"password-{value}"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"PASSWORD": value}}


def variables(secret: str) -> list[Json]:
    return [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": f"password-{secret}"}}]


def answers(kubectl: Kubectl, revision: int, expected: str) -> bool:
    """Whether that is what users are answered, asked from a pod of this revision, which serves."""
    return kubectl.exec(f"deployment/app-{revision}", "python", "-c", ASK, expected).strip() == expected


def serves(kubectl: Kubectl, revision: int) -> Json:
    def settled(app: Json) -> bool:
        return bool(is_true(app, "Ready") and app["status"].get("stable", {}).get("revision") == revision)

    return kubectl.watch_until("appdeployments/app", settled, f"revision {revision} serves")


def pods(kubectl: Kubectl, revision: int) -> set[str]:
    return set(kubectl.names("pods", f"--selector={REVISION_LABEL}={revision}"))


def test_a_changed_config_map_is_a_revision_and_a_rollback_restores_it(kubectl: Kubectl) -> None:
    # given an app that is configured by a ConfigMap and a Secret
    spec = {
        "image": "tandem/runtime:dev",
        "command": ["python", "-c", ANSWERS],
        "envFrom": variables("one"),
        "configFrom": [{"mountPath": "/etc/settings", "configMapRef": {"name": "settings"}}],
        "scaleDownDelaySeconds": 0,  # so that a rollback has to start pods
    }
    kubectl.apply(settings("hello"), password("one"), password("two"), resource("AppDeployment", "app", spec))
    serves(kubectl, 1)
    assert answers(kubectl, 1, "hello hello one")
    assert kubectl.names("networkpolicies") == ["app"]
    first = pods(kubectl, 1)

    # when what the ConfigMap holds changes, then another revision takes over
    kubectl.apply(settings("good-evening"))
    serves(kubectl, 2)
    assert answers(kubectl, 2, "good-evening good-evening one")

    # when another Secret is named, then yet another one does
    kubectl.merge("appdeployment/app", {"spec": {"envFrom": variables("two")}})
    serves(kubectl, 3)
    assert answers(kubectl, 3, "good-evening good-evening two")

    # when nothing is left of the first one but its record, and it is asked for again
    for pod in first:
        kubectl.wait_for(f"pod/{pod}", "delete")
    kubectl.run("delete", "configmap", "settings")
    kubectl.merge("appdeployment/app", {"spec": {"rollback": {"toRevision": 1}}})

    # then new pods serve with all that it had, from the copy that it was made with
    assert condition(serves(kubectl, 1), "Ready")["reason"] == "RolledBack"
    assert answers(kubectl, 1, "hello hello one")
    assert pods(kubectl, 1).isdisjoint(first)
