"""Writes a container image with one layer as an archive that containerd and buildah read."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
NOBODY = "65532:65532"  # user and group of a program that is nobody in the cluster


@dataclass(frozen=True)
class Runs:
    """What a container of the image starts."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    env: Mapping[str, str] | None = None
    user: str = ""


def write_image(target: Path, reference: str, layer: Path, runs: Runs) -> None:
    """`layer` is an uncompressed tar of the root file system."""
    digest = _sha256(layer)
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {
                "Entrypoint": list(runs.entrypoint) or None,
                "Cmd": list(runs.command) or None,
                "Env": [f"{name}={value}" for name, value in (runs.env or {}).items()],
                "User": runs.user,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            # buildah refuses to add to an image whose history does not account for every layer.
            "history": [{"created_by": "tandem cluster"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}.tar"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}]).encode()
    partial = target.with_name(target.name + ".part")
    with tarfile.open(partial, "w") as archive:
        add_bytes(archive, "manifest.json", manifest)
        add_bytes(archive, config_name, config)
        with layer.open("rb") as file:
            entry = tarfile.TarInfo(layer_name)
            entry.size = layer.stat().st_size
            archive.addfile(entry, file)
    partial.rename(target)


def write_binary_image(target: Path, reference: str, binary: Path, user: str = "") -> None:
    """An image that holds one static program and nothing else."""
    layer = target.with_name(target.name + ".layer")
    with tarfile.open(layer, "w") as archive:
        entry = tarfile.TarInfo(binary.name)
        entry.size = binary.stat().st_size
        entry.mode = 0o755
        with binary.open("rb") as file:
            archive.addfile(entry, file)
    write_image(target, reference, layer, Runs(entrypoint=(f"/{binary.name}",), user=user))
    layer.unlink()


def add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
