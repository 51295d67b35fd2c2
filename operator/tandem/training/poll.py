"""The polling Job: a small pod that asks the stores for the versions of the data, with the run's own credentials.

Never the operator: it has no credentials, and must not reach tenants' addresses. There is one Job, ``NAME-poll``, which
is deleted when its report was written down: so two never run at once, and no run's Job has such a name (``NAME-7``),
also not that of another TrainingJob.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec

from tandem.api import names
from tandem.api.children import Job, Pod
from tandem.api.meta import Json, controller_reference, to_json
from tandem.api.plan import Create, Delete, Refusal
from tandem.training import allowance
from tandem.training.case import Case
from tandem.training.inputs import POLL, poll_instruction, poll_mounts, polled
from tandem.training.pod import container, pod_spec

# A store that does not answer keeps its pod for a minute or two; sixteen of them are asked four at a time.
_DEADLINE: Final = 600
# A pod's last word may come after that of its Job; for so long it is waited for.
_LATE: Final = timedelta(seconds=60)


class PolledSet(msgspec.Struct, frozen=True):
    """What one data set's store said; ``code``: as the container that fetches would have ended."""

    name: Annotated[str, msgspec.Meta(max_length=63)]
    version: Annotated[str, msgspec.Meta(max_length=128)] = ""
    code: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    message: Annotated[str, msgspec.Meta(max_length=1024)] = ""


class PollReport(msgspec.Struct, frozen=True):
    data: Annotated[tuple[PolledSet, ...], msgspec.Meta(max_length=16)]


@dataclass(frozen=True, slots=True)
class Ended:
    """A poll has ended; without a report its pod failed, and ``message`` says how."""

    at: datetime
    report: PollReport | None
    message: str = ""


def polls(case: Case) -> bool:
    """Whether data are polled now: between runs, where something could change."""
    wanted = case.spec.retrain.on_data_change is not None and not case.spec.suspend
    return wanted and bool(polled(case.spec))


def ask(case: Case) -> Refusal | None:
    """Plan the Job that asks now, unless there is one."""
    return None if job_of(case) else case.draft.act(creation(case))


def creation(case: Case) -> Create:
    return Create(_manifest(case))


def sweep(case: Case, read_until: datetime | None) -> None:
    """Plan the removal of a Job that was written down up to here, or that nobody waits for (None)."""
    job = job_of(case)
    if job is None or job.metadata.deletion_timestamp is not None:
        return
    made = job.metadata.creation_timestamp
    if read_until is None or (made is not None and made <= read_until):
        meta = job.metadata
        case.draft.act(Delete("batch/v1", "Job", meta.namespace, meta.name, meta.uid))


def job_of(case: Case) -> Job | None:
    """By its name, which nobody can change; it is ours by its controller's uid."""
    return next((job for job in case.observed.children.jobs if job.metadata.name == _name(case)), None)


def ended(case: Case, read_until: datetime | None) -> Ended | None:
    """What a Job told that was not written down yet."""
    job = job_of(case)
    made = job.metadata.creation_timestamp if job else None
    if job is None or made is None or not job.ended or (read_until is not None and made <= read_until):
        return None
    pods = pods_of(case, job)
    report = next((found for pod in reversed(pods) if (found := _report(pod))), None)
    if report is not None:
        return Ended(made, report)
    failed = job.condition("Failed")
    if failed is not None:
        last = next((c.state.terminated for pod in reversed(pods) for c in pod.containers if c.state.terminated), None)
        said = last.message.strip().splitlines()[-1] if last and last.message.strip() else failed.message
        return Ended(made, None, said or failed.reason)
    left = (job.status.completion_time or made) + _LATE - case.now
    if left > timedelta(0):
        case.draft.requeue(left)
        return None
    return Ended(made, None, "its pod is gone, and with it what it had to tell")


def pods_of(case: Case, job: Job) -> tuple[Pod, ...]:
    mine = [
        pod
        for pod in case.observed.children.pods
        if not pod.departed and pod.metadata.controller and pod.metadata.controller.uid == job.metadata.uid
    ]
    return tuple(sorted(mine, key=lambda pod: pod.metadata.creation_timestamp or case.now))


def _report(pod: Pod) -> PollReport | None:
    """Read strictly: it comes from inside a pod."""
    terminated = next((c.state.terminated for c in pod.containers if c.name == POLL), None)
    if terminated is None or terminated.exit_code != 0:
        return None
    try:
        return msgspec.json.decode(terminated.message, type=PollReport)
    except msgspec.DecodeError:
        return None


def _name(case: Case) -> str:
    return f"{case.resource.metadata.name}-{POLL}"


def _manifest(case: Case) -> Json:
    meta, spec = case.resource.metadata, case.spec
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TRAINING_JOB_LABEL: meta.name}
    mounted = poll_mounts(spec)
    asks = container(
        POLL,
        case.settings.runtime_image,
        ["python", "-m", "tandem.runtime.poll"],
        {"TANDEM_POLL": poll_instruction(spec)},
        allowance.of_poll(spec),
        [one.mount for one in mounted],
    )
    # Tolerations let it run where the steps run; nodeSelector could wake a node with a GPU for a question.
    tolerations = [to_json(toleration) for toleration in spec.tolerations]
    placement: Json = {"tolerations": tolerations} if tolerations else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": _name(case),
            "namespace": meta.namespace,
            "labels": labels,
            "ownerReferences": [controller_reference(names.API_VERSION, names.TRAINING_JOB, meta)],
        },
        "spec": {
            # What failed is asked again at the next interval, not before.
            "backoffLimit": 0,
            "activeDeadlineSeconds": _DEADLINE,
            "template": {
                "metadata": {"labels": labels},
                "spec": pod_spec([], asks, [one.volume for one in mounted], placement),
            },
        },
    }
