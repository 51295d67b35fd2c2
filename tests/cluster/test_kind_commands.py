"""The kind backend as far as it can be judged without Docker: what it would run."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_kind.cluster as driver
from pytest_kind import KindCluster

from cluster import docker, images, kind
from cluster.choose import Backend, cluster
from cluster.embedded import parts
from cluster.embedded.backend import EmbeddedCluster
from cluster.errors import ClusterError
from cluster.versions import KIND, KUBERNETES, NODE_IMAGE

Ran = list[list[str]]

NAME = "docker.io/library/tandem:dev"
ID = f"sha256:{'1' * 64}"
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ran:
    """Every command that would have been run; kind has been fetched and knows no cluster."""
    commands: Ran = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(docker, "answers", lambda: True)
    for name in (f"kind-{KIND}", f"kubectl-{KUBERNETES}"):
        program = tmp_path / "cache" / "tandem" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch()
    monkeypatch.setattr(kind, "run", _recording(commands, ""))
    return commands


def _recording(commands: Ran, answer: str) -> Callable[..., str]:
    def run(argv: list[object], **_: object) -> str:
        commands.append([str(word) for word in argv])
        return answer

    return run


def _answering(returncode: int, stdout: str = "") -> Callable[..., subprocess.CompletedProcess[str]]:
    return lambda *_, **__: subprocess.CompletedProcess([], returncode, stdout)


@pytest.fixture
def driven(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What pytest-kind's cluster was asked to do."""
    asked: list[tuple[str, ...]] = []

    def create(cluster: Any, config: Path) -> None:
        asked.append(("create", cluster.name, cluster.image, str(cluster.kind_path.name)))
        cluster.kubeconfig_path.write_text("kubeconfig")

    monkeypatch.setattr(KindCluster, "create", create)
    monkeypatch.setattr(KindCluster, "delete", lambda cluster: asked.append(("delete", cluster.name)))
    return asked


@pytest.fixture
def existing(monkeypatch: pytest.MonkeyPatch) -> None:
    """kind knows the cluster, and its node runs."""
    monkeypatch.setattr(kind.Kind, "_names", lambda _: ["dev"])
    monkeypatch.setattr(kind.Kind, "_node_runs", lambda _: True)


@pytest.fixture
def loading(existing: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Images that were exported; every one was built here."""
    exported: list[str] = []

    class Builder:
        def export(self, tag: str, target: Path) -> None:
            exported.append(tag)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()

    monkeypatch.setattr(images, "built", lambda _: (NAME, ID))
    monkeypatch.setattr(images, "builder", Builder)
    return exported


def test_given_docker_then_kind_is_chosen_and_elsewhere_the_embedded_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "answers", lambda: True)
    assert isinstance(cluster("dev"), kind.Kind)
    assert isinstance(cluster("dev", Backend.EMBEDDED), EmbeddedCluster)

    monkeypatch.setattr(docker, "answers", lambda: False)
    assert isinstance(cluster("dev"), EmbeddedCluster)


def test_given_a_docker_program_without_a_daemon_then_docker_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/docker")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))

    assert not docker.answers()


def test_when_it_comes_up_then_versions_are_pinned_and_the_node_and_the_name_service_are_awaited(
    ran: Ran, driven: list[tuple[str, ...]]
) -> None:
    kind.Kind("dev").up()

    assert driven == [("create", "dev", NODE_IMAGE, f"kind-{KIND}")]
    mine = f"--kubeconfig={kind.Kind('dev').kubeconfig}"
    assert [words[1:] for words in ran[-3:]] == [
        [mine, "get", "--raw", "/readyz"],
        [mine, "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=180s"],
        [mine, "--namespace=kube-system", "rollout", "status", "deployment/coredns", "--timeout=180s"],
    ]


def test_the_control_plane_asks_for_no_processor_time_that_pods_could_have(
    ran: Ran, driven: list[tuple[str, ...]]
) -> None:
    kind.Kind("dev").up()

    patches = kind.Kind("dev").state / "patches"
    assert f"hostPath: {json.dumps(str(patches))}" in (kind.Kind("dev").state / "kind.yaml").read_text()
    assert {file.name: json.loads(file.read_text())[0]["path"] for file in patches.iterdir()} == {
        "etcd+json.json": "/spec/containers/0/resources/requests/cpu",
        "kube-apiserver+json.json": "/spec/containers/0/resources/requests/cpu",
        "kube-controller-manager+json.json": "/spec/containers/0/resources/requests/cpu",
        "kube-scheduler+json.json": "/spec/containers/0/resources/requests/cpu",
        "corednsdeployment+json.json": "/spec/template/spec/containers/0/resources/requests/cpu",
    }


def test_given_a_cluster_that_is_up_then_nothing_is_created(
    ran: Ran, driven: list[tuple[str, ...]], existing: None
) -> None:
    kind.Kind("dev").up()

    assert driven == []


def test_given_a_cluster_without_its_kubeconfig_then_kind_is_asked_for_it(
    ran: Ran, driven: list[tuple[str, ...]], existing: None
) -> None:
    kind.Kind("dev").up()

    assert ran[0][1:] == ["export", "kubeconfig", "--name=dev", f"--kubeconfig={kind.Kind('dev').kubeconfig}"]


def test_given_a_server_that_refuses_everybody_while_it_starts_then_it_is_asked_again(
    ran: Ran, driven: list[tuple[str, ...]], existing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [ClusterError(what="Forbidden", rule="r", remedy="m")] * 2

    def run(argv: list[object], **_: object) -> str:
        ran.append([str(word) for word in argv])
        if "/readyz" in argv and refusals:
            raise refusals.pop()
        return ""

    monkeypatch.setattr(kind, "run", run)
    monkeypatch.setattr(kind, "POLL", 0)

    kind.Kind("dev").up()

    assert [words[-1] for words in ran].count("/readyz") == 3

    refusals.append(ClusterError(what="Forbidden", rule="r", remedy="m"))
    monkeypatch.setattr(kind, "READY_WITHIN", -1)
    with pytest.raises(ClusterError, match="Forbidden"):
        kind.Kind("dev").up()


def test_the_working_directory_stays_as_it_was(ran: Ran, driven: list[tuple[str, ...]], tmp_path: Path) -> None:
    kind.Kind("dev").up()

    assert not (tmp_path / ".pytest-kind").exists()


def test_given_pytest_imported_its_plugin_first_then_the_pinned_kind_is_fetched_all_the_same() -> None:
    assert driver.KIND_VERSION == KIND
    assert driver.KUBECTL_VERSION == KUBERNETES


@pytest.mark.parametrize("node_runs", [True, False])
def test_given_a_create_that_was_interrupted_then_its_remains_are_deleted_first(
    ran: Ran, driven: list[tuple[str, ...]], existing: None, monkeypatch: pytest.MonkeyPatch, node_runs: bool
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(kind.Kind, "_names", lambda _: [])
        once.setattr(KindCluster, "create", interrupted)
        with pytest.raises(KeyboardInterrupt):
            kind.Kind("dev").up()
    monkeypatch.setattr(kind.Kind, "_node_runs", lambda _: node_runs)
    assert kind.Kind("dev").status() == {"cluster": "half up; `up` starts it anew"}

    kind.Kind("dev").up()

    assert [step[0] for step in driven] == ["delete", "create"]
    assert not (kind.Kind("dev").state / "creating").exists()


def test_given_a_node_that_was_stopped_then_it_is_deleted_and_created_anew(
    ran: Ran, driven: list[tuple[str, ...]], existing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind.Kind, "_node_runs", lambda _: False)

    kind.Kind("dev").up()

    assert [step[0] for step in driven] == ["delete", "create"]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (subprocess.CalledProcessError(1, ["kind", "create"]), "`kind create` ended with 1"),
        (ConnectionError("no route"), "could not be fetched or started: no route"),
    ],
)
def test_given_kind_fails_then_the_error_says_what_to_do(
    ran: Ran, driven: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, failure: Exception, told: str
) -> None:
    def create(*_: object) -> None:
        raise failure

    monkeypatch.setattr(KindCluster, "create", create)

    with pytest.raises(ClusterError, match=told):
        kind.Kind("dev").up()


def test_when_it_goes_down_then_it_is_deleted_with_its_state(
    ran: Ran, driven: list[tuple[str, ...]], existing: None
) -> None:
    kind.Kind("dev").up()

    kind.Kind("dev").down()

    assert driven == [("delete", "dev")]
    assert not kind.Kind("dev").state.exists()


def test_when_an_image_is_loaded_then_it_is_also_named_by_its_own_digest(
    ran: Ran, loading: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind.Kind, "_has", lambda *_: False)
    monkeypatch.setattr(kind, "run", _recording(ran, f"{DIGEST}\n"))

    kind.Kind("dev").load_image("tandem:dev")

    assert loading == [NAME]
    on_node = ("docker", "exec", "dev-control-plane", "ctr", "--namespace", "k8s.io", "images")
    into_node = ("docker", "exec", "--interactive", *on_node[2:])
    assert ran[0] == [*into_node, "import", "--no-unpack", "-"]
    assert ran[-1] == [*on_node, "tag", "--force", NAME, f"docker.io/library/tandem@{DIGEST}"]
    assert list(kind.Kind("dev").state.iterdir()) == []


def test_given_ctr_warns_then_the_warning_is_no_part_of_the_digest(tmp_path: Path) -> None:
    ctr = tmp_path / "ctr"
    ctr.write_text(f"#!/bin/sh\necho DEPRECATION >&2\necho REF TYPE DIGEST\necho {NAME} manifest {DIGEST} 1MiB\n")
    ctr.chmod(0o755)
    script = kind.digest_command("dev", NAME)[3:]

    asked = subprocess.run(
        script, check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    assert asked.stdout.decode().strip() == DIGEST


def test_given_the_node_tells_no_digest_then_it_says_so(
    ran: Ran, loading: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind.Kind, "_has", lambda *_: False)

    with pytest.raises(ClusterError, match="knows no digest"):
        kind.Kind("dev").load_image("tandem:dev")


@pytest.mark.parametrize(
    ("known_as", "digests", "there"),
    [
        (ID, [f"docker.io/library/tandem@{DIGEST}"], True),
        # Docker keeps its images in containerd: what it calls the id is the digest.
        (DIGEST, [f"docker.io/library/tandem@{ID}"], True),
        (DIGEST, [f"docker.io/library/tandem@{DIGEST}"], False),
        # A load that ended before the image had its second name.
        (ID, [], False),
        (ID, [f"docker.io/library/import-2026-11-28@{DIGEST}"], False),
    ],
)
def test_an_image_is_loaded_again_unless_it_is_there_by_both_its_names(
    ran: Ran,
    loading: list[str],
    monkeypatch: pytest.MonkeyPatch,
    known_as: str,
    digests: list[str],
    there: bool,
) -> None:
    answer = json.dumps({"status": {"id": known_as, "repoDigests": digests}})
    monkeypatch.setattr(subprocess, "run", _answering(0, answer))
    monkeypatch.setattr(kind, "run", _recording(ran, DIGEST))

    kind.Kind("dev").load_image("tandem:dev")

    assert loading == ([] if there else [NAME])


def test_given_an_image_that_the_node_does_not_know_then_it_is_loaded(
    ran: Ran, loading: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", _answering(1))
    monkeypatch.setattr(kind, "run", _recording(ran, DIGEST))

    kind.Kind("dev").load_image("tandem:dev")

    assert loading == [NAME]


def test_given_no_cluster_when_an_image_is_loaded_then_it_says_how_to_start_one(
    ran: Ran, loading: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind.Kind, "_node_runs", lambda _: False)

    with pytest.raises(ClusterError, match="python -m cluster up --name dev"):
        kind.Kind("dev").load_image("tandem:dev")


@pytest.mark.parametrize("there", [True, False])
def test_a_metrics_server_is_installed_unless_there_is_one(
    ran: Ran, existing: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: bool
) -> None:
    program = tmp_path / "metrics-server"
    program.write_bytes(b"a program")
    monkeypatch.setattr(subprocess, "run", _answering(0 if there else 1))
    monkeypatch.setattr(parts, "ensure", lambda part: part)
    monkeypatch.setattr(parts.Part, "binary", lambda *_: program)
    kind.Kind("dev").state.mkdir(parents=True)

    kind.Kind("dev").serve_metrics()

    mine = f"--kubeconfig={kind.Kind('dev').kubeconfig}"
    awaits = ["wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", "--timeout=180s"]
    assert ran[-1][1:] == [mine, *awaits]
    assert [words[0] for words in ran[:-1]] == ([] if there else ["docker", str(kind.Kind("dev").kubectl([])[0])])
    if not there:
        assert "--kubelet-insecure-tls" in (kind.Kind("dev").state / "metrics-server.json").read_text()


def test_given_no_docker_then_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(docker, "answers", lambda: False)

    with pytest.raises(ClusterError, match="start Docker, or use --backend embedded"):
        kind.Kind("dev").up()


def test_when_an_image_is_built_then_docker_gets_every_choice() -> None:
    command = docker.build_command("t:1", Path("a/Dockerfile"), Path("a"), "operator", {"BASE": "b"})

    assert command == [
        *("docker", "build", "--tag", "t:1", "--file", "a/Dockerfile"),
        *("--build-arg", "BASE=b", "--target", "operator", "a"),
    ]


def test_when_an_image_is_built_then_nothing_of_the_day_is_put_into_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environments: list[object] = []
    monkeypatch.setattr(docker, "run", lambda *_, env, **__: environments.append(env))

    docker.Docker().build("t:1", tmp_path / "Dockerfile", tmp_path, None, {})

    assert environments == [{"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}]
