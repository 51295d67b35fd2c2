"""The way in from outside: an HTTPRoute that divides by weights, or an Ingress."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tandem.api.facts import Facts
from tandem.api.meta import Json
from tandem.api.plan import Draft, Observed
from tandem.apps.case import Case
from tandem.apps.route import is_settled
from tests.unit.apps.deployments import CRASH
from tests.unit.apps.test_steps import UNTIL_APPROVED, passes, percent, step, waits
from tests.unit.apps.world import SETTINGS, World, app

GATEWAY: Json = {"parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": ["shop.example.com"]}
HEADER: Json = {"name": "X-Canary", "value": "always"}


def behind(gateway: Json | None = None, *steps: dict[str, object], **rollout: object) -> World:
    """Revision 1 serves behind a gateway; revision 2 has just been asked for."""
    rollout |= {"strategy": "Canary", "steps": list(steps)} if steps else {}
    world = app(replicas=4, scaleDownDelaySeconds=0, gateway=gateway or GATEWAY, rollout=rollout)
    world.gateway_api = True
    world.say(promote="1")
    world.converge()
    world.say(promote=None)
    accept(world)
    world.converge()
    world.change(image="shop:2")
    return world


def accept(world: World, status: str = "True", generation: int | None = None) -> None:
    """The Gateway has seen the route as it is now."""
    for route in world.routes.values():
        conditions = [_accepted(route, status, generation)]
        route["status"] = {"parents": [{"parentRef": ref, "conditions": conditions} for ref in _parents(route)]}


def _parents(route: Json) -> list[Json]:
    found: list[Json] = route["spec"]["parentRefs"]
    return found


def _accepted(route: Json, status: str, generation: int | None) -> Json:
    return {
        "type": "Accepted",
        "status": status,
        "reason": "NoMatchingListenerHostname",
        "message": "no listener has this host name",
        "observedGeneration": route["metadata"]["generation"] if generation is None else generation,
    }


def walks(world: World, reason: str) -> World:
    """As ``waits``, with a Gateway that looks after each pass, of which there is one a second."""
    for _ in range(20):
        if world.condition("RolledOut").reason == reason and world.told.observed_generation == world.generation:
            return world
        passes(world, 1)
        accept(world)
        world.wait(1)
    raise AssertionError(f"{world.condition('RolledOut')} instead of {reason}")


def ends(world: World) -> World:
    for _ in range(20):
        passes(world, 1)
        accept(world)
        world.wait(1)
    return world.converge()


# --- Weights ---------------------------------------------------------------------------------------------------------


def test_a_candidate_has_no_share_before_a_gateway_can_know_its_pods() -> None:
    """Traefik answered 503 for two seconds where it knew the weight before it knew a pod."""
    world = behind(None, step(25, UNTIL_APPROVED))
    passes(world, 4)
    assert (world.condition("RolledOut").reason, world.weights) == ("DividingTraffic", {"shop": 1})
    assert world.plan().requeue_after == timedelta(seconds=3)
    world.wait(3)
    passes(world, 1)
    assert world.weights == {"shop": 75, "shop-candidate": 25}


def test_pods_that_have_just_become_ready_are_not_known_yet() -> None:
    world = behind(None, step(25, UNTIL_APPROVED))
    passes(world, 2)
    world.wait(60)
    world.ready["shop:2"] = world.now - timedelta(seconds=1)
    passes(world, 1)
    assert world.weights == {"shop": 1}
    world.wait(2)
    passes(world, 1)
    assert world.weights["shop-candidate"] == 25


def test_at_rest_the_route_leads_to_the_service_alone() -> None:
    world = app(gateway=GATEWAY)
    world.gateway_api = True
    world.converge()
    spec = world.routes["shop"]["spec"]
    assert spec["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    assert spec["hostnames"] == ["shop.example.com"]
    assert spec["rules"] == [{"backendRefs": [{"name": "shop", "port": 80}]}]


def test_a_step_is_a_weight_and_nobody_inside_the_cluster_meets_the_candidate() -> None:
    world = walks(behind(None, step(10, UNTIL_APPROVED)), "AwaitingApproval")
    assert world.weights == {"shop": 90, "shop-candidate": 10}
    assert (world.shared, world.serving, world.scale, percent(world)) == (False, 1, {1: 4, 2: 1}, 10)


def test_by_weight_a_candidate_may_have_more_than_half() -> None:
    world = walks(behind(None, step(80, UNTIL_APPROVED)), "AwaitingApproval")
    assert (world.weights["shop-candidate"], world.scale) == (80, {1: 4, 2: 4})


def test_in_a_freeze_no_weight_grows() -> None:
    """The pods of the next step were on their way before; the share is what it was."""
    world = behind(None, step(10, {"durationSeconds": 60}), step(50, UNTIL_APPROVED))
    world = walks(world, "StepPaused")
    world.wait(60)
    world.reconcile()
    world.change(rollout={**world.spec["rollout"], "freeze": [{"schedule": "0 12 * * *", "durationSeconds": 3600}]})
    walks(world, "Frozen")
    assert (world.weights["shop-candidate"], world.scale[2]) == (10, 2)
    world.wait(3600)
    assert walks(world, "AwaitingApproval").weights["shop-candidate"] == 50


def test_a_step_is_reached_when_the_gateway_has_seen_it() -> None:
    world = behind(None, step(10, UNTIL_APPROVED))
    accept(world, generation=1)
    waits(world, "DividingTraffic")
    assert passes(world, 3).condition("RolledOut").reason == "DividingTraffic"
    walks(world, "AwaitingApproval")


def test_on_the_switch_every_way_leads_to_ready_pods() -> None:
    """The Service first, then the route, then the preview, then the old pods."""
    world = walks(behind(None, step(10, UNTIL_APPROVED)), "AwaitingApproval")
    world.done.clear()
    world.say(promote="2")
    ends(world)
    kinds = [action.id for action in world.done if "PodDisruptionBudget" not in action.id]
    assert kinds[:4] == [
        "apply Deployment/shop-2",
        "apply Service/shop",
        "apply Deployment/shop-2",
        "apply HTTPRoute/shop",
    ]
    assert kinds.index("delete Service/shop-candidate") > kinds.index("apply HTTPRoute/shop")
    assert (world.weights, world.serving, world.scale) == ({"shop": 1}, 2, {1: 0, 2: 4})


def test_a_candidate_that_failed_keeps_its_pods_until_the_gateway_has_let_go_of_it() -> None:
    world = walks(behind(None, step(10, UNTIL_APPROVED)), "AwaitingApproval")
    world.say(abort="2")
    passes(world, 5)
    assert (world.weights, world.scale[2]) == ({"shop": 1}, 1)
    ends(world)
    assert (world.scale[2], "shop-candidate" in world.services) == (0, False)


def test_testers_come_by_their_header_whatever_the_share() -> None:
    world = walks(behind(None, step(0, UNTIL_APPROVED), testHeader=HEADER), "AwaitingApproval")
    first, last = world.routes["shop"]["spec"]["rules"]
    assert first == {
        "matches": [{"headers": [{"type": "Exact", "name": "X-Canary", "value": "always"}]}],
        "backendRefs": [{"name": "shop-candidate", "port": 80}],
    }
    assert last["backendRefs"][1]["weight"] == 0


def test_testers_come_to_a_blue_green_candidate_too() -> None:
    world = walks(behind(None, testHeader=HEADER, approval="Required"), "AwaitingApproval")
    assert (len(world.routes["shop"]["spec"]["rules"]), world.weights["shop-candidate"]) == (2, 0)
    world.say(approved="2/promotion")
    ends(world)
    assert (world.weights, world.serving) == ({"shop": 1}, 2)


def _says(generation: int | None, *, of: str = "True", **ref: object) -> Json:
    seen = {"observedGeneration": generation} if generation is not None else {}
    return {"parentRef": ref, "conditions": [{"type": "Accepted", "status": of, **seen}]}


PUBLIC = {"name": "public", "namespace": "gateways"}
HERE = {"name": "public"}  # without a namespace: that of the route


@pytest.mark.parametrize(
    ("refs", "parents", "settled"),
    [
        ([PUBLIC], [], True),  # nobody has told of it: nobody is waited for
        ([PUBLIC], [_says(7, **PUBLIC)], True),
        ([PUBLIC], [_says(6, **PUBLIC)], False),
        ([PUBLIC, {"name": "inside"}], [_says(7, **PUBLIC), _says(6, name="inside")], False),
        ([PUBLIC], [_says(7, **PUBLIC), _says(3, name="gone")], True),  # the spec names it no more
        ([PUBLIC], [_says(7, **PUBLIC), _says(3, **HERE)], True),  # of another namespace
        ([PUBLIC], [_says(7, **PUBLIC), _says(3, **PUBLIC, sectionName="https")], True),  # of a listener, once
        ([PUBLIC], [_says(7, **PUBLIC), _says(3, **PUBLIC, port=443)], True),
        ([PUBLIC], [_says(7, **PUBLIC), _says(3, **PUBLIC, kind="Service", group="")], True),  # a mesh
        ([PUBLIC], [_says(3, **PUBLIC), _says(7, **PUBLIC)], True),  # another controller has taken it over
        ([PUBLIC], [_says(None, **PUBLIC)], True),  # it never says which it has seen
        ([PUBLIC], [{"parentRef": PUBLIC}], True),
        ([HERE], [_says(6, name="public", namespace="team")], False),  # written out by its controller
        ([HERE], [_says(6, group="gateway.networking.k8s.io", kind="Gateway", **HERE)], False),
        ([{**PUBLIC, "sectionName": "https"}], [_says(6, **PUBLIC, sectionName="https")], False),
    ],
)
def test_only_gateways_that_the_route_names_now_are_waited_for(
    refs: list[Json], parents: list[Json], settled: bool
) -> None:
    world = behind({"parentRefs": refs})
    route = world.routes["shop"]
    assert [one["name"] for one in route["spec"]["parentRefs"]] == [one["name"] for one in refs]
    route["spec"]["parentRefs"] = refs
    route["metadata"]["generation"], route["status"] = 7, {"parents": parents}
    settings = replace(SETTINGS, gateway_api=True)
    case = Case(settings, Observed(world.app, world.children, Facts(), {}), world.now, Draft(Facts(), {}, world.now))
    assert is_settled(case) is settled


def test_what_a_controller_said_that_is_gone_refuses_nothing() -> None:
    world = behind()
    world.routes["shop"]["status"]["parents"].append(_says(1, of="False", name="gone"))
    world.reconcile()
    assert world.condition("Routed").reason == "Routed"


def silent(world: World) -> str:
    """Nobody looks at the route any more, and after progressDeadlineSeconds that is told."""
    passes(world, 5)
    assert "has not seen" not in world.condition("RolledOut").message
    assert world.plan().requeue_after is not None
    world.wait(600)
    told = passes(world, 1).condition("RolledOut").message
    assert not world.plan().actions
    return told


SILENT = (
    "Gateway public has not seen HTTPRoute shop as it is since 2026-03-01 12:0",
    "(kubectl -n gateways describe gateway public), or take it out of spec.gateway.parentRefs",
)


def test_a_gateway_that_is_silent_is_told_where_the_traffic_is_divided() -> None:
    world = walks(behind(None, step(10, {"durationSeconds": 60}), step(50)), "StepPaused")
    world.wait(60)
    told = silent(world)
    assert (world.condition("RolledOut").reason, all(part in told for part in SILENT)) == ("DividingTraffic", True)


def test_a_gateway_that_is_silent_is_told_where_another_candidate_waits() -> None:
    world = walks(behind(None, step(10, UNTIL_APPROVED)), "AwaitingApproval")
    world.change(image="shop:3")
    told = silent(world)
    assert (world.condition("RolledOut").reason, all(part in told for part in SILENT)) == ("TrafficReturns", True)


def test_a_gateway_that_is_silent_is_told_where_a_candidate_cannot_go() -> None:
    world = walks(behind(None, step(10, UNTIL_APPROVED)), "AwaitingApproval")
    world.say(abort="2")
    told = silent(world)
    assert (world.scale[2], all(part in told for part in SILENT)) == (1, True)
    world.change(gateway={"parentRefs": [{"name": "inside"}]})  # as the message says
    passes(world, 3)
    assert (world.scale[2], world.condition("RolledOut").reason) == (0, "Aborted")


def test_another_candidate_waits_until_the_gateway_has_let_go_of_the_one_before() -> None:
    world = walks(behind(None, step(10, UNTIL_APPROVED)), "AwaitingApproval")
    world.change(image="shop:3")
    passes(world, 4)
    assert (world.weights, 3 in world.scale) == ({"shop": 1}, False)
    selected = world.services["shop-candidate"]["spec"]["selector"]["tandem.dev/revision"]
    assert selected == "2"
    walks(world, "AwaitingApproval")
    assert (world.weights["shop-candidate"], world.scale[3]) == (10, 1)


def test_a_candidate_that_is_never_ready_never_has_a_weight() -> None:
    world = behind(None, step(50))
    world.behaviour["shop:2"] = CRASH
    ends(world)
    assert (world.weights, world.scale) == ({"shop": 1}, {1: 4, 2: 0})


# --- What a person has to know ---------------------------------------------------------------------------------------


def test_without_gateway_api_it_runs_all_the_same_and_says_what_is_missing() -> None:
    world = app(replicas=4, gateway=GATEWAY, rollout={"strategy": "Canary", "steps": [step(20, UNTIL_APPROVED)]})
    world.converge()
    assert (world.serving, world.routes) == (1, {})
    assert world.condition("Routed").reason == "GatewayApiMissing"
    assert "install it and restart the operator" in world.condition("Stalled").message
    world.change(image="shop:2")
    waits(world, "AwaitingApproval")
    assert world.shared


def test_a_gateway_that_refuses_is_told_in_its_own_words() -> None:
    world = app(gateway=GATEWAY)
    world.gateway_api = True
    world.converge()
    assert world.condition("Routed").reason == "WaitsForGateway"
    accept(world, "False")
    world.converge()
    assert world.condition("Routed").reason == "NoMatchingListenerHostname"
    assert "no listener has this host name" in world.condition("Stalled").message
    accept(world)
    assert world.converge().told.phase == "Healthy"


def test_a_gateway_that_refuses_without_a_reason_is_told_too() -> None:
    """Conditions of other controllers: what their CRD lets them leave out, somebody leaves out."""
    world = behind()
    accept(world, "False")
    world.routes["shop"]["status"]["parents"][0]["conditions"][0] |= {"reason": "", "message": ""}
    world.reconcile()
    assert world.condition("Routed").reason == "NotAccepted"


def test_a_changed_host_is_routed() -> None:
    world = behind()
    world.change(image="shop:1", gateway={**GATEWAY, "hostnames": ["new.example.com"]})
    world.converge()
    assert world.routes["shop"]["spec"]["hostnames"] == ["new.example.com"]


def test_without_a_gateway_in_the_spec_the_route_goes() -> None:
    world = behind()
    world.change(image="shop:1", gateway=None)
    world.converge()
    assert (world.routes, "Routed" in world.conditions()) == ({}, False)


# --- Ingress ---------------------------------------------------------------------------------------------------------

INGRESS: Json = {"host": "shop.example.com", "ingressClassName": "nginx", "tlsSecretRef": {"name": "shop-tls"}}


def test_an_ingress_leads_to_the_service() -> None:
    world = app(ingress=INGRESS).converge()
    assert world.ingresses["shop"]["spec"] == {
        "ingressClassName": "nginx",
        "tls": [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}],
        "rules": [
            {
                "host": "shop.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "shop", "port": {"number": 80}}},
                        }
                    ]
                },
            }
        ],
    }
    assert world.condition("Routed").status == "True"


def test_an_ingress_comes_when_something_serves_and_goes_when_it_is_not_wanted() -> None:
    world = app(ingress=INGRESS)
    world.reconcile()
    assert world.ingresses == {}
    world.converge()
    world.change(ingress={"path": "/shop"})
    world.converge()
    assert world.ingresses["shop"]["spec"]["rules"][0]["http"]["paths"][0]["path"] == "/shop"
    world.change(ingress=None)
    assert world.converge().ingresses == {}
