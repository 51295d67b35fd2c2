"""Whatever happens, in whatever order: the promises hold at every step, and in the end there is a model or a reason."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tandem.api.facts import LoggedProgress
from tandem.api.names import APPROVED_ANNOTATION, REJECTED_ANNOTATION
from tandem.api.plan import Action, Create, MoveAlias
from tandem.training.run import spec_digest
from tests.examples import examples
from tests.unit.training.cluster import POLL_JOB
from tests.unit.training.world import DRIFT_POLICY, World

PARAMETERS = st.sampled_from(["200", "300", "400"])
POLICY = {**DRIFT_POLICY, "onDataChange": {"interval": "10m"}}
BOUNDS = st.sampled_from([None, "0.1", "0.9", "0.99"])
VALUES = st.sampled_from([0.05, 0.5, 0.95, 0.995, float("nan"), float("inf")])
WAITING: dict[str, dict[str, Any]] = {
    "pending": {},
    "pull": {"waiting": {"reason": "ErrImagePull"}},
    "config": {"waiting": {"reason": "CreateContainerConfigError"}},
}


class Watched(World):
    """A world that looks at every action before it is carried out."""

    ended: set[int]  # the runs whose end was recorded

    def _carry_out(self, action: Action) -> None:
        match action:
            case Create(manifest) if manifest["metadata"]["name"] != POLL_JOB:
                name = manifest["metadata"]["name"]
                assert int(name.removeprefix("iris-")) not in self.ended, f"{name} trains again"
                assert all(job == name for job in self.live_jobs), f"{self.live_jobs} still run beside {name}"
            case MoveAlias():
                self._check_promotion(action)
        super()._carry_out(action)

    def _check_promotion(self, action: MoveAlias) -> None:
        version = next(v for v in self.versions if (v.name, v.version) == (action.name, action.version))
        run = next(run for run in self.runs if run.run_id == version.run_id)
        bound = self.bound
        promoted_before = any(v == version.version for (name, _), v in self.aliases.items())
        blessed = self.told("Blessed") == ("True", "ThresholdsMet") and "completionTime" in self.status["run"]
        passes = bound is not None and float(bound) <= run.metrics.get("accuracy", float("nan")) < 1e300
        assert passes or blessed or promoted_before, f"run {run.number} did not pass, and {action} moves its alias"
        asked = self.spec["model"].get("approval") == "Required"
        there = self.aliases.get((action.name, action.alias)) == action.version
        assert not asked or there or self.annotations.get(APPROVED_ANNOTATION) == run.run_id, "nobody has approved it"
        assert self.annotations.get(REJECTED_ANNOTATION) != run.run_id or there, "a person has rejected it"

    @property
    def bound(self) -> str | None:
        metrics = self.spec.get("gate", {}).get("metrics", [])
        return metrics[0]["min"] if metrics else None


class AnyHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = Watched()
        self.world.ended = set()
        self.world.change(retrain=POLICY, historyLimit=2)
        self.highest = 0
        self.tokens = 0

    # --- the operator -----------------------------------------------------------------------------------------------

    @rule(passes=st.integers(1, 6))
    def the_operator_works(self, passes: int) -> None:
        for _ in range(passes):
            self.world.reconcile()
            self._remember()

    @rule()
    def the_operator_comes_to_rest(self) -> None:
        self.world.settle()
        self._remember()

    @rule(after=st.integers(0, 3))
    def the_operator_crashes(self, after: int) -> None:
        self.world.reconcile(crash_after=after)

    @rule(seconds=st.sampled_from([1, 61, 700]))
    def time_passes(self, seconds: int) -> None:
        self.world.wait(seconds)

    # --- people -----------------------------------------------------------------------------------------------------

    @rule(value=PARAMETERS)
    def the_spec_changes(self, value: str) -> None:
        self.world.change(parameters={"max_iter": value})

    @rule(bound=BOUNDS)
    def the_gate_changes(self, bound: str | None) -> None:
        self.world.change(gate={"metrics": [{"name": "accuracy", "min": bound}]} if bound else {})

    @rule(
        name=st.sampled_from(["iris", "flower", None]),
        alias=st.sampled_from(["challenger", "champion"]),
        approval=st.sampled_from(["Automatic", "Required"]),
    )
    def the_model_changes(self, name: str | None, alias: str, approval: str) -> None:
        self.world.change(model={"name": name, "alias": alias, "approval": approval} if name else None)

    @rule(number=st.integers(1, 4), decision=st.sampled_from(["approved", "rejected"]))
    def a_person_decides(self, number: int, decision: str) -> None:
        self.world.decide(**{decision: f"run-{number}"})

    @rule()
    def a_decision_is_taken_back(self) -> None:
        self.world.decide()

    @rule(cron=st.sampled_from([None, "* * * * *", "0 * * * *"]), late=st.sampled_from([None, 60]))
    def the_schedule_changes(self, cron: str | None, late: int | None) -> None:
        when = {"schedule": cron, **({"startingDeadlineSeconds": late} if late else {})} if cron else {}
        self.world.change(retrain={**POLICY, **when})

    @rule(deadline=st.sampled_from([None, 600]))
    def the_progress_deadline_changes(self, deadline: int | None) -> None:
        self.world.change(progressDeadlineSeconds=deadline)

    @rule(suspend=st.booleans())
    def somebody_suspends_or_resumes(self, suspend: bool) -> None:
        self.world.change(suspend=suspend)

    @rule(ttl=st.sampled_from([None, 0, 600]))
    def the_time_to_live_changes(self, ttl: int | None) -> None:
        self.world.change(ttlSecondsAfterFinished=ttl)

    @rule()
    def somebody_asks(self) -> None:
        self.tokens += 1
        self.world.ask(f"token-{self.tokens}")

    @rule(request=st.integers(1, 3))
    def drift_asks(self, request: int) -> None:
        self.world.alarm(f"alarm-{request}")

    @rule()
    def the_status_is_lost(self) -> None:
        self.world.lose_status()

    @precondition(lambda self: self.world.jobs)
    @rule(data=st.data())
    def a_job_is_deleted_by_hand(self, data: st.DataObject) -> None:
        self.world.delete_job(data.draw(st.sampled_from(list(self.world.jobs))))

    # --- the cluster and MLflow -------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.live_jobs)
    @rule(step=st.sampled_from(["fetch", "features", "train"]))
    def a_step_runs(self, step: str) -> None:
        self.world.runs_step(step)

    @precondition(lambda self: self.world.live_jobs)
    @rule(state=st.sampled_from(sorted(WAITING)))
    def a_pod_waits(self, state: str) -> None:
        self.world.pod("Pending", {"fetch": WAITING[state]}, startTime=self.world.now.isoformat())

    @precondition(lambda self: self.world.live_jobs)
    @rule(value=VALUES, models=st.integers(0, 2))
    def a_job_completes(self, value: float, models: int) -> None:
        self.world.completes({"accuracy": value}, models)

    @precondition(lambda self: self.world.live_jobs)
    @rule(code=st.sampled_from([1, 137]), step=st.sampled_from(["fetch", "train"]))
    def a_job_fails(self, code: int, step: str) -> None:
        self.world.fails(step, code)

    @precondition(lambda self: self.world.live_jobs and self.world.runs)
    @rule(step=st.integers(0, 3))
    def a_step_logs(self, step: int) -> None:
        self.world.last_run.progress = LoggedProgress(step=step)

    @precondition(lambda self: self.world.pods)
    @rule()
    def a_pod_is_taken_away(self) -> None:
        name = list(self.world.pods)[-1]
        self.world.pods[name]["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "X"}]

    @rule(version=st.sampled_from(["", "etag:1", "etag:2"]))
    def the_data_change(self, version: str) -> None:
        self.world.store["iris"] = version

    @precondition(lambda self: POLL_JOB in self.world.jobs)
    @rule(code=st.sampled_from([0, 0, 0, 1]))
    def a_poll_ends(self, code: int) -> None:
        self.world.poll_ends(code)

    @rule()
    def mlflow_goes_away(self) -> None:
        self.world.mlflow_down()

    @rule()
    def mlflow_comes_back(self) -> None:
        self.world.mlflow_up()

    # --- what holds -------------------------------------------------------------------------------------------------

    @invariant()
    def at_most_one_job_lives(self) -> None:
        assert len(self.world.live_jobs) <= 1

    @invariant()
    def numbers_never_go_back(self) -> None:
        self._remember()

    def _remember(self) -> None:
        run = self.world.status.get("run")
        if run and "mlflowRunId" in run:  # before that it was nothing but a number
            assert run["number"] >= self.highest, "a run number went back"
            self.highest = run["number"]
            if "completionTime" in run:
                self.world.ended.add(run["number"])

    def teardown(self) -> None:
        """Left alone, with everything up, it comes to an end that is true."""
        world = self.world
        world.mlflow_up().change(suspend=False, retrain=DRIFT_POLICY)
        assert world.settle().told("DataPolled") is None
        assert POLL_JOB not in world.jobs
        for _ in range(8):
            world.wait(1000).settle()
            self._remember()
            if world.live_jobs:
                world.completes()
        assert not world.live_jobs, "it trains for ever"
        status = world.status
        assert status["phase"] in {"Complete", "Failed", "AwaitingApproval"}
        assert (status["phase"] == "AwaitingApproval") == (world.told("Promoted") == ("Unknown", "AwaitingApproval"))
        assert status["run"]["specDigest"] == spec_digest(world.resource.spec)
        assert world.told("Reconciling") is None
        passed = world.told("Blessed") == ("True", "ThresholdsMet")
        if status["phase"] == "Complete" and "model" in world.spec and passed:
            target = world.spec["model"]
            alias = target.get("alias", "challenger")
            assert status["model"] == {"name": target["name"], "version": status["model"]["version"], "alias": alias}
            assert world.aliases[target["name"], alias] == status["model"]["version"]


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(
    max_examples=examples(100),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
