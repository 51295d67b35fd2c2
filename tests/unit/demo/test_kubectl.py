"""How the demonstration speaks with kubectl: a stand-in program takes its place, everything else is real."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from demo.kubectl import Json, Kubectl, KubectlFailed, NotInTime, changes, condition, is_true, watch_words


def stand_in(folder: Path, code: str) -> Kubectl:
    """A program that does this with the words it is given (``words``)."""
    script = folder / "kubectl.py"
    script.write_text(f"import json, sys, time\nwords = sys.argv[1:]\n{code}\n")
    return Kubectl((sys.executable, str(script)), "demo")


def job(generation: int, *conditions: Json, phase: str = "Running") -> Json:
    return {
        "metadata": {"name": "iris", "generation": generation},
        "status": {"phase": phase, "conditions": list(conditions)},
    }


def said(type_: str, status: str, generation: int) -> Json:
    return {"type": type_, "status": status, "observedGeneration": generation, "reason": "R", "message": "because"}


def test_a_command_is_run_in_the_namespace(tmp_path: Path) -> None:
    kubectl = stand_in(tmp_path, "print(json.dumps(words))")

    assert json.loads(kubectl.run("get", "pods")) == ["--namespace=demo", "get", "pods"]
    assert json.loads(kubectl.within("other").run("get", "pods"))[0] == "--namespace=other"
    assert json.loads(kubectl.within("").run("get", "pods")) == ["get", "pods"]


def test_a_refusal_keeps_the_servers_own_words(tmp_path: Path) -> None:
    kubectl = stand_in(tmp_path, "sys.exit('spec.port: must be at most 65535')")

    with pytest.raises(KubectlFailed, match=r"kubectl apply --filename=-: spec\.port: must be at most 65535"):
        kubectl.apply(job(1))


def test_objects_are_applied_together(tmp_path: Path) -> None:
    sent = tmp_path / "sent.json"
    stand_in(tmp_path, f"open({str(sent)!r}, 'w').write(sys.stdin.read())").apply(job(1), job(2))

    assert [item["metadata"]["generation"] for item in json.loads(sent.read_text())["items"]] == [1, 2]


def test_a_watch_begins_with_what_is_there_and_may_be_of_an_object_that_is_not_yet() -> None:
    assert "--field-selector=metadata.name=iris" in watch_words("trainingjob", "iris")
    assert not any("field-selector" in word for word in watch_words("trainingjobs"))


def test_each_line_of_a_watch_is_a_change() -> None:
    lines = [json.dumps({"type": type_, "object": job(1)}) + "\n" for type_ in ("ADDED", "MODIFIED", "DELETED")]

    assert [change.type for change in changes(iter(lines))] == ["ADDED", "MODIFIED", "DELETED"]


def test_a_watch_ends_with_the_first_object_that_is_as_wanted(tmp_path: Path) -> None:
    objects = [job(1, phase=phase) for phase in ("Running", "Validating", "Complete")]
    lines = [json.dumps({"type": "MODIFIED", "object": object_}) for object_ in objects]
    kubectl = stand_in(tmp_path, f"[print(line, flush=True) for line in {lines!r}]; time.sleep(60)")

    found = kubectl.watch_until("trainingjob/iris", lambda o: o["status"]["phase"] == "Validating", "validating", 30)

    assert found["status"]["phase"] == "Validating"


def test_a_deleted_object_is_not_as_wanted(tmp_path: Path) -> None:
    line = json.dumps({"type": "DELETED", "object": job(1)})
    kubectl = stand_in(tmp_path, f"print({line!r})")

    with pytest.raises(NotInTime):
        kubectl.watch_until("trainingjob/iris", lambda _: True, "there", 30)


def test_what_did_not_come_in_time_is_told_with_the_last_state(tmp_path: Path) -> None:
    state = json.dumps(job(1, said("Ready", "False", 1)))
    kubectl = stand_in(tmp_path, f"time.sleep(60) if '--watch' in words else print({state!r})")

    with pytest.raises(NotInTime) as told:
        kubectl.watch_until("trainingjob/iris", lambda _: False, "ready", within=0.2)

    assert "trainingjob/iris not within 0 s: ready" in str(told.value)
    assert "Ready=False R: because" in str(told.value)


def test_a_wait_that_kubectl_gives_up_is_told_with_the_last_state(tmp_path: Path) -> None:
    state = json.dumps(job(1, said("Ready", "False", 1)))
    kubectl = stand_in(tmp_path, f"sys.exit('timed out') if 'wait' in words else print({state!r})")

    with pytest.raises(NotInTime, match=r"(?s)timed out.*Ready=False R: because"):
        kubectl.wait_for("trainingjob/iris", "condition=Ready", within=1)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param([said("Ready", "True", 2)], True, id="true-of-the-spec-as-it-is"),
        pytest.param([said("Ready", "True", 1)], False, id="true-of-an-older-spec"),
        pytest.param([said("Ready", "False", 2)], False, id="false"),
        pytest.param([said("Available", "True", 2)], False, id="another-one"),
        pytest.param([], False, id="none"),
    ],
)
def test_a_condition_counts_when_it_speaks_of_the_spec_as_it_is(conditions: list[Json], expected: bool) -> None:
    assert is_true(job(2, *conditions), "Ready") is expected


def test_a_condition_without_a_generation_counts_as_it_is() -> None:
    pod = {"metadata": {"name": "garden"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}

    assert is_true(pod, "Ready")
    assert condition(pod, "Ready")["status"] == "True"
    assert condition({}, "Ready") == {}
