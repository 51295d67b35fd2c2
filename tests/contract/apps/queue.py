"""An external metrics API that says what a test says: the length of a queue.

Kubernetes' own autoscaler asks for /apis/external.metrics.k8s.io/v1beta1/namespaces/NAMESPACE/METRIC and reads an
ExternalMetricValueList. Custom resources of that group, version and kind answer just so: no adapter is needed.
"""

from __future__ import annotations

import json
from typing import Final

from cluster.control_plane import ControlPlane
from tests.contract.apps.real import Json

METRIC: Final = "s0-rabbitmq-mail"  # as KEDA names that of the first trigger, of a RabbitMQ queue `mail`
_GROUP: Final = "external.metrics.k8s.io"
_VALUE: Final = {"x-kubernetes-int-or-string": True}


def served(plane: ControlPlane) -> None:
    names = {
        "plural": METRIC,
        "singular": "queue",
        "kind": "ExternalMetricValue",
        "listKind": "ExternalMetricValueList",
    }
    shape: Json = {
        "type": "object",
        "properties": {"metricName": {"type": "string"}, "timestamp": {"type": "string"}, "value": _VALUE},
    }
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": shape}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{METRIC}.{_GROUP}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {"group": _GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(definition))
    for condition in ("jsonpath={.status.conditions[0].type}", "condition=Established"):
        plane.kubectl("wait", f"--for={condition}", f"crd/{METRIC}.{_GROUP}")


def says(plane: ControlPlane, length: int, **labels: str) -> None:
    """From now on, to whoever asks for the metric with these labels."""
    value = {
        "apiVersion": f"{_GROUP}/v1beta1",
        "kind": "ExternalMetricValue",
        "metadata": {"name": "-".join(labels.values()), "namespace": "team", "labels": labels},
        "metricName": METRIC,
        "timestamp": "2026-03-01T12:00:00Z",
        "value": str(length),
    }
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(value))
