"""The Job of a run: steps in order in one pod that satisfies Pod Security `restricted`."""

from __future__ import annotations

import json

import msgspec
import pytest

from tandem.api import names
from tandem.api.meta import Json, to_json
from tandem.api.trainingjob import TrainingJobSpec
from tandem.runtime.instruction import parse
from tandem.training import allowance, inputs
from tests.crds import nodes, schema
from tests.unit.training.contract import GIVEN_BY_TANDEM, check_restricted
from tests.unit.training.world import World


def job(**spec: object) -> Json:
    return World().change(**spec).settle().job


def pod(**spec: object) -> Json:
    found: Json = job(**spec)["spec"]["template"]["spec"]
    return found


def main(pod: Json) -> Json:
    """The last of the user's own steps."""
    own = [*pod["initContainers"], *(one for one in pod["containers"] if one["name"] != "digest")]
    found: Json = own[-1]
    return found


def env(container: Json) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


def test_steps_are_init_containers_in_order_and_the_last_one_is_the_main_container() -> None:
    made = pod()
    assert [c["name"] for c in made["initContainers"]] == ["fetch", "features", "train"]
    assert [c["name"] for c in made["containers"]] == ["digest"]


def test_the_last_step_is_the_main_container_where_no_model_is_registered() -> None:
    made = pod(model=None)
    assert [c["name"] for c in made["initContainers"]] == ["fetch", "features"]
    assert [c["name"] for c in made["containers"]] == ["train"]


def test_kubectl_logs_shows_the_last_step_unasked() -> None:
    template = job()["spec"]["template"]
    assert template["metadata"]["annotations"] == {"kubectl.kubernetes.io/default-container": "train"}


def test_what_sums_up_the_model_is_told_the_run_and_nothing_else() -> None:
    [digest] = pod(checkpoint={"persistentVolumeClaim": {"claimName": "c"}})["containers"]
    assert digest["command"] == ["python", "-m", "tandem.runtime.digest"]
    run = {"MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"}
    assert set(env(digest)) == {"HOME", *run, "MLFLOW_HTTP_REQUEST_MAX_RETRIES"}
    assert {mount["name"] for mount in digest["volumeMounts"]} == {"tmp", "workspace"}


@pytest.mark.parametrize("name", sorted(inputs.CONTAINERS))
def test_no_step_can_have_the_name_of_a_container_that_is_not_its_own(name: str) -> None:
    """The Job would be refused for two containers of one name, long after the resource was taken."""
    [(_, step)] = [(path, node) for path, node in nodes(schema("TrainingJob")) if path == "spec.steps[].name"]
    [rule] = step["x-kubernetes-validations"]
    assert f"'{name}'" in rule["rule"]
    assert name in rule["message"]
    assert f"`{name}`" in step["description"]


@pytest.mark.parametrize("url", ["ssh://git:hunter2@git.example/r.git", "https://git.example/r.git?token=hunter2"])
def test_a_credential_in_a_url_that_is_older_than_its_rule_is_not_recorded(url: str) -> None:
    world = World().change(source={"git": {"url": url}}).settle()
    [run] = world.runs
    assert run.tags[names.TAG_REPOSITORY].endswith("://git.example/r.git")


def test_the_user_of_an_ssh_server_is_part_of_where_the_code_is() -> None:
    world = World().change(source={"git": {"url": "ssh://git@git.example:22/r.git"}}).settle()
    assert world.runs[0].tags[names.TAG_REPOSITORY] == "ssh://git@git.example:22/r.git"


def test_nothing_is_fetched_where_the_image_holds_everything() -> None:
    made = pod(source=None, data=None)
    assert [c["name"] for c in made["initContainers"]] == ["features", "train"]
    assert main(made)["workingDir"] == "/workspace"


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"source": {"configMapRef": {"name": "code"}}},
        {"source": None, "data": None},
        {"steps": [{"name": f"s{n}", "command": ["x"], "image": f"i:{n}"} for n in range(16)]},
        {
            "data": [
                {
                    "name": "a",
                    "storageUri": "pvc://lake/a/",
                    "digest": "sha256:" + "0" * 64,
                    "cache": {"persistentVolumeClaim": {"claimName": "cache"}},
                },
                {"name": "b", "storageUri": "s3://acme/b", "secretRef": {"name": "acme"}},
            ]
        },
        {"parameters": {"HOME": "/root", "LD_PRELOAD": "/x.so", "MLFLOW_TRACKING_URI": "http://evil"}},
    ],
)
def test_every_pod_satisfies_pod_security_restricted(spec: Json) -> None:
    check_restricted(pod(**spec))


@pytest.mark.parametrize("name", sorted(GIVEN_BY_TANDEM - {"TANDEM_FETCH"}))
def test_a_parameter_never_takes_the_place_of_what_the_operator_sets(name: str) -> None:
    # the CRD refuses such names; this holds if it were ever changed
    assert env(main(pod(parameters={name: "http://evil"})))[name] != "http://evil"


@pytest.mark.parametrize("value", ["$(MLFLOW_RUN_ID)", "a$$b", "$5", "$", "$$(X)", "plain"])
def test_a_parameter_reaches_the_script_as_mlflow_has_it_on_record(value: str) -> None:
    world = World().change(parameters={"p": value}).settle()
    assert world.done[0].parameters == {"p": value}  # type: ignore[union-attr]
    given = env(main(world.job["spec"]["template"]["spec"]))["p"]
    assert expanded(given) == value


def expanded(text: str) -> str:
    """What the kubelet makes of a value (third_party/forked/golang/expansion): $$ is a dollar, $(NAME) a variable."""
    out, place = "", 0
    while place < len(text):
        if text[place] != "$" or place + 1 == len(text):
            out += text[place]
            place += 1
        elif text[place + 1] == "$":
            out += "$"
            place += 2
        elif text[place + 1] == "(" and ")" in text[place:]:
            place = text.index(")", place) + 1
            out += "EXPANDED"
        else:
            out += text[place : place + 2]
            place += 2
    return out


def test_the_images_step_by_step() -> None:
    steps = [{"name": "a", "command": ["x"]}, {"name": "b", "command": ["x"], "image": "own:1"}]
    made = pod(steps=steps, image="all:1", source=None, data=None, model=None)
    assert [c["image"] for c in made["initContainers"] + made["containers"]] == ["all:1", "own:1"]
    assert main(pod())["image"] == "tandem-runtime:1"


@pytest.mark.parametrize(
    ("given", "requests"),
    [
        ({}, {"cpu": "100m", "memory": "256Mi"}),
        ({"requests": {"cpu": "2"}}, {"cpu": "2", "memory": "256Mi"}),
        ({"limits": {"memory": "64Mi"}}, {"cpu": "100m", "memory": "64Mi"}),
        ({"requests": {"memory": "32Mi"}, "limits": {"memory": "64Mi"}}, {"cpu": "100m", "memory": "32Mi"}),
    ],
)
def test_requests_have_a_default_that_never_exceeds_a_limit(given: Json, requests: Json) -> None:
    resources = main(pod(steps=[{"name": "a", "command": ["x"], "resources": given}]))["resources"]
    assert resources["requests"] == requests
    assert resources.get("limits", {}) == given.get("limits", {})


def test_the_instruction_to_fetch_names_code_and_data() -> None:
    instruction = json.loads(env(pod()["initContainers"][0])["TANDEM_FETCH"])
    assert instruction["git"] == {"url": "https://git.example/iris.git", "ref": "main", "path": None}
    assert instruction["data"] == [{"name": "iris", "storageUri": "https://data.example/iris.csv", "digest": None}]


DATA = [
    {"name": "a", "storageUri": "s3://acme/a/", "secretRef": {"name": "acme-data"}},
    {
        "name": "b",
        "storageUri": "pvc://lake/b.csv",
        "digest": "sha256:" + "0" * 64,
        "cache": {"persistentVolumeClaim": {"claimName": "cache"}},
    },
]


def test_credentials_claims_and_caches_are_mounted_where_data_are_fetched_and_nowhere_else() -> None:
    made = pod(data=DATA)
    volumes = {volume["name"]: volume for volume in made["volumes"]}
    assert volumes["secret-0"]["secret"] == {"secretName": "acme-data", "defaultMode": 0o440}
    assert volumes["claim-1"]["persistentVolumeClaim"] == {"claimName": "lake"}
    assert volumes["cache-1"]["persistentVolumeClaim"] == {"claimName": "cache"}
    fetch, *others = made["initContainers"] + made["containers"]
    mounts = {mount["name"]: mount for mount in fetch["volumeMounts"]}
    assert mounts["secret-0"] == {"name": "secret-0", "mountPath": "/tandem/secrets/a", "readOnly": True}
    assert mounts["claim-1"] == {"name": "claim-1", "mountPath": "/tandem/claims/b", "readOnly": True}
    assert mounts["cache-1"] == {"name": "cache-1", "mountPath": "/tandem/caches/b"}
    for other in others:
        assert {mount["name"] for mount in other["volumeMounts"]} == {"workspace", "tmp"}


def test_what_is_told_of_credentials_is_where_they_are_and_never_their_name_or_content() -> None:
    a, b = json.loads(env(pod(data=DATA)["initContainers"][0])["TANDEM_FETCH"])["data"]
    assert a == {"name": "a", "storageUri": "s3://acme/a/", "digest": None, "secret": "/tandem/secrets/a"}
    assert (b["claim"], b["cache"]) == ("/tandem/claims/b", "/tandem/caches/b")


@pytest.mark.parametrize(("steps", "limit"), [(1, 4096), (2, 3072), (3, 2457), (15, 722)])
def test_the_report_is_told_how_much_of_it_arrives(steps: int, limit: int) -> None:
    """The kubelet keeps 4096 bytes of a message, and 12 KiB for all containers of a pod together."""
    made = pod(steps=[{"name": f"s{n}", "command": ["x"]} for n in range(steps)])
    assert json.loads(env(made["initContainers"][0])["TANDEM_FETCH"])["reportLimit"] == limit


def test_the_instruction_is_one_that_the_runtime_understands() -> None:
    told = parse(env(pod(data=DATA)["initContainers"][0])["TANDEM_FETCH"])
    assert [data.location.scheme for data in told.data] == ["s3", "pvc"]


def test_the_job_can_be_found_again_and_is_collected_with_its_owner() -> None:
    meta = job()["metadata"]
    assert meta["name"] == "iris-1"
    assert meta["labels"]["app.kubernetes.io/managed-by"] == "tandem"
    assert meta["annotations"]["tandem.dev/mlflow-run-id"] == "run-1"
    (owner,) = meta["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("uid-iris", True)


def test_the_limits_of_the_job_are_those_of_the_spec() -> None:
    spec = job(backoffLimit=0, activeDeadlineSeconds=60, ttlSecondsAfterFinished=5)["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 60)
    assert "ttlSecondsAfterFinished" not in spec, "the operator deletes the Job itself, after the record is written"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_a_pod_that_the_cluster_took_away_does_not_count_as_an_attempt() -> None:
    first = job(model=None)["spec"]["podFailurePolicy"]["rules"][0]
    assert first == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_every_container_that_a_failure_rule_names_exists() -> None:
    # the API server refuses the Job otherwise
    for made in (job(), job(source=None, data=None), job(model=None), job(numNodes=2)):
        rules = made["spec"]["podFailurePolicy"]["rules"]
        named = {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule}
        spec = made["spec"]["template"]["spec"]
        assert named <= {c["name"] for c in spec["initContainers"] + spec["containers"]}


# --- what the containers of Tandem's own may use ---------------------------------------------------------------------


def own(made: Json) -> dict[str, Json]:
    containers = [*made["initContainers"], *made["containers"]]
    return {one["name"]: one["resources"] for one in containers if one["name"] in inputs.CONTAINERS}


def limited(*limits: Json) -> Json:
    return {
        "steps": [
            {"name": f"s{place}", "command": ["x"], "resources": {"limits": one}} for place, one in enumerate(limits)
        ]
    }


CHECKED: Json = {"data": [{"name": "iris", "storageUri": "https://d.example/i.csv", "checks": {}}]}


@pytest.mark.parametrize(
    ("spec", "limits"),
    [
        (limited({"cpu": 2, "memory": "4Gi"}, {"cpu": "8000m", "memory": "2Gi"}), {"cpu": "8000m", "memory": "4Gi"}),
        (limited({"cpu": "250m", "memory": "64Mi"}), {"cpu": 1, "memory": "1Gi"}),
        (limited({"memory": "4Gi"}, {"cpu": 1, "memory": "1G"}), {"memory": "4Gi"}),
        (limited({"cpu": 4, "nvidia.com/gpu": 1}), {"cpu": 4}),
        ({**limited({}), "resourcesPerNode": {"limits": {"memory": "8Gi"}}}, {"memory": "8Gi"}),
        (limited({}, {"cpu": 1, "memory": "1Gi"}), None),
        ({}, None),
    ],
)
def test_where_all_steps_are_limited_so_is_every_other_container(spec: Json, limits: Json | None) -> None:
    """A quota on limits refuses the pod otherwise, and nobody else could give them any."""
    found = own(pod(**CHECKED, **spec))
    assert found.keys() == {"fetch", "validate", "digest"}
    for resources in found.values():
        assert resources.get("limits") == limits
        assert resources["requests"] == {"cpu": "100m", "memory": "256Mi"}, "a limit is no reservation"


def test_a_pod_that_only_asks_for_versions_may_use_the_least() -> None:
    spec = msgspec.convert(limited({"cpu": 8, "memory": "64Gi"}), TrainingJobSpec)
    told = to_json(allowance.of_poll(spec))
    assert told == {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "128Mi"}}


# --- where it runs, and what outlives its pods -----------------------------------------------------------------------


def test_placement_is_passed_on_as_it_is() -> None:
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}, {"operator": "Exists"}]
    made = pod(nodeSelector={"gpu": "a100"}, tolerations=tolerations, priorityClassName="batch-low")
    assert made["nodeSelector"] == {"gpu": "a100"}
    assert made["tolerations"] == tolerations
    assert made["priorityClassName"] == "batch-low"


def test_without_placement_the_cluster_decides() -> None:
    assert pod().keys() & {"nodeSelector", "tolerations", "priorityClassName"} == set()


@pytest.mark.parametrize(
    "field", [{"nodeSelector": {"gpu": "a100"}}, {"priorityClassName": "low"}, {"progressDeadlineSeconds": 60}]
)
def test_where_it_runs_is_no_input_of_the_model(field: Json) -> None:
    world = World().settle().completes().settle().change(**field).settle()
    assert world.creations == ["iris-1"]


def test_a_gpu_is_a_resource_like_any_other() -> None:
    steps = [{"name": "a", "command": ["x"], "resources": {"limits": {"nvidia.com/gpu": 1}}}]
    assert main(pod(steps=steps))["resources"]["requests"]["nvidia.com/gpu"] == 1


CHECKPOINT = {"persistentVolumeClaim": {"claimName": "checkpoints"}}


def test_each_run_has_a_checkpoint_folder_of_its_own_in_every_step_of_the_users() -> None:
    world = World().change(checkpoint=CHECKPOINT).settle().completes().settle().ask("again").settle()
    for number, made in enumerate((world.jobs["iris-1"], world.jobs["iris-2"]), start=1):
        spec = made["spec"]["template"]["spec"]
        (volume,) = [v for v in spec["volumes"] if v["name"] == "checkpoint"]
        assert volume["persistentVolumeClaim"] == {"claimName": "checkpoints"}
        for container in [*spec["initContainers"], *spec["containers"]]:
            mounts = [m for m in container["volumeMounts"] if m["name"] == "checkpoint"]
            if container["name"] in ("fetch", "digest"):
                assert mounts == []
                continue
            assert mounts == [{"name": "checkpoint", "mountPath": "/checkpoint", "subPath": f"iris-{number}"}]
            assert env(container)["TANDEM_CHECKPOINT_DIR"] == "/checkpoint"


def test_a_pod_that_does_not_start_names_its_checkpoint_claim() -> None:
    world = World().change(checkpoint=CHECKPOINT, source=None, data=None).settle()
    world.pod("Pending", conditions=[{"type": "PodReadyToStartContainers", "status": "False"}]).settle()
    world.wait(61).settle()
    ready = world.condition("Ready")
    assert ready is not None
    assert (ready.reason, "PersistentVolumeClaim checkpoints" in ready.message) == ("PodNotStarted", True)


def test_the_secret_of_a_private_repository_is_mounted_into_the_fetching_container_alone() -> None:
    git = {"url": "https://git.example/iris.git", "secretRef": {"name": "acme-git"}}
    made = pod(source={"git": git})
    fetch, *others = made["initContainers"] + made["containers"]
    [volume] = [one for one in made["volumes"] if "secret" in one]
    assert volume["secret"] == {"secretName": "acme-git", "defaultMode": 0o440}
    mounts = {mount["name"]: mount for mount in fetch["volumeMounts"]}
    assert mounts[volume["name"]] == {"name": volume["name"], "mountPath": "/tandem/source-secret", "readOnly": True}
    assert all(mount["name"] != volume["name"] for other in others for mount in other["volumeMounts"])
    assert json.loads(env(fetch)["TANDEM_FETCH"])["git"]["secret"] == "/tandem/source-secret"
