"""How far a run has come, and whether it still moves.

What counts as progress is what a training says of itself anyway: a metric that was logged to MLflow, a step that
begins. Logs are not read (that needs a right on every pod of every namespace, and a stream for each), and a process
that lives, or its system metrics, prove nothing: a heartbeat went on for half an hour while 512 GPUs waited
(marin#7344). docs/design/progress.md says more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from tandem.api import names
from tandem.api.children import Job, Pod
from tandem.api.conditions import Outcome, Working
from tandem.api.facts import LoggedProgress, ProgressOf
from tandem.api.trainingjob_status import Progress, RunStatus
from tandem.training.case import Case, refused
from tandem.training.suspension import change


def with_progress(case: Case, run: RunStatus, pods: tuple[Pod, ...]) -> RunStatus:
    """The run with what MLflow was told, and when that, or the step, was seen to move last."""
    if not _at_work(case, run, pods):
        return run
    before = run.progress
    logged = case.draft.read(ProgressOf(run.mlflow_run_id, after=_deadline_passed(case, before)))
    if logged is None and _deadline_passed(case, before):
        logged = case.draft.read(ProgressOf(run.mlflow_run_id))
    if not isinstance(logged, LoggedProgress):
        logged = _known(before)
    told = Progress(percentage=logged.percentage, step=logged.step, last_metric_time=_seconds(logged.last_metric_at))
    stopped = before is not None and not _elsewhere(case, run) and told == _without_time(before)
    when = before.last_update_time if before and stopped else case.now.replace(microsecond=0)
    return msgspec.structs.replace(run, progress=msgspec.structs.replace(told, last_update_time=when))


def hung(case: Case, run: RunStatus, job: Job, pods: tuple[Pod, ...]) -> Outcome | None:
    """A run that has stood still for longer than the spec allows is ended: by its Job's own deadline.

    The cause is written on the Job in the same write, so that no crash comes between the two. Only an answer that was
    asked for after the deadline counts.
    """
    deadline, progress = case.spec.progress_deadline_seconds, run.progress
    told = job.metadata.annotations.get(names.HUNG_ANNOTATION)
    if told is not None:
        return Working("ProgressDeadlineExceeded", f"Job {job.metadata.name} is being stopped: {told}")
    if deadline is None or progress is None or progress.last_update_time is None or not _at_work(case, run, pods):
        return None
    passed = _deadline_passed(case, progress)
    if not passed:
        case.draft.requeue(progress.last_update_time + timedelta(seconds=deadline) - case.now)
        return None
    fresh = case.draft.read(ProgressOf(run.mlflow_run_id, after=passed))
    if not isinstance(fresh, LoggedProgress):
        return None
    message = (
        f"{run.step}: no progress for {deadline} s (spec.progressDeadlineSeconds): nothing was logged to MLflow and no "
        f"step began; {_last(progress)}"
    )
    spec = {"activeDeadlineSeconds": 1, "suspend": False}
    refusal = case.draft.act(change(job, spec, {names.HUNG_ANNOTATION: message}))
    if refusal:
        return refused(refusal, f"Job {job.metadata.name} hangs and could not be stopped")
    return Working("ProgressDeadlineExceeded", f"Job {job.metadata.name} is being stopped: {message}")


def _at_work(case: Case, run: RunStatus, pods: tuple[Pod, ...]) -> bool:
    """Whether one of the user's own steps runs: the container that fetches has nothing to tell MLflow."""
    own = {step.name for step in case.spec.steps}
    return bool(pods and run.mlflow_run_id) and any(c.state.running and c.name in own for c in pods[-1].containers)


def _elsewhere(case: Case, run: RunStatus) -> bool:
    """Another step, or another attempt at it, than the status tells."""
    stored = case.status.run
    if stored is None or stored.number != run.number:
        return True
    return (stored.step, stored.attempts, stored.disruptions) != (run.step, run.attempts, run.disruptions)


def _deadline_passed(case: Case, progress: Progress | None) -> str:
    """Names the deadline that has passed; '' when none has."""
    deadline = case.spec.progress_deadline_seconds
    if deadline is None or progress is None or progress.last_update_time is None:
        return ""
    end = progress.last_update_time + timedelta(seconds=deadline)
    return f"{end:%Y-%m-%dT%H:%M:%SZ}" if end <= case.now else ""


def _known(before: Progress | None) -> LoggedProgress:
    return LoggedProgress(before.percentage, before.step, before.last_metric_time) if before else LoggedProgress()


def _without_time(progress: Progress) -> Progress:
    return msgspec.structs.replace(progress, last_update_time=None)


def _seconds(moment: datetime | None) -> datetime | None:
    return moment.replace(microsecond=0) if moment else None


def _last(progress: Progress) -> str:
    told = [f"step {progress.step}"] if progress.step is not None else []
    told += [f"{progress.percentage} %"] if progress.percentage is not None else []
    return f"the last it logged: {', '.join(told)}" if told else "it has logged no metric at all"
