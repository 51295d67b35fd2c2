"""Step: the model that passed becomes a registered version, once per run, with what it was made from as tags."""

from __future__ import annotations

from dataclasses import replace

from tandem.api import names
from tandem.api.conditions import Failed, Outcome, Passed
from tandem.api.facts import LoggedModel, TrackedRun, Unavailable, VersionsFrom
from tandem.api.plan import RegisterVersion
from tandem.api.trainingjob import ModelTarget
from tandem.api.trainingjob_status import ModelStatus
from tandem.training.attempts import own
from tandem.training.case import Case, refused, unavailable
from tandem.training.findings import Findings
from tandem.training.gate import gate_tags, logged
from tandem.training.provenance import lineage_tags

REGISTERED = "Registered"


def register(case: Case, found: Findings, target: ModelTarget) -> tuple[Outcome | None, Findings]:
    recorded = case.recorded(REGISTERED, found.run)
    if recorded and found.model and found.model.name == target.name:
        return Passed(recorded.reason, recorded.message), found
    tracked = logged(case, found)
    if not isinstance(tracked, TrackedRun):
        return tracked, found
    versions = case.draft.read(VersionsFrom(target.name, found.run.mlflow_run_id))
    match versions:
        case None:
            return None, found
        case Unavailable():
            return unavailable(versions, "the version is registered when MLflow answers"), found
    model = _model_that_counts(own(found.run, tracked))
    if model is None:
        which = f"the last attempt of MLflow run {tracked.run_id}" if tracked.models else f"MLflow run {tracked.run_id}"
        advice = "end the script with mlflow.<flavor>.log_model(…, name=…)"
        return Failed("NoLoggedModel", f"{which} logged no model; {advice}"), found
    write = _registration(case, found, target, model, tracked)
    # The script may have registered versions itself (registered_model_name=…), of any model of the run, without a tag.
    version = next((version for version in versions if version.source == write.source), None)
    if version is not None and version.status == "READY" and write.tags.keys() <= version.tags.keys():
        found = replace(found, model=ModelStatus(name=target.name, version=version.version))
        return Passed("VersionRegistered", f"model {target.name} version {version.version}"), found
    refusal = case.draft.act(write)
    return (refused(refusal, f"model {target.name} could not be registered") if refusal else None), found


def _model_that_counts(tracked: TrackedRun) -> LoggedModel | None:
    """The last model that the run logged: autolog's own comes before the script's."""
    ready = [model for model in tracked.models if model.status == "READY"]
    return ready[-1] if ready else None


def _registration(
    case: Case, found: Findings, target: ModelTarget, model: LoggedModel, tracked: TrackedRun
) -> RegisterVersion:
    meta = case.resource.metadata
    digest = tracked.tags.get(f"{names.TAG_MODEL_DIGEST}.{model.model_id}", "")
    return RegisterVersion(
        namespace=meta.namespace,
        name=target.name,
        run_id=found.run.mlflow_run_id,
        model_id=model.model_id,
        tags={
            names.TAG_NAMESPACE: meta.namespace,
            names.TAG_RESOURCE: f"{meta.namespace}/{meta.name}",
            names.TAG_RESOURCE_UID: meta.uid,
            names.TAG_RUN: str(found.run.number),
            names.TAG_RUN_ID: found.run.mlflow_run_id,
            **gate_tags(found.gate),
            **lineage_tags(found),
            **({names.TAG_MODEL_DIGEST: digest} if digest else {}),
        },
    )
