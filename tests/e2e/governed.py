"""Runs that their spec holds to something: a deadline of progress, a time to live, a person's yes, the data before.

Nearly all of it is waiting for pods, so it goes on beside the other tests.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from demo.kubectl import Json, Predicate, condition, is_true
from tandem.api import names
from tests.e2e import fed
from tests.e2e.beside import Scenario, Stage
from tests.e2e.diary import Diary, says
from tests.e2e.scripts import resource, step, trains

HUNG: Final = "hung"  # its step logs nothing and does not end
BRIEF: Final = "brief"  # its Job goes a second after its end
ASKED: Final = "asked"  # its version waits for a person
CHECKED: Final = "checked"  # its second data are of another species than those that passed
_MODELS: Final = {ASKED: f"asked-{os.getpid()}", CHECKED: f"checked-{os.getpid()}"}
_GATE: Final = {"metrics": [{"name": "accuracy", "min": "0.9"}]}
_CHECKS: Final = {
    "columns": [
        {"name": "id", "type": "Integer"},
        {"name": "species", "type": "String", "drift": {"lInfinity": "0.3"}},
    ],
    "baseline": "Previous",
}
# As process 1 it has to say itself that a signal ends it.
_HANGS: Final = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)); time.sleep(3600)"


@dataclass(frozen=True)
class Facts:
    """Each as it ended. ``hung_pods``, ``brief_jobs``: what is left of them.

    ``awaiting``: before the yes, with the ``aliases_before``. ``passed``: before the data changed. ``steps``: the
    containers of the second run's pod that ever ran.
    """

    hung: Json
    hung_pods: tuple[str, ...]
    brief: Json
    brief_jobs: tuple[str, ...]
    awaiting: Json
    aliases_before: dict[str, str]
    approved: Json
    aliases_after: dict[str, str]
    passed: Json
    refused: Json
    refused_aliases: dict[str, str]
    steps: tuple[str, ...]


def _play(stage: Stage) -> Facts:
    try:
        return _govern(stage)
    finally:
        for model in _MODELS.values():
            if stage.site.mlflow.aliases(model):
                stage.site.mlflow.delete("registered-models/delete", {"name": model})


def _govern(stage: Stage) -> Facts:
    site, kubectl, diary = stage.site, stage.kubectl, stage.diary
    learns = step("train", *trains(accuracy=0.95))
    asks = {"name": _MODELS[ASKED], "approval": "Required"}
    kubectl.apply(
        _job(HUNG, step("train", "python", "-c", _HANGS), backoffLimit=0, progressDeadlineSeconds=5),
        _job(BRIEF, step("train", "true"), ttlSecondsAfterFinished=1),
        _job(ASKED, learns, gate=_GATE, model=asks),
        fed.store(),
    )
    kubectl.wait_for(f"pod/{fed.STORE}", "condition=Ready")
    fed.put(kubectl, "1,setosa", "2,versicolor")
    data = [{"name": "flowers", "storageUri": fed.stored(kubectl), "checks": _CHECKS}]
    kubectl.apply(_job(CHECKED, learns, gate=_GATE, model={"name": _MODELS[CHECKED]}, data=data, backoffLimit=0))

    awaiting = diary.until(f"trainingjobs/{ASKED}", says("Ready", "Unknown", "AwaitingApproval"), "a yes is asked for")
    aliases_before = site.mlflow.aliases(_MODELS[ASKED])
    run = awaiting["status"]["approval"]["mlflowRunId"]
    words = (f"{names.DECIDED_BY_ANNOTATION}=anna", f"{names.APPROVED_ANNOTATION}={run}")
    kubectl.run("annotate", f"trainingjob/{ASKED}", *words)

    passed = diary.until(f"trainingjobs/{CHECKED}", _of_run(1, "Ready", "True"), "the first data pass")
    fed.put(kubectl, "1,virginica", "2,virginica")
    kubectl.run("annotate", f"trainingjob/{CHECKED}", f"{names.REQUESTED_AT_ANNOTATION}=again")
    ended = diary.until_all(
        {
            f"trainingjobs/{HUNG}": says("Failed", "True"),
            f"trainingjobs/{BRIEF}": lambda job: is_true(job, "Complete"),
            f"trainingjobs/{ASKED}": says("Ready", "True"),
            f"trainingjobs/{CHECKED}": _of_run(2, "Failed", "True"),
        },
        "all are over",
    )
    kubectl.run("wait", "--for=delete", f"job/{BRIEF}-1", "--timeout=60s")
    kubectl.run("wait", "--for=delete", "pods", "--selector", f"job-name={HUNG}-1", "--timeout=60s")
    return Facts(
        hung=ended[f"trainingjobs/{HUNG}"],
        hung_pods=tuple(kubectl.names("pods", "--selector", f"job-name={HUNG}-1")),
        brief=kubectl.get(f"trainingjob/{BRIEF}"),
        brief_jobs=tuple(name for name in diary.made("jobs").values() if name.startswith(f"{BRIEF}-")),
        awaiting=awaiting,
        aliases_before=aliases_before,
        approved=ended[f"trainingjobs/{ASKED}"],
        aliases_after=site.mlflow.aliases(_MODELS[ASKED]),
        passed=passed,
        refused=ended[f"trainingjobs/{CHECKED}"],
        refused_aliases=site.mlflow.aliases(_MODELS[CHECKED]),
        steps=_ran(diary, f"{CHECKED}-2"),
    )


def _job(name: str, one: Json, **others: object) -> Json:
    return resource("TrainingJob", name, {"steps": [one], **others})


def _of_run(number: int, type_: str, status: str) -> Predicate:
    def predicate(job: Json) -> bool:
        run = job.get("status", {}).get("run", {})
        return bool(run.get("number") == number and condition(job, type_).get("status") == status)

    return predicate


def _ran(diary: Diary, job: str) -> tuple[str, ...]:
    """The containers of its pods that began, ever."""
    found = set()
    for pod in diary.all("pods"):
        if pod["metadata"].get("labels", {}).get("job-name") == job:
            status = pod.get("status", {})
            for container in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
                if {"running", "terminated"} & container["state"].keys():
                    found.add(container["name"])
    return tuple(sorted(found))


GOVERNED: Final = Scenario("governed", ("trainingjobs", "jobs", "pods"), _play)
