"""A cluster and an MLflow small enough to be values: they carry out what a plan says, and show what a plan may see.

It behaves like the real parts in what the plan depends on: a question is answered only after it was asked; an answer
grows stale until a write of our own asks again (models by name are polled); MLflow lists the models of a run that has
ended; a Job that is deleted goes on existing for a moment; a status is a merge patch, checked by the CRD's own schema.
Every pass checks the status contract (:mod:`tests.unit.training.contract`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tandem.api import names
from tandem.api.children import Job, Pod
from tandem.api.facts import (
    LATEST_RUNS,
    Facts,
    LoggedModel,
    LoggedProgress,
    MetricsSince,
    ModelNamed,
    ModelVersion,
    ProgressOf,
    Promotion,
    PromotionsOf,
    Query,
    RegisteredModel,
    RunNamed,
    RunNumbered,
    RunsOf,
    TrackedRun,
    Unavailable,
    VersionNumbered,
    VersionsFrom,
)
from tandem.api.meta import Condition, Json, condition_of
from tandem.api.plan import (
    Action,
    Apply,
    Create,
    Delete,
    Emit,
    EndRun,
    EnsureRun,
    MoveAlias,
    Observed,
    Plan,
    Refusal,
    RegisterVersion,
    TagRun,
    TagVersion,
)
from tandem.api.trainingjob import TrainingJob, TrainingJobStatus
from tandem.engine.controller import status_difference
from tandem.training.case import TrainingChildren, TrainingSettings
from tandem.training.plan import plan
from tests.unit.training import contract

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SETTINGS = TrainingSettings(runtime_image="tandem-runtime:1", mlflow_uri="http://mlflow.mlflow:5000")
OWNED = frozenset(TrainingJobStatus.__struct_encode_fields__) - {"drift"}
UID = "uid-iris"
POLL_JOB = "iris-poll"
DIGEST = "sha256:" + "ab" * 32
DATA_DIGEST = "sha256:" + "cd" * 32
COMMIT = "0123456789abcdef0123456789abcdef01234567"

SPEC: Json = {
    "steps": [{"name": "features", "command": ["python", "f.py"]}, {"name": "train", "command": ["python", "t.py"]}],
    "source": {"git": {"url": "https://git.example/iris.git"}},
    "data": [{"name": "iris", "storageUri": "https://data.example/iris.csv"}],
    "parameters": {"max_iter": "200"},
    "gate": {"metrics": [{"name": "accuracy", "min": "0.9"}]},
    "model": {"name": "iris"},
}
DRIFT_POLICY: Json = {"drift": {"signals": [{"metric": "accuracy", "min": "0.85"}]}}


_POLLED = (ModelNamed, ProgressOf)


@dataclass
class MlflowRun:
    number: int
    run_id: str
    experiment: str
    tags: dict[str, str]
    started_at: datetime
    status: str = "RUNNING"
    metrics: dict[str, float] = field(default_factory=dict)
    metric_times: dict[str, int] = field(default_factory=dict)
    points: list[tuple[str, int, int, float]] = field(default_factory=list)  # metric, step, time, value
    ended_at: datetime | None = None
    models: list[LoggedModel] = field(default_factory=list)
    progress: LoggedProgress = field(default_factory=LoggedProgress)
    deleted: bool = False
    made: bool = False  # by the operator that goes on now

    def logged_since(self, asked: MetricsSince) -> dict[str, float]:
        points = [point for point in self.points if point[0] in asked.metrics and point[2] >= asked.since]
        return {name: value for name, _, _, value in sorted(points, key=lambda point: point[1:3])}


@dataclass
class World:
    spec: Json = field(default_factory=lambda: json.loads(json.dumps(SPEC)))
    annotations: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    now: datetime = START
    generation: int = 1
    status: Json = field(default_factory=lambda: {"observedGeneration": -1})
    jobs: dict[str, Json] = field(default_factory=dict)
    pods: dict[str, Json] = field(default_factory=dict)
    services: dict[str, Json] = field(default_factory=dict)
    runs: list[MlflowRun] = field(default_factory=list)
    others: list[MlflowRun] = field(default_factory=list)  # of other resources
    versions: list[ModelVersion] = field(default_factory=list)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)  # (model, alias) → version
    ledger: list[Promotion] = field(default_factory=list)  # oldest first
    metrics_elsewhere: dict[str, dict[str, float]] = field(default_factory=dict)  # of runs that are not Tandem's
    outage: Unavailable | None = None
    refuse: dict[type[Action], tuple[str, str]] = field(default_factory=dict)
    foreign_jobs: list[Json] = field(default_factory=list)
    done: list[Action] = field(default_factory=list)  # what was carried out, in order
    events: list[Emit] = field(default_factory=list)
    statuses: list[Json] = field(default_factory=list)  # each that was written
    answers: dict[Query[object], object] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)  # what a container that succeeds tells, by its name
    store: dict[str, str] = field(default_factory=dict)  # the version that its store tells of a data set
    grace: int = 1  # for how many passes a deleted Job goes on existing
    _uids: int = 0

    # --- what people do ----------------------------------------------------------------------------------------------

    def change(self, **spec: object) -> World:
        self.spec = {key: value for key, value in {**self.spec, **spec}.items() if value is not None}
        self.generation += 1
        return self

    def ask(self, token: str) -> World:
        self.annotations[names.REQUESTED_AT_ANNOTATION] = token
        return self

    def alarm(self, request: str = "alarm-1") -> World:
        """The model-drift controller asks for a run."""
        wanted = {"id": request, "reason": "accuracy 0.8", "requestedAt": self.now.isoformat()}
        signals = [{"metric": "accuracy", "state": "Drifted", "value": "0.8", "baseline": "0.93", "alarmStep": 1}]
        self.status["drift"] = {"championVersion": "1", "signals": signals, "retrainRequest": wanted}
        return self

    def lose_status(self) -> World:
        """Somebody wiped it; the model-drift controller writes its part anew."""
        drift = self.status.get("drift")
        self.status = {"observedGeneration": -1, **({"drift": drift} if drift else {})}
        return self

    def restart(self) -> World:
        """The operator's memory is gone."""
        self.answers, self.refusals = {}, {}
        for run in self.runs:
            run.made = False
        return self

    def wait(self, seconds: float) -> World:
        self.now += timedelta(seconds=seconds)
        return self

    def delete_job(self, name: str | None = None) -> World:
        self._forget(name or self.job_name)
        return self

    def decide(self, approved: str = "", rejected: str = "", by: str = "", because: str = "") -> World:
        """A person approves or rejects a run, named by its MLflow id."""
        given = {
            names.APPROVED_ANNOTATION: approved,
            names.REJECTED_ANNOTATION: rejected,
            names.DECIDED_BY_ANNOTATION: by,
            names.DECIDED_BECAUSE_ANNOTATION: because,
        }
        for name, value in given.items():
            self.annotations.pop(name, None)
            if value:
                self.annotations[name] = value
        return self

    # --- MLflow ------------------------------------------------------------------------------------------------------

    def mlflow_down(self) -> World:
        self.outage = self.outage or Unavailable(self.now, "TrackingUnavailable", "connection refused")
        return self

    def mlflow_up(self) -> World:
        self.outage = None
        return self

    def run(self, number: int) -> MlflowRun:
        return next(run for run in self.runs if run.number == number)

    @property
    def last_run(self) -> MlflowRun:
        return self.runs[-1]

    def logs(self, metrics: Mapping[str, float], models: int = 1, status: str = "FINISHED", step: int = 0) -> World:
        """What the script logs into the run that its environment names."""
        run = next(run for run in self.runs if run.run_id == _env(self.job)["MLFLOW_RUN_ID"])
        run.points += [(name, step, round(self.now.timestamp() * 1000), value) for name, value in metrics.items()]
        for name in metrics:  # MLflow's value is the one of the highest step
            latest = max((point for point in run.points if point[0] == name), key=lambda point: point[1:3])
            run.metric_times[name], run.metrics[name] = latest[2:]
        run.status = status
        run.ended_at = run.ended_at if status == "RUNNING" else self.now
        for _ in range(models):
            name = f"m-{run.number}-{len(run.models) + 1}"
            run.models.append(LoggedModel(name, "model", "READY", self.now, f"mlflow-artifacts:/{name}"))
        return self

    def answer(self, query: Query[object]) -> object:
        if self.outage:
            return self.outage
        match query:
            case RunsOf() | RunNumbered():
                return tuple(self._runs_of(query))
            case VersionsFrom(name, run_id):
                return tuple(v for v in self.versions if (v.name, v.run_id) == (name, run_id))
            case VersionNumbered(name, number):
                version = next((v for v in self.versions if (v.name, v.version) == (name, number)), None)
                return version and replace(version, metrics=self._metrics_of(version.run_id))
            case PromotionsOf(model):
                return tuple(entry for entry in reversed(self.ledger) if entry.model == model)
            case ModelNamed(name):
                aliases = {alias: version for (model, alias), version in self.aliases.items() if model == name}
                return RegisteredModel(name, any(v.name == name for v in self.versions), aliases)
            case RunNamed(run_id):
                named = [run for run in (*self.runs, *self.others) if run.run_id == run_id]
                return _tracked(named[0], ()) if named else None
            case ProgressOf() | MetricsSince():
                run = self._run(query.run_id)
                return run.progress if isinstance(query, ProgressOf) else run.logged_since(query)
        raise AssertionError(f"{query} is not MLflow's to answer")

    def _runs_of(self, query: RunsOf | RunNumbered) -> list[TrackedRun]:
        assert query.uid == UID
        found = [run for run in self.runs if run.experiment == query.experiment and not run.deleted]
        if isinstance(query, RunNumbered):
            return [_tracked(run) for run in found if run.number == query.number]
        passed = [run for run in found if not query.passed or run.tags.get(names.TAG_GATE_RESULT) == "Passed"]
        return [_tracked(run, ()) for run in sorted(passed, key=lambda run: run.number)[-LATEST_RUNS:]]

    # --- what Kubernetes does ----------------------------------------------------------------------------------------

    @property
    def job_name(self) -> str:
        return [name for name in self.jobs if name != POLL_JOB][-1]

    @property
    def job(self) -> Json:
        return self.jobs[self.job_name]

    def container_names(self) -> list[str]:
        pod = self.job["spec"]["template"]["spec"]
        return [container["name"] for container in (*pod["initContainers"], *pod["containers"])]

    def pod(self, phase: str = "Pending", states: Mapping[str, Json] | None = None, **status: object) -> World:
        """The Job's newest pod; ``states`` by container, the others have no state."""
        name = f"{self.job_name}-{self.job['status'].get('failed', 0)}"
        known = self.pods.get(name, {}).get("metadata", {})
        made = known.get("creationTimestamp", self.now.isoformat())
        begun = self.pods.get(name, {}).get("begun", {})
        started = [one for one, state in (states or {}).items() if state.keys() & {"running", "terminated"}]
        begun |= {container: self.now.isoformat() for container in started if container not in begun}
        spec = self.job["spec"]["template"]["spec"]
        self.pods[name] = {
            "begun": begun,
            "metadata": {
                "name": name,
                "uid": f"pod-{name}",
                "creationTimestamp": made,
                "ownerReferences": [_owner("Job", self.job_name, self.job["metadata"]["uid"])],
            },
            "status": {
                "phase": phase,
                "initContainerStatuses": [_container(c, states or {}, begun) for c in spec["initContainers"]],
                "containerStatuses": [_container(c, states or {}, begun) for c in spec["containers"]],
                **status,
            },
        }
        self.job["status"]["active"] = 0 if phase in {"Succeeded", "Failed"} else 1
        return self

    def runs_step(self, step: str) -> World:
        earlier = self.container_names()[: self.container_names().index(step)]
        states = {name: _terminated(self, name, 0) for name in earlier} | {step: {"running": {}}}
        return self.pod("Running", states, startTime=self.now.isoformat())

    def completes(self, metrics: Mapping[str, float] | None = None, models: int = 1) -> World:
        """The script logs, ends its run and exits 0."""
        self.logs({"accuracy": 0.95} if metrics is None else metrics, models)
        self.pod("Succeeded", {name: _terminated(self, name, 0) for name in self.container_names()})
        return self._ends("Complete", "CompletionsReached", "", succeeded=1)

    def fails(self, step: str = "train", code: int = 1, message: str = "", reason: str = "Error") -> World:
        """The pod's step exits; no further attempt is left."""
        self.exits(step, code, message, reason)
        return self.job_fails("BackoffLimitExceeded", "Job has reached the specified backoff limit")

    def exits(self, step: str, code: int, message: str = "", reason: str = "Error") -> World:
        """The pod's step exits; the Job has not heard of it yet."""
        earlier = self.container_names()[: self.container_names().index(step)]
        states = {name: _terminated(self, name, 0) for name in earlier}
        self.pod("Failed", {**states, step: _terminated(self, step, code, message, reason)})
        return self

    def job_fails(self, reason: str, message: str = "") -> World:
        return self._ends("Failed", reason, message, failed=1)

    def poll_ends(self, code: int = 0, message: str | None = None, told: Mapping[str, Json] | None = None) -> World:
        """The polling pod reports what the store has, or what is ``told`` of a data set; or it exits with ``code``."""
        wanted = json.loads(_env(self.jobs[POLL_JOB])["TANDEM_POLL"])["data"]
        data = [
            {"name": d["name"], **(told or {}).get(d["name"], {"version": self.store.get(d["name"], "")})}
            for d in wanted
        ]
        said = json.dumps({"data": data}) if message is None else message
        job = self.jobs[POLL_JOB]
        state = {"terminated": {"exitCode": code, "message": said, "reason": "Error" if code else "Completed"}}
        owner = _owner("Job", POLL_JOB, job["metadata"]["uid"])
        meta = {"name": f"{POLL_JOB}-x", "uid": "pod-poll", "ownerReferences": [owner]}
        container = {"name": "poll", "state": state}
        phase = "Failed" if code else "Succeeded"
        self.pods[f"{POLL_JOB}-x"] = {"metadata": meta, "status": {"phase": phase, "containerStatuses": [container]}}
        type_, reason = ("Failed", "BackoffLimitExceeded") if code else ("Complete", "CompletionsReached")
        job["status"] = {"conditions": [{"type": type_, "status": "True", "reason": reason, "message": reason}]}
        return self

    def _ends(self, type_: str, reason: str, message: str, **counts: int) -> World:
        at = self.now.isoformat()
        condition = {"type": type_, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at}
        self.job["status"] = {"conditions": [condition], **counts}
        return self

    def _take_away(self) -> None:
        for name in [name for name, job in self.jobs.items() if "deletionTimestamp" in job["metadata"]]:
            self.jobs[name]["grace"] = self.jobs[name].get("grace", self.grace) - 1
            if self.jobs[name]["grace"] <= 0:
                self._forget(name)

    def _forget(self, name: str) -> None:
        self.jobs.pop(name, None)
        self.pods = {key: pod for key, pod in self.pods.items() if not key.startswith(f"{name}-")}

    # --- what a plan sees --------------------------------------------------------------------------------------------

    @property
    def resource(self) -> TrainingJob:
        meta = {
            "name": "iris",
            "namespace": "ml",
            "uid": UID,
            "generation": self.generation,
            "annotations": self.annotations,
            "labels": self.labels,
        }
        return msgspec.convert({"metadata": meta, "spec": self.spec, "status": self.status}, TrainingJob)

    @property
    def children(self) -> TrainingChildren:
        return TrainingChildren(
            jobs=tuple(msgspec.convert(job, Job) for job in [*self.jobs.values(), *self.foreign_jobs]),
            pods=tuple(msgspec.convert(pod, Pod) for pod in self.pods.values()),
        )

    def plan(self) -> Plan:
        return plan(SETTINGS, Observed(self.resource, self.children, Facts(self.answers), self.refusals), self.now)

    # --- what the engine does ----------------------------------------------------------------------------------------

    def reconcile(self, crash_after: int | None = None) -> bool:
        """One pass; True when it changed anything. After ``crash_after`` actions the operator dies and comes back."""
        self.now += timedelta(seconds=1)
        self._take_away()
        made = self.plan()
        contract.check_plan(self, made)
        news = self._subscribe(made)
        for place, action in enumerate(made.actions):
            if place == crash_after:
                self.restart()
                return True
            refused = self._refusal(action)
            if refused:
                self._remember(action, *refused)
                return True
            self.refusals.pop(action.id, None)
            self._carry_out(action)
            self.done.append(action)
        if crash_after is not None:
            self.restart()
            return True
        return self._tell(made) or bool(made.actions) or news

    def settle(self, patience: int = 60) -> World:
        """Plan and carry out until a pass changes nothing: then the next one must not either."""
        for _ in range(patience):
            if not self.reconcile():
                self.check_rest()
                return self
        raise AssertionError(f"no rest after {patience} passes: {self.plan()}")

    def check_rest(self) -> None:
        made = self.plan()
        assert made.actions == ()
        assert made.status is None or status_difference(self.status, made.status, OWNED) == {}

    def _subscribe(self, made: Plan) -> bool:
        """Answers to what this plan read: old ones stay, until they are polled or asked again."""
        before = self.answers
        self.answers = {
            query: before[query]
            if query in before and not isinstance(query, _POLLED) and not isinstance(before[query], Unavailable)
            else self.answer(query)
            for query in made.reads
        }
        return self.answers != before

    def _tell(self, made: Plan) -> bool:
        if made.status is None:
            return False
        difference = status_difference(self.status, made.status, OWNED)
        if not difference:
            return False
        self.status = json.loads(json.dumps(_merge(self.status, difference)))
        self.statuses.append(self.status)
        self.events.extend(made.events)
        return True

    def _refusal(self, action: Action) -> tuple[str, str] | None:
        outside = isinstance(action, EnsureRun | TagRun | EndRun | RegisterVersion | TagVersion | MoveAlias)
        if outside and self.outage:
            return self.outage.reason, self.outage.message
        if isinstance(action, EnsureRun) and any(r.number == action.number and r.deleted for r in self.runs):
            return "RunDeleted", "ask for another run"
        if isinstance(action, MoveAlias):
            current = self.aliases.get((action.name, action.alias))
            if current not in {action.expected, action.version}:
                return "AliasMoved", f"it names version {current}"
        return self.refuse.get(type(action))

    def _remember(self, action: Action, reason: str, message: str) -> None:
        before = self.refusals.get(action.id)
        since, attempts = (before.since, before.attempts + 1) if before else (self.now, 1)
        rest = timedelta(seconds=min(2**attempts, 300))
        self.refusals[action.id] = Refusal(reason, message, since, self.now + rest, attempts)

    def _carry_out(self, action: Action) -> None:
        match action:
            case Create(manifest):
                self._create(json.loads(json.dumps(manifest)))
            case Apply(manifest):
                self._apply(json.loads(json.dumps(manifest)))
            case Delete(name=name, uid=uid):
                if name in self.jobs and self.jobs[name]["metadata"]["uid"] == uid:
                    self.jobs[name]["metadata"]["deletionTimestamp"] = self.now.isoformat()
            case _:
                self._carry_out_in_mlflow(action)

    def _carry_out_in_mlflow(self, action: Action) -> None:
        match action:
            case EnsureRun():
                if not any(run.number == action.number and run.experiment == action.experiment for run in self.runs):
                    run_id = f"run-{action.number}" + ("" if action.experiment == "ml/iris" else action.experiment)
                    made = MlflowRun(action.number, run_id, action.experiment, dict(action.tags), self.now, made=True)
                    self.runs.append(made)
            case TagRun():
                self._run(action.run_id).tags.update(action.tags)
            case EndRun():
                if self._run(action.run_id).status == "RUNNING":
                    self._run(action.run_id).status = action.status
            case RegisterVersion():
                self._register(action)
            case TagVersion(name=name, version=number, tags=tags):
                self.versions = [
                    replace(v, tags={**v.tags, **tags}) if (v.name, v.version) == (name, number) else v
                    for v in self.versions
                ]
            case MoveAlias():
                self._move(action)
            case _:
                raise AssertionError(f"{action} is not the training plan's")
        self.answers = {query: self.answer(query) for query in self.answers}  # the engine asks again

    def _create(self, manifest: Json) -> None:
        name = manifest["metadata"]["name"]
        if manifest["kind"] == "Service":
            self.services.setdefault(name, manifest)
            return
        if name in self.jobs:
            return  # 409, with our own uid
        self._uids += 1
        manifest["metadata"] |= {"uid": f"job-{self._uids}", "creationTimestamp": self.now.isoformat()}
        self.jobs[name] = manifest | {"status": {}}

    def _apply(self, manifest: Json) -> None:
        """Server-side apply of a Job that is there: what was applied before and is left out goes."""
        job = self.jobs[manifest["metadata"]["name"]]
        applied = job.get("applied", {"annotations": {}, "spec": {}})
        spec, annotations = manifest["spec"], manifest["metadata"]["annotations"]
        assert "suspend" in spec, "what is left out falls back to Kubernetes' default"
        for mine, before, after in (
            (job["spec"], applied["spec"], spec),
            (job["metadata"]["annotations"], applied["annotations"], annotations),
        ):
            for gone in before.keys() - after.keys():
                mine.pop(gone, None)
            mine.update(after)
        job["applied"] = {"annotations": annotations, "spec": spec}
        self._job_controller(job)

    def _job_controller(self, job: Json) -> None:
        """Suspends, resumes and ends; a pod that a suspension takes away is not counted (tests/contract/training)."""
        name, status = job["metadata"]["name"], job["status"]
        if any(c["type"] in {"Complete", "Failed"} for c in status.get("conditions", [])):
            return
        suspend = job["spec"].get("suspend", False)
        if suspend and status.get("active"):
            status["active"] = 0
            self.pods = {key: pod for key, pod in self.pods.items() if not key.startswith(f"{name}-")}
        told = {"type": "Suspended", "status": "True" if suspend else "False", "reason": "JobSuspended"}
        status["conditions"] = [{**told, "lastTransitionTime": self.now.isoformat()}]
        if job["spec"].get("activeDeadlineSeconds") == 1:
            self.pods = {key: pod for key, pod in self.pods.items() if not key.startswith(f"{name}-")}
            self.job_fails("DeadlineExceeded")

    def _register(self, action: RegisterVersion) -> None:
        source = f"models:/{action.model_id}"
        wanted = (action.name, action.run_id, source)
        known = next((v for v in self.versions if (v.name, v.run_id, v.source) == wanted), None)
        if known is None:
            number = str(sum(v.name == action.name for v in self.versions) + 1)
            self.versions.append(ModelVersion(action.name, number, action.run_id, source, "READY", dict(action.tags)))
        else:
            tagged = replace(known, tags={**action.tags, **known.tags})
            self.versions = [tagged if version is known else version for version in self.versions]

    def _move(self, action: MoveAlias) -> None:
        previous, record = self.aliases.get((action.name, action.alias)), action.record
        assert record is not None, "no alias moves untold"
        self.aliases[action.name, action.alias] = action.version
        mine = (action.name, action.alias, action.version, record.uid, record.number)
        if not any((e.model, e.alias, e.version, e.uid, e.number) == mine for e in self.ledger):
            self.ledger.append(
                Promotion(
                    entry_id=f"entry-{len(self.ledger) + 1}",
                    model=action.name,
                    alias=action.alias,
                    previous="" if previous in {None, action.version} else str(previous),
                    version=action.version,
                    at=self.now,
                    actor=record.actor,
                    uid=record.uid,
                    number=record.number,
                    state="Done",
                    reason=record.reason,
                    approved_by=record.details.get(names.PROMOTION_APPROVED_BY, ""),
                )
            )

    def _metrics_of(self, run_id: str) -> dict[str, float]:
        ours = {run.run_id: run.metrics for run in self.runs}
        return dict({**ours, **self.metrics_elsewhere}.get(run_id, {}))

    def _run(self, run_id: str) -> MlflowRun:
        return next(run for run in self.runs if run.run_id == run_id)

    # --- what a reader asks ------------------------------------------------------------------------------------------

    def condition(self, type_: str) -> Condition | None:
        return condition_of(self.resource.status.conditions, type_)

    def told(self, type_: str) -> tuple[str, str] | None:
        """Status and reason of a condition."""
        found = self.condition(type_)
        return (found.status, found.reason) if found else None

    @property
    def creations(self) -> list[str]:
        made = [action.manifest for action in self.done if isinstance(action, Create)]
        names_of_jobs = [manifest["metadata"]["name"] for manifest in made if manifest["kind"] == "Job"]
        return [name for name in names_of_jobs if name != POLL_JOB]

    @property
    def polls(self) -> int:
        """How many polling Jobs were made."""
        made = [action.manifest["metadata"]["name"] for action in self.done if isinstance(action, Create)]
        return made.count(POLL_JOB)

    @property
    def live_jobs(self) -> list[str]:
        ended = {"Complete", "Failed"}
        return [
            name
            for name, job in self.jobs.items()
            if name != POLL_JOB and not ended & {condition["type"] for condition in job["status"].get("conditions", [])}
        ]

    @property
    def figure(self) -> Json:
        """The status without times: what two histories that end alike have in common."""
        timeless: Json = _timeless(self.status)
        return timeless


def trained(**spec: object) -> World:
    """Run 1 has just completed; nothing was judged yet."""
    return (World().change(**spec) if spec else World()).settle().completes()


def complete(**spec: object) -> World:
    """Run 1 passed, was registered and promoted."""
    world = trained(**spec).settle()
    assert world.status["phase"] == "Complete", world.status
    return world


def kinds(actions: Sequence[Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


def _env(job: Json) -> dict[str, str]:
    given = job["spec"]["template"]["spec"]["containers"][0]["env"]
    return {entry["name"]: entry.get("value", "") for entry in given}


def _tracked(run: MlflowRun, models: tuple[LoggedModel, ...] | None = None) -> TrackedRun:
    if models is None:
        models = () if run.status == "RUNNING" else tuple(run.models)
    status = "DELETED" if run.deleted else run.status
    return TrackedRun(
        run.run_id,
        "7",
        run.number,
        status,
        run.started_at,
        dict(run.metrics),
        dict(run.tags),
        models,
        metric_times={name: run.metric_times.get(name, 0) for name in run.metrics},
        ended_at=run.ended_at,
        made=run.made,
    )


def _owner(kind: str, name: str, uid: str) -> Json:
    return {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": True}


def _container(container: Json, states: Mapping[str, Json], begun: Mapping[str, str]) -> Json:
    state = {
        kind: {"startedAt": begun[container["name"]], **told} if kind in {"running", "terminated"} else told
        for kind, told in states.get(container["name"], {}).items()
    }
    started = {"imageID": f"docker.io/library/x@{DIGEST}"} if state.keys() & {"running", "terminated"} else {}
    return {"name": container["name"], "image": container["image"], "state": state, **started}


def _terminated(world: World, name: str, code: int, message: str = "", reason: str = "") -> Json:
    if name == "fetch" and code == 0:
        data = [
            {"name": d["name"], "digest": DATA_DIGEST, "bytes": 4}
            | ({"version": world.store[d["name"]]} if d["name"] in world.store else {})
            for d in world.spec.get("data", [])
        ]
        message = json.dumps({"commit": COMMIT, "data": data})
    elif code == 0:
        message = world.says.get(name, message)
    finished = world.now.isoformat()
    why = reason or ("Completed" if code == 0 else "Error")
    return {"terminated": {"exitCode": code, "message": message, "reason": why, "finishedAt": finished}}


def _merge(stored: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(stored) if isinstance(stored, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if not key.endswith(("Time", "Since"))}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


__all__ = ["World", "complete", "kinds", "replace", "trained"]
