"""The control groups of one cluster, all below one folder of their own in each of the machine's hierarchies."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ClusterError

ROOT = Path("/sys/fs/cgroup")
GONE_WITHIN = 10.0
POLL = 0.05


@dataclass(frozen=True)
class Hierarchy:
    path: Path
    kind: str  # cgroup or cgroup2
    options: str  # what to mount it with


def hierarchies() -> list[Hierarchy]:
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, path, kind, options, *_ = line.split()
        if kind in ("cgroup", "cgroup2") and Path(path).is_relative_to(ROOT):
            found.append(Hierarchy(Path(path), kind, _own_options(options) if kind == "cgroup" else ""))
    return found


def unified() -> bool:
    return any(hierarchy.path == ROOT for hierarchy in hierarchies())


def folder(name: str) -> str:
    return f"tandem-{name}"


def create(name: str) -> None:
    for hierarchy in hierarchies():
        target = hierarchy.path / folder(name)
        target.mkdir(exist_ok=True)
        if hierarchy.path == ROOT:
            _delegate(hierarchy.path)
            _delegate(target)
        _weigh(target, os.cpu_count() or 1)


def _weigh(group: Path, processors: int) -> None:
    """All pods of a node weigh as much as a node is big, as the kubelet sees to it within; a session weighs one.

    With the weight of one, a busy machine left so little to some twenty pods that names were not resolved for 10 s.
    """
    for file, one in (("cpu.shares", 1024), ("cpu.weight", 100)):
        if (group / file).exists():
            (group / file).write_text(str(one * processors))


def remove(name: str) -> None:
    """Killed processes leave their groups behind, empty: the kernel removes none.

    Raises:
        ClusterError: they are in use, by a cluster that this one's state knows nothing of. Its kubelet would take the
            pods of this one for orphans.
    """
    tops = [hierarchy.path / folder(name) for hierarchy in hierarchies()]
    deadline = time.monotonic() + GONE_WITHIN
    while any(_occupied(top) for top in tops):  # the last process may still be ending
        if time.monotonic() > deadline:
            raise ClusterError(
                what=f"processes of another cluster {name} are alive",
                rule="on one machine a name is that of one cluster: its control groups bear it",
                remedy="take that one down where it was started (same HOME, XDG_STATE_HOME), or choose another --name",
            )
        time.sleep(POLL)
    for top in tops:
        _remove_tree(top)


def _occupied(top: Path) -> bool:
    for path, _, _ in os.walk(top):
        with suppress(FileNotFoundError):  # whoever has it is removing it, too
            if (Path(path) / "cgroup.procs").read_text():
                return True
    return False


def _remove_tree(top: Path) -> None:
    for path, _, _ in os.walk(top, topdown=False):
        deadline = time.monotonic() + GONE_WITHIN
        while True:
            try:
                Path(path).rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:  # busy: the kernel is not done with its last process
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL)


def _delegate(group: Path) -> None:
    controllers = (group / "cgroup.controllers").read_text().split()
    for controller in controllers:
        (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _own_options(options: str) -> str:
    """Of the mount's options those that name the hierarchy: its controllers, or name=…"""
    general = {"rw", "ro", "nosuid", "nodev", "noexec", "relatime", "noatime"}
    own = [option for option in options.split(",") if option not in general]
    named = any(option.startswith("name=") for option in own)
    return ",".join(["none", *own] if named else own)
