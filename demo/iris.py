"""The model's chapters: trained, served, watched, found drifting, trained again, replaced."""

from __future__ import annotations

from demo import visitor
from demo.facts import Drifted, Served, Trained, Watched, served_version
from demo.kubectl import Json, condition, is_true
from demo.scene import IRIS, Scene, StoryStopped, app_deployment, expect, training_job
from demo.stage import MODEL, namespace_object
from tandem.api.trainingjob_status import RetrainRequest

ORDINARY_WINDOWS = 2
GROWN_WINDOWS = 4


def train(scene: Scene) -> Trained:
    """The gardener publishes the data, a Git server the code; the first run ends with a registered version."""
    scene.kubectl.apply(namespace_object(scene.kubectl.namespace))
    scene.do("apply", f"--kustomize={IRIS}", "--selector=app.kubernetes.io/component=garden")
    scene.kubectl.wait_for("pod/garden", "condition=Ready")
    scene.garden("publish")
    scene.kubectl.wait_for("pod/git-server", "condition=Ready")
    scene.do("apply", f"--kustomize={IRIS}")
    return Trained(scene.await_run(1), scene.mlflow.aliases(MODEL))


def serve(scene: Scene) -> Served:
    """The AppDeployment follows alias challenger; when its version has the traffic, alias champion moves."""
    scene.kubectl.wait_for("appdeployment/iris", "condition=Ready")
    return served(scene)


def served(scene: Scene) -> Served:
    prediction = scene.predict()
    return Served(scene.app("iris"), scene.mlflow.aliases(MODEL), prediction)


def visit(scene: Scene) -> None:
    """From here on somebody asks ten times a second, and every request counts."""
    visitor.of_model(scene.kubectl).start()


def watch(scene: Scene) -> Watched:
    """Ordinary flowers, with their labels: the monitor logs the accuracy, the drift controller finds it healthy."""
    scene.garden("visit", f"--windows={ORDINARY_WINDOWS}")
    _monitor(scene, "monitor-ordinary")
    scene.kubectl.wait_for("trainingjob/iris", "condition=Drifted=False")
    return Watched(scene.job())


def drift(scene: Scene) -> Drifted:
    """All petals grew: the accuracy falls, one run is requested, and it learns from the new flowers."""
    scene.garden("publish", "--grown")
    scene.garden("visit", f"--windows={GROWN_WINDOWS}", "--grown")
    _monitor(scene, "monitor-grown")
    asked = training_job(
        scene.kubectl.watch_until(
            "trainingjob/iris", lambda job: bool(_request(job)), "the drift controller requests a run"
        )
    )
    request = asked.status.drift.retrain_request if asked.status.drift else None
    if request is None:
        raise StoryStopped("the request for a run was gone at once")
    trained = Trained(scene.await_run(2), scene.mlflow.aliases(MODEL))
    _answers(trained, request)
    return Drifted(Watched(asked), request, trained)


def replace(scene: Scene, version: str) -> Served:
    """The new version takes the traffic from the old one while the visitor keeps asking."""

    def took_over(app: Json) -> bool:
        return served_version(app_deployment(app)) == version and is_true(app, "Ready")

    scene.kubectl.watch_until("appdeployment/iris", took_over, f"version {version} serves")
    visitor.of_model(scene.kubectl).hears(version)
    return served(scene)


def recover(scene: Scene, version: str) -> Watched:
    """The same grown flowers, judged by the new version."""
    scene.garden("visit", f"--windows={ORDINARY_WINDOWS}", "--grown")
    _monitor(scene, "monitor-recovered")

    def healthy(job: Json) -> bool:
        champion = job.get("status", {}).get("drift", {}).get("championVersion")
        return champion == version and condition(job, "Drifted").get("status") == "False"

    job = scene.kubectl.watch_until("trainingjob/iris", healthy, f"version {version} is found healthy")
    return Watched(training_job(job))


def _monitor(scene: Scene, name: str) -> None:
    """The CronJob would do it within a minute; nobody likes to wait.

    Its Job is not waited for: the CronJob's controller clears finished Jobs away, and what counts is what comes of it.
    """
    scene.kubectl.run("delete", "job", name, "--ignore-not-found")
    scene.do("create", "job", name, "--from=cronjob/iris-monitor")


def _request(job: Json) -> Json:
    found: Json = job.get("status", {}).get("drift", {}).get("retrainRequest", {})
    return found


def _answers(trained: Trained, request: RetrainRequest) -> None:
    run = trained.job.status.run
    expect(run is not None and run.trigger.type == "Drift", "the second run was not started by drift")
    expect(run is not None and run.trigger.id == request.id, f"the second run does not answer request {request.id}")
