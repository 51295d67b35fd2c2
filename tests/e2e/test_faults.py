"""What dies comes back to the same end: the operator, the drift controller, MLflow.

The same end means, counted over everything that ever was: one Job and one MLflow run for each run, one version of each
model, the alias on it, the app on that version, and nothing that was ever called failed.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from demo.kubectl import Json, Kubectl, condition, is_true
from demo.mlflow import Mlflow
from demo.setup import Site
from tandem.api import names
from tests.e2e.counting import (
    audit,
    events_of,
    ever_failed,
    resource_versions,
    runs_in_mlflow,
    trained_once,
    versions,
    writes_of,
)
from tests.e2e.diary import WITHIN, Diary, diary_of, says
from tests.e2e.killing import available, kill, pod_of, remove
from tests.e2e.scripts import python, resource, step, trains

pytestmark = pytest.mark.e2e

OPERATOR, DRIFT = "tandem-operator", "tandem-drift"
GATE: Final = {"metrics": [{"name": "accuracy", "min": "0.9"}]}
KINDS = ("trainingjobs", "appdeployments", "jobs", "deployments", "events")

# A server of the user's own: it answers with the version that it was given, and needs no model to be loaded.
SERVES: Final = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(os.environ["MODEL_VERSION"].encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
# Asks the app ten times a second, and keeps count of the answers; the name is looked up once. (An AppDeployment has
# to answer something itself.)
VISITS: Final = """
import collections, http.server, json, os, socket, threading, time, urllib.request
tally = collections.Counter()
def keep():
    with open("/tmp/new", "w") as file: json.dump(tally, file)
    os.replace("/tmp/new", "/tmp/tally")
address = ""
while not address:
    try:
        address = socket.gethostbyname("app")
    except OSError:
        time.sleep(0.2)
keep()
# Ready from here on: who finds it ready finds a tally.
server = http.server.ThreadingHTTPServer(("", 8080), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    try:
        tally[urllib.request.urlopen(f"http://{address}", timeout=10).read().decode()] += 1
    except OSError as error:
        tally[f"failed: {error}"] += 1
    keep()
    time.sleep(0.1)
"""
UNTIL_TOLD: Final = "while not os.path.exists('/tmp/go'): time.sleep(0.2)"
TRAINS_UNTIL_TOLD: Final = python(UNTIL_TOLD, "log('accuracy', 0.95)", "log_model()")
LOGS_UNTIL_TOLD: Final = python("log('accuracy', 0.95)", "log_model()", UNTIL_TOLD)


def job(name: str, model_name: str, /, *command: str, **others: Any) -> Json:
    spec = {"steps": [step("train", *command)], "backoffLimit": 0, "gate": GATE, "model": {"name": model_name}}
    return resource("TrainingJob", name, spec | others)


def app(model: str) -> Json:
    served = {"name": model, "alias": "challenger", "promoteTo": "champion"}
    serves = {"image": "tandem/runtime:dev", "command": ["python", "-c", SERVES]}
    return resource("AppDeployment", "app", {**serves, "model": served, "scaleDownDelaySeconds": 0})


@pytest.fixture
def model(mlflow: Mlflow, namespace: str) -> Iterator[Callable[[str], str]]:
    """Names of registered models that are the test's alone; they go with it."""
    made: list[str] = []

    def named(name: str) -> str:
        made.append(f"{namespace}-{name}")
        return made[-1]

    yield named
    for name in made:
        if mlflow("registered-models/search", filter=f"name = '{name}'").get("registered_models"):
            mlflow.delete("registered-models/delete", {"name": name})


@pytest.fixture
def diary(kubectl: Kubectl) -> Iterator[Diary]:
    with diary_of(kubectl, *KINDS) as opened:
        yield opened


def trains_now(object_: Json) -> bool:
    return bool(object_.get("status", {}).get("run", {}).get("step") == "train")


def tell(kubectl: Kubectl, name: str) -> None:
    """The first run of that TrainingJob may go on."""
    kubectl.exec(f"job/{name}-1", "touch", "/tmp/go")


def until(true: Callable[[], bool], what: str) -> None:
    """For what has no watch; each look is a command in a pod, so nothing spins."""
    deadline = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < deadline, f"not within {WITHIN:.0f} s: {what}"


# --- the operator is killed ------------------------------------------------------------------------------------------


def test_an_operator_that_is_killed_at_any_moment_ends_where_it_would_have(
    site: Site, system: Kubectl, kubectl: Kubectl, mlflow: Mlflow, diary: Diary, model: Callable[[str], str]
) -> None:
    # given runs that train until they are told to end
    models = {name: model(name) for name in ("one", "two", "three", "four")}
    kubectl.apply(*(job(name, m, *TRAINS_UNTIL_TOLD) for name, m in models.items()))

    # when the operator dies right after they were applied
    kill(system, OPERATOR)
    # when the first Job is made (its status may not be written yet), and the pod goes with it
    diary.until_any("jobs", lambda _: True, "the first Job")
    remove(system, OPERATOR)
    # when all of them train
    diary.until_all({f"trainingjobs/{name}": trains_now for name in models}, "all train")
    kill(system, OPERATOR)
    # when a Job is complete: the gate, the registration and the alias are due
    tell(kubectl, "one")
    diary.until("jobs/one-1", says("Complete", "True"), "the first Job is complete")
    remove(system, OPERATOR)
    # when a version is registered, and the alias is due
    tell(kubectl, "two")
    until(lambda: versions(mlflow, models["two"]) == ["1"], "the second model is registered")
    kill(system, OPERATOR)
    # when an app rolls out, while two Jobs end
    kubectl.apply(app(models["one"]))
    tell(kubectl, "three")
    tell(kubectl, "four")
    diary.until_any("deployments", lambda _: True, "the first revision")
    remove(system, OPERATOR)
    # when the Service switches to it
    diary.until("appdeployments/app", lambda o: bool(o.get("status", {}).get("stable")), "the revision takes traffic")
    kill(system, OPERATOR)

    # then everything ends where it would have
    wanted = {f"trainingjobs/{name}": says("Ready", "True", "Succeeded") for name in models}
    diary.until_all(wanted, "every run succeeds")
    kubectl.wait_for("appdeployments/app", "condition=Ready", WITHIN)
    trained_once(kubectl, mlflow, diary, models)
    assert mlflow.aliases(models["one"]) == {"challenger": "1", "champion": "1"}
    assert kubectl.get("appdeployments/app")["status"]["phase"] == "Healthy"
    assert list(diary.made("deployments").values()) == ["app-1"]
    assert ever_failed(diary, "appdeployments/app") == []

    # and one that starts when all is settled, and looks at every resource, changes nothing
    before, mark = resource_versions(kubectl), audit(site)
    remove(system, OPERATOR)
    until(lambda: looked_at_everything(system), "another operator has looked at everything")
    assert resource_versions(kubectl) == before
    assert writes_of(site, mark, OPERATOR, kubectl.namespace) == Counter()


def looked_at_everything(system: Kubectl) -> bool:
    """Who leads has listed everything and queued it; it was all looked at when the queue is empty."""
    pod = pod_of(system, OPERATOR)
    if system.get(f"lease/{OPERATOR}")["spec"]["holderIdentity"] != pod:
        return False
    ask = "import urllib.request; print(urllib.request.urlopen('http://localhost:8080/metrics').read().decode())"
    return "tandem_queue_depth 0.0" in system.exec(f"pod/{pod}", "python", "-c", ask).splitlines()


# --- the drift controller is killed ----------------------------------------------------------------------------------


def test_a_drift_controller_that_is_killed_in_an_alarm_asks_for_one_run(
    system: Kubectl, kubectl: Kubectl, mlflow: Mlflow, diary: Diary, model: Callable[[str], str]
) -> None:
    # given a champion that is watched
    name = model("drifts")
    signal = {"metric": "accuracy", "min": "0.9", "breaches": {"count": 3}}
    watched = {
        "model": {"name": name, "alias": "champion"},
        "retrain": {"cooldown": "1s", "drift": {"signals": [signal]}},
    }
    kubectl.apply(job("drifts", name, *trains(accuracy=0.95), **watched))
    target = "trainingjobs/drifts"
    diary.until(target, lambda o: drift_of(o).get("championVersion") == "1", "version 1 is watched")

    # when three bad windows come, and the controller dies before, while and after it acts on them
    monitored(mlflow, name, "1", [0.5, 0.5, 0.5])
    kill(system, DRIFT)
    diary.until(target, lambda o: bool(drift_of(o).get("retrainRequest")), "a run is requested")
    remove(system, DRIFT)
    kill(system, OPERATOR)
    diary.until(target, lambda o: o.get("status", {}).get("run", {}).get("number") == 2, "the second run")
    kill(system, DRIFT)

    # then there is one run for it
    diary.until(target, lambda o: drift_of(o).get("championVersion") == "2", "version 2 is watched")
    done = diary.until(target, lambda o: run_of(o) == (2, "Drift") and is_true(o, "Complete"), "the second run ends")
    assert done["status"]["model"] == {"name": name, "version": "2", "alias": "champion"}
    assert sorted(diary.made("jobs").values()) == ["drifts-1", "drifts-2"]
    assert sorted(runs_in_mlflow(mlflow, f"{kubectl.namespace}/drifts")) == ["FINISHED", "FINISHED"]
    assert versions(mlflow, name) == ["1", "2"]
    # Who dies between the status and its Event tells nobody, as every controller does; none is told twice.
    assert events_of(kubectl, "TrainingJob", "drifts")["RetrainRequested"] <= 1
    requests = {
        drift_of(o)["retrainRequest"]["id"] for o in diary.versions(target) if drift_of(o).get("retrainRequest")
    }
    assert len(requests) == 1, "one alarm, one request"


def run_of(object_: Json) -> tuple[int, str]:
    run = object_.get("status", {}).get("run", {})
    return int(run.get("number", 0)), str(run.get("trigger", {}).get("type", ""))


def drift_of(object_: Json) -> Json:
    found: Json = object_.get("status", {}).get("drift", {})
    return found


def monitored(mlflow: Mlflow, model: str, version: str, accuracies: list[float]) -> None:
    """Windows of a monitoring job, as docs/design/monitoring-runs.md wants them; the last one ends now."""
    role = {names.TAG_ROLE: names.ROLE_MONITOR, names.TAG_MODEL: model, names.TAG_MODEL_VERSION: version}
    now = int(time.time())
    tags = [{"key": key, "value": value} for key, value in role.items()]
    new = {"experiment_id": monitoring_experiment(mlflow), "start_time": now * 1000, "tags": tags}
    run = mlflow.post("runs/create", new)["run"]["info"]["run_id"]
    first = now // 60 - len(accuracies)
    points = [
        {"key": key, "value": value, "timestamp": (window + 1) * 60_000, "step": window}
        for window, accuracy in enumerate(accuracies, first)
        for key, value in {"accuracy": accuracy, names.EVALUATED_AT_METRIC: now}.items()
    ]
    mlflow.post("runs/log-batch", {"run_id": run, "metrics": points})


def monitoring_experiment(mlflow: Mlflow) -> str:
    found = mlflow("experiments/search", filter=f"name = '{names.MONITORING_EXPERIMENT}'", max_results="1")
    if found.get("experiments"):
        return str(found["experiments"][0]["experiment_id"])
    return str(mlflow.post("experiments/create", {"name": names.MONITORING_EXPERIMENT})["experiment_id"])


# --- MLflow is away --------------------------------------------------------------------------------------------------


@contextmanager
def away(system: Kubectl) -> Iterator[None]:
    """MLflow has no pod; it is back, and ready, afterwards."""
    system.run("scale", "deployment/mlflow", "--replicas=0")
    try:
        system.run(
            "wait", "--for=delete", "pod", "--selector=app.kubernetes.io/name=mlflow", f"--timeout={WITHIN:.0f}s"
        )
        yield
    finally:
        system.run("scale", "deployment/mlflow", "--replicas=1")
        available(system, "mlflow")


def waits_for_mlflow(object_: Json) -> bool:
    """In the words of the contract: it retries by itself, nobody is needed."""
    return (
        "waiting for MLflow since" in condition(object_, "Ready").get("message", "")
        and says("Ready", "False", "TrackingUnavailable")(object_)
        and says("Reconciling", "True", "ProgressingWithRetry")(object_)
    )


def test_mlflow_that_is_away_fails_nothing_and_everything_goes_on_when_it_is_back(
    system: Kubectl, kubectl: Kubectl, mlflow: Mlflow, diary: Diary, model: Callable[[str], str], rolling: None
) -> None:
    # given an app that serves and is asked all the time, a run that has logged, and one that has not
    models = {name: model(name) for name in ("served", "finishing", "running", "pending")}
    kubectl.apply(
        job("served", models["served"], *trains(accuracy=0.95)),
        job("finishing", models["finishing"], *LOGS_UNTIL_TOLD),
        job("running", models["running"], *TRAINS_UNTIL_TOLD),
        app(models["served"]),
        resource("AppDeployment", "visitor", {"image": "tandem/runtime:dev", "command": ["python", "-c", VISITS]}),
    )
    serving_now = says("Ready", "True", "Serving")
    diary.until_all({"appdeployments/app": serving_now, "appdeployments/visitor": serving_now}, "the app is asked")
    diary.until_all({f"trainingjobs/{name}": trains_now for name in ("finishing", "running")}, "both train")
    until(lambda: logged(mlflow, f"{kubectl.namespace}/finishing"), "one of them has logged its model")
    serving = kubectl.get("deployments/app-1")["metadata"]
    before = tally(kubectl)

    # when MLflow goes, one run ends, and another one is asked for
    with away(system):
        tell(kubectl, "finishing")
        kubectl.apply(job("pending", models["pending"], *trains(accuracy=0.95)))

        # then the status says what is waited for
        targets = ["trainingjobs/finishing", "trainingjobs/pending", "appdeployments/app"]
        seen = diary.until_all(dict.fromkeys(targets, waits_for_mlflow), "the status says that MLflow is away")
        assert condition(seen["trainingjobs/finishing"], "Trained")["reason"] == "JobComplete"
        assert "jobName" not in seen["trainingjobs/pending"]["status"].get("run", {}), "no Job without an MLflow run"
        assert says("Available", "True", "Serving")(seen["appdeployments/app"])
        # and the version that serves is not touched
        enough = tally(kubectl).total() + 20
        until(lambda: tally(kubectl).total() > enough, "the visitor goes on asking")
        assert kubectl.get("deployments/app-1")["metadata"]["generation"] == serving["generation"]

    # then, when it is back, everything goes on
    tell(kubectl, "running")
    wanted = {f"trainingjobs/{name}": says("Ready", "True", "Succeeded") for name in models}
    diary.until_all(wanted, "every run succeeds")
    kubectl.wait_for("appdeployments/app", "condition=Ready", WITHIN)
    trained_once(kubectl, mlflow, diary, models)
    assert ever_failed(diary, "appdeployments/app") == []
    assert kubectl.get("deployments/app-1")["metadata"]["uid"] == serving["uid"]
    assert set(tally(kubectl) - before) == {"1"}, "every question was answered, by version 1"


def logged(mlflow: Mlflow, experiment: str) -> bool:
    found = mlflow("experiments/get-by-name", experiment_name=experiment)["experiment"]["experiment_id"]
    return bool(mlflow.post("logged-models/search", {"experiment_ids": [found]}).get("models"))


def tally(kubectl: Kubectl) -> Counter[str]:
    """Answer → how often."""
    return Counter(json.loads(kubectl.exec("deployment/visitor-1", "cat", "/tmp/tally")))
