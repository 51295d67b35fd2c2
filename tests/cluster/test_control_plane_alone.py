"""An API server by itself: seconds to start, several at once, gone with whoever used it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import paths
from cluster.control_plane import ControlPlane
from cluster.daemons import read_status
from cluster.errors import ClusterError
from tests.cluster.awaiting import running, until

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: none}]
"""
PRIVILEGED = """
apiVersion: v1
kind: Pod
metadata: {name: mighty, namespace: strict}
spec:
  containers: [{name: main, image: none, securityContext: {privileged: true}}]
"""
USER_OF_IT = """
import sys
from cluster.control_plane import ControlPlane
with ControlPlane() as plane:
    print(plane.state, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane(controllers=True) as started:
        yield started


def test_when_someone_writes_then_the_audit_log_has_counted_it_already(plane: ControlPlane) -> None:
    since = plane.audit.mark()

    plane.kubectl("create", "configmap", "one", "--from-literal=a=b")
    plane.kubectl("label", "configmap", "one", "x=y")
    plane.kubectl("delete", "configmap", "one")

    assert since.writes(user="kubernetes-admin") == Counter(
        {("create", "configmaps"): 1, ("patch", "configmaps"): 1, ("delete", "configmaps"): 1}
    )
    assert since.count(user_agent="kubectl", writes=True) == 3


def test_given_another_user_then_rbac_and_the_log_know_the_name(plane: ControlPlane) -> None:
    since = plane.audit.mark()
    config = plane.kubeconfig_for("ada", ["scientists"])

    with pytest.raises(ClusterError, match='User "ada" cannot'):
        plane.kubectl(f"--kubeconfig={config}", "create", "configmap", "hers")
    assert since.count(user="ada", verb="create", succeeded=False) == 1


def test_given_controllers_then_a_job_makes_its_pod(plane: ControlPlane) -> None:
    plane.kubectl("apply", "--filename=-", stdin=JOB)

    plane.kubectl("wait", "--for=create", "pod", "--selector=job-name=once", "--timeout=30s")


def test_given_a_strict_namespace_then_pod_security_refuses_a_privileged_pod(plane: ControlPlane) -> None:
    plane.kubectl("create", "namespace", "strict")
    plane.kubectl("label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
    plane.kubectl("wait", "--for=create", "serviceaccount/default", "--namespace=strict", "--timeout=30s")

    with pytest.raises(ClusterError, match="violates PodSecurity"):
        plane.kubectl("apply", "--filename=-", stdin=PRIVILEGED)


def test_given_a_service_account_then_its_token_is_known(plane: ControlPlane) -> None:
    plane.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")
    token = plane.kubectl("create", "token", "default").strip()

    # A kubeconfig whose user has a certificate would outrank the token.
    nobody = plane.state / "nobody.kubeconfig"
    nobody.write_text("")
    asked = plane.kubectl(
        f"--kubeconfig={nobody}",
        *(f"--server={plane.url}", "--insecure-skip-tls-verify", f"--token={token}", "auth", "whoami"),
    )
    assert "system:serviceaccount:default:default" in asked


@pytest.mark.parametrize("daemon", ["kube-apiserver", "etcd"])
def test_when_a_daemon_crashes_then_it_comes_back_with_its_data(plane: ControlPlane, daemon: str) -> None:
    plane.kubectl("create", "configmap", f"before-{daemon}")

    plane.kill(daemon)
    plane.await_ready()

    until(lambda: "before" in _tried(plane, "get", "configmap", f"before-{daemon}"), "it is there again")


def test_given_two_at_once_then_they_share_nothing(plane: ControlPlane) -> None:
    with ControlPlane() as other:
        other.kubectl("create", "namespace", "only-here")

        assert other.url != plane.url
        assert "only-here" not in plane.kubectl("get", "namespaces")


def test_when_it_was_used_then_no_process_and_no_folder_is_left() -> None:
    with ControlPlane() as plane:
        state, daemons = plane.state, _pids(plane.state)

    assert not any(running(pid) for pid in daemons)
    assert not state.exists()


def test_when_its_user_is_killed_then_no_process_and_no_folder_is_left() -> None:
    user = subprocess.Popen(
        [sys.executable, "-c", USER_OF_IT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(paths.REPOSITORY)},
    )
    assert user.stdout is not None
    state = Path(user.stdout.readline().strip())
    daemons = _pids(state)

    user.send_signal(signal.SIGKILL)
    user.wait()

    until(lambda: not any(running(pid) for pid in daemons), "its daemons ended")
    until(lambda: not state.exists(), "its folder is gone")


def test_given_a_name_then_it_outlives_the_command_that_started_it(tmp_path: Path) -> None:
    def cluster(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "cluster", *words],
            check=True,
            capture_output=True,
            text=True,
            cwd=paths.REPOSITORY,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        ).stdout

    cluster("up", "--control-plane-only", "--name", "lone")
    try:
        daemons = _pids(tmp_path / "tandem" / "clusters" / "lone")
        assert "kube-system" in cluster("kubectl", "--name", "lone", "--", "get", "namespaces")
        cluster("up", "--control-plane-only", "--name", "lone")
        assert daemons == _pids(tmp_path / "tandem" / "clusters" / "lone"), "a second up changes nothing"
    finally:
        cluster("down", "--name", "lone")
    until(lambda: not any(running(pid) for pid in daemons), "its daemons ended")
    assert not (tmp_path / "tandem" / "clusters" / "lone").exists()


def _pids(state: Path) -> list[int]:
    return [condition.pid for condition in read_status(state).daemons.values()]


def _tried(plane: ControlPlane, *words: str) -> str:
    try:
        return plane.kubectl(*words)
    except ClusterError:
        return ""
