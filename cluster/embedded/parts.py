"""The parts of a cluster that are built from pinned Go modules, each once per machine and version."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster import paths
from cluster.command import run
from cluster.embedded import go
from cluster.embedded.versions import PAUSE
from cluster.lock import exclusive
from cluster.progress import step

MODULES = Path(__file__).parent / "parts"
CONTAINERD_MODULE = "github.com/containerd/containerd/v2"
METRICS_SERVER_MODULE = "sigs.k8s.io/metrics-server"


@dataclass(frozen=True)
class Part:
    name: str
    version: str
    duration: str  # cold, on two cores
    packages: tuple[str, ...] = (".",)
    links: tuple[str, ...] = ()  # names under which the first binary plays its roles
    flags: tuple[str, ...] = ()
    stamps: tuple[str, ...] = ()  # what the linker writes into the binary
    module: Path | None = None  # its folder, where that is not among the cluster's own

    @property
    def source(self) -> Path:
        return self.module or MODULES / self.name

    @property
    def folder(self) -> Path:
        return paths.cache() / f"{self.name}-{self.version}"

    @property
    def image(self) -> str:
        """What the image that holds its program alone is called in a node."""
        return f"localhost/tandem-{self.name}:{self.version}"

    def binary(self, name: str) -> Path:
        return self.folder / name


def pinned(part: str, module: str, folder: Path | None = None) -> str:
    """The version that the part's go.mod asks for, without the leading v."""
    asked = ((folder or MODULES / part) / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} v(\S+)", asked, re.M)
    assert found, f"{module} is not in {part}/go.mod"
    return found.group(1)


def kubernetes() -> Part:
    version = pinned("kubernetes", "k8s.io/kubernetes")
    major, minor, _ = version.split(".", 2)
    stamp = "k8s.io/component-base/version"
    return Part(
        name="kubernetes",
        version=version,
        duration="7 to 10 minutes the first time",
        packages=(".", "./kubectl"),
        links=(
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
        ),
        stamps=(
            f"{stamp}.gitVersion=v{version}",
            f"{stamp}.gitMajor={major}",
            f"{stamp}.gitMinor={minor}",
            f"{stamp}.gitTreeState=clean",
        ),
    )


def containerd() -> Part:
    version = pinned("containerd", CONTAINERD_MODULE)
    programs = ("containerd", "containerd-shim-runc-v2", "ctr")
    return Part(
        name="containerd",
        version=version,
        duration="2 minutes the first time",
        packages=tuple(f"{CONTAINERD_MODULE}/cmd/{program}" for program in programs),
        flags=("-tags", "no_btrfs no_zfs no_devmapper"),
        stamps=(f"{CONTAINERD_MODULE}/version.Version=v{version}",),
    )


def coredns() -> Part:
    version = pinned("coredns", "github.com/coredns/coredns")
    return Part(name="coredns", version=version, duration="2 minutes the first time")


def metrics_server() -> Part:
    """No part of every cluster: for those that are asked for metrics."""
    version = pinned("metrics-server", METRICS_SERVER_MODULE)
    return Part(
        name="metrics-server",
        version=version,
        duration="2 minutes the first time",
        packages=(f"{METRICS_SERVER_MODULE}/cmd/metrics-server",),
        stamps=(f"k8s.io/component-base/version.gitVersion=v{version}",),
    )


def pause() -> Part:
    return Part(name="pause", version=PAUSE, duration="seconds")


def ensure(part: Part) -> Part:
    """Built, or found built from the very same inputs. An interrupted build goes on where Go's own cache ends."""
    wanted = _inputs(part)
    if _built_from(part.folder) == wanted:
        return part
    with exclusive(paths.cache() / f"{part.name}.lock", f"another build of {part.name}"):
        if _built_from(part.folder) != wanted:
            _build(part, wanted)
    return part


def _build(part: Part, inputs: str) -> None:
    partial = part.folder.with_name(part.folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    linker = " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in part.stamps)])
    toolchain = go.toolchain(_minimum(part))
    with step(f"Building {part.name} {part.version} ({part.duration})") as detail:
        # Fetches the sources as well, which is why it is not asked for quietly beforehand.
        needed = run(
            [toolchain, "list", *part.flags, "-deps", *part.packages],
            cwd=part.source,
            env=go.environment(),
            detail=detail,
        )
        run(
            [
                *("nice", toolchain, "build", "-v", "-trimpath", "-ldflags", linker),
                *part.flags,
                *("-o", f"{partial}/", *part.packages),
            ],
            cwd=part.source,
            env=go.environment(),
            log=paths.cache() / "logs" / f"{part.name}.log",
            detail=_counting(detail, len(needed.splitlines())),
            remedy=f"run it again: what is compiled stays; the whole log is in {paths.cache() / 'logs'}",
        )
    for link in part.links:
        (partial / link).symlink_to(part.name)
    (partial / ".inputs").write_text(inputs)
    _replace(part.folder, partial)


def _counting(detail: Callable[[str], None], most: int) -> Callable[[str], None]:
    """Fewer than `most` are compiled where Go's cache knows some of them."""
    seen = 0

    def line(text: str) -> None:
        nonlocal seen
        seen += 1
        detail(f"package {seen} of at most {most}: {text}")

    return line


def _minimum(part: Part) -> str:
    found = re.search(r"^go (\S+)", (part.source / "go.mod").read_text(), re.M)
    assert found, f"{part.name}/go.mod has no go line"
    return found.group(1)


def _inputs(part: Part) -> str:
    digest = hashlib.sha256(repr((part.packages, part.links, part.flags, part.stamps)).encode())
    for file in sorted(path for path in part.source.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(part.source)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _built_from(folder: Path) -> str:
    try:
        return (folder / ".inputs").read_text()
    except FileNotFoundError:
        return ""


def _replace(folder: Path, fresh: Path) -> None:
    # Processes that run from the old folder keep their open files; the name itself is never half a build.
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
