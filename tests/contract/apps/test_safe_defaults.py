"""The safe defaults on a real API server, in a namespace that takes `restricted` pods alone (`conftest.py`).

Both ways: as they are for somebody who never says a word about them, and all turned off.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cluster.control_plane import ControlPlane
from tandem.api import names
from tests.contract.apps.real import Json, Real, eventually, named
from tests.unit.apps.world import app

NAMES = ("probes", "requests", "topologySpread", "gracefulTermination", "podDisruptionBudget", "networkPolicy")


@dataclass(frozen=True)
class Stored:
    """What the API server keeps of an app: a pod that Kubernetes made of it, and what stands beside it."""

    pod: Json
    budget: Json
    policy: Json

    @property
    def container(self) -> Json:
        (one,) = self.pod["spec"]["containers"]
        found: Json = one
        return found


def stored(plane: ControlPlane, name: str, **spec: object) -> Stored:
    real = Real(plane, named(app(port=9000, healthPath="/ok", replicas=2, **spec), name))
    for _ in range(3):
        real.reconcile()
        real.world.look()
    mine = ("-n", "team", "-o", "json")

    def pods() -> list[Json]:
        found: list[Json] = json.loads(plane.kubectl("get", "pods", "-l", f"{names.APP_LABEL}={name}", *mine))["items"]
        return found

    eventually(lambda: len(pods()) == 2)  # admitted, both of them
    beside = json.loads(plane.kubectl("get", "pdb,networkpolicy", *mine))["items"]
    own = {one["kind"]: one["spec"] for one in beside if one["metadata"]["name"] == name}
    return Stored(pods()[0], own.get("PodDisruptionBudget", {}), own.get("NetworkPolicy", {}))


@pytest.fixture(scope="module")
def unasked(plane: ControlPlane) -> Stored:
    return stored(plane, "unasked")


@pytest.fixture(scope="module")
def refused(plane: ControlPlane) -> Stored:
    return stored(plane, "refused", safeDefaults=dict.fromkeys(NAMES, False))


def probes(seen: Stored) -> object:
    words = ("startupProbe", "readinessProbe", "livenessProbe")
    return [next(iter(seen.container[w].keys() & {"httpGet", "tcpSocket"})) for w in words if w in seen.container]


def only_from_the_declared_port(seen: Stored) -> object:
    """The policy names the port, and the pod says which number that is."""
    numbers = {port["name"]: port["containerPort"] for port in seen.container["ports"]}
    return [numbers[port["port"]] for rule in seen.policy.get("ingress", ()) for port in rule["ports"]]


LOOKS: dict[str, tuple[Callable[[Stored], object], object]] = {
    "probes": (probes, ["httpGet", "httpGet", "tcpSocket"]),
    "requests": (lambda seen: seen.container["resources"].get("requests"), {"cpu": "50m", "memory": "64Mi"}),
    "topologySpread": (
        lambda seen: [one["whenUnsatisfiable"] for one in seen.pod["spec"].get("topologySpreadConstraints", ())],
        ["ScheduleAnyway", "ScheduleAnyway"],
    ),
    "gracefulTermination": (lambda seen: seen.container.get("lifecycle"), {"preStop": {"sleep": {"seconds": 10}}}),
    "podDisruptionBudget": (lambda seen: seen.budget.get("maxUnavailable"), "25%"),
    "networkPolicy": (only_from_the_declared_port, [9000]),
}


@pytest.mark.parametrize("default", NAMES)
def test_it_is_there_unasked(unasked: Stored, default: str) -> None:
    look, worth = LOOKS[default]
    assert look(unasked) == worth


@pytest.mark.parametrize("default", NAMES)
def test_it_is_away_when_it_is_turned_off(refused: Stored, default: str) -> None:
    look, _ = LOOKS[default]
    assert not look(refused)


def test_pod_security_has_no_switch(refused: Stored) -> None:
    assert refused.container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert refused.pod["spec"]["securityContext"]["runAsNonRoot"] is True
