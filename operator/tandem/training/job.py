"""The Job of one run: steps are the pod's init containers in order, the last one its main container.

So steps share a volume and need no storage class. Only curated fields reach the pod, and it always satisfies Pod
Security ``restricted``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tandem.api import names
from tandem.api.children import Job
from tandem.api.containers import Resources
from tandem.api.facts import TrackedRun
from tandem.api.meta import Json, controller_reference, to_json
from tandem.api.plan import Delete
from tandem.api.trainingjob import Step, TrainingJobSpec
from tandem.api.trainingjob_status import RunStatus
from tandem.training import allowance, environment, images, nodes
from tandem.training.case import Case
from tandem.training.inputs import (
    DIGEST,
    FETCH,
    REPRODUCTION,
    VALIDATE,
    WORKSPACE,
    checked,
    fetch_instruction,
    fetches,
    mounted,
    validate_instruction,
)
from tandem.training.pod import container, pod_spec
from tandem.training.triggers import format_trigger

SOURCE = f"{WORKSPACE}/src"
CHECKPOINT = "/checkpoint"
_CHECKPOINT_VOLUME = "checkpoint"


def job_name(case: Case, run: RunStatus) -> str:
    return f"{case.resource.metadata.name}-{run.number}"


def job_deletion(job: Job) -> Delete:
    """Deletes this Job and no other of its name."""
    meta = job.metadata
    return Delete("batch/v1", "Job", meta.namespace, meta.name, meta.uid)


def summed_up(spec: TrainingJobSpec) -> bool:
    """Whether a last container of Tandem's own takes the digest of the model."""
    return spec.model is not None and spec.reproduce_from is None


def steps_complete(job: Job) -> bool:
    """Whether a Job that has failed did all that was asked of it: only the digest of its model was not taken.

    The Job controller says so itself, also of a pod that is gone: ``Container digest for pod ml/iris-1-x failed …``. No
    step can have that name.
    """
    told = job.condition("Failed")
    return told is not None and told.reason == "PodFailurePolicy" and told.message.startswith(f"Container {DIGEST} for")


def needed(spec: TrainingJobSpec) -> tuple[str, ...]:
    """What a pod mounts of its namespace, each with its kind: it does not start without."""
    claim = spec.checkpoint.persistent_volume_claim.claim_name if spec.checkpoint else ""
    return (*(one.what for one in mounted(spec)), *([f"PersistentVolumeClaim {claim}"] if claim else []))


def job_manifest(case: Case, run: RunStatus, tracked: TrackedRun, baseline: Sequence[TrackedRun] = ()) -> Json:
    """``baseline``: the run whose data those of this one are compared with, if there is one."""
    meta, spec = case.resource.metadata, case.spec
    queue = {name: value for name, value in meta.labels.items() if name.startswith(names.KUEUE_PREFIX)}
    labels = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.TRAINING_JOB_LABEL: meta.name,
        names.RUN_LABEL: str(run.number),
    }
    job_spec: Json = {
        **nodes.job_spec(spec),
        "podFailurePolicy": {"rules": _failure_rules(case)},
        "template": {
            # What `kubectl logs` shows unasked: the last step, whatever runs after it.
            "metadata": {"labels": labels, "annotations": {names.DEFAULT_CONTAINER_ANNOTATION: spec.steps[-1].name}},
            "spec": _pod_spec(case, run, tracked, baseline),
        },
    }
    if names.QUEUE_LABEL in queue:
        job_spec["suspend"] = True  # Kueue lets it go when there is quota; without this a Kueue that is down would not
    if spec.active_deadline_seconds is not None:
        job_spec["activeDeadlineSeconds"] = spec.active_deadline_seconds
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(case, run),
            "namespace": meta.namespace,
            "labels": queue | labels,
            "annotations": {
                names.SPEC_DIGEST_ANNOTATION: run.spec_digest,
                names.TRIGGER_ANNOTATION: format_trigger(run.trigger),
                names.MLFLOW_RUN_ANNOTATION: tracked.run_id,
            },
            "ownerReferences": [controller_reference(names.API_VERSION, names.TRAINING_JOB, meta)],
        },
        "spec": job_spec,
    }


def _failure_rules(case: Case) -> list[Json]:
    rules: list[Json] = []
    if summed_up(case.spec) and not nodes.several(case.spec):
        # It comes after every step, so the run has trained: another pod would do so again. Before the next rule, for
        # the cluster may take the pod away meanwhile (:func:`steps_complete`).
        codes: Json = {"containerName": DIGEST, "operator": "NotIn", "values": [0]}
        rules.append({"action": "FailJob", "onExitCodes": codes})
    # A pod that the cluster took away (drained, preempted, evicted) is no fault of the code: it does not count.
    rules.append({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]})
    if fetches(case.spec):
        # Another try changes neither an instruction nor what a digest pins.
        codes = {"containerName": FETCH, "operator": "In", "values": [2, 3]}
        rules.append({"action": "FailJob", "onExitCodes": codes})
    if checked(case.spec):
        # The same data would break the same rule again.
        codes = {"containerName": VALIDATE, "operator": "In", "values": [2, 10]}
        rules.append({"action": "FailJob", "onExitCodes": codes})
    if case.spec.reproduce_from is not None:
        # It has tried for minutes; another attempt would train again for a comparison.
        codes = {"containerName": REPRODUCTION, "operator": "In", "values": [2, 9]}
        rules.append({"action": "FailJob", "onExitCodes": codes})
    return rules


def _pod_spec(case: Case, run: RunStatus, tracked: TrackedRun, baseline: Sequence[TrackedRun]) -> Json:
    spec = case.spec
    volumes: list[Json] = [{"name": "workspace", "emptyDir": {}}]
    volumes += [one.volume for one in mounted(spec)]
    before = _before(case, tracked, baseline)
    if spec.checkpoint is not None:
        claim = {"claimName": spec.checkpoint.persistent_volume_claim.claim_name}
        volumes.append({"name": _CHECKPOINT_VOLUME, "persistentVolumeClaim": claim})
    steps = [*before, *(_step(case, run, tracked, step) for step in spec.steps)]
    if spec.reproduce_from is not None:
        steps.append(_comparison(case, tracked, spec.reproduce_from))
    elif summed_up(spec):
        steps.append(_digest(case, tracked))
    return pod_spec(steps[:-1], steps[-1], volumes, {**_placement(spec), **nodes.pod_spec(case)})


def _before(case: Case, tracked: TrackedRun, baseline: Sequence[TrackedRun]) -> list[Json]:
    """The containers before the user's own steps."""
    spec = case.spec
    ours = (fetches(spec), checked(spec), spec.reproduce_from is not None or summed_up(spec))
    containers = len(spec.steps) + sum(map(bool, ours))
    fetch = [_fetch(case, tracked, containers)] if fetches(spec) else []
    return [*fetch, _validate(case, tracked, baseline, containers)] if checked(spec) else fetch


def _validate(case: Case, tracked: TrackedRun, baseline: Sequence[TrackedRun], containers: int) -> Json:
    """The container that checks the data: it has no credentials of any store."""
    other: Json | None = next(({"run": one.number, "mlflowRunId": one.run_id} for one in baseline), None)
    instruction = validate_instruction(case.spec, other, containers)
    return _container(
        VALIDATE,
        case.settings.runtime_image,
        ["python", "-m", "tandem.runtime.validate"],
        {"TANDEM_VALIDATE": instruction, **_run(case, tracked)},
        allowance.of_run(case.spec),
        [],
    )


def _fetch(case: Case, tracked: TrackedRun, containers: int) -> Json:
    """The first container: brings code and data, hashes every byte, and reports commit and digests."""
    digest = case.pins.source_digest if case.pins else ""
    return _container(
        FETCH,
        case.settings.runtime_image,
        ["python", "-m", "tandem.runtime.fetch"],
        {"TANDEM_FETCH": fetch_instruction(case.spec, containers, digest), **_run(case, tracked)},
        allowance.of_run(case.spec),
        [one.mount for one in mounted(case.spec)],
    )


def _comparison(case: Case, tracked: TrackedRun, original: str) -> Json:
    """The last container of a reproduction: it compares the two models, file by file."""
    return _container(
        REPRODUCTION,
        case.settings.runtime_image,
        ["python", "-m", "tandem.runtime.compare"],
        {"TANDEM_REPRODUCTION": json.dumps({"original": original}), **_run(case, tracked)},
        allowance.of_run(case.spec),
        [],
    )


def _digest(case: Case, tracked: TrackedRun) -> Json:
    """The last container of any other run whose model is registered: what its files are."""
    command = ["python", "-m", "tandem.runtime.digest"]
    # Half a minute. MLflow's client would try for four, and the end of a training does not wait so long for a digest.
    patience = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4"}
    env, resources = _run(case, tracked) | patience, allowance.of_run(case.spec)
    return _container(DIGEST, case.settings.runtime_image, command, env, resources, [])


def _run(case: Case, tracked: TrackedRun) -> dict[str, str]:
    return {
        "MLFLOW_TRACKING_URI": case.settings.mlflow_uri,
        "MLFLOW_RUN_ID": tracked.run_id,
        "MLFLOW_EXPERIMENT_ID": tracked.experiment_id,
    }


def _step(case: Case, run: RunStatus, tracked: TrackedRun, step: Step) -> Json:
    resources = environment.resources_of(case.spec, step)
    settings = environment.settings(resources, case.spec.num_proc_per_node)
    if case.pins:
        settings = dict(case.pins.environment.get(step.name, {}))
    env = {**settings, **case.spec.parameters, **_run(case, tracked)}
    image = images.written(case.spec, case.settings.runtime_image)[step.name]
    mounts: list[Json] = []
    if case.spec.checkpoint is not None:
        # A folder for each run: no run goes on from what another one, of another spec, has learned.
        folder = f"{case.resource.metadata.name}-{tracked.number}"
        mounts = [{"name": _CHECKPOINT_VOLUME, "mountPath": CHECKPOINT, "subPath": folder}]
        env["TANDEM_CHECKPOINT_DIR"] = CHECKPOINT
    made = _container(step.name, image, list(step.command), env, resources, mounts)
    made["env"] += nodes.variables(case, job_name(case, run))
    return {**made, "workingDir": SOURCE if case.spec.source is not None else WORKSPACE}


def _placement(spec: TrainingJobSpec) -> Json:
    """Where the pods may run, and before whom: what whoever creates pods in the namespace may say as well."""
    placement: Json = {}
    if spec.node_selector:
        placement["nodeSelector"] = spec.node_selector
    if spec.tolerations:
        placement["tolerations"] = [to_json(toleration) for toleration in spec.tolerations]
    if spec.priority_class_name is not None:
        placement["priorityClassName"] = spec.priority_class_name
    return placement


def _container(
    name: str, image: str, command: list[str], env: dict[str, str], resources: Resources, mounts: list[Json]
) -> Json:
    """A container of the run: it sees the workspace."""
    return container(name, image, command, env, resources, [{"name": "workspace", "mountPath": WORKSPACE}, *mounts])
