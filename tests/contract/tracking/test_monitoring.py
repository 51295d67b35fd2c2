"""What monitoring logged, read from a real server: complete, and at a price that does not grow with the models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import mlflow
import pytest
import sqlalchemy
import sqlalchemy.orm
from mlflow.entities import Metric
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlRun, SqlTag

from tandem.api import names
from tandem.api.facts import MetricPoint, MonitoredModel, MonitorOf
from tandem.tracking import MlflowClient
from tandem.tracking.monitoring import OVERLAP, POINTS_KEPT, SWEEP_EVERY, Monitors
from tests.contract.tracking.probes import Clock, Recorded
from tests.contract.tracking.server import MlflowServer

pytestmark = pytest.mark.asyncio

SEARCH, HISTORY, EXPERIMENT = "runs/search", "metrics/get-history-bulk-interval", "experiments/get-by-name"
HOUR = 60  # steps are minutes


@dataclass
class Monitoring:
    """The monitors in the pods: they log points, each batch with the time of its evaluation."""

    oracle: mlflow.MlflowClient
    clock: Clock
    experiment_id: str

    def run(self, model: str, version: str = "1", start_time: int | None = None) -> str:
        tags = {names.TAG_ROLE: names.ROLE_MONITOR, names.TAG_MODEL: model, names.TAG_MODEL_VERSION: version}
        return str(self.oracle.create_run(self.experiment_id, start_time=start_time, tags=tags).info.run_id)

    def log(
        self, run_id: str, points: Mapping[str, Iterable[tuple[int, float]]], *, skew: float = 0, revision: int = 0
    ) -> None:
        """As docs/design/monitoring-runs.md says: dated by the window's end, ``eval_ts`` at the (last) window's step.

        A window that is logged again says so by a later timestamp.
        """
        metrics = [
            Metric(key, value, (step + HOUR) * 60_000 + revision, step)
            for key, some in points.items()
            for step, value in some
        ]
        last = max(metric.step for metric in metrics)
        evaluated_at = self.clock.now.timestamp() + skew
        metrics.append(Metric(names.EVALUATED_AT_METRIC, evaluated_at, (last + HOUR) * 60_000, last))
        for start in range(0, len(metrics), 1000):
            self.oracle.log_batch(run_id, metrics=metrics[start : start + 1000])


@pytest.fixture
def monitoring(oracle: mlflow.MlflowClient, clock: Clock) -> Monitoring:
    """An empty monitoring experiment; the next test gets another one."""
    found = oracle.get_experiment_by_name(names.MONITORING_EXPERIMENT)
    if found is not None:
        oracle.rename_experiment(found.experiment_id, f"was-{found.experiment_id}")
    return Monitoring(oracle, clock, oracle.create_experiment(names.MONITORING_EXPERIMENT))


@pytest.fixture
def monitors(recorded: Recorded, clock: Clock) -> Monitors:
    return Monitors(MlflowClient("", transport=recorded), clock)


async def one(monitors: Monitors, query: MonitorOf) -> MonitoredModel | None:
    return (await monitors.answer([query]))[query]


def points(model: MonitoredModel | None, metric: str = "accuracy") -> list[tuple[int, float]]:
    assert model is not None
    return [(point.step, point.value) for point in model.points.get(metric, ())]


ACCURACY = MonitorOf("iris", "1", ("accuracy",))


# --- what is answered ------------------------------------------------------------------------------------------------


async def test_the_points_of_the_metrics_asked_for_lowest_step_first(
    monitors: Monitors, monitoring: Monitoring
) -> None:
    run_id = monitoring.run("iris")
    monitoring.log(run_id, {"accuracy": [(120, 0.8), (60, 0.9)], "n": [(60, 500), (120, 400)], "psi": [(60, 0.1)]})

    answer = await one(monitors, MonitorOf("iris", "1", ("accuracy", "n", "never_logged")))

    assert answer == MonitoredModel(
        run_id,
        {
            "accuracy": (MetricPoint(60, 0.9), MetricPoint(120, 0.8)),
            "n": (MetricPoint(60, 500.0), MetricPoint(120, 400.0)),
        },
    )


async def test_nan_and_infinities_stay_what_they_are(monitors: Monitors, monitoring: Monitoring) -> None:
    run_id = monitoring.run("iris")
    monitoring.log(run_id, {"accuracy": [(60, math.nan), (120, math.inf), (180, -math.inf)]})

    (_, first), (_, second), (_, third) = points(await one(monitors, ACCURACY))

    assert math.isnan(first)
    assert (second, third) == (math.inf, -math.inf)


@pytest.mark.parametrize("what", ["no experiment", "no run", "nothing evaluated", "another version", "a deleted run"])
async def test_a_model_that_nothing_monitors_is_answered_none(
    monitors: Monitors, monitoring: Monitoring, oracle: mlflow.MlflowClient, what: str
) -> None:
    match what:
        case "no experiment":
            oracle.rename_experiment(monitoring.experiment_id, f"gone-{monitoring.experiment_id}")
        case "nothing evaluated":
            monitoring.run("iris")
        case "another version":
            monitoring.log(monitoring.run("iris", "2"), {"accuracy": [(60, 0.9)]})
        case "a deleted run":
            run_id = monitoring.run("iris")
            monitoring.log(run_id, {"accuracy": [(60, 0.9)]})
            oracle.delete_run(run_id)

    assert await one(monitors, ACCURACY) is None


async def test_the_versions_of_a_model_are_kept_apart(monitors: Monitors, monitoring: Monitoring) -> None:
    for version, value in (("1", 0.8), ("2", 0.9)):
        monitoring.log(monitoring.run("iris", version), {"accuracy": [(60, value)]})

    first, second = ACCURACY, MonitorOf("iris", "2", ("accuracy",))
    answers = await monitors.answer([first, second])

    assert (points(answers[first]), points(answers[second])) == ([(60, 0.8)], [(60, 0.9)])


async def test_of_two_runs_for_one_version_the_older_counts_whichever_was_evaluated_last(
    monitors: Monitors, monitoring: Monitoring, clock: Clock
) -> None:
    younger, older = monitoring.run("iris", start_time=2000), monitoring.run("iris", start_time=1000)
    for last in (older, younger):
        monitoring.log(last, {"accuracy": [(60, 0.9)]})
        answer = await one(monitors, ACCURACY)
        assert answer is not None
        assert answer.run_id == older
        clock.now += OVERLAP * 3
        await one(monitors, ACCURACY)  # from here on the search finds only what is evaluated next


async def test_a_history_longer_than_an_answer_is_read_without_a_gap(
    monitors: Monitors, monitoring: Monitoring
) -> None:
    # Given: points that MLflow would thin out to 2,500 of them, packed at the end of a long range of steps
    origin, count = 29_000_000, 6000
    run_id = monitoring.run("iris")
    monitoring.log(run_id, {"accuracy": [(origin + index, index / count) for index in range(count)]})

    found = points(await one(monitors, ACCURACY))

    assert found == [(origin + index, index / count) for index in range(count - POINTS_KEPT, count)]


# --- what it costs ---------------------------------------------------------------------------------------------------


async def test_asking_again_while_nothing_was_evaluated_costs_one_search(
    monitors: Monitors, monitoring: Monitoring, recorded: Recorded, clock: Clock
) -> None:
    monitoring.log(monitoring.run("iris"), {"accuracy": [(60, 0.9)]})
    first = await one(monitors, ACCURACY)
    assert recorded.paths == [EXPERIMENT, SEARCH, HISTORY]

    for after in (timedelta(seconds=10), OVERLAP * 3):
        recorded.paths.clear()
        clock.now += after
        assert await one(monitors, ACCURACY) == first
        assert recorded.paths == [SEARCH]


async def test_a_new_evaluation_is_read_by_one_search_and_one_history_per_metric(
    monitors: Monitors, monitoring: Monitoring, recorded: Recorded, clock: Clock
) -> None:
    query = MonitorOf("iris", "1", ("accuracy", "n"))
    run_id = monitoring.run("iris")
    monitoring.log(run_id, {"accuracy": [(60, 0.9)], "n": [(60, 500)]})
    await one(monitors, query)
    recorded.paths.clear()

    clock.now += timedelta(seconds=30)
    monitoring.log(run_id, {"accuracy": [(120, 0.8)], "n": [(120, 400)]})
    answer = await one(monitors, query)

    assert points(answer) == [(60, 0.9), (120, 0.8)]
    assert points(answer, "n") == [(60, 500), (120, 400)]
    assert recorded.paths == [SEARCH, HISTORY, HISTORY]


async def test_a_metric_asked_for_later_is_read_without_another_evaluation(
    monitors: Monitors, monitoring: Monitoring, clock: Clock
) -> None:
    monitoring.log(monitoring.run("iris"), {"accuracy": [(60, 0.9)], "n": [(60, 500)]})
    await one(monitors, ACCURACY)
    clock.now += OVERLAP * 3

    assert points(await one(monitors, MonitorOf("iris", "1", ("n",))), "n") == [(60, 500)]


async def test_a_model_asked_for_later_is_known_already(
    monitors: Monitors, monitoring: Monitoring, recorded: Recorded, clock: Clock
) -> None:
    for model in ("iris", "wine"):
        monitoring.log(monitoring.run(model), {"accuracy": [(60, 0.9)]})
    await one(monitors, ACCURACY)
    clock.now += OVERLAP * 3
    recorded.paths.clear()

    assert points(await one(monitors, MonitorOf("wine", "1", ("accuracy",)))) == [(60, 0.9)]
    assert recorded.paths == [SEARCH, HISTORY]


RUNS_OF_ONE_REQUEST = 100


def run_of(index: int, of: int) -> str:
    """32 hex digits, as MLflow's own."""
    return f"{of:08x}{index:024x}"


def fill(server: MlflowServer, experiment_id: str, queries: Sequence[MonitorOf], evaluated_at: float) -> None:
    """Many monitoring runs of three points each, straight into the tables: by REST it takes minutes."""
    rows: list[object] = []
    for index, query in enumerate(queries):
        run_id = run_of(index, len(queries))
        rows.append(
            SqlRun(
                run_uuid=run_id,
                name=query.model,
                experiment_id=int(experiment_id),
                user_id="tandem",
                status="RUNNING",
                source_type="JOB",
                start_time=1000,
                lifecycle_stage="active",
                artifact_uri=f"mlflow-artifacts:/{experiment_id}/{run_id}",
            )
        )
        tags = {
            names.TAG_ROLE: names.ROLE_MONITOR,
            names.TAG_MODEL: query.model,
            names.TAG_MODEL_VERSION: query.version,
        }
        rows.extend(SqlTag(run_uuid=run_id, key=key, value=value) for key, value in tags.items())
        logged = {metric: [(step * HOUR, 0.9) for step in (1, 2, 3)] for metric in query.metrics}
        logged[names.EVALUATED_AT_METRIC] = [(3 * HOUR, evaluated_at)]
        for key, some in logged.items():
            for row, entries in ((SqlMetric, some), (SqlLatestMetric, some[-1:])):
                rows.extend(
                    row(run_uuid=run_id, key=key, value=value, timestamp=1000, step=step, is_nan=False)
                    for step, value in entries
                )
    engine = sqlalchemy.create_engine(f"sqlite:///{server.database}")
    with sqlalchemy.orm.Session(engine) as session:
        session.add_all(rows)
        session.commit()
    engine.dispose()


@pytest.mark.parametrize("number", [150, pytest.param(1000, marks=pytest.mark.slow)])
async def test_a_tick_over_many_models_costs_one_request_when_nothing_is_new(
    server: MlflowServer,
    monitors: Monitors,
    monitoring: Monitoring,
    recorded: Recorded,
    clock: Clock,
    number: int,
) -> None:
    many = [MonitorOf(f"model-{index}", "1", ("accuracy", "n")) for index in range(number)]
    fill(server, monitoring.experiment_id, many, clock.now.timestamp())

    # The first time everything is read: the sweep, and for each of two metrics a request for every hundred runs
    answers = await monitors.answer(many)
    assert all(points(answer) == [(60, 0.9), (120, 0.9), (180, 0.9)] for answer in answers.values())
    assert recorded.paths == [EXPERIMENT, SEARCH, *[HISTORY] * 2 * math.ceil(number / RUNS_OF_ONE_REQUEST)]

    # Nothing new
    recorded.paths.clear()
    clock.now += OVERLAP * 2
    assert await monitors.answer(many) == answers
    assert recorded.paths == [SEARCH]

    # One new evaluation
    recorded.paths.clear()
    monitoring.log(run_of(100, number), {"accuracy": [(240, 0.5)], "n": [(240, 10)]})
    answers = await monitors.answer(many)
    assert points(answers[many[100]])[-1] == (240, 0.5)
    assert recorded.paths == [SEARCH, HISTORY, HISTORY]

    # A sweep costs no more than a tick and the look-up of the experiment
    recorded.paths.clear()
    clock.now += SWEEP_EVERY
    await monitors.answer(many)
    assert recorded.paths == [EXPERIMENT, SEARCH]


# --- what a watermark could hide -------------------------------------------------------------------------------------


async def test_an_evaluation_dated_by_a_slower_clock_is_seen(
    monitors: Monitors, monitoring: Monitoring, clock: Clock
) -> None:
    run_id = monitoring.run("iris")
    monitoring.log(run_id, {"accuracy": [(60, 0.9)]})
    await one(monitors, ACCURACY)

    clock.now += timedelta(minutes=5)
    await one(monitors, ACCURACY)
    monitoring.log(run_id, {"accuracy": [(120, 0.8)]}, skew=-(OVERLAP.total_seconds() - 5))

    assert points(await one(monitors, ACCURACY)) == [(60, 0.9), (120, 0.8)]


async def test_a_clock_that_is_far_ahead_hides_no_other_monitor(
    monitors: Monitors, monitoring: Monitoring, clock: Clock
) -> None:
    iris, wine = monitoring.run("iris"), monitoring.run("wine")
    monitoring.log(wine, {"accuracy": [(60, 0.9)]}, skew=86_400)
    monitoring.log(iris, {"accuracy": [(60, 0.9)]})
    await one(monitors, ACCURACY)

    clock.now += timedelta(minutes=5)
    monitoring.log(iris, {"accuracy": [(120, 0.8)]})

    assert points(await one(monitors, ACCURACY)) == [(60, 0.9), (120, 0.8)]


async def test_an_evaluation_dated_far_in_the_past_is_seen_by_the_next_sweep(
    monitors: Monitors, monitoring: Monitoring, clock: Clock
) -> None:
    run_id = monitoring.run("iris")
    await one(monitors, ACCURACY)
    monitoring.log(run_id, {"accuracy": [(60, 0.9)]}, skew=-86_400)
    assert await one(monitors, ACCURACY) is None

    clock.now += SWEEP_EVERY

    assert points(await one(monitors, ACCURACY)) == [(60, 0.9)]


async def test_the_last_window_logged_again_is_read_again(
    monitors: Monitors, monitoring: Monitoring, clock: Clock
) -> None:
    run_id = monitoring.run("iris")
    monitoring.log(run_id, {"accuracy": [(60, 0.9)]})
    await one(monitors, ACCURACY)

    clock.now += timedelta(minutes=1)
    monitoring.log(run_id, {"accuracy": [(60, 0.5)]}, revision=1)

    assert points(await one(monitors, ACCURACY)) == [(60, 0.5)]


async def test_two_windows_of_one_second_are_both_read_however_they_are_asked_for(
    monitors: Monitors, monitoring: Monitoring
) -> None:
    """``eval_ts`` has whole seconds: a monitor that catches up logs several windows in one."""
    run_id = monitoring.run("iris")
    monitoring.log(run_id, {"accuracy": [(60, 0.9)]})
    await one(monitors, ACCURACY)

    monitoring.log(run_id, {"accuracy": [(120, 0.5)]})

    assert points(await one(monitors, ACCURACY)) == [(60, 0.9), (120, 0.5)]


async def test_an_earlier_window_logged_again_is_read_again_with_the_next_one(
    monitors: Monitors, monitoring: Monitoring, clock: Clock
) -> None:
    # MLflow's latest eval_ts is that of the highest step, so a window further back is not seen before
    run_id = monitoring.run("iris")
    monitoring.log(run_id, {"accuracy": [(60, 0.9), (120, 0.9)]})
    await one(monitors, ACCURACY)

    clock.now += timedelta(minutes=1)
    monitoring.log(run_id, {"accuracy": [(60, 0.5)]}, revision=1)
    monitoring.log(run_id, {"accuracy": [(180, 0.8)]})

    assert points(await one(monitors, ACCURACY)) == [(60, 0.5), (120, 0.9), (180, 0.8)]


async def test_a_run_that_was_deleted_is_gone_with_the_next_sweep(
    monitors: Monitors, monitoring: Monitoring, oracle: mlflow.MlflowClient, clock: Clock
) -> None:
    run_id = monitoring.run("iris")
    monitoring.log(run_id, {"accuracy": [(60, 0.9)]})
    await one(monitors, ACCURACY)
    oracle.delete_run(run_id)

    clock.now += SWEEP_EVERY

    assert await one(monitors, ACCURACY) is None


async def test_an_experiment_that_appears_later_is_found(
    monitors: Monitors, monitoring: Monitoring, oracle: mlflow.MlflowClient, clock: Clock
) -> None:
    monitoring.log(monitoring.run("iris"), {"accuracy": [(60, 0.9)]})
    oracle.rename_experiment(monitoring.experiment_id, "not yet")
    assert await one(monitors, ACCURACY) is None

    oracle.rename_experiment(monitoring.experiment_id, names.MONITORING_EXPERIMENT)
    clock.now += timedelta(hours=1)

    assert points(await one(monitors, ACCURACY)) == [(60, 0.9)]
