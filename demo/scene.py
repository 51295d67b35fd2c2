"""What the chapters play on: kubectl in the story's namespace, MLflow, and a place to say what is being done."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from cluster.paths import REPOSITORY
from demo.facts import Prediction
from demo.kubectl import Json, Kubectl, condition, is_true
from demo.mlflow import Mlflow
from tandem.api.appdeployment import AppDeployment
from tandem.api.trainingjob import TrainingJob

IRIS: Final = REPOSITORY / "examples/iris"
WEB: Final = REPOSITORY / "examples/web"
# A training run with its image there, its pod scheduled and its model logged, on a machine that is busy.
TRAINED_WITHIN: Final = 420.0

Note = Callable[[str], None]


class StoryStopped(Exception):
    """The story took another turn than it should: what was expected, and what came."""


@dataclass(frozen=True)
class Scene:
    """``note`` is told every command that changes something, as a reader would type it."""

    kubectl: Kubectl
    mlflow: Mlflow
    note: Note = lambda _: None

    def do(self, *words: str) -> str:
        """A command of the story: told, then run."""
        shown = [word.replace(f"{REPOSITORY}/", "") for word in words]
        self.note(f"kubectl -n {self.kubectl.namespace} {shlex.join(shown)}")
        return self.kubectl.run(*words)

    def garden(self, *words: str) -> str:
        return self.do("exec", "garden", "--", "python", "garden.py", *words)

    def predict(self) -> Prediction:
        """One question to the model server, over HTTP, from the garden."""
        answer = json.loads(self.garden("ask"))
        return Prediction(tuple(answer["predictions"]), answer["headers"])

    def job(self) -> TrainingJob:
        return training_job(self.kubectl.get("trainingjob/iris"))

    def app(self, name: str) -> AppDeployment:
        return app_deployment(self.kubectl.get(f"appdeployment/{name}"))

    def await_run(self, number: int) -> TrainingJob:
        """The TrainingJob when its run of this number has ended well.

        Raises:
            StoryStopped: the run failed.
            NotInTime: it did not end.
        """

        def ended(job: Json) -> bool:
            current = job.get("status", {}).get("run", {}).get("number", 0)
            return current >= number and (is_true(job, "Complete") or is_true(job, "Failed"))

        job = self.kubectl.watch_until("trainingjob/iris", ended, f"run {number} is over", TRAINED_WITHIN)
        if is_true(job, "Failed"):
            raise StoryStopped(f"training run {number} failed: {condition(job, 'Failed')['message']}")
        return training_job(job)


def training_job(object_: Json) -> TrainingJob:
    return msgspec.convert(object_, TrainingJob)


def app_deployment(object_: Json) -> AppDeployment:
    return msgspec.convert(object_, AppDeployment)


def expect(held: bool, what: str) -> None:
    """What the story takes for granted; said in plain words where it does not hold.

    Raises:
        StoryStopped: it does not.
    """
    if not held:
        raise StoryStopped(what)
