"""The app that is rolled out: it tells its version with each answer, and can become sick without losing a request."""

from __future__ import annotations

from typing import Final

from demo.kubectl import Json
from tests.e2e.scripts import resource

NAME: Final = "shop"
REPLICAS: Final = 3
# A second of patience with a new revision that is not ready costs a second of the test.
DEADLINE: Final = 25
IMAGE: Final = "tandem/runtime:dev"

# Sick means: not ready any more, while requests are still answered: whatever a client loses was lost on the way.
_ANSWERS: Final = """
import http.server, os, signal, sys, time
version, sick_after, begun = os.environ["VERSION"], float(os.environ["SICK_AFTER"]), time.monotonic()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sick = self.path == "/healthz" and time.monotonic() - begun >= sick_after
        self.send_response(503 if sick else 200)
        self.send_header("X-App-Version", version)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
Server(("", 8080), Answer).serve_forever()
"""
# What a judgement finds in a version that it was told is bad.
_JUDGES: Final = """
import os, urllib.request
version = urllib.request.urlopen(os.environ["URL"], timeout=10).headers["X-App-Version"]
raise SystemExit(1 if version.startswith("bad") else 0)
"""
STEPS: Final[list[Json]] = [
    {"trafficPercent": 25, "pause": {}},
    {"trafficPercent": 50, "pause": {"durationSeconds": 2}},
]
_JUDGEMENT: Final[Json] = {
    "name": "smoke",
    "at": ["Step"],
    "job": {"image": IMAGE, "command": ["python", "-c", _JUDGES]},
}


def env(version: str, sick_after: str = "inf") -> list[Json]:
    return [{"name": "VERSION", "value": version}, {"name": "SICK_AFTER", "value": sick_after}]


def deployed(version: str, **spec: object) -> Json:
    """The whole resource, as its first version."""
    return resource(
        "AppDeployment",
        NAME,
        {
            "image": IMAGE,
            "command": ["python", "-c", _ANSWERS],
            "healthPath": "/healthz",
            "env": env(version),
            "replicas": REPLICAS,
            "progressDeadlineSeconds": DEADLINE,
            "scaleDownDelaySeconds": 5,
            "revisionHistoryLimit": 3,
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
            "rollout": rollout(),
            **spec,
        },
    )


def rollout(*, judged: bool = False) -> Json:
    """``judged``: each step is judged by a Job."""
    return {"strategy": "Canary", "steps": STEPS, "analysis": [_JUDGEMENT] if judged else []}
