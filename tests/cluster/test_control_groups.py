"""Control groups bear a cluster's name: what is left of one is cleared, what is another one's is not touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.embedded import cgroups
from cluster.errors import ClusterError

NAME = "grouped"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="control groups of its own are root's on Linux"
)


@pytest.fixture
def groups() -> Iterator[list[Path]]:
    """Of a cluster that was killed: in each hierarchy its own, and one of a pod in it."""
    found = [hierarchy.path / cgroups.folder(NAME) / "pod" for hierarchy in cgroups.hierarchies()]
    for group in found:
        group.mkdir(parents=True)
    yield found
    cgroups.remove(NAME)


def test_what_a_killed_cluster_has_left_is_removed(groups: list[Path]) -> None:
    cgroups.remove(NAME)

    assert not any(group.parent.exists() for group in groups)


def test_what_is_in_use_is_refused_and_stays_as_it_is(groups: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "GONE_WITHIN", 0.1)
    with subprocess.Popen(["sleep", "60"]) as process:
        (groups[-1] / "cgroup.procs").write_text(str(process.pid))

        with pytest.raises(ClusterError, match=r"another cluster grouped are alive; .*; .*choose another --name"):
            cgroups.remove(NAME)

        assert all(group.exists() for group in groups)
        process.kill()
