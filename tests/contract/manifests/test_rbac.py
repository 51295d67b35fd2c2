"""What the controllers and people may do: the list itself, and what a real API server makes of it."""

from __future__ import annotations

import pytest

from tandem.engine.controller import EVENTS, WRITABLE
from tandem.main import Configuration, app_controller, drift_controller, training_controller
from tests.contract.api_server import ApiServer
from tests.contract.manifests.built import OVERLAYS, Json, objects

READ = ("get", "list", "watch")
OPERATOR = "system:serviceaccount:tandem-system:tandem-operator"
DRIFT = "system:serviceaccount:tandem-system:tandem-drift"

# Every right that Tandem's manifests grant; a change here is a change of what an administrator has to agree to.
GRANTED: dict[str, dict[str, tuple[str, ...]]] = {
    "tandem-operator": {
        "trainingjobs.tandem.dev": READ,
        "appdeployments.tandem.dev": READ,
        "trainingjobs.tandem.dev/status": ("patch",),
        "appdeployments.tandem.dev/status": ("patch",),
        "jobs.batch": (*READ, "create", "patch", "delete"),
        "deployments.apps": (*READ, "create", "patch", "delete"),
        "services": (*READ, "create", "patch", "delete"),
        "configmaps": (*READ, "create", "delete"),
        "poddisruptionbudgets.policy": (*READ, "create", "patch", "delete"),
        "networkpolicies.networking.k8s.io": (*READ, "create", "patch", "delete"),
        "horizontalpodautoscalers.autoscaling": (*READ, "create", "patch", "delete"),
        "ingresses.networking.k8s.io": (*READ, "create", "patch", "delete"),
        "httproutes.gateway.networking.k8s.io": (*READ, "create", "patch", "delete"),
        "pods": ("get", "list", "watch"),
        "replicasets.apps": ("get", "list", "watch"),
        "events.events.k8s.io": ("create",),
    },
    "tandem-operator-lease": {
        "leases.coordination.k8s.io": ("create",),
        "leases.coordination.k8s.io tandem-operator": ("get", "update"),
    },
    "tandem-drift": {
        "trainingjobs.tandem.dev": READ,
        "trainingjobs.tandem.dev/status": ("patch",),
        "events.events.k8s.io": ("create",),
    },
    "tandem-drift-lease": {
        "leases.coordination.k8s.io": ("create",),
        "leases.coordination.k8s.io tandem-drift": ("get", "update"),
    },
    "tandem-view": {
        "trainingjobs.tandem.dev": READ,
        "trainingjobs.tandem.dev/status": READ,
        "appdeployments.tandem.dev": READ,
        "appdeployments.tandem.dev/status": READ,
        "appdeployments.tandem.dev/scale": READ,
    },
    "tandem-edit": {
        "trainingjobs.tandem.dev": ("create", "update", "patch", "delete", "deletecollection"),
        "appdeployments.tandem.dev": ("create", "update", "patch", "delete", "deletecollection"),
        "appdeployments.tandem.dev/scale": ("update", "patch"),
    },
}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_exactly_these_rights_are_granted(api_server: ApiServer, overlay: str) -> None:
    assert {name: _rights(role) for name, role in _roles(api_server, overlay).items()} == GRANTED


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_role_names_secrets_or_a_wildcard_or_a_way_to_more_rights(api_server: ApiServer, overlay: str) -> None:
    forbidden = {"*", "secrets", "serviceaccounts", "serviceaccounts/token", "pods/exec", "roles", "clusterroles"}
    for role in _roles(api_server, overlay).values():
        words = {word for rule in role["rules"] for part in rule.values() for word in part}
        assert words & (forbidden | {"escalate", "bind", "impersonate", "nodes", "namespaces"}) == set()


@pytest.mark.parametrize("name", ["tandem-operator", "tandem-drift"])
def test_what_the_controllers_watch_and_write_is_granted(name: str) -> None:
    """From the wiring itself: a kind that is added there without a right here is found before a cluster finds it."""
    configuration = Configuration("http://mlflow", "runtime", poll_every=None)  # type: ignore[arg-type]
    controllers = {
        "tandem-operator": [training_controller(configuration), app_controller(configuration)],
        "tandem-drift": [drift_controller()],
    }[name]
    granted = GRANTED[name]
    for controller in controllers:
        own = _name(controller.resource.group, controller.resource.plural)
        assert granted[f"{own}/status"] == ("patch",)
        for type_ in [controller.resource, *(child.resource for child in controller.children)]:
            assert {"list", "watch"} <= set(granted[_name(type_.group, type_.plural)])
    assert "create" in granted[_name(EVENTS.group, EVENTS.plural)]
    written = {_name(type_.group, type_.plural) for type_ in WRITABLE.values()}
    creatable = {resource for resource, verbs in granted.items() if {"create", "delete"} <= set(verbs)}
    assert creatable == (written if name == "tandem-operator" else set())


ALLOWED = [
    (OPERATOR, "create", "jobs.batch"),
    (OPERATOR, "patch", "jobs.batch"),
    (OPERATOR, "patch", "deployments.apps"),
    (OPERATOR, "patch", "trainingjobs.tandem.dev/status"),
    (OPERATOR, "watch", "pods"),
    (OPERATOR, "create", "configmaps"),
    (OPERATOR, "patch", "poddisruptionbudgets.policy"),
    (OPERATOR, "patch", "networkpolicies.networking.k8s.io"),
    (OPERATOR, "patch", "horizontalpodautoscalers.autoscaling"),
    (OPERATOR, "patch", "httproutes.gateway.networking.k8s.io"),
    (DRIFT, "patch", "trainingjobs.tandem.dev/status"),
    (DRIFT, "watch", "trainingjobs.tandem.dev"),
]

REFUSED = [
    *((who, verb, "secrets") for who in (OPERATOR, DRIFT) for verb in ("get", "list", "watch", "create")),
    *((who, "create", resource) for who in (OPERATOR, DRIFT) for resource in ("pods", "pods/exec", "serviceaccounts")),
    *((who, "create", "serviceaccounts/token") for who in (OPERATOR, DRIFT)),
    (OPERATOR, "update", "jobs.batch"),
    (OPERATOR, "patch", "configmaps"),
    (OPERATOR, "update", "configmaps"),
    (DRIFT, "get", "configmaps"),
    (OPERATOR, "update", "trainingjobs.tandem.dev"),
    (OPERATOR, "patch", "trainingjobs.tandem.dev"),
    (OPERATOR, "delete", "trainingjobs.tandem.dev"),
    (OPERATOR, "update", "appdeployments.tandem.dev/scale"),
    (OPERATOR, "patch", "appdeployments.tandem.dev/scale"),
    (OPERATOR, "patch", "appdeployments.tandem.dev"),
    (OPERATOR, "create", "leases.coordination.k8s.io"),
    (OPERATOR, "list", "namespaces"),
    (OPERATOR, "impersonate", "users"),
    (DRIFT, "create", "jobs.batch"),
    (DRIFT, "list", "pods"),
    (DRIFT, "patch", "trainingjobs.tandem.dev"),
    (DRIFT, "list", "appdeployments.tandem.dev"),
]


@pytest.mark.parametrize(("who", "verb", "resource"), ALLOWED)
def test_the_api_server_lets_a_controller_work(installed: ApiServer, who: str, verb: str, resource: str) -> None:
    assert installed.may(who, verb, resource, namespace="team-a")


@pytest.mark.parametrize(("who", "verb", "resource"), REFUSED)
def test_the_api_server_refuses_a_controller_everything_else(
    installed: ApiServer, who: str, verb: str, resource: str
) -> None:
    assert not installed.may(who, verb, resource, namespace="team-a")


def test_leases_are_for_the_namespace_of_tandem_alone(installed: ApiServer) -> None:
    assert installed.may(OPERATOR, "create", "leases.coordination.k8s.io", namespace="tandem-system")
    assert not installed.may(OPERATOR, "create", "leases.coordination.k8s.io", namespace="kube-system")


@pytest.mark.parametrize(("role", "label"), [("tandem-view", "view"), ("tandem-edit", "edit")])
def test_people_get_their_rights_with_the_roles_that_they_have(api_server: ApiServer, role: str, label: str) -> None:
    labels = objects(api_server.plane, "base", "ClusterRole")[role]["metadata"]["labels"]

    assert labels[f"rbac.authorization.k8s.io/aggregate-to-{label}"] == "true"


def _roles(api_server: ApiServer, overlay: str) -> dict[str, Json]:
    return {
        name: role
        for kind in ("ClusterRole", "Role")
        for name, role in objects(api_server.plane, overlay, kind).items()
    }


def _rights(role: Json) -> dict[str, tuple[str, ...]]:
    return {
        " ".join([_name(group, resource), *([name] if name else [])]): tuple(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


def _name(group: str, resource: str) -> str:
    plural, slash, subresource = resource.partition("/")
    return f"{plural}.{group}{slash}{subresource}" if group else resource
