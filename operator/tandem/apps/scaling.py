"""Who changes the number of pods: a HorizontalPodAutoscaler of the AppDeployment, made from ``spec.autoscaling``.

It writes ``spec.replicas`` through ``/scale`` and Tandem never does, so nobody is fought. It reads there how many pods
the stable revision has and which they are, and nothing of a candidate: an autoscaler that counts pods which it then
makes more of runs away (argo-rollouts#2857, #3849). A candidate has as many pods as ``spec.replicas`` says.

While two revisions share the traffic it only scales up: the stable revision's pods have less to do then, and an
autoscaler would take them away just before one of the two has all the traffic again.
"""

from __future__ import annotations

from typing import Final

from tandem.api import names
from tandem.api.autoscaling import Autoscaling, Metric
from tandem.api.children import ChildCondition
from tandem.api.conditions import Failed, Outcome, Passed, Undecided
from tandem.api.meta import Json, to_json
from tandem.api.plan import Apply, Create, Delete, Refusal
from tandem.apps import traffic
from tandem.apps.bounds import RESTORED_ANNOTATION, autoscaler_of
from tandem.apps.case import Case, refused
from tandem.apps.manifest import is_applied, marked, metadata
from tandem.apps.quarantine import standing
from tandem.apps.revision import Target
from tandem.apps.strategy import steps_of

AUTOSCALED: Final = "Autoscaled"

_API_VERSION: Final = "autoscaling/v2"
_KIND: Final = "HorizontalPodAutoscaler"
# What only a person changes. Of everything else (no metrics yet, a metrics API that is away) the app is not to blame,
# and it serves: it is told, and nothing counts as failed.
_PERSONS: Final = frozenset({"AmbiguousSelector", "InvalidMetricSourceType"})


def scale(case: Case, target: Target | None) -> Refusal | None:
    """There is an autoscaler, as it is in force, as soon as a revision serves whose pods can be measured."""
    there, autoscaling = autoscaler_of(case), case.bounds.autoscaling
    if autoscaling is None:
        if there is None:
            return None
        meta = there.metadata
        return case.draft.act(Delete(_API_VERSION, _KIND, meta.namespace, meta.name, meta.uid))
    if there is None and case.fleet.serving is None:
        return None
    manifest = _manifest(case, autoscaling, shared=shares_traffic(case, target))
    if there is None:
        return case.draft.act(Create(manifest))
    return None if is_applied(manifest, there.metadata) else case.draft.act(Apply(manifest))


def shares_traffic(case: Case, target: Target | None) -> bool:
    """Whether a candidate takes part of it, or is about to."""
    if case.fleet.serving is None or traffic.shares(case):
        return case.fleet.serving is not None
    if target is None or target.held or target.number == case.fleet.serving:
        return False
    owned = case.fleet.owned.get(target.number)
    alive = owned is not None and owned.replicas > 0 and standing(case, owned) is None
    return alive and bool(steps_of(case.spec.rollout))


def autoscaled(case: Case, target: Target | None, refusal: Refusal | None) -> Outcome | None:
    """None where nobody asks for it."""
    if refusal is not None:
        return refused(refusal, "the HorizontalPodAutoscaler cannot be kept as the spec asks for")
    autoscaling, there = case.bounds.autoscaling, autoscaler_of(case)
    if autoscaling is None:
        return None
    said = _said(case, autoscaling, target)
    if case.fleet.serving is None:
        return Undecided("WaitsForRevision", f"{said}; the autoscaler comes when a revision serves")
    if case.app.spec.replicas == 0 and autoscaling.min_replicas > 0:
        how = f"`kubectl scale appd/{case.app.metadata.name} --replicas={autoscaling.min_replicas}` starts it again"
        return Undecided("ScalingDisabled", f"spec.replicas is 0, so nothing runs and nothing is scaled; {how}")
    able = there.condition("AbleToScale") if there else None
    active = there.condition("ScalingActive") if there else None
    wrong = next((c for c in (able, active) if c is not None and c.status == "False"), None)
    if wrong is not None:
        return _trouble(case, wrong)
    if active is None:
        return Undecided("WaitsForMetrics", f"{said}; the autoscaler has not looked yet")
    limited = there.condition("ScalingLimited") if there else None
    if limited is not None and (limited.status, limited.reason) == ("True", "TooManyReplicas"):
        return Passed("AtMaximum", f"{said}; more than maxReplicas would be needed")
    return Passed("Autoscaled", said)


def _trouble(case: Case, wrong: ChildCondition) -> Outcome:
    # A message that names one of several pods names another one the next time: that would be a write at each look.
    cause = wrong.message.partition(" of Pod ")[0]
    message = f"the autoscaler cannot work: {cause}; until it can, there are {case.spec.replicas} pods"
    if wrong.reason in _PERSONS:
        return Failed(wrong.reason, message, final=False)
    return Undecided(wrong.reason, message)


def _said(case: Case, autoscaling: Autoscaling, target: Target | None) -> str:
    measured = ", ".join(map(_name, autoscaling.metrics)) or "cpu"
    said = f"{autoscaling.min_replicas} to {autoscaling.max_replicas} pods, by {measured}"
    if case.bounds.because:
        said += f", {case.bounds.because}"
    return f"{said}; only up while revisions share the traffic" if shares_traffic(case, target) else said


def _name(metric: Metric) -> str:
    if metric.resource:
        return metric.resource.name
    block = metric.pods or metric.object or metric.external
    return block.metric.name if block else metric.type


def _manifest(case: Case, autoscaling: Autoscaling, *, shared: bool) -> Json:
    meta, bounds = case.app.metadata, case.bounds
    spec = to_json(autoscaling) | {"minReplicas": autoscaling.min_replicas}
    for metric in spec.get("metrics", ()):
        _type_target(metric)
    if shared:
        behavior = spec.get("behavior", {})
        spec["behavior"] = behavior | {"scaleDown": behavior.get("scaleDown", {}) | {"selectPolicy": "Disabled"}}
    notes = {RESTORED_ANNOTATION: bounds.note} if bounds.note else {}
    return marked(
        {
            "apiVersion": _API_VERSION,
            "kind": _KIND,
            "metadata": metadata(case, meta.name, annotations=notes),
            "spec": {
                "scaleTargetRef": {"apiVersion": names.API_VERSION, "kind": names.APP_DEPLOYMENT, "name": meta.name},
                **spec,
            },
        }
    )


_TYPES: Final = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}


def _type_target(metric: Json) -> None:
    """autoscaling/v2 wants the type of a target said, though the field says it."""
    target = metric[str(metric["type"]).lower()]["target"]
    target["type"] = next(type_ for field, type_ in _TYPES.items() if field in target)
