"""Tools that come as Debian packages: those that are missing are installed, those that are there are left alone."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cluster import paths
from cluster.command import run
from cluster.errors import ClusterError
from cluster.lock import exclusive
from cluster.progress import step

CNI_PLUGINS = Path("/usr/lib/cni")
# Where a plain user's PATH does not look, but the system's own tools are.
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))


@dataclass(frozen=True)
class Tool:
    program: str  # a name to be found on the PATH, or the path of a file
    package: str


NODE_TOOLS = (
    Tool("runc", "runc"),
    Tool("iptables", "iptables"),
    Tool("ip", "iproute2"),
    Tool("unshare", "util-linux"),
    Tool("mount", "mount"),
    Tool(str(CNI_PLUGINS / "ptp"), "containernetworking-plugins"),
)
IMAGE_TOOLS = (
    Tool("buildah", "buildah"),
    Tool("mmdebstrap", "mmdebstrap"),
    Tool("unshare", "util-linux"),
)
# Git's own way to a server that is reached by ssh; some tests go it.
SSH_TOOLS = (Tool("ssh", "openssh-client"), Tool("ssh-keygen", "openssh-client"))


def ensure(tools: tuple[Tool, ...]) -> None:
    missing = [tool for tool in tools if not _present(tool)]
    if not missing:
        return
    with exclusive(paths.cache() / "debian.lock", "another installation of packages"):
        still = sorted({tool.package for tool in missing if not _present(tool)})
        if still:
            _install(still)


def where(program: str) -> str:
    found = shutil.which(program, path=SYSTEM_PATH)
    assert found, f"{program} was not ensured"
    return found


def _present(tool: Tool) -> bool:
    return shutil.which(tool.program, path=SYSTEM_PATH) is not None


def _install(packages: list[str]) -> None:
    wanted = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get", path=SYSTEM_PATH) is None:
        raise ClusterError(
            what=f"missing on this machine: {wanted} (Debian's names)",
            rule="they can be installed for you only as root, with apt-get",
            remedy="install them with this machine's package tool, or run Docker, for the kind backend",
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    remedy = f"run `apt-get install {wanted}` and see what it says"
    with step(f"Installing {wanted}") as detail:
        run(["apt-get", "update", "-q"], env=quiet, detail=detail, remedy=remedy)
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages]
        run(command, env=quiet, detail=detail, remedy=remedy)
