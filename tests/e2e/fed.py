"""A TrainingJob whose data change in their store: a pod notices, a minute after the run, and one run follows.

Nearly all of it is that minute, so it goes on beside the other tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import yaml

from cluster.paths import REPOSITORY
from demo.kubectl import Json, Kubectl, Predicate, is_true
from tests.e2e.beside import Scenario, Stage
from tests.e2e.diary import WITHIN
from tests.e2e.scripts import resource, step

JOB: Final = "fed"
STORE: Final = "store"
PORT: Final = 8000


@dataclass(frozen=True)
class Facts:
    """``first``, ``second``: the TrainingJob when its run of that number had ended. ``jobs``: all there are then."""

    first: Json
    second: Json
    jobs: tuple[str, ...]


def _feed(stage: Stage) -> Facts:
    kubectl = stage.kubectl
    kubectl.apply(store())
    kubectl.wait_for(f"pod/{STORE}", "condition=Ready")
    put(kubectl, "1,setosa")
    data = [{"name": "flowers", "storageUri": stored(kubectl)}]
    retrain = {"onDataChange": {"interval": "1m"}}  # the shortest there is
    spec = {"data": data, "steps": [step("train", "cat", "data/flowers/flowers.csv")], "retrain": retrain}
    kubectl.apply(resource("TrainingJob", JOB, spec))
    first = kubectl.watch_until(f"trainingjob/{JOB}", _has_run(1), "run 1 is over", WITHIN)
    put(kubectl, "2,versicolor")
    second = kubectl.watch_until(f"trainingjob/{JOB}", _has_run(2), "the change is noticed", WITHIN)
    return Facts(first, second, tuple(kubectl.names("jobs")))


def put(kubectl: Kubectl, *rows: str) -> None:
    """In one step, as stores do it: nobody ever reads half a file."""
    lines = "\\n".join(["id,species", *rows, ""])
    kubectl.exec(STORE, "sh", "-c", f"printf '{lines}' > /tmp/new && mv /tmp/new /tmp/flowers.csv")


def stored(kubectl: Kubectl) -> str:
    """Where it is to be had."""
    return f"http://{kubectl.get(f'pod/{STORE}')['status']['podIP']}:{PORT}/flowers.csv"


def store() -> Json:
    """The garden's pod, restricted as it is, with another program: files by HTTP, with the time of their change."""
    pod: Json = yaml.safe_load((REPOSITORY / "examples/iris/garden.yaml").read_text())
    pod["metadata"] = {"name": STORE}
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    container |= {
        "name": STORE,
        "command": ["python", "-m", "http.server", str(PORT)],
        "workingDir": "/tmp",
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "volumeMounts": [mount for mount in container["volumeMounts"] if mount["name"] == "tmp"],
    }
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] == "tmp"]
    return pod


def _has_run(number: int) -> Predicate:
    def predicate(job: Json) -> bool:
        return bool(job.get("status", {}).get("run", {}).get("number") == number and is_true(job, "Complete"))

    return predicate


FED: Final = Scenario("fed", (), _feed)
