"""The Job of one run: steps are the pod's init containers in order, the last step its main container.

So steps share a volume and need no storage class. Only curated fields reach the pod, and it always satisfies Pod
Security ``restricted``.
"""

from __future__ import annotations

import json

from tandem.api import names
from tandem.api.children import Job
from tandem.api.containers import Resources
from tandem.api.facts import TrackedRun
from tandem.api.meta import Json, controller_reference
from tandem.api.plan import Delete
from tandem.api.trainingjob import RunStatus, Step
from tandem.training.case import Case
from tandem.training.triggers import format_trigger

FETCH = "fetch"
WORKSPACE = "/workspace"
SOURCE = f"{WORKSPACE}/src"
_MOUNTED_SOURCE = "/tandem/source"
_USER = 65532  # the image's own non-root user; any other image runs as it too

_DEFAULT_REQUESTS: dict[str, str | int] = {"cpu": "100m", "memory": "256Mi"}


def job_name(case: Case, run: RunStatus) -> str:
    return f"{case.resource.metadata.name}-{run.number}"


def job_deletion(job: Job) -> Delete:
    """Deletes this Job and no other of its name."""
    meta = job.metadata
    return Delete("batch/v1", "Job", meta.namespace, meta.name, meta.uid)


def job_manifest(case: Case, run: RunStatus, tracked: TrackedRun) -> Json:
    meta, spec = case.resource.metadata, case.spec
    labels = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.TRAINING_JOB_LABEL: meta.name,
        names.RUN_LABEL: str(run.number),
    }
    job_spec: Json = {
        "backoffLimit": spec.backoff_limit,
        "podFailurePolicy": {"rules": _failure_rules(case)},
        "template": {"metadata": {"labels": labels}, "spec": _pod_spec(case, tracked)},
    }
    if spec.active_deadline_seconds is not None:
        job_spec["activeDeadlineSeconds"] = spec.active_deadline_seconds
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(case, run),
            "namespace": meta.namespace,
            "labels": labels,
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
    # A pod that the cluster took away (drained, preempted, evicted) is no fault of the code: it does not count.
    rules: list[Json] = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    if _fetches(case):
        # Another try changes neither an instruction nor what a digest pins.
        codes = {"containerName": FETCH, "operator": "In", "values": [2, 3]}
        rules.append({"action": "FailJob", "onExitCodes": codes})
    return rules


def _fetches(case: Case) -> bool:
    return case.spec.source is not None or bool(case.spec.data)


def _pod_spec(case: Case, tracked: TrackedRun) -> Json:
    spec = case.spec
    volumes: list[Json] = [{"name": "workspace", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    if spec.source is not None and spec.source.config_map_ref is not None:
        volumes.append({"name": "source", "configMap": {"name": spec.source.config_map_ref.name}})
    fetch = [_fetch(case)] if _fetches(case) else []
    steps = [_step(case, tracked, step) for step in spec.steps]
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [*fetch, *steps[:-1]],
        "containers": [steps[-1]],
        "volumes": volumes,
    }


def _fetch(case: Case) -> Json:
    """The first container: brings code and data, hashes every byte, and reports commit and digests."""
    spec = case.spec
    git = spec.source.git if spec.source else None
    from_config_map = spec.source is not None and spec.source.config_map_ref is not None
    instruction: Json = {
        "git": {"url": git.url, "ref": git.ref, "path": git.path} if git else None,
        "files": _MOUNTED_SOURCE if from_config_map else None,
        "data": [{"name": d.name, "storageUri": d.storage_uri, "digest": d.digest} for d in spec.data],
        "workspace": WORKSPACE,
    }
    mounts: list[Json] = [{"name": "source", "mountPath": _MOUNTED_SOURCE, "readOnly": True}] if from_config_map else []
    return _container(
        FETCH,
        case.settings.runtime_image,
        ["python", "-m", "tandem.runtime.fetch"],
        {"TANDEM_FETCH": json.dumps(instruction, sort_keys=True)},
        Resources(),
        mounts,
    )


def _step(case: Case, tracked: TrackedRun, step: Step) -> Json:
    env = {
        **case.spec.parameters,
        "MLFLOW_TRACKING_URI": case.settings.mlflow_uri,
        "MLFLOW_RUN_ID": tracked.run_id,
        "MLFLOW_EXPERIMENT_ID": tracked.experiment_id,
    }
    image = step.image or case.spec.image or case.settings.runtime_image
    container = _container(step.name, image, list(step.command), env, step.resources, [])
    container["workingDir"] = SOURCE if case.spec.source is not None else WORKSPACE
    return container


def _container(
    name: str, image: str, command: list[str], env: dict[str, str], resources: Resources, mounts: list[Json]
) -> Json:
    return {
        "name": name,
        "image": image,
        "command": command,
        # The root file system is read-only and the user has no home: libraries cache under /tmp. A dollar is doubled
        # because the kubelet expands $(NAME): what a script gets is what MLflow has on record.
        "env": [{"name": key, "value": value.replace("$", "$$")} for key, value in (env | {"HOME": "/tmp"}).items()],
        "resources": {
            # A limit below our default request is the request: else the Job would be refused.
            "requests": {**_DEFAULT_REQUESTS, **resources.limits, **resources.requests},
            **({"limits": resources.limits} if resources.limits else {}),
        },
        # The last lines of the log become the container's message: a failure is explained without a right to read logs.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "workspace", "mountPath": WORKSPACE},
            {"name": "tmp", "mountPath": "/tmp"},
            *mounts,
        ],
    }
