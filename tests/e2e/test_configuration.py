"""A revision's configuration on real pods: a change is rolled out beside what serves, a rollback brings all back."""

from __future__ import annotations

from typing import Final

import pytest

from demo.kubectl import Json, Kubectl, condition, is_true
from tests.e2e.scripts import resource

pytestmark = pytest.mark.e2e

# Answers with what it was configured with: by a variable, and by a file.
ANSWERS: Final = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write((os.environ["GREETING"] + " " + open("/etc/settings/GREETING").read()).encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
ASK: Final = "import urllib.request; print(urllib.request.urlopen('http://app', timeout=20).read().decode())"


def settings(greeting: str) -> Json:
    meta = {"name": "settings"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"GREETING": greeting}}


def answers(kubectl: Kubectl, revision: int) -> str:
    """What users are answered, asked from a pod of this revision."""
    return kubectl.exec(f"deployment/app-{revision}", "python", "-c", ASK).strip()


def serves(kubectl: Kubectl, revision: int) -> Json:
    def settled(app: Json) -> bool:
        return bool(is_true(app, "Ready") and app["status"].get("stable", {}).get("revision") == revision)

    return kubectl.watch_until("appdeployments/app", settled, f"revision {revision} serves")


def test_a_changed_config_map_is_a_revision_and_a_rollback_restores_it(kubectl: Kubectl) -> None:
    # given an app that is configured by a ConfigMap
    refers: Json = {"configMapRef": {"name": "settings"}}
    spec = {
        "image": "tandem/runtime:dev",
        "command": ["python", "-c", ANSWERS],
        "envFrom": [refers],
        "configFrom": [{"mountPath": "/etc/settings", **refers}],
        "scaleDownDelaySeconds": 600,  # the way back is short while the old pods are there
    }
    kubectl.apply(settings("hello"), resource("AppDeployment", "app", spec))
    serves(kubectl, 1)
    assert answers(kubectl, 1) == "hello hello"
    assert kubectl.names("networkpolicies") == ["app"]

    # when the ConfigMap changes
    kubectl.apply(settings("good-evening"))

    # then another revision takes over, and the old one's pods still have what they had
    serves(kubectl, 2)
    assert answers(kubectl, 1) == "good-evening good-evening"
    mine = kubectl.exec("deployment/app-1", "cat", "/etc/settings/GREETING")
    assert mine == "hello"

    # when the first one is asked for again
    kubectl.merge("appdeployment/app", {"spec": {"rollback": {"toRevision": 1}}})

    # then it serves with its own configuration, whatever the ConfigMap says by now
    assert condition(serves(kubectl, 1), "Ready")["reason"] == "RolledBack"
    assert answers(kubectl, 2) == "hello hello"
