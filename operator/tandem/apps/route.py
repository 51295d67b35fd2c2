"""How the world outside the cluster gets in: an HTTPRoute of Gateway API, which divides by weights, or an Ingress.

Gateway API may not be installed: then the app runs all the same, the traffic is divided by pods, and the condition
``Routed`` says what is missing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from msgspec import structs

from tandem.api.children import HTTPRoute, Ingress, RouteParent, RouteParentRef
from tandem.api.conditions import Failed, Outcome, Passed, Working
from tandem.api.meta import Json
from tandem.api.plan import Apply, Create, Delete, Refusal
from tandem.apps.case import Case, refused, stamp
from tandem.apps.manifest import is_applied, marked, metadata, preview_name

ROUTED: Final = "Routed"
_PORT: Final = 80


def by_weight(case: Case) -> bool:
    return case.spec.gateway is not None and case.settings.gateway_api


def keep(case: Case, candidate: int | None = None, percent: int = 0) -> Refusal | None:
    """The HTTPRoute, with so much for the candidate; None: without one. There is none before anything serves."""
    if not by_weight(case):
        return None
    manifest, there = _manifest(case, candidate, percent), _route(case)
    if there is None:
        return case.draft.act(Create(manifest))
    return None if is_applied(manifest, there.metadata) else case.draft.act(Apply(manifest))


def has_candidate(case: Case) -> bool:
    """Whether anything is sent to the Service in front of the candidate: a share, or testers."""
    there = _route(case)
    return there is not None and any(
        ref.name == preview_name(case) for rule in there.spec.rules for ref in rule.backend_refs
    )


def weight(case: Case) -> int:
    """Percent of the traffic that the candidate has by the last rule, which is everybody's."""
    there = _route(case)
    rules = there.spec.rules if there else ()
    return next((ref.weight for rule in rules[-1:] for ref in rule.backend_refs if ref.name == preview_name(case)), 0)


def is_divided(case: Case, candidate: int, percent: int) -> bool:
    there = _route(case)
    return there is not None and is_applied(_manifest(case, candidate, percent), there.metadata) and is_settled(case)


def is_settled(case: Case) -> bool:
    """Whether every Gateway that has told of the route has seen it as it is: what it was before gets no requests."""
    return not _behind(case)


def silence(case: Case, reason: str) -> str:
    """Which Gateway ``reason`` has waited for in vain, and what to do; '' while a rollout may take so long."""
    since, behind = case.waits_since(reason), _behind(case)
    if since is None or not behind:
        return ""
    left = since + timedelta(seconds=case.spec.progress_deadline_seconds) - case.now
    if left > timedelta():
        case.draft.requeue(left)
        return ""
    first, which = behind[0], ", ".join(ref.name for ref in behind)
    namespace = first.namespace or case.app.metadata.namespace
    how = f"see that its controller runs (kubectl -n {namespace} describe gateway {first.name})"
    said = f"Gateway {which} has not seen HTTPRoute {case.app.metadata.name} as it is since {stamp(since)}"
    return f"; {said}: {how}, or take it out of spec.gateway.parentRefs"


def let_in(case: Case) -> Outcome | None:
    """What lets the world in is there as the spec asks for; None where nothing is asked for."""
    refusal = _keep_route(case) or _keep_ingress(case)
    if refusal is not None:
        return refused(refusal, "the HTTPRoute or the Ingress cannot be kept as the spec asks for")
    if case.spec.gateway is not None and not case.settings.gateway_api:
        missing = "spec.gateway needs Gateway API, which this cluster does not have (no HTTPRoute of gateway.networking"
        what = f"{missing}.k8s.io/v1); install it and restart the operator, or remove spec.gateway"
        return Failed("GatewayApiMissing", f"{what}. Traffic inside the cluster is divided by pods", final=False)
    if case.spec.gateway is None and case.spec.ingress is None:
        return None
    if case.fleet.serving is None:
        return Working("WaitsForTraffic", "requests from outside are let in when a revision serves")
    return _accepted(case) if case.spec.gateway is not None else Passed("Routed", "an Ingress lets requests in")


def _accepted(case: Case) -> Outcome:
    told = [one for _, parent in _heard(case) for one in parent.conditions]
    refused_by = next((c for c in told if c.type in {"Accepted", "ResolvedRefs"} and c.status == "False"), None)
    if refused_by is not None:
        said = f"a Gateway refuses the HTTPRoute: {refused_by.message or refused_by.reason}"
        return Failed(refused_by.reason or "NotAccepted", f"{said}; correct spec.gateway or the Gateway", final=False)
    gateways = ", ".join(ref.name for ref in case.spec.gateway.parent_refs) if case.spec.gateway else ""
    if not any(c.type == "Accepted" and c.status == "True" for c in told):
        return Working("WaitsForGateway", f"no controller of Gateway {gateways} has taken the HTTPRoute yet")
    return Passed("Routed", f"Gateway {gateways} lets requests in")


def _heard(case: Case) -> list[tuple[RouteParentRef, RouteParent]]:
    """Of each Gateway that the route names now, what was said for it last.

    Nobody takes away what a controller said that is gone, of a Gateway that is named no more or is another's by now.
    """
    there = _route(case)
    found = []
    for ref in there.spec.parent_refs if there else ():
        of = [one for one in there.status.parents if _full(case, one.parent_ref) == _full(case, ref)] if there else []
        if of:
            found.append((ref, max(of, key=lambda one: one.seen)))
    return found


def _behind(case: Case) -> list[RouteParentRef]:
    """The Gateways that have not seen the route as it is; one that never says what it has seen is not waited for."""
    there = _route(case)
    return [ref for ref, told in _heard(case) if there is not None and 0 < told.seen < there.metadata.generation]


def _full(case: Case, ref: RouteParentRef) -> RouteParentRef:
    return structs.replace(ref, namespace=ref.namespace or case.app.metadata.namespace)


def _keep_route(case: Case) -> Refusal | None:
    """What divides the traffic changes it; here it is made when it is missing, and taken away."""
    there = _route(case)
    if case.spec.gateway is None and there is not None:
        meta = there.metadata
        return case.draft.act(Delete("gateway.networking.k8s.io/v1", "HTTPRoute", meta.namespace, meta.name, meta.uid))
    return keep(case) if there is None and case.fleet.service is not None else None


def _keep_ingress(case: Case) -> Refusal | None:
    name, wanted = case.app.metadata.name, case.spec.ingress
    of = (one for one in case.observed.children.ingresses if one.metadata.deletion_timestamp is None)
    there: Ingress | None = next((one for one in of if one.metadata.name == name), None)
    if wanted is None and there is not None:
        meta = there.metadata
        return case.draft.act(Delete("networking.k8s.io/v1", "Ingress", meta.namespace, meta.name, meta.uid))
    if wanted is None or case.fleet.service is None:
        return None
    manifest = _ingress_manifest(case)
    if there is None:
        return case.draft.act(Create(manifest))
    return None if is_applied(manifest, there.metadata) else case.draft.act(Apply(manifest))


def _manifest(case: Case, candidate: int | None, percent: int) -> Json:
    gateway, name = case.spec.gateway, case.app.metadata.name
    assert gateway is not None
    stable: Json = {"name": name, "port": _PORT}
    rules: list[Json] = [{"backendRefs": [stable]}]
    if candidate is not None:
        other: Json = {"name": preview_name(case), "port": _PORT}
        rules = [{"backendRefs": [stable | {"weight": 100 - percent}, other | {"weight": percent}]}]
        header = case.spec.rollout.test_header
        if header is not None:
            match: Json = {"headers": [{"type": "Exact", "name": header.name, "value": header.value}]}
            rules.insert(0, {"matches": [match], "backendRefs": [other]})
    parents = [
        {"name": ref.name}
        | ({"namespace": ref.namespace} if ref.namespace else {})
        | ({"sectionName": ref.section_name} if ref.section_name else {})
        for ref in gateway.parent_refs
    ]
    spec: Json = {"parentRefs": parents, "rules": rules}
    if gateway.hostnames:
        spec["hostnames"] = list(gateway.hostnames)
    meta = metadata(case, name)
    return marked({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta, "spec": spec})


def _ingress_manifest(case: Case) -> Json:
    wanted, name = case.spec.ingress, case.app.metadata.name
    assert wanted is not None
    backend = {"service": {"name": name, "port": {"number": _PORT}}}
    rule: Json = {"http": {"paths": [{"path": wanted.path, "pathType": "Prefix", "backend": backend}]}}
    rule |= {"host": wanted.host} if wanted.host else {}
    spec: Json = {"rules": [rule]}
    if wanted.ingress_class_name:
        spec["ingressClassName"] = wanted.ingress_class_name
    if wanted.tls_secret_ref is not None:
        hosts = {"hosts": [wanted.host]} if wanted.host else {}
        spec["tls"] = [{"secretName": wanted.tls_secret_ref.name} | hosts]
    meta = metadata(case, name)
    return marked({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": spec})


def _route(case: Case) -> HTTPRoute | None:
    of = (one for one in case.observed.children.routes if one.metadata.deletion_timestamp is None)
    return next((one for one in of if one.metadata.name == case.app.metadata.name), None)
