"""What guards the pods of an app from the cluster around it: a PodDisruptionBudget and a NetworkPolicy.

Both are there unless ``spec.safeDefaults`` turns them off, and neither may ever be what hurts: the budget is only
there when there is a pod to spare, and lets pods go that do not work anyway; the policy opens the port that the app
declares to everybody, and leaves what the app itself asks for alone.
"""

from __future__ import annotations

from typing import Final

from tandem.api import names
from tandem.api.children import NetworkPolicy, PodDisruptionBudget
from tandem.api.conditions import Outcome, Passed
from tandem.api.meta import Json, ObjectMeta
from tandem.api.plan import Apply, Create, Delete, Refusal
from tandem.apps.case import Case, refused
from tandem.apps.manifest import PORT_NAME, is_applied, marked, metadata, selector

PROTECTED: Final = "Protected"


def guard_network(case: Case) -> Refusal | None:
    """Before any pod: none is ever there without it."""
    name, wanted = case.app.metadata.name, case.spec.safe_defaults.network_policy
    there = _named(name, case.observed.children.network_policies)
    if not wanted:
        return _remove(case, "networking.k8s.io/v1", "NetworkPolicy", there)
    return _keep(case, _network_policy(case), there)


def guard_from_drains(case: Case) -> Refusal | None:
    """After the traffic has moved: the budget is of the revision that serves."""
    name, serving = case.app.metadata.name, case.fleet.serving
    there = _named(name, case.observed.children.budgets)
    if not _has_budget(case):
        return _remove(case, "policy/v1", "PodDisruptionBudget", there)
    if serving is None:  # or it is not seen yet, and its pods are guarded meanwhile
        return None
    return _keep(case, _budget(case, serving), there)


def protected(case: Case, network: Refusal | None, drains: Refusal | None) -> Outcome | None:
    """None where both are turned off, and nothing is left of them."""
    if network is not None:
        return refused(network, "the NetworkPolicy cannot be kept as the spec asks for")
    if drains is not None:
        return refused(drains, "the PodDisruptionBudget cannot be kept as the spec asks for")
    defaults, there = case.spec.safe_defaults, []
    if defaults.network_policy:
        there.append(f"a NetworkPolicy lets traffic in to port {case.spec.port} alone")
    if defaults.pod_disruption_budget:
        there.append(_budget_told(case))
    return Passed("Protected", "; ".join(there)) if there else None


def _budget_told(case: Case) -> str:
    if not _has_budget(case):
        return "a PodDisruptionBudget comes with a second replica (one of a single pod would block every drain)"
    if case.fleet.serving is None:
        return "a PodDisruptionBudget comes when a revision serves"
    return "a PodDisruptionBudget lets a drain take a quarter of the pods at a time"


def _has_budget(case: Case) -> bool:
    """Of a single pod none may ever be missing: a drain of its node would wait for ever."""
    return case.spec.safe_defaults.pod_disruption_budget and case.spec.replicas > 1


def _budget(case: Case, serving: int) -> Json:
    return marked(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata(case, case.app.metadata.name),
            "spec": {
                # The revision that serves, alone: pods of one that does not come up would count as missing ones.
                "selector": {"matchLabels": selector(case, serving)},
                "maxUnavailable": "25%",  # rounded up: there is always one that may go
                # A pod that is not ready serves nobody, and must not hold a node back either.
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        }
    )


def _network_policy(case: Case) -> Json:
    """All revisions, by the name of the port: its number is each revision's own."""
    meta = case.app.metadata
    return marked(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(case, meta.name),
            "spec": {
                "podSelector": {"matchLabels": {names.APP_LABEL: meta.name}},
                "policyTypes": ["Ingress"],
                "ingress": [{"ports": [{"port": PORT_NAME, "protocol": "TCP"}]}],
            },
        }
    )


def _keep(case: Case, manifest: Json, there: PodDisruptionBudget | NetworkPolicy | None) -> Refusal | None:
    if there is None:
        return case.draft.act(Create(manifest))
    return None if is_applied(manifest, there.metadata) else case.draft.act(Apply(manifest))


def _remove(
    case: Case, api_version: str, kind: str, there: PodDisruptionBudget | NetworkPolicy | None
) -> Refusal | None:
    if there is None:
        return None
    meta: ObjectMeta = there.metadata
    return case.draft.act(Delete(api_version, kind, meta.namespace, meta.name, meta.uid))


def _named(
    name: str, of: tuple[PodDisruptionBudget, ...] | tuple[NetworkPolicy, ...]
) -> PodDisruptionBudget | NetworkPolicy | None:
    return next((one for one in of if one.metadata.name == name and one.metadata.deletion_timestamp is None), None)
