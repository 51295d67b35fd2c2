"""MLflow's REST API, asked from inside its own pod: that needs no port on this machine, whatever made the cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from demo.kubectl import Json, Kubectl, KubectlFailed

_ASK: Final = """
import sys, urllib.error, urllib.request
method, path, body = sys.argv[1:]
request = urllib.request.Request("http://localhost:5000" + path, method=method, data=body.encode() if body else None)
if body: request.add_header("Content-Type", "application/json")
try:
    print(urllib.request.urlopen(request, timeout=30).read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code} {error.read().decode()}")
"""


class MlflowRefused(Exception):
    """MLflow's answer was an error: ``404 {"error_code": "RESOURCE_DOES_NOT_EXIST", …}``."""


@dataclass(frozen=True)
class Mlflow:
    """``kubectl`` in the namespace where MLflow runs."""

    kubectl: Kubectl

    def __call__(self, path: str, **query: str) -> Json:
        """GET: ``mlflow("registered-models/get", name="iris")``."""
        return self.ask("GET", _path(path) + (f"?{urlencode(query)}" if query else ""))

    def post(self, path: str, body: Mapping[str, object]) -> Json:
        return self.ask("POST", _path(path), body)

    def delete(self, path: str, body: Mapping[str, object] | None = None) -> Json:
        return self.ask("DELETE", _path(path), body)

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        """Any path of the server.

        Raises:
            MlflowRefused: it answered with an error, or could not be reached.
        """
        try:
            text = json.dumps(body) if body is not None else ""
            answer = self.kubectl.exec("deployment/mlflow", "python", "-c", _ASK, method, path, text)
        except KubectlFailed as failed:
            raise MlflowRefused(f"{method} {path}: {failed.stderr.strip()}") from None
        told: Json = json.loads(answer or "{}")
        return told

    def aliases(self, model: str) -> dict[str, str]:
        """Alias → version; empty where there is no such model."""
        try:
            found = self("registered-models/get", name=model)["registered_model"]
        except MlflowRefused as refused:
            if "RESOURCE_DOES_NOT_EXIST" in str(refused):
                return {}
            raise
        return {alias["alias"]: str(alias["version"]) for alias in found.get("aliases", ())}

    def version_tags(self, model: str, version: str) -> dict[str, str]:
        found = self("model-versions/get", name=model, version=version)["model_version"]
        return _tags(found)

    def run_tags(self, run_id: str) -> dict[str, str]:
        return _tags(self("runs/get", run_id=run_id)["run"]["data"])


def _path(path: str) -> str:
    """``/api/…`` as it is; anything else below MLflow's REST root."""
    return path if path.startswith("/") else f"/api/2.0/mlflow/{path}"


def _tags(holder: Json) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in holder.get("tags", ())}
