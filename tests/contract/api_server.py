"""A real API server (and its etcd) with Tandem's two kinds: what the contract tests talk to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import kubernetes.config
import urllib3
from kubernetes.client import Configuration

from cluster.control_plane import ControlPlane
from tandem.api.names import API_VERSION, GROUP, VERSION
from tests.crds import FILES

Json = dict[str, Any]

PLURALS = {"TrainingJob": "trainingjobs", "AppDeployment": "appdeployments"}


@dataclass(frozen=True)
class Cause:
    """One reason for which the API server refuses an object."""

    field: str
    message: str
    reason: str


class Rejected(Exception):
    """The API server refused an object; ``causes`` say which fields and why."""

    def __init__(self, status: Json) -> None:
        super().__init__(status.get("message", ""))
        self.code: int = status["code"]
        self.causes = tuple(
            Cause(cause.get("field", ""), cause.get("message", ""), cause.get("reason", ""))
            for cause in status.get("details", {}).get("causes", ())
        )


@dataclass(frozen=True)
class ApiServer:
    """The API server as its administrator sees it. ``plane`` has its URL, kubeconfigs, kubectl and audit log."""

    plane: ControlPlane
    http: urllib3.PoolManager

    def create(self, resource: Json, *, dry_run: bool = False) -> Json:
        """Create a TrainingJob or an AppDeployment, and return it as the API server keeps it.

        Raises:
            Rejected: the schema or one of its rules refuses it.
        """
        return self._call("POST", self._path(resource) + ("?dryRun=All" if dry_run else ""), resource)

    def read(self, resource: Json, part: str = "") -> Json:
        return self._call("GET", f"{self._path(resource)}/{resource['metadata']['name']}{part}")

    def merge(self, resource: Json, patch: Json, part: str = "") -> Json:
        """Merge-patch the resource, or one of its subresources (``/status``, ``/scale``)."""
        return self._call("PATCH", f"{self._path(resource)}/{resource['metadata']['name']}{part}", patch)

    def list(self, kind: str, namespace: str, **query: str) -> list[Json]:
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURALS[kind]}"
        items: list[Json] = self._call("GET", path, None, query)["items"]
        return items

    def new_namespace(self, name: str, labels: dict[str, str] | None = None) -> str:
        """Create a namespace, with the ServiceAccount that every namespace has; returns its name."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}
        self._call("POST", "/api/v1/namespaces", namespace)
        # kube-controller-manager makes this one, and no pod is admitted without it.
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self._call("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account)
        return name

    def may(self, user: str, verb: str, resource: str, namespace: str = "") -> bool:
        """Whether RBAC lets a user do this; ``resource`` like pods, jobs.batch or trainingjobs.tandem.dev/status."""
        named, _, subresource = resource.partition("/")
        plural, _, group = named.partition(".")
        attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": {**attributes, "namespace": namespace}},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(self._call("POST", path, review)["status"]["allowed"])

    def _path(self, resource: Json) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{resource['metadata']['namespace']}/{PLURALS[resource['kind']]}"

    def _call(self, method: str, path: str, body: Json | None = None, query: dict[str, str] | None = None) -> Json:
        answer = self.http.request(
            method,
            f"{self.plane.url}{path}",
            fields=query if method == "GET" else None,
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json"},
        )
        result: Json = answer.json()
        if answer.status >= 400:
            raise Rejected(result)
        return result


@contextmanager
def running_api_server() -> Iterator[ApiServer]:
    with ControlPlane() as plane:
        plane.define(*FILES.values())
        tls = Configuration()
        kubernetes.config.load_kube_config(str(plane.kubeconfig), client_configuration=tls)  # type: ignore[no-untyped-call]
        with urllib3.PoolManager(ca_certs=tls.ssl_ca_cert, cert_file=tls.cert_file, key_file=tls.key_file) as http:
            yield ApiServer(plane, http)
