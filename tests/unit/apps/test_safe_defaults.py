"""Every safe default is there unasked, can be turned off by itself, and is documented; one has no switch at all."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest
import yaml

from tandem.api.appdeployment import SafeDefaults
from tandem.api.meta import Json
from tests.crds import ROOT
from tests.unit.apps.restricted import violations
from tests.unit.apps.world import World, app

PAGE = (ROOT / "docs/spec/appdeployment.md").read_text()


def pod(world: World) -> Json:
    spec: Json = world.pod_spec(1)
    return spec


def container(world: World) -> Json:
    (one,) = pod(world)["containers"]
    found: Json = one
    return found


# What is there with each of them, read from an app that says nothing but its image, port and healthPath.
IN_PLACE: dict[str, Callable[[World], object]] = {
    "probes": lambda world: [
        container(world).get(probe, {}).get("httpGet", {}).get("path")
        or container(world).get(probe, {}).get("tcpSocket")
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        if probe in container(world)
    ],
    "requests": lambda world: container(world)["resources"].get("requests"),
    "topologySpread": lambda world: [one["topologyKey"] for one in pod(world).get("topologySpreadConstraints", ())],
    "gracefulTermination": lambda world: container(world).get("lifecycle"),
    "podDisruptionBudget": lambda world: [one["spec"]["maxUnavailable"] for one in world.budgets.values()],
    "networkPolicy": lambda world: [one["spec"]["ingress"] for one in world.network_policies.values()],
}
WORTH: dict[str, object] = {
    "probes": ["/ok", "/ok", {"port": "http"}],
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "topologySpread": ["kubernetes.io/hostname", "topology.kubernetes.io/zone"],
    "gracefulTermination": {"preStop": {"sleep": {"seconds": 10}}},
    "podDisruptionBudget": ["25%"],
    "networkPolicy": [[{"ports": [{"port": "http", "protocol": "TCP"}]}]],
}


def served(**spec: object) -> World:
    return app(port=9000, healthPath="/ok", replicas=2, **spec).converge()


def seen(world: World) -> dict[str, object]:
    return {default: look(world) for default, look in IN_PLACE.items()}


def test_there_is_a_row_for_each_of_them() -> None:
    assert {field.encode_name for field in msgspec.structs.fields(SafeDefaults)} == IN_PLACE.keys() == WORTH.keys()


def test_all_are_there_for_somebody_who_has_never_heard_of_them() -> None:
    world = served()
    assert seen(world) == WORTH
    assert [port["containerPort"] for port in container(world)["ports"]] == [9000]


@pytest.mark.parametrize("default", WORTH)
def test_one_that_is_turned_off_is_away_and_no_other(default: str) -> None:
    found = seen(served(safeDefaults={default: False}))
    assert not found.pop(default)
    assert found == {other: worth for other, worth in WORTH.items() if other != default}


def test_with_all_of_them_off_pods_are_restricted_all_the_same() -> None:
    world = served(safeDefaults=dict.fromkeys(WORTH, False))
    assert not any(seen(world).values())
    assert violations(pod(world)) == []


@pytest.mark.parametrize("default", WORTH)
def test_each_has_its_row_and_its_line_in_the_documentation(default: str) -> None:
    (example,) = re.findall(r"^```yaml\n(safeDefaults:\n.*?)^```", PAGE, re.S | re.M)
    assert default in yaml.safe_load(example)["safeDefaults"], "an example that a real API server is given"
    assert f"\n| `{default}` |" in PAGE
