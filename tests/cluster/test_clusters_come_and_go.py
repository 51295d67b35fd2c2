"""A cluster leaves the machine as it was: after `down`, after `kill -9`, and while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster import paths
from cluster.embedded import cgroups, network, record
from cluster.embedded.backend import EmbeddedCluster
from cluster.embedded.network import ip
from cluster.embedded.node import EXPECTED_BY_KUBELET
from cluster.embedded.record import Record
from tests.cluster.awaiting import running, until
from tests.cluster.talking import kubectl_of

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@dataclass(frozen=True)
class Machine:
    """What a cluster could leave behind, or change."""

    mounts: frozenset[str]
    rules: frozenset[str]
    settings: tuple[str, ...]


def machine() -> Machine:
    saved = subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout
    return Machine(
        mounts=frozenset(Path("/proc/self/mounts").read_text().splitlines()),
        rules=frozenset(line for line in saved.splitlines() if not line.startswith("#")),
        settings=tuple((Path("/proc/sys") / name).read_text() for name in EXPECTED_BY_KUBELET),
    )


def processes_in(started: Record) -> list[int]:
    """Those in the cluster's process namespace, and the outer one."""
    namespace = Path(f"/proc/{started.inner.pid}/ns/pid").readlink()
    found = [started.outer.pid]
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "ns" / "pid").readlink() == namespace:
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def traces_of(started: Record) -> list[str]:
    """Links and routes on the machine that belong to the cluster."""
    slot = started.slot
    lines = [*ip(["-oneline", "link", "show"]).splitlines(), *ip(["route", "show"]).splitlines()]
    return [line for line in lines if slot.link in line.replace("@", " ").replace(":", " ").split()]


def cgroup_folders(name: str) -> list[Path]:
    found = [hierarchy.path / cgroups.folder(name) for hierarchy in cgroups.hierarchies()]
    return [path for path in found if path.exists()]


@pytest.fixture
def fleeting() -> Iterator[EmbeddedCluster]:
    cluster = EmbeddedCluster("fleeting")
    cluster.down()
    yield cluster
    cluster.down()


def started(cluster: EmbeddedCluster) -> Record:
    found = record.read(cluster.state)
    assert found is not None
    return found


@dataclass(frozen=True)
class Standing:
    """A cluster that two commands have started at once, and the machine before that."""

    cluster: EmbeddedCluster
    codes: tuple[int, ...]
    before: Machine


@pytest.fixture(scope="module")
def standing() -> Iterator[Standing]:
    """One for all tests that leave it as good as they found it: to start one takes ten seconds of a processor."""
    cluster = EmbeddedCluster("standing")
    cluster.down()
    before = machine()
    both = [subprocess.Popen(_up("standing"), cwd=paths.REPOSITORY, stdout=subprocess.DEVNULL) for _ in range(2)]
    yield Standing(cluster, tuple(process.wait(timeout=300) for process in both), before)
    cluster.down()


def test_given_two_ups_at_once_then_there_is_one_cluster(standing: Standing) -> None:
    assert standing.codes == (0, 0)
    assert standing.cluster.status()["cluster"] == "up"


def test_while_it_runs_the_machine_is_as_before_but_for_its_link(standing: Standing) -> None:
    assert machine() == standing.before
    assert len(traces_of(started(standing.cluster))) == 4  # the link, and routes to it, to pods and to services


def test_given_two_side_by_side_then_both_serve_and_one_may_go(standing: Standing, fleeting: EmbeddedCluster) -> None:
    fleeting.up()
    assert started(fleeting).slot != started(standing.cluster).slot
    assert "fleeting-node" in kubectl_of(fleeting)("get", "nodes")

    fleeting.down()

    assert "standing-node" in kubectl_of(standing.cluster)("get", "nodes")


def test_given_a_daemon_that_is_killed_then_it_is_started_again(standing: Standing) -> None:
    cluster = standing.cluster
    serving = [pid for pid in processes_in(started(cluster)) if _program(pid) == "kube-apiserver"]

    os.kill(serving[0], signal.SIGKILL)

    until(lambda: "started 2×" in cluster.status()["kube-apiserver"], "started again")
    until(lambda: cluster.status()["kube-apiserver"].startswith("ready"), "ready again", within=60)


def test_when_it_is_killed_then_the_kernel_takes_everything_away_and_up_starts_an_empty_one(
    fleeting: EmbeddedCluster, page: str
) -> None:
    before = machine()
    fleeting.up()
    fleeting.load_image(page)
    kubectl_of(fleeting)("create", "deployment", "site", f"--image={page}", "--replicas=2")
    kubectl_of(fleeting)("rollout", "status", "deployment/site", "--timeout=60s")
    was = started(fleeting)
    inside = processes_in(was)

    os.kill(was.outer.pid, signal.SIGKILL)

    until(lambda: not any(running(pid) for pid in inside), "every process ended")
    until(lambda: not traces_of(was), "link and routes are gone")
    assert machine() == before
    assert "dead" in fleeting.status()["cluster"]

    fleeting.up()

    assert "site" not in kubectl_of(fleeting)("get", "deployments")
    assert len(cgroup_folders("fleeting")) == len(cgroups.hierarchies())


def test_given_an_up_that_was_interrupted_then_the_next_one_goes_on_and_down_leaves_nothing_but_a_name(
    fleeting: EmbeddedCluster,
) -> None:
    before = machine()
    first = subprocess.Popen(
        _up("fleeting"), cwd=paths.REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(lambda: record.read(fleeting.state) is not None, "it has been started", within=120)
    first.send_signal(signal.SIGKILL)
    first.wait()
    was = started(fleeting)

    # when it is begun again, it is the same one
    fleeting.up()

    assert kubectl_of(fleeting)("get", "--raw", "/readyz") == "ok"
    assert started(fleeting).outer == was.outer or not was.alive

    # when it is taken down, nothing is left
    was = started(fleeting)
    inside = processes_in(was)
    assert len(inside) > 8

    fleeting.down()

    assert not any(running(pid) for pid in inside)
    until(lambda: not traces_of(was), "its link is gone")
    assert machine() == before
    assert cgroup_folders("fleeting") == []
    assert not fleeting.state.exists()
    assert fleeting.status() == {}

    # and the next one of that name is as good
    fleeting.up()

    assert "fleeting-node" in kubectl_of(fleeting)("get", "nodes")


def test_given_an_up_that_was_interrupted_with_the_cable_half_in_then_the_next_one_plugs_it_in(
    fleeting: EmbeddedCluster,
) -> None:
    # given a link that has no address yet: what is sent to the cluster leaves the machine by its default route
    fleeting.up()
    slot = started(fleeting).slot
    ip(["link", "set", slot.link, "down"])
    ip(["address", "flush", "dev", slot.link])
    (fleeting.state / "complete").unlink()

    assert network.free_slot() != slot, "another cluster would take its addresses"

    # when it is begun again, it is the same one, and it is reached
    was = started(fleeting)
    fleeting.up()

    assert started(fleeting) == was
    assert kubectl_of(fleeting)("get", "--raw", "/readyz") == "ok"


def _up(name: str) -> list[str]:
    return [sys.executable, "-m", "cluster", "up", "--name", name, "--backend", "embedded"]


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode().rpartition("/")[2]
    except (FileNotFoundError, ProcessLookupError):
        return ""
