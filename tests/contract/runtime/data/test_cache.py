"""What is pinned is fetched once, and never believed unseen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.contract.runtime.conftest import HttpServer
from tests.contract.runtime.data.pod import IRIS, Pod, digest


@pytest.fixture
def cache(pod: Pod) -> Path:
    place = pod.folder / "cache"
    place.mkdir()
    return place


def test_what_is_pinned_is_fetched_once_and_then_taken_from_its_cache(pod: Pod, cache: Path, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, IRIS)
    pinned = {"digest": digest(IRIS), "cache": str(cache)}
    assert pod.fetch(f"{http.url}/iris.csv", **pinned).code == 0
    http.files.clear()

    done = pod.fetch(f"{http.url}/other-name.csv", **pinned)

    assert done.code == 0, done.err
    assert "from its cache" in done.out
    assert pod.files() == {"iris/other-name.csv": IRIS}


def test_what_is_damaged_in_its_cache_is_fetched_anew(pod: Pod, cache: Path, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, IRIS)
    pinned = {"digest": digest(IRIS), "cache": str(cache)}
    pod.fetch(f"{http.url}/iris.csv", **pinned)
    [kept] = list(cache.rglob("iris.csv"))
    kept.write_bytes(IRIS.replace(b"5.1", b"9.9"))

    done = pod.fetch(f"{http.url}/iris.csv", **pinned)

    assert done.code == 0, done.err
    assert "damaged in its cache" in done.out
    assert pod.files() == {"iris/iris.csv": IRIS}
    assert kept.read_bytes() == IRIS


@pytest.mark.parametrize("manifest", ["{}", '{"files": [], "folder": false}', "no json"])
def test_a_manifest_that_is_none_is_not_believed(pod: Pod, cache: Path, http: HttpServer, manifest: str) -> None:
    http.files["/iris.csv"] = (200, IRIS)
    pinned = {"digest": digest(IRIS), "cache": str(cache)}
    pod.fetch(f"{http.url}/iris.csv", **pinned)
    [kept] = cache.rglob(".manifest.json")
    kept.write_text(manifest)
    assert pod.fetch(f"{http.url}/iris.csv", **pinned).code == 0
    assert pod.files() == {"iris/iris.csv": IRIS}


def test_a_cache_that_cannot_be_written_stops_nothing(pod: Pod, cache: Path, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, IRIS)
    shutil.rmtree(cache)
    cache.write_text("a file where the volume should be")
    done = pod.fetch(f"{http.url}/iris.csv", digest=digest(IRIS), cache=str(cache))
    assert done.code == 0, done.err
    assert "data: iris is not kept in its cache: " in done.out
