"""Step: one Job trains the run; followed from its pods until it is complete or has failed.

A run that was recorded as trained never trains again, whatever became of its Job, its pods or a watch event
(argo-workflows#13986, trainer#3737).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec

from tandem.api import names
from tandem.api.children import Job, Pod
from tandem.api.conditions import Failed, Outcome, Passed, Working
from tandem.api.facts import TrackedRun, Unavailable
from tandem.api.plan import Create, EndRun
from tandem.api.trainingjob_status import Failure, RunStatus
from tandem.training import attempts, images, nodes, quality, ranks
from tandem.training.case import FINAL, TRAINED, Case, refused, unavailable
from tandem.training.disruptions import too_many, with_disruption
from tandem.training.failure import Obstacle, blocked, explain, failure_of
from tandem.training.findings import Findings
from tandem.training.inputs import CHECKS_LIMIT, DIGEST, REPRODUCTION, too_large
from tandem.training.job import job_manifest, job_name, needed, steps_complete
from tandem.training.progress import hung, with_progress
from tandem.training.provenance import with_provenance
from tandem.training.ranks import ENDED
from tandem.training.reproduction import pinned
from tandem.training.run import jobs_of
from tandem.training.suspension import suspended
from tandem.training.track import tracked_run

# An image that cannot be pulled may be a registry's hiccup: for so long it is progress, after that it needs a person.
BLOCKED_GRACE = timedelta(seconds=60)
# By so much one watch may be behind another.
WATCHES_DIFFER = timedelta(seconds=10)
CAUSED_BY_PODS = frozenset({"BackoffLimitExceeded", "PodFailurePolicy"})


def train(case: Case, found: Findings) -> tuple[Outcome | None, Findings]:
    run = found.run
    recorded = case.recorded(TRAINED, run)
    if recorded:
        return Passed(recorded.reason, recorded.message), found
    job = next(iter(jobs_of(case, run)), None)
    if job is None:
        return _lost(case, found) if run.job_name or _has_run(found) else _create(case, found)
    pods, taken = _pods_of(case, job)
    several = nodes.several(case.spec)
    pods = ranks.in_order(run, job, pods) if several else pods
    counted = job.status.failed + job.status.active + job.status.succeeded
    run = msgspec.structs.replace(
        run,
        job_name=job.metadata.name,
        start_time=run.start_time or job.metadata.creation_timestamp,
        attempts=nodes.attempts_of(job, run) if several else max(run.attempts, counted),
    )
    run = _with_step(run, pods)
    run = attempts.with_start(case, with_disruption(run, taken), job, pods)
    found = with_provenance(replace(found, run=run), images.written(case.spec, case.settings.runtime_image), pods)
    if job.ended:
        return _ended(case, found, job, pods)
    if job.spec.suspend:
        return (nodes.begin_again(case, job, pods) if several else None) or suspended(case, job), found
    if several:
        lost, run = nodes.hold_together(case, found.run, job, pods, taken)
        found = replace(found, run=run)
        if lost:
            return lost, found
    found = replace(found, run=with_progress(case, found.run, pods))
    ending = too_many(case, found.run, job) or hung(case, found.run, job, pods)
    return ending or _going_on(case, found, job, pods), found


def _ended(case: Case, found: Findings, job: Job, pods: tuple[Pod, ...]) -> tuple[Outcome | None, Findings]:
    several, name = nodes.several(case.spec), job.metadata.name
    if _last_pod_is_on_its_way(case, job, pods):
        return _at_work(found.run), found
    if job.condition("Complete"):
        other = ranks.difference(ranks.present(found.run, job, pods)) if several else ""
        if other:
            return _failed(case, found, Failure(class_="Data", reason=nodes.DIFFER, message=other))
        return Passed("JobComplete", f"Job {name} completed"), found
    if steps_complete(job) or nodes.steps_complete(job):
        told = f"every step of Job {name} succeeded; its last container, {DIGEST}, was interrupted"
        return Passed("StepsComplete", told), found
    return _failed(case, found, failure_of(job, ranks.causes_last(found.run, job, pods) if several else pods))


def _last_pod_is_on_its_way(case: Case, job: Job, pods: tuple[Pod, ...]) -> bool:
    """The Job controller tells of an end when the last pod has ended; but two watches keep no order between them.

    So for a moment the last pod may seem to go on, or not to be there yet; and it alone knows the image's digest and
    when the run began, or which step failed and how. Where clocks differ by more than that moment, or a node never
    tells, that is not recorded.
    """
    complete = job.condition("Complete")
    told = complete or job.condition("Failed")
    if told is None or told.last_transition_time is None:
        return False
    waited = abs(case.now - told.last_transition_time)
    unseen = _success_unseen(pods) if complete else _cause_unseen(case, told.reason, pods)
    if waited >= WATCHES_DIFFER or not unseen:
        return False
    case.draft.requeue(WATCHES_DIFFER - waited)
    return True


def _success_unseen(pods: tuple[Pod, ...]) -> bool:
    return all(pod.status.phase != "Succeeded" for pod in pods)


def _cause_unseen(case: Case, reason: str, pods: tuple[Pod, ...]) -> bool:
    """A Job that fails takes away the pods that go on: where none is there, none is expected."""
    if reason not in CAUSED_BY_PODS or nodes.several(case.spec):
        return False
    return bool(pods) and pods[-1].status.phase not in ENDED


def _create(case: Case, found: Findings) -> tuple[Outcome | None, Findings]:
    run = found.run
    if found.tracked is None:
        return None, found
    if size := too_large(case.spec):
        told = f"spec.data[].checks have {size} bytes together, {CHECKS_LIMIT} can be handed to a pod: declare less"
        return Failed("InvalidSpec", told, final=False), found
    baseline = quality.baseline(case, run)
    if baseline is None:
        return None, found
    if isinstance(baseline, Unavailable):
        return unavailable(
            baseline, "the Job starts when it is known with which run's data its own are compared"
        ), found
    if case.spec.reproduce_from is not None:
        if found.original is None:
            return None, found
        case = pinned(case, found.original)
    if nodes.several(case.spec):
        refusal = case.draft.act(nodes.service(case))
        if refusal:
            return refused(
                refusal, f"the Service that names the nodes of Job {job_name(case, run)} is not there"
            ), found
    # A run that was there before may have had a Job that a person has deleted since, whatever an older view tells.
    refusal = case.draft.act(Create(job_manifest(case, run, found.tracked, baseline), fenced=not found.tracked.made))
    if refusal:
        return refused(refusal, f"Job {job_name(case, run)} could not be created"), found
    started = case.now.replace(microsecond=0)
    run = msgspec.structs.replace(run, job_name=job_name(case, run), start_time=started, attempts=1)
    return _at_work(run), replace(found, run=run)


def _has_run(found: Findings) -> bool:
    """Whether MLflow tells that something ran in this run already: its Job and our own record of it were lost."""
    tracked = found.tracked
    return tracked is not None and (tracked.status != "RUNNING" or names.TAG_TRAINED in tracked.tags)


def _lost(case: Case, found: Findings) -> tuple[Outcome | None, Findings]:
    """The Job is gone before its end was seen: MLflow may still know how the script ended."""
    name = found.run.job_name or job_name(case, found.run)
    case.draft.without(name)
    if found.failure is not None:
        return _failed(case, found, found.failure)
    run = msgspec.structs.replace(found.run, job_name=name)
    found = replace(found, run=run)
    tracked = tracked_run(case, run, "lost")
    if tracked is None:
        return None, found
    if isinstance(tracked, Unavailable):
        return unavailable(tracked, f"Job {run.job_name} is gone; whether it had finished is not known"), found
    if names.TAG_TRAINED in tracked.tags or (tracked.status == "FINISHED" and _by_last_step(case, run, tracked)):
        return Passed("RunFinished", f"MLflow run {tracked.run_id} finished; its Job is gone"), found
    advice = "change the spec or set the annotation tandem.dev/requestedAt for another run"
    if tracked.status in {"FAILED", "KILLED"}:
        message = f"MLflow run {tracked.run_id} is {tracked.status} and its Job is gone; {advice}"
        return _failed(case, found, Failure(class_="Job", reason="RunFailed", message=message))
    told = f"Job {run.job_name} was deleted before its last attempt was known to have finished"
    message = f"{told}; it is not started again by itself: {advice}"
    return _failed(case, found, Failure(class_="JobDeleted", reason="JobDeleted", message=message))


def _by_last_step(case: Case, run: RunStatus, tracked: TrackedRun) -> bool:
    """Whether it was the last step, in the attempt that was seen last, that ended the MLflow run.

    Every step ends it and the next one opens it again, every attempt too; and a script that fails may leave it
    FINISHED: MLflow does so at the exit of a process, whatever its code. Both times are of one node; the start has no
    fractions.
    """
    if run.step not in {case.spec.steps[-1].name, REPRODUCTION} or not attempts.ended_by_it(run, tracked):
        return False
    began, ended = run.step_start_time, tracked.ended_at
    return began is None or run.step == REPRODUCTION or (ended is not None and ended >= began + timedelta(seconds=1))


def _failed(case: Case, found: Findings, failure: Failure) -> tuple[Outcome | None, Findings]:
    """Tell the failure at once; the run has ended when the MLflow run that its script left open is closed too."""
    found = replace(found, failure=failure)
    tracked = tracked_run(case, found.run, "failed")
    if tracked is None or isinstance(tracked, Unavailable):
        found = replace(found, open_ends=True)
    elif tracked.status == "RUNNING":
        refusal = case.draft.act(EndRun(tracked.run_id, "FAILED"))
        found = replace(found, open_ends=refusal is None or refusal.reason not in FINAL)
    return Failed(failure.reason, explain(failure, found.run)), found


def _going_on(case: Case, found: Findings, job: Job, pods: tuple[Pod, ...]) -> Outcome:
    obstacle = _obstacle(case, found.run, job, pods)
    if obstacle is None:
        return _at_work(found.run)
    waited = case.now - (obstacle.since or case.now)
    if waited >= BLOCKED_GRACE:
        return Failed(obstacle.reason, obstacle.message, final=False)
    case.draft.requeue(BLOCKED_GRACE - waited)
    return _at_work(found.run) if obstacle.usual else Working(obstacle.reason, obstacle.message)


def _obstacle(case: Case, run: RunStatus, job: Job, pods: tuple[Pod, ...]) -> Obstacle | None:
    mounted = needed(case.spec)
    if not nodes.several(case.spec):
        return blocked(job, pods, mounted)
    mine = ranks.present(run, job, pods)
    stopped = (blocked(job, (pod,), mounted) for pod in reversed(mine))
    return next((one for one in stopped if one), None) or nodes.missing(case.spec, job, mine)


def _at_work(run: RunStatus) -> Outcome:
    attempt = f", attempt {run.attempts}" if run.attempts > 1 else ""
    step = f"step {run.step}" if run.step else "its pod starts"
    return Working("JobRunning", f"Job {run.job_name}: {step}{attempt}")


def _pods_of(case: Case, job: Job) -> tuple[tuple[Pod, ...], tuple[Pod, ...]]:
    """Those that are there, and those that the cluster takes or took away; oldest first."""
    mine = [pod for pod in case.observed.children.pods if _controlled_by(pod, job)]
    mine.sort(key=lambda pod: (pod.metadata.creation_timestamp or case.now, pod.metadata.name))
    return tuple(pod for pod in mine if not pod.departed), tuple(pod for pod in mine if pod.disruption)


def _controlled_by(pod: Pod, job: Job) -> bool:
    controller = pod.metadata.controller
    return controller is not None and controller.uid == job.metadata.uid


def _with_step(run: RunStatus, pods: tuple[Pod, ...]) -> RunStatus:
    """The run with the container that runs now, or the last one that has run, and since when.

    That which sums up the model is no step of anybody.
    """
    told = [(c.name, c.state.running or c.state.terminated) for c in (pods[-1].containers if pods else ())]
    started = [(name, state.started_at) for name, state in told if state is not None and name != DIGEST]
    if not started:
        return run
    step, since = started[-1]
    return msgspec.structs.replace(run, step=step, step_start_time=since)
