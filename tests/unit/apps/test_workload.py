"""The objects of a revision, field by field."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.api import names
from tandem.api.meta import Json
from tandem.api.plan import Create
from tests.unit.apps.restricted import violations
from tests.unit.apps.world import World, app, model


def deployment(world: World) -> Json:
    created = [action.manifest for action in world.plan().actions if isinstance(action, Create)]
    (manifest,) = [manifest for manifest in created if manifest["kind"] == "Deployment"]
    return manifest


def container(world: World) -> Json:
    (only,) = deployment(world)["spec"]["template"]["spec"]["containers"]
    found: Json = only
    return found


def env(world: World) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container(world)["env"]}


def test_a_deployment_is_named_labelled_and_owned() -> None:
    manifest = deployment(app())
    meta = manifest["metadata"]
    assert (meta["name"], meta["namespace"]) == ("shop-1", "team")
    assert meta["labels"] == {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.APP_LABEL: "shop",
        names.REVISION_LABEL: "1",
    }
    assert meta["ownerReferences"] == [
        {
            "apiVersion": "tandem.dev/v1alpha1",
            "kind": "AppDeployment",
            "name": "shop",
            "uid": "app-uid",
            "controller": True,
        }
    ]
    selector = {names.APP_LABEL: "shop", names.REVISION_LABEL: "1"}
    assert manifest["spec"]["selector"] == {"matchLabels": selector}
    assert selector.items() <= manifest["spec"]["template"]["metadata"]["labels"].items()


def test_the_pod_is_seen_by_the_operators_watch() -> None:
    assert deployment(app())["spec"]["template"]["metadata"]["labels"][names.MANAGED_BY_LABEL] == names.MANAGED_BY


def test_the_service_gives_port_80_for_whatever_port_the_app_has() -> None:
    spec = app(port=9000).converge().services["shop"]["spec"]
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    assert container(app(port=9000))["ports"] == [{"name": "http", "containerPort": 9000, "protocol": "TCP"}]


def test_a_model_alone_is_served_by_the_runtime() -> None:
    served = container(model("2", port=9000))
    assert served["image"] == "tandem-runtime:1"
    assert served["command"] == [
        *("python", "-m", "tandem.runtime.serve", "--model", "models:/iris/2", "--name", "iris"),
        *("--version", "2", "--run-id", "run2", "--port", "9000"),
    ]
    assert env(model()) == {"HOME": "/tmp", "MLFLOW_TRACKING_URI": "http://mlflow.mlflow:5000"}


def test_the_command_is_one_that_the_runtime_understands() -> None:
    from tandem.runtime.serve import flags

    given_flags = flags(container(model("2", port=9000))["command"][3:])
    assert (given_flags.model, given_flags.port) == ("models:/iris/2", 9000)
    assert (given_flags.served.name, given_flags.served.version, given_flags.served.run_id) == ("iris", "2", "run2")


def test_an_app_with_a_model_is_told_which_one() -> None:
    world = model("2", image="shop:1", command=["serve"], args=["--fast"])
    served = container(world)
    assert (served["image"], served["command"], served["args"]) == ("shop:1", ["serve"], ["--fast"])
    assert env(world) == {
        "HOME": "/tmp",
        "MLFLOW_TRACKING_URI": "http://mlflow.mlflow:5000",
        "MODEL_NAME": "iris",
        "MODEL_VERSION": "2",
        "MODEL_RUN_ID": "run2",
        "MODEL_URI": "models:/iris/2",
    }


def test_an_app_has_its_own_entrypoint_and_environment() -> None:
    world = app(env=[{"name": "HOME", "value": "/data"}, {"name": "A", "value": "1"}])
    assert not {"command", "args"} & set(container(world))
    assert env(world) == {"HOME": "/data", "A": "1"}


def test_a_variable_of_the_user_cannot_say_that_another_version_serves() -> None:
    assert env(model("2", image="shop:1", env=[{"name": "MODEL_VERSION", "value": "9"}]))["MODEL_VERSION"] == "2"


def test_no_variable_is_named_twice_because_an_apply_would_be_refused() -> None:
    world = model(image="a", env=[{"name": "HOME", "value": "/a"}, {"name": "MODEL_URI", "value": "x"}])
    assert len(container(world)["env"]) == len(env(world))


TCP = {"tcpSocket": {"port": "http"}}
PROBES = {
    "an app": (app(), TCP),
    "an app with a health path": (app(healthPath="/ok"), {"httpGet": {"path": "/ok", "port": "http"}}),
    "a model": (model(), {"httpGet": {"path": "/health", "port": "http"}}),
    "a model with a health path": (model(healthPath="/ping"), {"httpGet": {"path": "/ping", "port": "http"}}),
    "an app with a model": (model(image="shop:1"), TCP),
}


@pytest.mark.parametrize(("world", "asked"), PROBES.values(), ids=PROBES)
def test_probes_ask_the_health_path_or_whether_the_port_is_open(world: World, asked: Json) -> None:
    served = container(world)
    for probe in ("startupProbe", "readinessProbe"):
        assert asked.items() <= served[probe].items()
    assert TCP.items() <= served["livenessProbe"].items()


def test_a_switch_waits_two_seconds_at_most_for_a_probe() -> None:
    assert {container(app())[probe]["periodSeconds"] for probe in ("startupProbe", "readinessProbe")} == {2}


def test_a_model_has_time_to_load() -> None:
    probe = container(model())["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] == 600


def test_requests_have_defaults_by_what_runs_and_limits_have_none() -> None:
    assert container(app())["resources"] == {"requests": {"cpu": "50m", "memory": "64Mi"}}
    assert container(model())["resources"] == {"requests": {"cpu": "100m", "memory": "512Mi"}}


def test_what_the_user_asks_for_wins_over_the_defaults() -> None:
    asked = {"requests": {"cpu": "2"}, "limits": {"memory": "32Mi"}}
    expected = {"requests": {"cpu": "2", "memory": "32Mi"}, "limits": {"memory": "32Mi"}}
    assert container(app(resources=asked))["resources"] == expected


def test_a_pod_stops_after_the_cluster_has_stopped_sending() -> None:
    pod = deployment(app())["spec"]["template"]["spec"]
    wait = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < wait < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("grace", [1, 2, 6, 11, 21, 600])
def test_of_a_short_grace_period_the_app_keeps_half(grace: int) -> None:
    """Kubernetes refuses a sleep that is as long as the grace period, and one of no length."""
    world = app(terminationGracePeriodSeconds=grace)
    assert deployment(world)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == grace
    seconds = container(world).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds")
    assert seconds == {1: None, 2: 1, 6: 3, 11: 5, 21: 10, 600: 10}[grace]


@pytest.mark.parametrize(
    ("default", "of_pod", "of_container"),
    [
        ("probes", set(), {"startupProbe", "readinessProbe", "livenessProbe"}),
        ("gracefulTermination", set(), {"lifecycle"}),
        ("topologySpread", {"topologySpreadConstraints"}, set()),
        ("podDisruptionBudget", set(), set()),
        ("networkPolicy", set(), set()),
    ],
)
def test_each_default_is_turned_off_by_itself(default: str, of_pod: set[str], of_container: set[str]) -> None:
    with_all, without = app(), app(safeDefaults={default: False})
    pods = [deployment(world)["spec"]["template"]["spec"] for world in (with_all, without)]
    assert pods[0].keys() - pods[1].keys() == of_pod
    assert container(with_all).keys() - container(without).keys() == of_container
    assert violations(pods[1]) == []


def test_without_default_requests_a_pod_asks_for_what_is_given() -> None:
    off = {"requests": False}
    assert container(app(safeDefaults=off))["resources"] == {}
    given = {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}
    assert container(app(safeDefaults=off, resources=given))["resources"] == given


@pytest.mark.parametrize(("default", "is_new"), [("probes", True), ("networkPolicy", False)])
def test_what_a_pod_has_is_part_of_its_revision_and_what_stands_beside_it_is_not(default: str, is_new: bool) -> None:
    world = app().converge()
    world.change(safeDefaults={default: False})
    world.converge()
    assert world.serving == (2 if is_new else 1)


def test_a_pod_gets_no_token_no_service_variables_and_one_place_to_write() -> None:
    pod = deployment(app())["spec"]["template"]["spec"]
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {}}]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_pods_are_spread_where_there_is_room_and_run_where_there_is_none() -> None:
    constraints = deployment(app())["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {constraint["whenUnsatisfiable"] for constraint in constraints} == {"ScheduleAnyway"}


def test_a_revision_never_loses_a_pod_before_another_is_there() -> None:
    assert deployment(app())["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_last_lines_of_the_log_reach_the_status() -> None:
    assert container(app())["terminationMessagePolicy"] == "FallbackToLogsOnError"


texts = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=20)
specs: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"port": st.integers(1, 65535), "replicas": st.integers(0, 1000)},
    optional={
        "image": st.from_regex(r"\A[a-z]{1,9}:[0-9]{1,3}\Z"),
        "command": st.lists(texts, max_size=3),
        "args": st.lists(texts, max_size=3),
        "healthPath": st.from_regex(r"\A/[a-z]{0,9}\Z"),
        "env": st.lists(
            st.fixed_dictionaries({"name": st.from_regex(r"\A[A-Z_]{1,9}\Z"), "value": texts}),
            max_size=4,
            unique_by=lambda variable: variable["name"],
        ),
        "resources": st.fixed_dictionaries(
            {}, optional={key: st.just({"memory": "1Gi"}) for key in ("requests", "limits")}
        ),
    },
)


@given(spec=specs, with_model=st.booleans())
def test_every_pod_is_accepted_by_pod_security_restricted(spec: Json, with_model: bool) -> None:
    world = model("1", **spec) if with_model or "image" not in spec else World(spec)
    assert violations(deployment(world)["spec"]["template"]["spec"]) == []


SABOTAGE = {
    "root": ("securityContext", {"seccompProfile": {"type": "RuntimeDefault"}}),
    "the host's network": ("hostNetwork", True),
    "the host's files": ("volumes", [{"name": "x", "hostPath": {"path": "/"}}]),
}


@pytest.mark.parametrize(("field", "value"), SABOTAGE.values(), ids=SABOTAGE)
def test_the_checker_itself_sees(field: str, value: object) -> None:
    pod = copy.deepcopy(deployment(app())["spec"]["template"]["spec"])
    pod[field] = value
    assert violations(pod) != []
