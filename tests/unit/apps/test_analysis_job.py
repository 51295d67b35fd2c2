"""The Job that judges: what it is told, what it may, and whom it is mistaken for (nobody)."""

from __future__ import annotations

import json

import msgspec
import pytest

from tandem.api import names
from tandem.api.analysis import Metric
from tandem.api.meta import Json
from tandem.apps.analysis_job import ANALYSIS_LABEL
from tandem.runtime.analysis.instruction import Instruction, parse
from tests.unit.apps.deployments import START
from tests.unit.apps.judging import ERRORS, SMOKE, candidate
from tests.unit.apps.restricted import violations
from tests.unit.apps.world import World, model

PROMETHEUS: Json = {
    "name": "latency",
    "max": "0.3",
    "interval": "30s",
    "initialDelay": "2m",
    "count": 5,
    "failureLimit": 1,
    "onNoData": "Pass",
    "prometheus": {
        "address": "http://prometheus:9090",
        "query": 'up{pod=~"$(NAME)-.*"}',
        "secretRef": {"name": "prom"},
    },
}
WEB: Json = {"name": "score", "min": "7", "web": {"url": "http://checks/$(REVISION)", "secretRef": {"name": "checks"}}}
TRAINING: Json = {"name": "accuracy", "min": "0.9", "mlflow": {"metric": "accuracy"}}
MONITORING: Json = {"name": "live", "min": "0.9", "mlflow": {"metric": "accuracy", "run": "Monitoring"}}


def job(world: World) -> Json:
    (only,) = world.jobs.values()
    return only


def pod(world: World) -> Json:
    spec: Json = job(world)["spec"]["template"]["spec"]
    return spec


def containers(world: World) -> dict[str, Json]:
    return {container["name"]: container for container in pod(world)["containers"]}


def env(container: Json) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def told(world: World) -> Instruction:
    """As the runtime itself reads it, after the kubelet has looked for $(NAME)."""
    text = env(containers(world)["analyse"])["TANDEM_ANALYSIS"]
    assert "$(" not in text.replace("$$", "")
    return parse(text.replace("$$", "$"))


def test_the_runtime_understands_every_provider_and_every_field() -> None:
    metric = told(candidate(PROMETHEUS)).metrics[0]
    assert (metric.interval, metric.initial_delay, metric.count, metric.failure_limit) == (30, 120, 5, 1)
    assert (metric.max, metric.on_no_data) == ("0.3", "Pass")
    assert metric.prometheus is not None
    assert metric.prometheus.query == 'up{pod=~"$(NAME)-.*"}'
    web = told(candidate(WEB)).metrics[0].web
    assert web is not None
    assert (web.url, web.secret) == ("http://checks/$(REVISION)", "/tandem/secrets/score")
    pods = told(candidate(ERRORS)).metrics[0].pods
    assert pods is not None
    assert (pods.host, pods.port, pods.metric) == ("shop-analysis", 8080, "requestErrorRate")


def test_placeholders_are_names_that_kubernetes_has_validated() -> None:
    assert told(candidate(ERRORS)).placeholders == {
        "NAME": "shop",
        "NAMESPACE": "team",
        "REVISION": "2",
        "URL": "http://shop-analysis.team.svc:8080",
    }


def test_a_metric_of_mlflow_is_one_of_the_version_that_is_judged() -> None:
    world = model("1", rollout={"analysis": [TRAINING, MONITORING]})
    for _ in range(6):
        world.reconcile()
        world.look()
    training, monitoring = (metric.mlflow for metric in told(world).metrics)
    assert training is not None
    assert monitoring is not None
    assert (training.run_id, training.model) == ("run1", "")
    assert (monitoring.run_id, monitoring.model, monitoring.version) == ("", "iris", "1")
    assert told(world).placeholders["MODEL_VERSION"] == "1"
    assert told(world).since == START.replace(second=told(world).since.second)


def test_pods_of_a_judgement_are_restricted_and_have_no_token() -> None:
    world = candidate(PROMETHEUS, WEB, ERRORS, SMOKE)
    assert violations(pod(world)) == []
    assert pod(world)["automountServiceAccountToken"] is False
    all_containers = pod(world)["initContainers"] + pod(world)["containers"]
    assert all(container["resources"]["requests"] for container in all_containers)


def test_a_container_of_the_users_begins_when_the_dns_knows_whom_it_asks() -> None:
    """Its Service is a moment old: `Name or service not known` rolled a good revision back."""
    (resolve,) = pod(candidate(ERRORS, SMOKE))["initContainers"]
    assert resolve["command"] == ["python", "-m", "tandem.runtime.resolve", "shop-analysis.team.svc"]
    assert resolve["image"] == containers(candidate(ERRORS))["analyse"]["image"]


@pytest.mark.parametrize(
    ("limits", "own"),
    [
        ([{"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "512Mi"}], {"cpu": "2", "memory": "1Gi"}),
        ([{"cpu": "10m", "memory": "16Mi"}], {"cpu": "50m", "memory": "64Mi"}),
        ([{"memory": "1Gi"}, {"cpu": "1"}], None),
        ([{}], None),
    ],
    ids=["the largest", "what it needs", "not all have any", "none"],
)
def test_what_waits_for_the_dns_has_limits_where_all_have(limits: list[Json], own: Json | None) -> None:
    """A quota on limits would refuse the pod otherwise."""
    jobs = [
        {"name": f"smoke-{place}", "job": {"image": "smoke:2", "resources": {"limits": one}}}
        for place, one in enumerate(limits)
    ]
    (resolve,) = pod(candidate(*jobs))["initContainers"]
    assert resolve["resources"].get("limits") == own


BOUNDED: Json = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("app", "beside", "own"),
    [
        (BOUNDED, None, {"cpu": "500m", "memory": "256Mi"}),
        (BOUNDED, BOUNDED, {"cpu": "500m", "memory": "256Mi"}),
        ({"memory": "1Gi"}, None, {"memory": "256Mi"}),
        (BOUNDED, {"cpu": "1"}, {"cpu": "500m"}),
        ({}, BOUNDED, None),
        ({}, None, None),
    ],
    ids=["the app has", "all have", "memory alone", "all have one of CPU", "the app has none", "nobody has"],
)
def test_what_measures_has_limits_where_the_app_and_all_beside_it_have(
    app: Json, beside: Json | None, own: Json | None
) -> None:
    """A quota on limits that lets the app in would refuse the pod that judges it."""
    smoke = [{"name": "smoke", "job": {"image": "smoke:2", "resources": {"limits": beside}}}] if beside else []
    world = candidate(ERRORS, *smoke, resources={"limits": app})
    assert containers(world)["analyse"]["resources"].get("limits") == own


def test_what_measures_by_itself_asks_again_and_need_not_wait() -> None:
    assert "initContainers" not in pod(candidate(PROMETHEUS, WEB, ERRORS))


def test_no_service_and_no_autoscaler_takes_them_for_pods_of_the_app() -> None:
    """argo-rollouts#3828: analysis pods that a Service selected and an autoscaler counted."""
    labels = job(candidate(ERRORS))["spec"]["template"]["metadata"]["labels"]
    assert labels == {names.MANAGED_BY_LABEL: names.MANAGED_BY, ANALYSIS_LABEL: "shop"}


def test_a_secret_is_mounted_in_the_container_that_measures_alone() -> None:
    world = candidate(PROMETHEUS, SMOKE)
    volumes = {volume["name"]: volume["secret"]["secretName"] for volume in pod(world)["volumes"] if "secret" in volume}
    assert volumes == {"secret-latency": "prom"}
    mounts = {
        name: [mount["name"] for mount in container["volumeMounts"]] for name, container in containers(world).items()
    }
    assert mounts == {"analyse": ["tmp", "secret-latency"], "job-smoke": ["tmp"]}


def test_a_container_of_the_users_has_the_placeholders_in_its_environment_and_its_own_words() -> None:
    own = {"image": "smoke:2", "args": ["--url", "$(URL)"], "env": [{"name": "ROUNDS", "value": "3"}]}
    container = containers(candidate({"name": "smoke", "job": own}))["job-smoke"]
    assert container["args"] == ["--url", "$(URL)"]  # the kubelet fills it in
    assert "command" not in container
    assert env(container) == {
        "HOME": "/tmp",
        "NAME": "shop",
        "NAMESPACE": "team",
        "REVISION": "2",
        "URL": "http://shop-analysis.team.svc:8080",
        "ROUNDS": "3",
    }


def test_without_anything_to_measure_there_is_no_container_that_measures() -> None:
    assert list(containers(candidate(SMOKE))) == ["job-smoke"]


@pytest.mark.parametrize(
    ("metric", "seconds"),
    [
        # the first one at once, 4 intervals, 5 + 5 questions of 25 s, and 600 s to start
        ({**PROMETHEUS}, 120 + 4 * 30 + 10 * 25 + 600),
        ({**ERRORS, "interval": "1m"}, 60 + 6 * 25 + 600),  # counters are read twice
        ({**SMOKE, "job": {"image": "x", "activeDeadlineSeconds": 90}}, 90 + 600),
        ({**ERRORS, "interval": "99999999999999999999h", "count": 1000}, 2**31 - 1),
    ],
)
def test_it_has_as_long_as_its_slowest_metric_takes_and_no_longer(metric: Json, seconds: int) -> None:
    spec = job(candidate(metric))["spec"]
    assert spec["activeDeadlineSeconds"] == seconds
    assert spec["ttlSecondsAfterFinished"] == 86400


def test_it_is_tried_once_but_what_was_drained_is_measured_again() -> None:
    spec = job(candidate(ERRORS))["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["type"] == "DisruptionTarget"


def test_names_fit_the_label_that_kubernetes_makes_of_them() -> None:
    world = candidate(ERRORS)
    (name,) = world.jobs
    assert len(name) - len("shop") + 52 <= 63


def test_the_report_of_many_containers_fits_what_the_kubelet_keeps() -> None:
    jobs = [{**SMOKE, "name": f"smoke-{number}"} for number in range(5)]
    assert told(candidate(ERRORS, *jobs)).report_limit * 6 <= 12288


def test_the_service_of_a_judgement_is_the_pods_of_one_revision() -> None:
    world = candidate(ERRORS, PROMETHEUS)
    service = world.services["shop-analysis"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {names.APP_LABEL: "shop", names.REVISION_LABEL: "2"}


def test_what_asks_no_pod_needs_no_service() -> None:
    assert "shop-analysis" not in candidate(PROMETHEUS).services


def test_what_it_is_told_is_small_enough_for_one_variable() -> None:
    """The kernel takes 131,072 bytes of one; the largest that the CRD lets through has to fit."""
    query = {"address": f"http://{'a' * 1017}", "query": '"$' * 1024, "secretRef": {"name": "s" * 253}}
    metrics = [{"name": f"{'m' * 48}{number}", "max": "1", "prometheus": query} for number in range(10, 26)]
    for metric in metrics:
        msgspec.convert(metric, Metric)
    text = env(containers(candidate(*metrics))["analyse"])["TANDEM_ANALYSIS"]
    assert len(json.loads(text.replace("$$", "$"))["metrics"]) == 16
    assert len(text) < 131_072 - len("TANDEM_ANALYSIS=")
