"""Many good resources beside one that nobody can read: what it costs them, and what it says itself.

The poison is a resource from before a rule that it breaks: its kind is loosened, it is created, and the rules are put
back. No API server would take it today; it keeps every one that it has.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from functools import partial
from typing import Any, Final

import yaml

from bench.actors import ENGINE, ROOT, started
from bench.audit import first_answers
from bench.client import Client, each
from bench.ground import Ground
from bench.results import Poison
from bench.throughput import JOB, STATUS
from bench.workload import NAMESPACES, Workload
from cluster.control_plane import ControlPlane
from cluster.errors import ClusterError

_CRD: Final = ROOT / "crds" / "trainingjobs.yaml"
_NAME: Final = "poison"
_NAMESPACE: Final = NAMESPACES[0]
_PATIENCE: Final = 60.0
_QUIET: Final = 1.5


def measure(ground: Ground, resources: int, poisoned: bool) -> Poison:
    """The good ones are ``resources``, less the one that is not."""
    if poisoned:
        plant(ground.plane)
    good = range(resources - poisoned)
    workload = ground.workload()
    with started(ground.plane, ENGINE, ground.mlflow) as process:
        before = len(process.tail.requests)
        began = time.time()
        ground.do(partial(_create, workload, good))

        def settled() -> bool:
            return all(len(first_answers(process.tail.requests, *write)) >= len(good) for write in (JOB, STATUS))

        process.tail.await_settled(settled, "all good ones are settled", _PATIENCE + 0.5 * resources)
        process.tail.await_quiet(_QUIET)
        requests = process.tail.requests
        ended = max(r.answered for r in requests[before:] if (r.verb, r.resource) == STATUS)
        about_poison = [r for r in requests if r.resource_name == f"{_NAMESPACE}/{_NAME}" and r.is_write]
        about_good = Counter(f"{r.verb} {r.resource}" for r in requests[before:] if f"/{workload.prefix}-" in r.name)
    return Poison(
        resources=len(good),
        poisoned=poisoned,
        per_second=len(good) / (ended - began),
        requests=dict(sorted(about_good.items())),
        poison_writes=len(about_poison),
        poison_reason=_reason(ground.plane) if poisoned else "",
    )


def plant(plane: ControlPlane) -> None:
    rules = yaml.safe_load(_CRD.read_text())
    loose = json.loads(json.dumps(rules))
    for version in loose["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]
        spec["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version.pop("selectableFields", None)
        version["schema"]["openAPIV3Schema"].pop("x-kubernetes-validations", None)
    poison = {
        "apiVersion": f"{rules['spec']['group']}/{rules['spec']['versions'][0]['name']}",
        "kind": rules["spec"]["names"]["kind"],
        "metadata": {"name": _NAME, "namespace": _NAMESPACE},
        "spec": {"steps": "as an older CRD had it"},
    }
    _replace(plane, loose)
    _until_taken(plane, poison, True)
    plane.kubectl("create", "--filename=-", stdin=json.dumps(poison))
    _replace(plane, rules)
    _until_taken(plane, {**poison, "metadata": {**poison["metadata"], "name": "another"}}, False)


def _replace(plane: ControlPlane, definition: dict[str, Any]) -> None:
    plane.kubectl("replace", "--filename=-", stdin=json.dumps(definition))


def _until_taken(plane: ControlPlane, body: dict[str, Any], wanted: bool) -> None:
    """The API server needs a moment until it knows a kind's new rules."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            plane.kubectl("create", "--dry-run=server", "--validate=false", "--filename=-", stdin=json.dumps(body))
            taken = True
        except ClusterError:
            taken = False
        if taken == wanted:
            return
        time.sleep(0.1)
    raise TimeoutError("the API server did not take the kind's other rules")


def _reason(plane: ControlPlane) -> str:
    path = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}"
    return plane.kubectl("get", "trainingjob", _NAME, "--namespace", _NAMESPACE, "--output", path)


async def _create(workload: Workload, numbers: range, client: Client) -> None:
    await each(numbers, partial(client.create, workload))
