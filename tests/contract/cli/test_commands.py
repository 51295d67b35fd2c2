"""`kubectl tandem …` against a real API server: what each command writes, says and ends with."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.embedded import parts
from tandem.api import names
from tandem.api.meta import Json
from tandem.cli.app import run
from tandem.cli.cluster import Cluster
from tandem.cli.look import until_settled
from tandem.cli.target import find
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.crds import ROOT

CANDIDATE: Json = {"candidate": {"revision": 5, "digest": "d", "image": "shop:2"}}
STEP: Json = {"approval": {"revision": 5, "step": "2", "state": "Awaiting"}}
RUN: Json = {"approval": {"state": "Awaiting", "mlflowRunId": "abc", "model": "iris", "alias": "champion"}}


def said(type_: str, status: str, generation: int = 1, message: str = "because") -> Json:
    told = {"type": type_, "status": status, "reason": "Reason", "message": message}
    return {**told, "lastTransitionTime": "2026-03-01T12:00:00Z", "observedGeneration": generation}


READY = [said("Ready", "True")]
FAILED = [said("Ready", "False", message="revision 5 was not ready"), said("Stalled", "True")]
WORKING = [said("Ready", "Unknown", message="1 of 2 pods"), said("Reconciling", "True")]


@dataclass(frozen=True)
class Said:
    """What a command ended with, and wrote."""

    code: int
    out: str
    err: str


Tandem = Callable[..., Said]


@pytest.fixture
def tandem(
    api_server: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tandem:
    """Runs a command, as the administrator, in the test's namespace."""
    monkeypatch.setenv("KUBECONFIG", str(api_server.plane.kubeconfig))

    def tandem(*arguments: str) -> Said:
        capsys.readouterr()
        code = run([*arguments, "--namespace", namespace])
        told = capsys.readouterr()
        return Said(code, told.out, told.err)

    return tandem


def given(server: ApiServer, namespace: str, kind: str, name: str = "shop", /, **status: object) -> Json:
    """A resource with this status, of the generation that it has."""
    created = server.create(resource(kind, namespace, name))
    return server.merge(created, {"status": {"observedGeneration": 1, **status}}, "/status")


def annotated(server: ApiServer, body: Json) -> Json:
    return dict(server.read(body)["metadata"].get("annotations", {}))


# --- decisions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "annotation", "word"),
    [
        ("promote", names.PROMOTE_ANNOTATION, "5"),
        ("abort", names.ABORT_ANNOTATION, "5"),
        ("pause", names.PAUSE_ANNOTATION, "5"),
        ("approve", names.APPROVED_ANNOTATION, "5/2"),
    ],
)
def test_a_decision_names_the_revision_and_who_decided(
    api_server: ApiServer, namespace: str, tandem: Tandem, command: str, annotation: str, word: str
) -> None:
    app = given(api_server, namespace, "AppDeployment", **CANDIDATE, **STEP)
    me = json.loads(api_server.plane.kubectl("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]

    told = tandem(command, "shop")

    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("appdeployment/shop: ")
    assert told.out.endswith(f"by {me}\n")
    notes = annotated(api_server, app)
    decided = notes.pop(names.DECIDED_ANNOTATION)
    assert decided.rpartition(" ")[0] == f"{annotation.removeprefix('tandem.dev/')} {word}"
    assert notes == {annotation: word, names.DECIDED_BY_ANNOTATION: me}


def test_a_decision_says_why_and_the_next_one_does_not_inherit_that(
    api_server: ApiServer, namespace: str, tandem: Tandem
) -> None:
    app = given(api_server, namespace, "AppDeployment", **CANDIDATE)

    assert tandem("pause", "shop", "-m", "errors in the log").code == 0
    assert annotated(api_server, app)[names.DECIDED_BECAUSE_ANNOTATION] == "errors in the log"

    assert tandem("resume", "shop").code == 0
    assert names.DECIDED_BECAUSE_ANNOTATION not in annotated(api_server, app)


def test_a_run_is_triggered_by_a_person_for_a_reason(api_server: ApiServer, namespace: str, tandem: Tandem) -> None:
    training = given(api_server, namespace, "TrainingJob", "iris")

    told = tandem("trigger", "iris", "--as-decider", "anna", "--reason", "new labels")

    assert told.out == "trainingjob/iris: a run is asked for by anna\n"
    notes = annotated(api_server, training)
    assert notes[names.REQUESTED_AT_ANNOTATION]
    assert notes[names.REQUESTED_BY_ANNOTATION] == "anna"
    assert notes[names.REQUESTED_BECAUSE_ANNOTATION] == "new labels"
    assert names.DECIDED_BY_ANNOTATION not in notes, "that would take the right to decide"


def test_an_app_has_no_runs_to_trigger(api_server: ApiServer, namespace: str, tandem: Tandem) -> None:
    given(api_server, namespace, "AppDeployment")

    told = tandem("trigger", "appd/shop")

    assert (told.code, told.err) == (3, "error: appd/shop: this is for TrainingJob alone\n")


def test_a_decision_may_be_somebody_elses(api_server: ApiServer, namespace: str, tandem: Tandem) -> None:
    app = given(api_server, namespace, "AppDeployment", **CANDIDATE)

    assert tandem("promote", "shop", "--as-decider", "release-bot").code == 0

    assert annotated(api_server, app)[names.DECIDED_BY_ANNOTATION] == "release-bot"


def test_what_nobody_could_judge_is_judged_again(api_server: ApiServer, namespace: str, tandem: Tandem) -> None:
    held = {**said("RolledOut", "Unknown"), "reason": "AnalysisInconclusive"}
    app = given(api_server, namespace, "AppDeployment", conditions=[held], **CANDIDATE)

    assert tandem("retry", "shop").code == 0

    assert names.REQUESTED_AT_ANNOTATION in annotated(api_server, app)


WORDS: Json = {names.ABORT_ANNOTATION: "5", names.PROMOTE_ANNOTATION: "5", names.APPROVED_ANNOTATION: "5/2"}


def test_another_try_takes_away_what_was_said_of_the_one_before(
    api_server: ApiServer, namespace: str, tandem: Tandem
) -> None:
    app = given(api_server, namespace, "AppDeployment", conditions=FAILED)
    api_server.merge(app, {"metadata": {"annotations": {**WORDS, "mine": "stays"}}})

    assert tandem("retry", "shop", "--as-decider", "anna").code == 0

    notes = annotated(api_server, app)
    assert (notes.pop("mine"), notes.pop(names.REQUESTED_BY_ANNOTATION)) == ("stays", "anna")
    assert notes.keys() == {names.REQUESTED_AT_ANNOTATION, names.REQUESTED_ANNOTATION}


def test_another_judgement_of_what_is_on_its_way_takes_no_word_away(
    api_server: ApiServer, namespace: str, tandem: Tandem
) -> None:
    held = {**said("RolledOut", "Unknown"), "reason": "AnalysisInconclusive"}
    app = given(api_server, namespace, "AppDeployment", conditions=[held], **CANDIDATE)
    api_server.merge(app, {"metadata": {"annotations": WORDS}})

    assert tandem("retry", "shop").code == 0

    assert annotated(api_server, app).items() >= WORDS.items()


def test_an_abort_of_what_is_still_watched_names_what_serves(
    api_server: ApiServer, namespace: str, tandem: Tandem
) -> None:
    watched = {**said("RolledOut", "Unknown"), "reason": "Watching"}
    app = given(api_server, namespace, "AppDeployment", conditions=[watched], stable=CANDIDATE["candidate"])

    assert tandem("abort", "shop").code == 0

    assert annotated(api_server, app)[names.ABORT_ANNOTATION] == "5"


def test_a_paused_rollout_is_resumed_and_one_that_is_not_is_not(
    api_server: ApiServer, namespace: str, tandem: Tandem
) -> None:
    app = given(api_server, namespace, "AppDeployment", **CANDIDATE)
    assert tandem("resume", "shop").err == "error: appdeployment/shop is not paused\n"

    tandem("pause", "shop")
    assert tandem("resume", "appd/shop").code == 0

    assert names.PAUSE_ANNOTATION not in annotated(api_server, app)


@pytest.mark.parametrize(
    ("command", "annotation"), [("approve", names.APPROVED_ANNOTATION), ("reject", names.REJECTED_ANNOTATION)]
)
def test_a_run_that_waits_is_decided_on_by_its_mlflow_id(
    api_server: ApiServer, namespace: str, tandem: Tandem, command: str, annotation: str
) -> None:
    training = given(api_server, namespace, "TrainingJob", "iris", **RUN)

    assert tandem(command, "iris").code == 0

    assert annotated(api_server, training)[annotation] == "abc"


@pytest.mark.parametrize(("kind", "status"), [("AppDeployment", {"conditions": FAILED}), ("TrainingJob", {})])
def test_every_retry_is_a_request_that_was_not_there_before(
    api_server: ApiServer, namespace: str, tandem: Tandem, kind: str, status: Json
) -> None:
    body = given(api_server, namespace, kind, **status)

    tokens = []
    for _ in range(2):
        assert tandem("retry", "shop").code == 0
        tokens.append(annotated(api_server, body)[names.REQUESTED_AT_ANNOTATION])

    assert len(set(tokens)) == 2


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("promote", "there is nothing to promote, no revision is on its way: because"),
        ("abort", "there is nothing to abort, no revision is on its way: because"),
        ("pause", "there is nothing to pause, no revision is on its way: because"),
        ("approve", "nothing of appdeployment/shop waits for a person: kubectl tandem status shop says what it does"),
        ("retry", "appdeployment/shop has not failed: because"),
        ("rollback", "there is no revision that served before"),
    ],
)
def test_a_word_that_would_mean_nothing_is_not_written(
    api_server: ApiServer, namespace: str, tandem: Tandem, command: str, says: str
) -> None:
    app = given(api_server, namespace, "AppDeployment", conditions=READY)

    told = tandem(command, "shop")

    assert (told.code, told.out, told.err) == (3, "", f"error: {says}\n")
    assert api_server.read(app) == app


# --- rollback --------------------------------------------------------------------------------------------------------

REVISIONS: Json = {
    "stable": {"revision": 5, "digest": "e"},
    "revisions": [
        {"revision": 5, "state": "Stable"},
        {"revision": 4, "state": "Failed", "reason": "CrashLoopBackOff"},
        {"revision": 3, "state": "Retired", "imageDigest": "sha256:0123456789abcdef"},
        {"revision": 2, "state": "Retired"},
    ],
}


@pytest.mark.parametrize(("arguments", "number"), [((), 3), (("--to-revision", "2"), 2)])
def test_a_rollback_is_the_spec_and_says_what_git_has_to_say(
    api_server: ApiServer, namespace: str, tandem: Tandem, arguments: tuple[str, ...], number: int
) -> None:
    app = given(api_server, namespace, "AppDeployment", **REVISIONS)

    told = tandem("rollback", "shop", *arguments)

    assert told.code == 0
    assert api_server.read(app)["spec"]["rollback"] == {"toRevision": number}
    assert f"commit `rollback: {{toRevision: {number}}}` there too" in told.err
    assert tandem("rollback", "shop", "--release").code == 0
    assert "rollback" not in api_server.read(app)["spec"]


@pytest.mark.parametrize(
    ("number", "says"),
    [("4", "revision 4 failed (CrashLoopBackOff): it would stay in quarantine"), ("9", "not kept (kept: 2, 3, 4, 5)")],
)
def test_a_rollback_to_what_cannot_serve_is_refused_before_anything_is_written(
    api_server: ApiServer, namespace: str, tandem: Tandem, number: str, says: str
) -> None:
    app = given(api_server, namespace, "AppDeployment", **REVISIONS)

    assert says in tandem("rollback", "shop", "--to-revision", number).err
    assert api_server.read(app) == app


# --- which resource, whose rights ------------------------------------------------------------------------------------


def test_a_resource_that_is_not_there(namespace: str, tandem: Tandem) -> None:
    assert tandem("status", "nobody").err == (
        f"error: there is no AppDeployment or TrainingJob nobody in namespace {namespace}\n"
    )
    assert tandem("wait", "tj/nobody").code == 3


def test_two_resources_of_one_name_are_told_apart_by_their_kind(
    api_server: ApiServer, namespace: str, tandem: Tandem
) -> None:
    for kind in ("AppDeployment", "TrainingJob"):
        given(api_server, namespace, kind, "twin")

    assert "say appd/twin or tj/twin" in tandem("status", "twin").err
    assert tandem("status", "tj/twin").out.startswith(f"TrainingJob {namespace}/twin")
    assert tandem("promote", "tj/twin").err == "error: tj/twin: this is for AppDeployment alone\n"


def test_who_may_not_is_told_by_the_api_server(
    api_server: ApiServer, namespace: str, tandem: Tandem, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = given(api_server, namespace, "AppDeployment", **CANDIDATE)
    monkeypatch.setenv("KUBECONFIG", str(api_server.plane.kubeconfig_for("bert")))

    told = tandem("promote", "shop")

    assert told.code == 3
    assert told.err.startswith('error: appdeployments.tandem.dev "shop" is forbidden: User "bert" cannot get')
    assert api_server.read(app) == app


def test_a_cluster_that_does_not_answer_and_a_kubeconfig_that_is_not_there(
    tandem: Tandem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = {"name": "gone", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "gone", "context": {"cluster": "gone", "user": "me"}}
    kubeconfig = {"clusters": [cluster], "contexts": [context], "users": [{"name": "me", "user": {}}]}
    (tmp_path / "config").write_text(json.dumps({**kubeconfig, "current-context": "gone"}))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert "error: the cluster at http://127.0.0.1:9 does not answer" in tandem("status", "shop").err
    assert "error: kubeconfig: " in tandem("status", "shop", "--context", "other").err

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    assert "error: kubeconfig: " in tandem("status", "shop").err


# --- looking ---------------------------------------------------------------------------------------------------------


def test_the_history_of_both_kinds(api_server: ApiServer, namespace: str, tandem: Tandem) -> None:
    live = {"time": "2026-03-01T12:00:00Z", "type": "Promoted", "revision": 5, "seconds": 4800}
    given(api_server, namespace, "AppDeployment", **REVISIONS, delivery={"deployments30d": 1, "history": [live]})
    entry = {"number": 1, "trigger": {"type": "Created"}, "result": "Complete", "mlflowRunId": "abc", "version": "7"}
    given(api_server, namespace, "TrainingJob", "iris", history=[{**entry, "completionTime": "2026-03-01T12:00:00Z"}])

    assert [line.split() for line in tandem("history", "shop").out.splitlines()] == [
        ["REVISION", "STATE", "IMAGE", "DIGEST", "MODEL", "COMMIT", "LIVE", "SINCE", "LEAD", "TIME", "REASON"],
        ["5", "Stable", "-", "-", "-", "-", "2026-03-01", "12:00:00Z", "1h20m"],
        ["4", "Failed", "-", "-", "-", "-", "-", "-", "CrashLoopBackOff"],
        ["3", "Retired", "-", "0123456789ab", "-", "-", "-", "-"],
        ["2", "Retired", "-", "-", "-", "-", "-", "-"],
    ]
    assert tandem("history", "iris").out.splitlines()[1].split() == [
        *("1", "Created", "Complete", "7", "-", "2026-03-01", "12:00:00Z", "abc")
    ]


@pytest.mark.parametrize(("conditions", "code"), [(READY, 0), (FAILED, 1)])
def test_a_wait_for_what_came_to_an_end_ends_at_once(
    api_server: ApiServer, namespace: str, tandem: Tandem, conditions: list[Json], code: int
) -> None:
    given(api_server, namespace, "AppDeployment", conditions=conditions)

    assert tandem("wait", "shop", "--timeout=1h").code == code


def test_a_wait_that_is_over_before_the_end_says_what_it_waits_for(
    api_server: ApiServer, namespace: str, tandem: Tandem
) -> None:
    given(api_server, namespace, "AppDeployment", conditions=WORKING, **CANDIDATE)

    told = tandem("wait", "shop", "--timeout=0s")

    assert told.code == 2
    assert "waits for: 1 of 2 pods" in told.err
    assert f"kubectl tandem -n {namespace} abort appd/shop" in told.err


@pytest.mark.parametrize(("end", "code"), [("ready", 0), ("failed", 1), ("deleted", 1)])
def test_a_wait_watches(
    api_server: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch, end: str, code: int
) -> None:
    """One read, one watch, and no request after that."""
    monkeypatch.setenv("KUBECONFIG", str(api_server.plane.kubeconfig))
    app = given(api_server, namespace, "AppDeployment", conditions=WORKING)
    mark = api_server.plane.audit.mark()
    cluster = Cluster(None, namespace)
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(lambda: until_settled(cluster, find(cluster, "appd/shop"), 40, said.put))
        assert said.get(timeout=40) == "appdeployment/shop: Reason: 1 of 2 pods"

        if end == "deleted":
            api_server.plane.kubectl("delete", "appd/shop", "-n", namespace)
        else:
            conditions = READY if end == "ready" else FAILED
            api_server.merge(app, {"status": {"conditions": conditions}}, "/status")

        assert waiting.result(timeout=40) == code
    asked = [request.verb for request in mark.requests(namespace=namespace, user_agent="kubectl-tandem")]
    assert asked.count("get") == 1, "it does not poll"
    assert set(asked) <= {"get", "watch"}


def test_kubectl_finds_the_plugin(api_server: ApiServer, namespace: str, tmp_path: Path) -> None:
    given(api_server, namespace, "AppDeployment", conditions=READY)
    plugin = tmp_path / "kubectl-tandem"
    plugin.write_text(f"#!{sys.executable}\nfrom tandem.cli import main\nmain()\n")
    plugin.chmod(0o755)
    env = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(api_server.plane.kubeconfig)}

    kubectl = str(parts.kubernetes().binary("kubectl"))

    done = subprocess.run(
        [kubectl, "tandem", "status", "shop", "-n", namespace],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.startswith(f"AppDeployment {namespace}/shop")
    assert done.returncode == 0, done.stderr
