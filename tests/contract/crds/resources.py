"""The smallest resources that the schema accepts, and how a case differs from them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tandem.api.names import API_VERSION

TJ, AD = "TrainingJob", "AppDeployment"

Json = dict[str, Any]

SMALLEST: Mapping[str, Json] = {
    "TrainingJob": {"steps": [{"name": "train", "command": ["python", "train.py"]}]},
    "AppDeployment": {"image": "ghcr.io/acme/shop:1.4"},
}


def resource(kind: str, namespace: str = "default", name: str = "example", **spec: object) -> Json:
    """The smallest resource of this kind with some fields of its spec set; a field set to None is left out."""
    whole = {**deepcopy(SMALLEST[kind]), **spec}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {name: value for name, value in whole.items() if value is not None},
    }


@dataclass(frozen=True)
class Refusal:
    """A spec that must be refused: which field is named, and which words say why."""

    title: str
    kind: str
    field: str
    says: str
    spec: Json = dataclasses.field(default_factory=dict)
    name: str = "example"

    @property
    def place(self) -> str:
        """The field as a place in the schema: spec.steps[0].name is spec.steps[].name."""
        return re.sub(r"\[[^\]]*\]", "[]", self.field)


def step(**fields: object) -> Json:
    return {"name": "train", "command": ["python", "train.py"], **fields}


def steps(**fields: object) -> Json:
    """A spec with one step that has these fields."""
    return {"steps": [step(**fields)]}


def threshold(**fields: object) -> Json:
    """A spec whose gate has one threshold with these fields."""
    return {"gate": {"metrics": [{"name": "accuracy", **fields}]}}


def data(storage_uri: str = "https://x.org/iris.csv", **fields: object) -> Json:
    """A spec with one data set with these fields."""
    return {"data": [{"name": "iris", "storageUri": storage_uri, **fields}]}


def checks(**fields: object) -> Json:
    """A spec with one data set with these checks."""
    return data(checks=fields)


def column(**fields: object) -> Json:
    """A spec with one data set of which one column has these checks, compared with the previous one."""
    return checks(baseline="Previous", columns=[{"name": "a", **fields}])


def signal(**fields: object) -> Json:
    """A spec whose drift policy has one signal with these fields."""
    return {"model": {"name": "iris"}, "retrain": {"drift": {"signals": [{"metric": "accuracy", **fields}]}}}


def gpus(limit: int | str, request: int | str | None = None) -> Json:
    """A spec whose step has so many GPUs."""
    requests = {} if request is None else {"requests": {"nvidia.com/gpu": request}}
    return steps(resources={"limits": {"nvidia.com/gpu": limit}, **requests})


def measured(type_: str, block: str = "", target: Json | None = None, **spec: object) -> Json:
    """An app that is scaled by one metric."""
    what: Json = {"name": "cpu"} if block == "resource" else {"metric": {"name": "queue_length"}}
    if block == "object":
        what["describedObject"] = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "shop"}
    metric = {"type": type_} | ({block: what | {"target": target or {}}} if block else {})
    return {"autoscaling": {"maxReplicas": 3, "metrics": [metric]}, **spec}


def judged(**metric: object) -> Json:
    """A spec whose rollout is judged by one metric with these fields; it asks pods unless it asks somebody else."""
    asks = {"prometheus", "web", "job", "mlflow", "pods"} & metric.keys()
    pods = {} if asks else {"pods": {"metric": "requestErrorRate"}}
    bound = {} if {"min", "max", "job"} & metric.keys() else {"max": "0.01"}
    whole = {"name": "errors", **pods, **bound, **metric}
    return {"rollout": {"analysis": [{key: value for key, value in whole.items() if value is not None}]}}


def frozen(**window: object) -> Json:
    """A spec with one window in which nothing moves, with these fields."""
    whole: Json = {"schedule": "0 18 * * FRI", "durationSeconds": 216000, **window}
    return {"rollout": {"freeze": [{key: value for key, value in whole.items() if value is not None}]}}
