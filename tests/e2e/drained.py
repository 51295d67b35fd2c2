"""The pods of the web app are evicted, one after the other, while a visitor asks and a broken release is set aside."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from demo.kubectl import Json, Kubectl, KubectlFailed
from tandem.api import names
from tests.e2e.diary import WITHIN
from tests.e2e.evicting import evict

APP = "web"
BROKEN = 3


@dataclass(frozen=True)
class Drained:
    """``evicted``: the pods that served, all gone by now. ``serving``: those in their places.

    ``refused``: what whoever drains was told of the second one, while the first one was replaced.
    """

    evicted: tuple[str, ...]
    serving: tuple[str, ...]
    refused: str


@contextmanager
def draining(kubectl: Kubectl, trained: str) -> Iterator[Future[Drained]]:
    """Begins by itself when the broken release has come and ``trained`` is Ready; what came of it comes later.

    Where training takes every processor, one of two pods answers late: that would be no fault of the drain.
    """
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(_drain, kubectl, trained)


def _drain(kubectl: Kubectl, trained: str) -> Drained:
    app, budget = f"appdeployment/{APP}", f"poddisruptionbudget/{APP}"
    tried = kubectl.watch_until(app, lambda app: _candidate(app) == BROKEN, "the broken release is tried", WITHIN)
    served = tried["status"]["stable"]["revision"]
    kubectl.wait_for(trained, "condition=Ready", WITHIN)
    kubectl.watch_until(budget, lambda budget: _allows_one(budget, served), "one of two pods may go")
    first, second = kubectl.names("pods", f"--selector={_pods_of(served)}")
    evict(kubectl, first)
    refused = _refusal(kubectl, second)
    kubectl.watch_until(budget, lambda budget: _allows_one(budget, served), "the first one is replaced")
    evict(kubectl, second)
    for pod in (first, second):
        kubectl.wait_for(f"pod/{pod}", "delete")
    kubectl.wait_for(f"deployment/{APP}-{served}", "jsonpath={.status.readyReplicas}=2")
    return Drained((first, second), tuple(kubectl.names("pods", f"--selector={_pods_of(served)}")), refused)


def _refusal(kubectl: Kubectl, pod: str) -> str:
    try:
        evict(kubectl, pod)
    except KubectlFailed as failed:
        return failed.stderr
    return ""


def _candidate(app: Json) -> int | None:
    found: int | None = app.get("status", {}).get("candidate", {}).get("revision")
    return found


def _allows_one(budget: Json, revision: int) -> bool:
    """The budget is that of the revision's pods, and Kubernetes has counted them."""
    status, wanted = budget.get("status", {}), budget["spec"]["selector"]["matchLabels"]
    counted = status.get("observedGeneration") == budget["metadata"]["generation"]
    return bool(counted and wanted.get(names.REVISION_LABEL) == str(revision) and status["disruptionsAllowed"] == 1)


def _pods_of(revision: int) -> str:
    return f"{names.REVISION_LABEL}={revision},{names.APP_LABEL}={APP}"
