"""What may be there at the end, counted over everything that ever was."""

from __future__ import annotations

from collections import Counter

from cluster.audit import AuditLog
from demo.kubectl import Kubectl, is_true
from demo.mlflow import Mlflow
from demo.setup import Site
from tests.e2e.diary import Diary, in_phase, in_words


def runs_in_mlflow(mlflow: Mlflow, experiment: str) -> list[str]:
    found = mlflow("experiments/get-by-name", experiment_name=experiment)["experiment"]["experiment_id"]
    return [run["info"]["status"] for run in mlflow.post("runs/search", {"experiment_ids": [found]}).get("runs", ())]


def versions(mlflow: Mlflow, model: str) -> list[str]:
    found = mlflow("model-versions/search", filter=f"name = '{model}'", max_results="10").get("model_versions", ())
    return sorted(version["version"] for version in found)


def ever_failed(diary: Diary, *targets: str) -> list[str]:
    seen = [version for target in targets for version in diary.versions(target)]
    return [in_words(v) for v in seen if is_true(v, "Failed") or is_true(v, "Stalled") or in_phase("Failed")(v)]


def events_of(kubectl: Kubectl, kind: str, name: str) -> Counter[str]:
    told = f"involvedObject.kind={kind},involvedObject.name={name}"
    return Counter(event["reason"] for event in kubectl.json("get", "events", f"--field-selector={told}")["items"])


def trained_once(kubectl: Kubectl, mlflow: Mlflow, diary: Diary, models: dict[str, str]) -> None:
    """``models``: TrainingJob → registered model. Each has run once, whatever happened meanwhile."""
    assert Counter(diary.made("jobs").values()) == Counter(f"{name}-1" for name in models)
    for name, model in models.items():
        status = kubectl.get(f"trainingjobs/{name}")["status"]
        assert (status["run"]["number"], status["run"]["attempts"]) == (1, 1), name
        assert runs_in_mlflow(mlflow, f"{kubectl.namespace}/{name}") == ["FINISHED"], name
        assert versions(mlflow, model) == ["1"], name
        assert mlflow.aliases(model).get("challenger") == "1", name
        told = ("JobComplete", "ThresholdsMet", "VersionRegistered", "AliasMoved", "RunComplete")
        assert not events_of(kubectl, "TrainingJob", name) - Counter(told), f"{name}: an Event was told twice"
    assert ever_failed(diary, *(f"trainingjobs/{name}" for name in models)) == []


def writes_of(site: Site, mark: AuditLog | None, account: str, namespace: str) -> Counter[tuple[str, str]]:
    """What the account wrote there since the mark; nothing is known of a cluster that keeps no audit log (kind)."""
    if mark is None:
        return Counter()
    user = f"system:serviceaccount:tandem-system:{account}"
    found = mark.requests(user=user, namespace=namespace, writes=True)
    return Counter((request.verb, request.resource) for request in found)


def audit(site: Site) -> AuditLog | None:
    path = getattr(site.cluster, "audit_log", None)
    return AuditLog(path).mark() if path else None


def resource_versions(kubectl: Kubectl) -> dict[str, str]:
    everything = kubectl.json("get", "trainingjobs,appdeployments,jobs,deployments,services,events")["items"]
    return {f"{o['kind']}/{o['metadata']['name']}": o["metadata"]["resourceVersion"] for o in everything}
