"""Steps that log to MLflow over its REST API, in a blink: importing mlflow and scikit-learn takes seconds of CPU each.

What an unmodified script does with plain MLflow calls is test_story's subject; here what matters is what it leaves.
"""

from __future__ import annotations

import json
from typing import Final

from demo.kubectl import Json

_REST: Final = """
import json, os, sys, time, urllib.request

def ask(method, path, **body):
    request = urllib.request.Request(os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/" + path,
        method=method, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=60))

run = os.environ["MLFLOW_RUN_ID"]

def log(name, value):
    ask("POST", "runs/log-metric", run_id=run, key=name, value=value, timestamp=int(time.time() * 1000))

def log_model():
    model = ask("POST", "logged-models", experiment_id=os.environ["MLFLOW_EXPERIMENT_ID"], name="model",
        source_run_id=run)["model"]["info"]["model_id"]
    ask("PATCH", "logged-models/" + model, model_id=model, status="LOGGED_MODEL_READY")
"""


def python(*lines: str) -> list[str]:
    """The command of a step; its lines may use ``log(metric, value)`` and ``log_model()``."""
    return ["python", "-c", "\n".join((_REST, *lines))]


def trains(**metrics: object) -> list[str]:
    """The command of a step that logs these metrics and a model."""
    return python(*(f"log({name!r}, {json.dumps(value)})" for name, value in metrics.items()), "log_model()")


def step(name: str, *command: str, **others: object) -> Json:
    return {"name": name, "command": list(command), **others}


def resource(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": "tandem.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
