"""Traefik, built from Go modules; once on a machine, in five minutes of two cores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from cluster import paths
from cluster.embedded import go, parts
from cluster.embedded.parts import Part
from cluster.lock import exclusive

SOURCE: Final = Path(__file__).with_name("traefik")
TRAEFIK: Final = "github.com/traefik/traefik/v3"
# Laid out beside the module, because Go modules without them cannot be had or are of no use here: `ext` (a module of
# Traefik's own that is in no release), `auth` (a fork of a library for passwords that the Go proxy does not give) and
# `lego` without its two hundred clients of DNS providers, of which some cannot be had either.
_STAND_INS: Final = ("ext", "auth")
_LEGO: Final = "github.com/go-acme/lego/v5"
_LEFT_OUT: Final = ("cmd", "providers/dns", "internal/clihelper")


def traefik() -> Path:
    """The program."""
    version = parts.pinned("traefik", TRAEFIK, SOURCE)
    program = f"{TRAEFIK}/cmd/traefik"
    built = parts.ensure(Part("traefik", version, "5 minutes the first time", (program,), module=_laid_out()))
    return built.binary("traefik")


def _laid_out() -> Path:
    """The module, with what stands in for what cannot be had beside it."""
    place = paths.cache() / "traefik-source"
    with exclusive(paths.cache() / "traefik-source.lock", "another build of traefik"):
        module = place / "traefik"
        module.mkdir(parents=True, exist_ok=True)
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(SOURCE / file, module / file)
        for name in _STAND_INS:
            _stand_in(place / name, SOURCE / f"{name}.go")
        _lego(place / "lego")
    return module


def _stand_in(folder: Path, file: Path) -> None:
    folder.mkdir(exist_ok=True)
    shutil.copyfile(file, folder / file.name)
    paths_ = {"ext": "github.com/traefik/traefik/dynamic/ext", "auth": "github.com/abbot/go-http-auth"}
    (folder / "go.mod").write_text(f"module {paths_[folder.name]}\n\ngo 1.26.0\n")


def _lego(folder: Path) -> None:
    version = parts.pinned("traefik", _LEGO, SOURCE)
    toolchain = go.toolchain("1.26.0")
    words = [str(toolchain), "mod", "download", "-json", f"{_LEGO}@v{version}"]
    told = subprocess.run(words, check=True, capture_output=True, env={**os.environ, **go.environment()}, cwd="/")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(json.loads(told.stdout)["Dir"], folder, copy_function=shutil.copyfile)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for name in _LEFT_OUT:
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "main.go").unlink(missing_ok=True)
    (folder / "providers/dns").mkdir(parents=True)
    shutil.copyfile(SOURCE / "dns.go", folder / "providers/dns/dns.go")


def definitions() -> list[Path]:
    """Files of Gateway API's own module, which Traefik is built with."""
    words = [str(go.toolchain("1.26.0")), "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api"]
    told = subprocess.run(
        words, check=True, capture_output=True, text=True, env={**os.environ, **go.environment()}, cwd=_laid_out()
    )
    folder = Path(told.stdout.strip()) / "config/crd/standard"
    return [file for file in sorted(folder.glob("*.yaml")) if "CustomResourceDefinition" in file.read_text()]
