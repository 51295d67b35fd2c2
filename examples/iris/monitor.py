"""From labelled answers to the monitoring metrics that Tandem's model-drift controller reads.

Reads the newest windows of labelled answers (garden.py files them) and logs, for each version that answered, its
accuracy in that window. Plain MLflow; the contract is docs/design/monitoring-runs.md:

- one run per model version in the experiment `tandem-monitoring`, found again by its tags;
- step = start of the window in minutes since the epoch; metrics `accuracy`, `n` (labelled answers), `eval_ts`.

A window that is in the run already is not logged again, so the job may run as often as it likes.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

EXPERIMENT = "tandem-monitoring"
WINDOWS = os.environ.get("IRIS_WINDOWS", "mlflow-artifacts:/datasets/iris/windows")
# Older windows were seen by an earlier run of this job.
NEWEST = 30


@dataclass(frozen=True)
class Window:
    """What one version of a model answered in one window; ``start`` in minutes since the epoch."""

    model: str
    version: str
    start: int
    right: tuple[bool, ...]

    @property
    def accuracy(self) -> float:
        return sum(self.right) / len(self.right)

    def metrics(self, evaluated_at: float) -> list[Metric]:
        values = {"accuracy": self.accuracy, "n": len(self.right), "eval_ts": int(evaluated_at)}
        return [
            Metric(key, value, timestamp=int(evaluated_at * 1000), step=self.start) for key, value in values.items()
        ]


def windows(start: int, lines: list[str]) -> Iterator[Window]:
    """One window per version: during a rollout two versions answer in the same one."""
    answers: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for line in lines:
        record = json.loads(line)
        answers[record["model"], record["version"]].append(record["prediction"] == record["label"])
    for (model, version), right in answers.items():
        yield Window(model, version, start, tuple(right))


def newest_windows() -> Iterator[Window]:
    files = mlflow.artifacts.list_artifacts(artifact_uri=WINDOWS)
    starts = sorted(int(file.path.rsplit("/", 1)[-1].split(".")[0]) for file in files)
    for start in starts[-NEWEST:]:
        yield from windows(start, mlflow.artifacts.load_text(f"{WINDOWS}/{start}.jsonl").splitlines())


def experiment_id(client: MlflowClient) -> str:
    known = client.get_experiment_by_name(EXPERIMENT)
    if known is None:
        try:
            return str(client.create_experiment(EXPERIMENT))
        except MlflowException:  # another monitor was faster
            known = client.get_experiment_by_name(EXPERIMENT)
            if known is None:
                raise
    return str(known.experiment_id)


def monitoring_run(client: MlflowClient, model: str, version: str) -> str:
    """The id of the one run that holds this version's metrics; made when there is none yet."""
    experiment = experiment_id(client)
    tags = {"tandem.dev/role": "monitor", "tandem.dev/model": model, "tandem.dev/model-version": version}
    where = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    found = client.search_runs([experiment], where, order_by=["attributes.start_time ASC"], max_results=1)
    if found:
        return str(found[0].info.run_id)
    return str(client.create_run(experiment, tags=tags, run_name=f"{model}/v{version}").info.run_id)


def main() -> None:
    client = MlflowClient()
    logged: dict[str, set[int]] = {}
    for window in newest_windows():
        run = monitoring_run(client, window.model, window.version)
        if run not in logged:
            logged[run] = {point.step for point in client.get_metric_history(run, "n")}
        if window.start in logged[run]:
            continue
        client.log_batch(run, metrics=window.metrics(time.time()))
        name = f"{window.model} v{window.version}"
        print(f"{name}, window {window.start}: accuracy {window.accuracy:.3f} of {len(window.right)}", flush=True)


if __name__ == "__main__":
    main()
