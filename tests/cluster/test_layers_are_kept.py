"""Layers are exported once, and a node gets those alone that it lacks."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.embedded import layers

BASE, LIBRARIES, CODE = b"base", b"libraries", b"code"


def digest(layer: bytes) -> str:
    return f"sha256:{hashlib.sha256(layer).hexdigest()}"


class Image:
    """As buildah has it: a configuration, and an export that is counted."""

    def __init__(self, *content: bytes) -> None:
        self.content, self.exports = content, 0
        self.config = json.dumps({"rootfs": {"diff_ids": [digest(layer) for layer in content]}}).encode()

    def export(self, target: Path) -> None:
        self.exports += 1
        with tarfile.open(target, "w") as archive:
            for layer in self.content:
                entry = tarfile.TarInfo(f"{hashlib.sha256(layer).hexdigest()}.tar")
                entry.size = len(layer)
                archive.addfile(entry, io.BytesIO(layer))


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tandem" / "layers"


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    def write(image: Image, *known: bytes) -> dict[str, bytes]:
        """The files of the archive of an image, for a node that has these layers."""
        target = tmp_path / "image.tar"
        have = {digest(layer) for layer in known}
        layers.write_archive(target, "docker.io/library/shop:1", image.config, have, image.export)
        with tarfile.open(target) as archive:
            return {entry.name: (archive.extractfile(entry) or io.BytesIO()).read() for entry in archive}

    return write


def blobs(files: dict[str, bytes]) -> set[bytes]:
    return {content for name, content in files.items() if name.startswith("blobs/")}


def test_what_the_node_has_is_left_out_and_named_all_the_same(written: Callable[..., dict[str, bytes]]) -> None:
    image = Image(BASE, LIBRARIES, CODE)

    files = written(image, BASE, LIBRARIES)

    assert {BASE, LIBRARIES, CODE} & blobs(files) == {CODE}
    (named,) = json.loads(files["index.json"])["manifests"]
    assert named["annotations"]["io.containerd.image.name"] == "docker.io/library/shop:1"
    manifest = json.loads(files[f"blobs/{named['digest'].replace(':', '/')}"])
    assert [layer["digest"] for layer in manifest["layers"]] == [digest(one) for one in (BASE, LIBRARIES, CODE)]
    assert [layer["size"] for layer in manifest["layers"]] == [4, 9, 4]
    assert files[f"blobs/{manifest['config']['digest'].replace(':', '/')}"] == image.config


def test_each_file_is_named_by_its_own_digest(written: Callable[..., dict[str, bytes]]) -> None:
    files = written(Image(BASE, CODE))

    named = {name: content for name, content in files.items() if name.startswith("blobs/")}
    assert len(named) == 4
    assert all(name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}" for name, content in named.items())


def test_an_image_is_exported_once(written: Callable[..., dict[str, bytes]]) -> None:
    image = Image(BASE, CODE)

    first, second = written(image), written(image)

    assert first == second
    assert image.exports == 1


def test_other_code_on_the_same_base_is_exported_and_the_base_is_kept(
    written: Callable[..., dict[str, bytes]], cache: Path
) -> None:
    written(Image(BASE, CODE))

    files = written(Image(BASE, b"other code"))

    assert {BASE, b"other code"} <= blobs(files)
    assert len([file for file in cache.iterdir() if file.suffix == ""]) == 3


def test_what_nobody_used_for_two_weeks_goes(written: Callable[..., dict[str, bytes]], cache: Path) -> None:
    written(Image(BASE, CODE))
    long_ago = time.time() - 15 * 86400
    for layer in cache.iterdir():
        os.utime(layer, (long_ago, long_ago))

    written(Image(BASE, b"other code"))

    assert {file.read_bytes() for file in cache.iterdir()} == {BASE, b"other code"}


def test_an_export_that_is_interrupted_leaves_nothing_that_counts(
    written: Callable[..., dict[str, bytes]], cache: Path
) -> None:
    image = Image(BASE, CODE)
    broken = Image(BASE, CODE)
    broken.content = (BASE,)  # the archive ends too early

    with pytest.raises(KeyError):
        written(broken)

    assert {BASE, CODE} <= blobs(written(image))
    assert [file for file in cache.iterdir() if file.suffix] == []
