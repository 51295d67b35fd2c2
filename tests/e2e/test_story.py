"""The story of `make demo`, as assertions: the same chapters, in the same order, on a cluster of their own.

Each fixture is a chapter and needs the one before; each test says what must hold after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import yaml

from demo import iris, stage, web
from demo.facts import Drifted, Lineage, Released, Served, Trained, Watched
from demo.kubectl import Kubectl, condition, is_true
from demo.lineage import trace
from demo.mlflow import Mlflow
from demo.scene import IRIS, Scene
from demo.setup import Site
from demo.story import goodbye
from demo.visitor import Tally
from tandem.api import names
from tandem.api.appdeployment import AppDeployment
from tandem.api.meta import Condition, condition_of
from tandem.api.trainingjob_status import SourceStatus
from tests.e2e.drained import Drained, draining
from tests.e2e.observer import Sighting, Sightings, watching

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def scene(site: Site) -> Scene:
    stage.clear(site.kubectl, site.mlflow)
    return Scene(site.kubectl.within(stage.NAMESPACE), site.mlflow)


@pytest.fixture(scope="module")
def sightings(scene: Scene, system: Kubectl) -> Iterator[Sightings]:
    """Every move of alias champion, from before the first version to the end of the session."""
    with watching(system, scene.kubectl, stage.MODEL, "champion") as found:
        yield found


@pytest.fixture(scope="module")
def trained(scene: Scene, sightings: Sightings) -> Trained:
    return iris.train(scene)


@pytest.fixture(scope="module")
def served(scene: Scene, trained: Trained) -> Served:
    return iris.serve(scene)


@pytest.fixture(scope="module")
def visited(scene: Scene, served: Served) -> None:
    iris.visit(scene)


@pytest.fixture(scope="module")
def healthy(scene: Scene, visited: None) -> Watched:
    return iris.watch(scene)


@pytest.fixture(scope="module")
def drifted(scene: Scene, healthy: Watched) -> Drifted:
    return iris.drift(scene)


@pytest.fixture(scope="module")
def replaced(scene: Scene, drifted: Drifted) -> Served:
    return iris.replace(scene, drifted.trained.version)


@pytest.fixture(scope="module")
def recovered(scene: Scene, replaced: Served) -> Watched:
    return iris.recover(scene, replaced.version)


@pytest.fixture(scope="module")
def again(scene: Scene, trained: Trained, drifted: Drifted, recovered: Watched) -> Iterator[Future[None]]:
    """Both runs are asked for again, from what each was made from, while the app is released; the second one twice in
    a row: what came of it is asked for again, too.
    """
    for name, before in {"iris-first": trained, "iris-second": drifted.trained}.items():
        run = before.job.status.run
        assert run is not None
        reproduce(scene.kubectl, name, run.mlflow_run_id)

    def once_more() -> None:
        scene.kubectl.wait_for("trainingjob/iris-second", "condition=Ready")
        run_id = scene.kubectl.get("trainingjob/iris-second")["status"]["run"]["mlflowRunId"]
        reproduce(scene.kubectl, "iris-third", run_id)

    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(once_more)


def reproduce(kubectl: Kubectl, name: str, run_id: str) -> None:
    job = yaml.safe_load((IRIS / "trainingjob.yaml").read_text())
    spec = {field: value for field, value in job["spec"].items() if field not in {"gate", "model", "retrain"}}
    kubectl.apply({**job, "metadata": {"name": name}, "spec": {**spec, "reproduceFrom": run_id}})


@pytest.fixture(scope="module")
def drains(scene: Scene, again: Future[None]) -> Iterator[Future[Drained]]:
    """Waits for the broken release; the pods that serve are evicted beside it."""
    with draining(scene.kubectl, "trainingjob/iris-second") as found:
        yield found


@pytest.fixture(scope="module")
def released(scene: Scene, drains: Future[Drained]) -> Released:
    return web.release(scene)


@pytest.fixture(scope="module")
def drained(released: Released, drains: Future[Drained]) -> Drained:
    return drains.result()


@pytest.fixture(scope="module")
def lineage(scene: Scene, replaced: Served) -> Lineage:
    return trace(scene, replaced.prediction)


@pytest.fixture(scope="module")
def tallies(scene: Scene, released: Released, drained: Drained) -> dict[str, Tally]:
    return goodbye(scene)


def test_the_stage_refuses_pods_that_are_not_restricted(scene: Scene, trained: Trained) -> None:
    labels = scene.kubectl.get(f"namespace/{stage.NAMESPACE}")["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_model_is_trained_judged_registered_and_named_challenger(trained: Trained) -> None:
    status = trained.job.status

    assert [status.phase, true(status.conditions)] == [
        "Complete",
        {"Ready", "Trained", "Blessed", "Registered", "Promoted", "Complete"},
    ]
    assert [(v.metric, v.rule, v.passed) for v in status.gate] == [("accuracy", "≥ 0.9", True)]
    assert [(data.name, data.digest[:7]) for data in status.data] == [("iris", "sha256:")]
    assert status.image is not None
    assert status.image.digest.startswith("sha256:")
    assert trained.aliases == {"challenger": trained.version}


def test_every_condition_speaks_of_the_spec_as_it_is(trained: Trained, served: Served) -> None:
    for resource in (trained.job, served.app):
        assert resource.status.observed_generation == resource.metadata.generation
        assert {c.observed_generation for c in resource.status.conditions} == {resource.metadata.generation}


def test_the_version_that_is_named_challenger_serves_and_is_named_champion(served: Served, trained: Trained) -> None:
    assert served.app.status.phase == "Healthy"
    assert served.version == trained.version
    assert served.aliases == {"challenger": trained.version, "champion": trained.version}


def test_a_prediction_says_who_made_it(served: Served, trained: Trained) -> None:
    run = trained.job.status.run

    assert run is not None
    assert (served.prediction.model, served.prediction.version) == ("iris", trained.version)
    assert served.prediction.run_id == run.mlflow_run_id
    assert set(served.prediction.said) <= {"setosa", "versicolor", "virginica"}


@pytest.mark.parametrize(
    ("target", "expression"),
    [
        ("trainingjob/iris", "condition=Ready"),
        ("trainingjob/iris", "condition=Complete"),
        ("trainingjob/iris", "jsonpath={.status.phase}=Complete"),
        ("appdeployment/iris", "condition=Ready"),
        ("appdeployment/iris", "condition=Available"),
    ],
)
def test_kubectl_wait_understands_the_status(scene: Scene, served: Served, target: str, expression: str) -> None:
    scene.kubectl.wait_for(target, expression, within=30)


def test_ordinary_flowers_are_found_healthy(healthy: Watched) -> None:
    drifted = condition_of(healthy.job.status.conditions, "Drifted")

    assert drifted is not None
    assert (drifted.status, drifted.reason) == ("False", "WithinBounds")
    assert float(healthy.accuracy) >= 0.9


def test_grown_flowers_are_found_drifted_by_consecutive_breaches(drifted: Drifted, trained: Trained) -> None:
    drift = drifted.alarm.job.status.drift

    assert drift is not None
    assert drift.champion_version == trained.version
    [signal] = drift.signals
    assert (signal.metric, signal.state) == ("accuracy", "Drifted")
    assert signal.breaches >= 3
    assert float(signal.value) < 0.9


def test_the_alarm_is_answered_by_one_run_that_says_why(drifted: Drifted) -> None:
    run = drifted.trained.job.status.run

    assert run is not None
    assert (run.number, run.trigger.type, run.trigger.id) == (2, "Drift", drifted.request.id)
    assert "accuracy" in run.trigger.message


def test_the_new_version_learnt_from_other_data(trained: Trained, drifted: Drifted) -> None:
    assert int(drifted.trained.version) == int(trained.version) + 1
    assert drifted.trained.job.status.data[0].digest != trained.job.status.data[0].digest


def test_the_new_version_replaces_the_old_one(replaced: Served, drifted: Drifted) -> None:
    new = drifted.trained.version

    assert replaced.version == replaced.prediction.version == new
    assert replaced.aliases == {"challenger": new, "champion": new}


def test_the_alias_moves_only_when_its_version_has_the_traffic(
    trained: Trained, replaced: Served, sightings: Sightings
) -> None:
    """Revision 1 serves the first version, revision 2 the second."""
    assert sightings.looks > 100
    assert sightings.seen == [Sighting(trained.version, "1"), Sighting(replaced.version, "2")]


def test_the_same_flowers_are_healthy_under_the_new_version(recovered: Watched, replaced: Served) -> None:
    drift = recovered.job.status.drift

    assert drift is not None
    assert drift.champion_version == replaced.version
    assert float(recovered.accuracy) >= 0.9
    assert drift.retrain_request is None


def test_the_alarm_has_made_one_run_and_one_job_and_no_more(scene: Scene, recovered: Watched) -> None:
    """Looked at after the whole cycle, so that a second run would have had its time to come."""
    history = scene.job().status.history
    jobs = scene.kubectl.names("jobs", f"--selector={names.TRAINING_JOB_LABEL}=iris")

    assert [(entry.number, entry.trigger.type, entry.result) for entry in history] == [
        (2, "Drift", "Complete"),
        (1, "Created", "Complete"),
    ]
    assert sorted(jobs) == ["iris-1", "iris-2"]


def test_the_drift_controller_wrote_the_alarm_and_the_request_into_events(scene: Scene, drifted: Drifted) -> None:
    events = scene.kubectl.json("get", "events", "--field-selector=involvedObject.kind=TrainingJob")["items"]
    by_drift = [event["reason"] for event in events if event.get("reportingComponent") == "tandem.dev/drift"]

    assert by_drift.count("DriftDetected") == by_drift.count("RetrainRequested") == 1


def test_a_prediction_leads_back_to_code_data_image_and_gate(
    lineage: Lineage, drifted: Drifted, mlflow: Mlflow
) -> None:
    run = drifted.trained.job.status.run
    status = drifted.trained.job.status

    assert run is not None
    assert status.image is not None
    assert dict(lineage.tags) | {
        names.TAG_NAMESPACE: stage.NAMESPACE,
        names.TAG_RESOURCE: f"{stage.NAMESPACE}/iris",
        names.TAG_RESOURCE_UID: drifted.trained.job.metadata.uid,
        names.TAG_RUN: "2",
        names.TAG_RUN_ID: run.mlflow_run_id,
        names.TAG_IMAGE_DIGEST: status.image.digest,
        f"{names.TAG_DATA}.iris": status.data[0].digest,
    } == dict(lineage.tags)
    assert "≥ 0.9" in lineage.tags[names.TAG_GATE]
    assert mlflow.run_tags(run.mlflow_run_id)[names.TAG_SPEC_DIGEST] == run.spec_digest


def test_the_commit_that_a_prediction_leads_back_to_is_the_one_that_the_git_server_has(
    scene: Scene, lineage: Lineage, drifted: Drifted, mlflow: Mlflow
) -> None:
    source = drifted.trained.job.spec.source
    assert source is not None
    assert source.git is not None
    url = source.git.url
    commit, _ = scene.kubectl.exec("garden", "git", "ls-remote", url, "refs/heads/main").split()
    run = mlflow.run_tags(lineage.prediction.run_id)

    assert drifted.trained.job.status.source == SourceStatus(commit=commit)
    assert lineage.tags[names.TAG_COMMIT] == run[names.TAG_COMMIT] == commit
    assert run[names.TAG_REPOSITORY] == url
    assert [link.value for link in lineage.links if link.what == "code"] == [f"{url} commit {commit}"]


def test_the_lineage_that_is_shown_has_no_gap(lineage: Lineage) -> None:
    assert [link.what for link in lineage.links if not link.value or "unknown" in link.value] == []
    assert "missing" not in lineage.links[0].value


def test_a_version_has_one_digest_of_the_files_of_its_model(lineage: Lineage) -> None:
    assert re.fullmatch("sha256:[0-9a-f]{64}", lineage.tags[names.TAG_MODEL_DIGEST])


def test_a_release_and_a_better_one_take_the_traffic(released: Released) -> None:
    assert [image(released.first), image(released.second)] == ["web:1", "web:2"]


def test_a_broken_release_is_set_aside_and_the_status_says_why(scene: Scene, released: Released) -> None:
    refused = released.refused
    ready = condition_of(refused.status.conditions, "Ready")

    assert image(refused) == "web:2"
    assert ready is not None
    assert ready.status == "False"
    assert "web:broken" in ready.message or "revision 3" in ready.message
    assert "kubectl" in ready.message
    assert is_true(scene.kubectl.get("appdeployment/web"), "Available")


def test_a_drain_takes_the_pods_of_an_app_one_after_the_other(drained: Drained) -> None:
    """No request failed meanwhile, as in all the rest of the story: below."""
    assert "disruption budget" in drained.refused
    assert len(set(drained.serving)) == 2
    assert set(drained.serving).isdisjoint(drained.evicted)


@pytest.mark.parametrize("name", ["iris-second", "iris-third"])
def test_the_same_code_data_and_image_give_the_same_model_bit_for_bit_twice_in_a_row(
    scene: Scene, again: Future[None], name: str
) -> None:
    again.result()
    scene.kubectl.wait_for(f"trainingjob/{name}", "condition=Reproduced")
    scene.kubectl.wait_for(f"trainingjob/{name}", "condition=Ready")
    status = scene.kubectl.get(f"trainingjob/{name}")["status"]

    assert status["reproduction"]["files"] > 3
    assert "difference" not in status["reproduction"]
    assert "model" not in status, "nothing was registered"


def test_a_run_whose_data_are_others_by_now_is_not_trained_again(scene: Scene, again: Future[None]) -> None:
    """The garden has published grown flowers over the ordinary ones."""
    scene.kubectl.wait_for("trainingjob/iris-first", "condition=Reproduced=False")
    job = scene.kubectl.get("trainingjob/iris-first")

    assert {condition(job, type_)["reason"] for type_ in ("Ready", "Trained", "Reproduced")} == {"DigestMismatch"}


def test_no_request_failed_in_the_whole_story(tallies: dict[str, Tally]) -> None:
    assert {app: dict(tally.failed) for app, tally in tallies.items()} == {"iris": {}, "web": {}}


def test_visitors_were_answered_by_both_good_versions_and_no_other(
    tallies: dict[str, Tally], trained: Trained, replaced: Served
) -> None:
    answered = {app: set(tally.answered) for app, tally in tallies.items()}

    assert answered == {"iris": {trained.version, replaced.version}, "web": {"1", "2"}}


def true(conditions: tuple[Condition, ...]) -> set[str]:
    """The types of the conditions that are True."""
    return {condition.type for condition in conditions if condition.status == "True"}


def image(app: AppDeployment) -> str:
    """What has the traffic."""
    assert app.status.stable is not None
    return app.status.stable.image
