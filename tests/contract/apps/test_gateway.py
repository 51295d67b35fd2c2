"""A canary's weights through a real Gateway: Traefik, with Gateway API's own definitions, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cluster.control_plane import ControlPlane
from tests.contract.apps.gateway import Client, Revisions, Routed, gateway
from tests.contract.apps.real import eventually, named
from tests.unit.apps.world import app

pytestmark = pytest.mark.slow

STEPS = [{"trafficPercent": 25, "pause": {}}, {"trafficPercent": 50, "pause": {}}]
# Traefik draws lots: five standard deviations of 400 of them at 50 %.
CHANCE = 50
DRAIN = 5.0  # seconds
ROLLOUT = {"strategy": "Canary", "steps": STEPS, "testHeader": {"name": "X-Canary", "value": "always"}}


@dataclass(frozen=True)
class Way:
    port: int
    revisions: Revisions


@pytest.fixture(scope="module")
def way(plane: ControlPlane) -> Iterator[Way]:
    revisions = Revisions()
    with gateway(plane) as port:
        yield Way(port, revisions)
    revisions.close()


@pytest.fixture
def routed(plane: ControlPlane, way: Way, request: pytest.FixtureRequest) -> Routed:
    """Revision 1 serves behind the Gateway."""
    name = f"shop-{request.node.name.partition('[')[0].split('_')[-1]}"
    gateway_ = {"parentRefs": [{"name": "public"}], "hostnames": [f"{name}.example.com"]}
    world = named(app(replicas=4, scaleDownDelaySeconds=0, gateway=gateway_, rollout=ROLLOUT), name)
    world.gateway_api = True
    found = Routed(plane, world, way.revisions)
    found.until("RolledOut")
    found.sees(lambda: world.condition("Routed").reason == "Routed")
    return found


def test_the_weights_are_what_is_answered_and_nobody_is_lost_on_the_way(routed: Routed, way: Way) -> None:
    world, client = routed.world, Client(way.port, f"{routed.world.name}.example.com")

    def answers(revision: int, within: float = DRAIN) -> None:
        """It alone, and soon.

        Traefik says that it has seen a route up to two seconds before its proxy goes by it. Until then pods that are
        told to stop still have to answer, and do (_DRAIN in apps/workload.py).
        """
        eventually(lambda: client.shares(10) == {str(revision): 10}, within)
        assert client.shares(200) == {str(revision): 200}

    def share(first: int, second: int, percent: int) -> None:
        """Of 400 requests so many are the second one's."""
        wanted = {str(first): 400 - 4 * percent, str(second): 4 * percent}
        eventually(lambda: client.shares(400) == pytest.approx(wanted, abs=CHANCE), 30)

    answers(1, within=30)
    with client.asking():
        # when a quarter of the traffic is the candidate's
        world.change(image="shop:2")
        routed.until("AwaitingApproval")
        share(1, 2, 25)
        assert client.shares(20, **{"X-Canary": "always"}) == {"2": 20}

        # and then half of it
        world.say(approved="2/1")
        routed.sees(lambda: world.told.approval is not None and world.told.approval.step == "2")
        share(1, 2, 50)

        # and then all
        world.say(approved="2/2")
        routed.until("RolledOut")
        answers(2)

        # and another candidate is given up
        world.change(image="shop:3")
        routed.until("AwaitingApproval")
        share(2, 3, 25)
        world.say(abort="3")
        routed.until("Aborted")
        routed.sees(lambda: world.scale[3] == 0)
        answers(2)

        # and the first one is asked for again
        world.change(rollback={"toRevision": 1})
        routed.until("RolledBack")
        answers(1)

    assert client.failed == {}
    assert client.answered > 200
