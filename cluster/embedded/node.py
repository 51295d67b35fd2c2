"""Process 1 of a cluster's own namespaces: furnishes them, then supervises the daemons until the end.

Started as `unshare --net --mount --pid --ipc --uts --fork --kill-child … python -m cluster.embedded.node SETTINGS`.
When the outer process is killed the kernel kills this one, with it the whole process namespace, and after the last
process the mounts and links go as well. Nothing here needs to clean up, and nothing here may touch what is shared:
sysctls of the whole machine are covered, not written.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from cluster.embedded import cgroups
from cluster.embedded.mounts import MS_SHARED, bind, mount, propagate
from cluster.supervise import supervise

RUN = Path("/run/tandem")
# What the kubelet insists on; it writes those that differ, for the whole machine, unless it reads what it wants.
EXPECTED_BY_KUBELET = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
# Of this network namespace only.
OWN_NETWORK = {
    "ipv4/ip_forward": "1",
    # A killed cluster's half-closed connections to its pods, whose other ends are gone, would keep the namespace and
    # with it the machine's link and routes for minutes.
    "ipv4/tcp_orphan_retries": "1",
    "ipv4/tcp_fin_timeout": "2",
}
VAR_FOLDERS = ("lib", "log", "cache", "tmp")
PLUGGED_IN_WITHIN = 30.0


def main(settings: dict[str, str]) -> int:
    state, cache = Path(settings["state"]), Path(settings["cache"])
    socket.sethostname(settings["node"])
    _furnish(state, cache, settings["cgroup"])
    _connect(settings["link"], settings["address"])
    os.chdir("/")
    os.umask(0o022)
    return supervise(RUN / "state", tied=False)


def _furnish(state: Path, cache: Path, cgroup: str) -> None:
    # Opened first: either may lie below a folder that is covered next.
    opened_state, opened_cache = (os.open(path, os.O_PATH | os.O_DIRECTORY) for path in (state, cache))
    _mount_control_groups(cgroup)
    mount("tmpfs", Path("/run"), data="mode=755")
    bind(opened_state, RUN / "state")
    bind(opened_cache, RUN / "cache")
    _furnish_var(RUN / "state" / "var")
    _cover_machine_wide_settings(RUN / "settings")
    for descriptor in (opened_state, opened_cache):
        os.close(descriptor)
    # Volumes with mount propagation need it, and the peers are in this namespace only.
    propagate(MS_SHARED)


def _mount_control_groups(name: str) -> None:
    found = cgroups.hierarchies()
    unified = cgroups.unified()
    mount("sysfs", Path("/sys"))
    if not unified:
        mount("tmpfs", cgroups.ROOT, data="mode=755")
    for hierarchy in found:
        mount(hierarchy.kind, hierarchy.path, data=hierarchy.options)
    cgroups.create(name)


def _furnish_var(var: Path) -> None:
    """A /var of its own: what the kubelet, containerd and CNI keep at their usual places goes with the cluster."""
    for name in VAR_FOLDERS:
        (var / name).mkdir(parents=True, exist_ok=True)
    if not (var / "run").is_symlink():
        (var / "run").symlink_to("/run")
    bind(var, Path("/var"))


def _cover_machine_wide_settings(folder: Path) -> None:
    for name, value in EXPECTED_BY_KUBELET.items():
        setting = Path("/proc/sys") / name
        if setting.exists():
            cover = folder / name
            cover.parent.mkdir(parents=True, exist_ok=True)
            cover.write_text(f"{value}\n")
            bind(cover, setting)


def _connect(link: str, address: str) -> None:
    _await_link(link)
    for name, value in OWN_NETWORK.items():
        (Path("/proc/sys/net") / name).write_text(value)
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{address}/30", "dev", link],
        ["ip", "link", "set", link, "up"],
    ):
        subprocess.run(command, check=True)


def _await_link(link: str) -> None:
    deadline = time.monotonic() + PLUGGED_IN_WITHIN
    while not (Path("/sys/class/net") / link).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{link} was not plugged in within {PLUGGED_IN_WITHIN:.0f} s")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
