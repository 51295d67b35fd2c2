"""The mistakes of the table, made all at the same moment; what can be put right is put right as soon as it was told.

Nearly all of it is Kubernetes' own patience (a minute for an image, back-offs that grow), so it begins with the session
and goes on beside the other tests; threads do what must not wait for them: quotas are raised, owners named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from demo.kubectl import Json, Kubectl, condition
from demo.mlflow import Mlflow
from demo.setup import Site
from demo.stage import namespace_object
from tandem.api import names
from tests.e2e.diary import WITHIN, Diary, diary_of, says
from tests.e2e.mistakes import CASES, OURS, THEIRS, TJ, Bad, job
from tests.e2e.scripts import resource, step

# What a namespace's quota leaves none of: where Kubernetes refuses the Job itself, and where it refuses its pod.
QUOTAS: Final = ("count/jobs.batch", "pods")


@dataclass(frozen=True)
class Place:
    """A namespace, and all that was ever seen in it."""

    kubectl: Kubectl
    diary: Diary

    def settled(self, case: Bad) -> Json:
        """The first version that says what the case ends in; without an end that is still to be told, too."""

        def told(object_: Json) -> bool:
            over = condition(object_, "Failed").get("status") == "True"
            return says("Ready", case.status, case.reason)(object_) and (over or not case.ended)

        return self.diary.until(case.target, told, f"{case.name} ends in {case.reason}")

    def events(self, case: Bad) -> list[Json]:
        """Those of a case that is settled, with the last one: an Event follows the status that it tells of."""
        self.settled(case)
        if case.events:
            last = case.events[-1]
            self.diary.until_any("events", lambda e: case.told_by(e) and e["reason"] == last, f"{case.name}: {last}")
        return [event for event in self.kubectl.json("get", "events")["items"] if case.told_by(event)]

    def apply_quota(self, limit: str, hard: str) -> None:
        quota = {"metadata": {"name": "small"}, "spec": {"hard": {limit: hard}}}
        self.kubectl.apply({"apiVersion": "v1", "kind": "ResourceQuota", **quota})
        path = limit.replace(".", "\\.")
        self.kubectl.wait_for("resourcequota/small", f"jsonpath={{.status.hard['{path}']}}={hard}")

    def raise_quota(self, limit: str) -> None:
        """As soon as it was told: a refused Job is tried again ever more rarely."""
        self.diary.until("trainingjobs/iris", says("Stalled", "True"), f"the quota for {limit} is told")
        self.apply_quota(limit, "5")


@dataclass(frozen=True)
class World:
    """``cramped``: the places without quota, by what they have none of. The rest is what threads do.

    ``waited``: `kubectl wait --for=condition=Stalled` for all that ends so. ``raised``: each quota. ``told``: the
    events of each case, by its name. ``remedied``: whatever else can be put right.
    """

    mlflow: Mlflow
    table: Place
    cramped: dict[str, Place]
    waited: Future[None]
    raised: dict[str, Future[None]]
    told: Future[dict[str, list[Json]]]
    remedied: Future[None]


@contextmanager
def place(site: Site, name: str) -> Iterator[Place]:
    site.kubectl.apply(namespace_object(name))
    kubectl = site.kubectl.within(name)
    with diary_of(kubectl, "trainingjobs", "appdeployments", "jobs", "events") as diary:
        yield Place(kubectl, diary)
    site.kubectl.run("delete", "namespace", name, "--wait=false")


@contextmanager
def everything_wrong(site: Site) -> Iterator[World]:
    """Every mistake, made at the same moment."""
    mlflow = site.mlflow
    mlflow.post(
        "registered-models/create", {"name": THEIRS, "tags": [{"key": names.TAG_NAMESPACE, "value": "elsewhere"}]}
    )
    with ExitStack() as places:
        table = places.enter_context(place(site, f"bad-input-{os.getpid()}"))
        cramped = {
            limit: places.enter_context(place(site, f"bad-input-{os.getpid()}-{number}"))
            for number, limit in enumerate(QUOTAS)
        }
        for limit, its in cramped.items():
            its.apply_quota(limit, "0")
            its.kubectl.apply(resource(TJ, "iris", job(step("train", "true"))))
        table.kubectl.apply(*(case.object for case in CASES))
        threads = places.enter_context(ThreadPoolExecutor(len(QUOTAS) + 3))
        waited = threads.submit(_wait_for_stalled, table)
        told = threads.submit(lambda: {case.name: table.events(case) for case in CASES})
        raised = {limit: threads.submit(its.raise_quota, limit) for limit, its in cramped.items()}
        remedied = threads.submit(_remedy, mlflow, table, waited, told)
        yield World(mlflow, table, cramped, waited, raised, told, remedied)
    for model in (OURS, THEIRS):
        if mlflow("registered-models/search", filter=f"name = '{model}'").get("registered_models"):
            mlflow.delete("registered-models/delete", {"name": model})


def _wait_for_stalled(table: Place) -> None:
    targets = [case.target for case in CASES if case.stalled]
    table.kubectl.run("wait", "--for=condition=Stalled", *targets, f"--timeout={WITHIN:.0f}s")


def _remedy(mlflow: Mlflow, table: Place, waited: Future[None], told: Future[dict[str, list[Json]]]) -> None:
    """When all was told: the model's owner is named, the ConfigMap made."""
    waited.result()
    told.result()
    owner = {"name": THEIRS, "key": names.TAG_NAMESPACE, "value": table.kubectl.namespace}
    mlflow.post("registered-models/set-tag", owner)
    table.kubectl.run("create", "configmap", "nowhere", "--from-literal=readme=here")
