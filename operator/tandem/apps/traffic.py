"""Who is sent the traffic: the Service, the one in front of the candidate, and the division between the two.

Nothing is ever sent to pods that are not ready: by pods Kubernetes itself sees to that, and what is widened or switched
is only widened or switched when the candidate's pods are there.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tandem.api.children import Service
from tandem.api.conditions import Outcome, Working
from tandem.api.meta import Json
from tandem.api.plan import Apply, Create, Delete, Refusal
from tandem.apps import route
from tandem.apps.case import Case, refused
from tandem.apps.health import pods
from tandem.apps.manifest import is_applied, name_of, preview_name
from tandem.apps.note import TRAFFIC_ANNOTATION, Traffic, read
from tandem.apps.revision import Owned
from tandem.apps.strategy import share_of, steps_of
from tandem.apps.workload import preview_manifest, service_manifest

KNOWN_AFTER: Final = timedelta(seconds=3)
DIVIDING: Final = "DividingTraffic"


def send(case: Case, number: int, previous: int | None = None) -> Refusal | None:
    """All of it to one revision; ``previous``: which one had it, and takes it back if this one fails."""
    fleet, traffic = case.fleet, case.fleet.traffic
    if number != fleet.serving:
        known = fleet.service is not None and fleet.serving is not None
        traffic = Traffic(stable=number, previous=previous, since=case.second) if known else None
    return _keep(case, service_manifest(case, number, traffic), fleet.service)


def shares(case: Case) -> bool:
    """Whether a candidate may have some of the traffic now, be it that of testers alone."""
    return case.fleet.shared or route.has_candidate(case)


def divide(case: Case, owned: Owned, percent: int) -> Outcome | None:
    """So much of it to a candidate that is ready; None: that is how it is divided."""
    fleet, what = case.fleet, f"{percent} % of the traffic to revision {owned.number}"
    assert fleet.serving is not None
    if route.by_weight(case):
        refusal = send(case, fleet.serving)
        unknown = None if refusal is not None or route.has_candidate(case) else _made_known(case, owned, what)
        if unknown is not None:
            return unknown
        refusal = refusal or route.keep(case, owned.number, percent)
        dividing = not route.is_divided(case, owned.number, percent)
    elif percent == 0:
        refusal, dividing = send(case, fleet.serving), fleet.shared
    elif waits_for := _pods_of_others(case, owned):
        waits = f"{what}: when the pods of revision {waits_for} are gone, which would have some of it, too"
        return Working("WaitsForPods", waits)
    else:
        traffic = fleet.traffic or Traffic(stable=fleet.serving)
        refusal = _keep(case, service_manifest(case, fleet.serving, traffic, shared=True), fleet.service)
        dividing = not fleet.shared
    if refusal is not None:
        return refused(refusal, f"the traffic cannot be divided{case.meanwhile}")
    return Working(DIVIDING, what + route.silence(case, DIVIDING)) if dividing else None


def take_back(case: Case) -> Refusal | None:
    """All of it to what is stable, where a candidate has some."""
    if case.fleet.stable is None:
        return None  # nobody to give it to
    return route.keep(case) or send(case, case.fleet.stable.number)


def percent_of(case: Case, owned: Owned) -> int | None:
    """What a candidate really gets; None where nothing is ever divided."""
    if not steps_of(case.spec.rollout) and not shares(case):
        return None
    if route.by_weight(case):
        return route.weight(case)
    stable = case.fleet.stable
    return share_of(owned.available, stable.available if stable else 0) if case.fleet.shared else 0


def has_preview(case: Case) -> bool:
    """Whether there is a time in which somebody could ask the candidate alone."""
    rollout = case.spec.rollout
    held = rollout.approval == "Required" or bool(rollout.analysis or rollout.freeze)
    return held or bool(steps_of(rollout)) or case.spec.gateway is not None


def show(case: Case, number: int) -> Refusal | None:
    """The candidate has an address of its own."""
    if not has_preview(case):
        return None
    there = preview_of(case)
    known = _shown(there)
    note = known if known is not None and known.stable == number else Traffic(stable=number, since=case.second)
    return _keep(case, preview_manifest(case, number, note), there)


def hide(case: Case) -> Refusal | None:
    """There is no candidate any more; what asks for it through a gateway is sent elsewhere first."""
    there = preview_of(case)
    if there is None or route.has_candidate(case) or not route.is_settled(case):
        return None
    meta = there.metadata
    return case.draft.act(Delete("v1", "Service", meta.namespace, meta.name, meta.uid))


def preview_of(case: Case) -> Service | None:
    name = preview_name(case)
    there = (s for s in case.observed.children.services if s.metadata.deletion_timestamp is None)
    return next((s for s in there if s.metadata.name == name), None)


def _keep(case: Case, manifest: Json, there: Service | None) -> Refusal | None:
    if there is None:
        return case.draft.act(Create(manifest))
    wanted = manifest["spec"]["selector"]
    if there.spec.selector == wanted and is_applied(manifest, there.metadata):
        return None
    missing = case.fleet.missing
    return case.draft.act(Apply(manifest, without=name_of(case, missing) if missing is not None else ""))


def _shown(preview: Service | None) -> Traffic | None:
    """The revision that the candidate's Service selects, and since when."""
    return read(preview.metadata.annotations, TRAFFIC_ANNOTATION, Traffic) if preview is not None else None


def _made_known(case: Case, owned: Owned, what: str) -> Outcome | None:
    """None: a Gateway has had the time to learn of the candidate's pods.

    It learns of them by other watches than of the route, in no order; and Traefik, which found that, answered 503 for
    two seconds where it knew the weight before it knew a pod.
    """
    shown = _shown(preview_of(case))
    waits = Working(DIVIDING, f"{what}: in a moment, when every Gateway knows its pods")
    if shown is None or shown.stable != owned.number or shown.since is None:
        return waits
    ready = [
        told.last_transition_time
        for pod in pods(case, owned)
        for told in pod.status.conditions
        if (told.type, told.status) == ("Ready", "True") and told.last_transition_time is not None
    ]
    left = max(shown.since, min(ready, default=shown.since)) + KNOWN_AFTER - case.now
    if left <= timedelta():
        return None
    case.draft.requeue(left)
    return waits


def _pods_of_others(case: Case, owned: Owned) -> int | None:
    """A revision that is neither, and that still has pods."""
    mine = {case.fleet.serving, owned.number}
    return next(
        (
            other.number
            for number, other in sorted(case.fleet.owned.items())
            if number not in mine and (other.replicas > 0 or other.deployment.status.replicas > 0)
        ),
        None,
    )
