"""What holds for every plan and every status, whatever happens: checked by the world at each pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tandem.api.meta import Json
from tandem.api.plan import Create, Plan
from tests.crds import schema

if TYPE_CHECKING:
    from tests.unit.training.world import World

STATUS = schema("TrainingJob")["properties"]["status"]
REASON = re.compile(r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")  # metav1.Condition
GIVEN_BY_TANDEM = {"MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "HOME", "TANDEM_FETCH"}
TOLD_TO = {
    "fetch": "TANDEM_FETCH",
    "validate": "TANDEM_VALIDATE",
    "poll": "TANDEM_POLL",
    "reproduction": "TANDEM_REPRODUCTION",
}
_OF_SEVERAL = {"NNODES", "NPROC_PER_NODE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"}
GIVEN_TO_STEPS = {"TANDEM_CHECKPOINT_DIR", "PYTHONHASHSEED", "OMP_NUM_THREADS"} | {f"PET_{n}" for n in _OF_SEVERAL}


def check_plan(world: World, made: Plan) -> None:
    for action in made.actions:
        if isinstance(action, Create) and action.manifest["kind"] == "Job":
            check_restricted(action.manifest["spec"]["template"]["spec"])
            check_environment(world, action.manifest["spec"]["template"]["spec"])
    if made.status is not None:
        assert "drift" not in made.status, "the model-drift controller's, and its alone"
        check_schema(made.status, STATUS, "status")
        check_conditions(world, made.status)
        numbers = [entry["number"] for entry in made.status.get("history", [])]
        assert numbers == sorted(set(numbers), reverse=True), "newest first, each run once"


def check_conditions(world: World, status: Json) -> None:
    """kstatus (anchors: cli-utils ``pkg/kstatus``), kubectl wait, and API conventions."""
    generation = world.generation
    assert type(status["observedGeneration"]) is int
    assert status["observedGeneration"] == generation
    conditions = {c["type"]: c for c in status["conditions"]}
    assert len(conditions) == len(status["conditions"]), "a type occurs once"
    assert conditions.keys() >= {"Ready"}
    assert not conditions.keys() >= {"Reconciling", "Stalled"}
    before = {c["type"]: c for c in world.status.get("conditions", [])}
    for type_, condition in conditions.items():
        assert condition["observedGeneration"] == generation
        assert REASON.match(condition["reason"]), condition
        assert len(condition["message"]) <= 1024
        if type_ in {"Reconciling", "Stalled", "Complete", "Failed", "Suspended"}:
            assert condition["status"] == "True"
        if type_ in before and before[type_]["status"] == condition["status"]:
            assert condition["lastTransitionTime"] == before[type_]["lastTransitionTime"]
        elif type_ in before:
            assert condition["lastTransitionTime"] >= before[type_]["lastTransitionTime"]
    ready = conditions["Ready"]["status"]
    assert ("Stalled" not in conditions) or ready == "False"
    assert ("Reconciling" not in conditions) or ready in {"Unknown", "False"}
    assert not conditions.keys() >= {"Complete", "Failed"}


def check_schema(value: Any, rule: Json, path: str) -> None:
    """The parts of OpenAPI v3 that the API server would refuse a status for, or prune it by."""
    assert "enum" not in rule or value in rule["enum"], (path, value)
    match rule["type"], value:
        case "boolean", bool():
            pass
        case "integer", int() if not isinstance(value, bool):
            assert abs(value) < 2**63, path
        case "string", str():
            assert rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", len(value)), (path, len(value))
        case "array", list():
            _check_list(value, rule, path)
        case "object", dict():
            _check_object(value, rule, path)
        case _:
            raise AssertionError(f"{path} is no {rule['type']}: {value!r}")


def _check_list(value: list[Any], rule: Json, path: str) -> None:
    assert len(value) <= rule.get("maxItems", len(value)), (path, len(value))
    for item in value:
        check_schema(item, rule["items"], f"{path}[]")
    keys = rule.get("x-kubernetes-list-map-keys", ())
    assert not keys or len({tuple(item[key] for key in keys) for item in value}) == len(value), path


def _check_object(value: Json, rule: Json, path: str) -> None:
    assert len(value) <= rule.get("maxProperties", len(value)), (path, len(value))
    assert set(rule.get("required", ())) <= value.keys(), (path, value)
    for name, item in value.items():
        known = rule.get("properties", {}).get(name) or rule.get("additionalProperties")
        assert known, f"{path}.{name} would be pruned"
        check_schema(item, known, f"{path}.{name}")


def check_restricted(pod: Json) -> None:
    """Pod Security Standards, level restricted (all controls that a pod can break)."""
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName", "nodeName"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for volume in pod["volumes"]:
        assert len(volume.keys() & {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}) == 1
        assert len(volume) == 2
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not container.keys() & {"ports", "lifecycle", "envFrom", "volumeDevices"}
        assert all("hostPort" not in port for port in container.get("ports", []))


def check_environment(world: World, pod: Json) -> None:
    """No text of a tenant under a name that is the operator's; every name once."""
    from tests.unit.training.world import SETTINGS

    for container in (*pod["initContainers"], *pod["containers"]):
        given = [entry["name"] for entry in container["env"]]
        assert len(set(given)) == len(given)
        env = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        assert env["HOME"] == "/tmp"
        if container["name"] == "digest":
            assert env.keys() == GIVEN_BY_TANDEM - {"TANDEM_FETCH"} | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES"}
            assert container["image"] == SETTINGS.runtime_image
            continue
        if container["name"] in TOLD_TO:
            told = env.keys() & TOLD_TO.values()
            assert told == {TOLD_TO[container["name"]]}
            runs = {"HOME"} if container["name"] == "poll" else GIVEN_BY_TANDEM - {"TANDEM_FETCH"}
            assert env.keys() - told == runs
            assert container["image"] == SETTINGS.runtime_image
            continue
        assert env["MLFLOW_TRACKING_URI"] == SETTINGS.mlflow_uri
        assert env["MLFLOW_RUN_ID"] in {run.run_id for run in world.runs}
        assert env["MLFLOW_EXPERIMENT_ID"] == "7"
        assert env.keys() - GIVEN_BY_TANDEM - GIVEN_TO_STEPS <= world.spec.get("parameters", {}).keys()
