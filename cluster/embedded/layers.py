"""Image archives with what a node lacks, from layers that are kept between runs.

To export the runtime's image takes eight seconds of a processor, and to import one more image on the same base two:
all images here share their base, and from run to run nothing changes but our own code (a hundredth of it).
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from cluster import paths
from cluster.embedded.archive import add_bytes
from cluster.lock import exclusive

KEPT = 14 * 86400.0  # seconds since a layer was used
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def write_archive(
    target: Path, reference: str, config: bytes, known: Collection[str], export: Callable[[Path], None]
) -> None:
    """An OCI layout without the ``known`` layers (``sha256:…``, of uncompressed tars).

    ``export`` writes the whole image as Docker does (layers as ``HEX.tar``), and is asked only for what is not kept.
    """
    digests = [str(digest) for digest in json.loads(config)["rootfs"]["diff_ids"]]
    with exclusive(folder().with_suffix(".lock"), "another export of an image"):
        folder().mkdir(exist_ok=True)
        _keep([digest for digest in digests if not _file(digest).exists()], export)
        manifest = _manifest(config, digests)
        missing = [digest for digest in dict.fromkeys(digests) if digest not in known]
        _write(target, reference, manifest, config, missing)
        for digest in digests:
            os.utime(_file(digest))
        _forget()


def folder() -> Path:
    return paths.cache() / "layers"


def _file(digest: str) -> Path:
    return folder() / digest.removeprefix("sha256:")


def _keep(wanted: Collection[str], export: Callable[[Path], None]) -> None:
    if not wanted:
        return
    whole = folder() / "export.part"
    export(whole)
    with tarfile.open(whole) as archive:
        for digest in dict.fromkeys(wanted):
            layer = archive.extractfile(f"{digest.removeprefix('sha256:')}.tar")
            assert layer, f"{digest} is a file of the archive"
            partial = _file(digest).with_suffix(".part")
            with partial.open("wb") as file:
                while chunk := layer.read(1 << 20):
                    file.write(chunk)
            partial.rename(_file(digest))
    whole.unlink()


def _manifest(config: bytes, digests: Iterable[str]) -> bytes:
    layers = [{"mediaType": _LAYER, "digest": digest, "size": _file(digest).stat().st_size} for digest in digests]
    named = {"mediaType": _CONFIG, "digest": _sha256(config), "size": len(config)}
    return json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "config": named, "layers": layers}).encode()


def _write(target: Path, reference: str, manifest: bytes, config: bytes, layers: Iterable[str]) -> None:
    names = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
    image = {"mediaType": _MANIFEST, "digest": _sha256(manifest), "size": len(manifest), "annotations": names}
    partial = target.with_name(target.name + ".part")
    with tarfile.open(partial, "w") as archive:
        add_bytes(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        add_bytes(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [image]}).encode())
        for blob in (manifest, config):
            add_bytes(archive, _blob(_sha256(blob)), blob)
        for digest in layers:
            entry = tarfile.TarInfo(_blob(digest))
            entry.size = _file(digest).stat().st_size
            with _file(digest).open("rb") as file:
                archive.addfile(entry, file)
    partial.rename(target)


def _forget() -> None:
    old = time.time() - KEPT
    for file in folder().iterdir():
        if file.stat().st_mtime < old:
            file.unlink()


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
