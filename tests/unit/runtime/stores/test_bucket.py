"""Which objects of a bucket's folder are files: a listing tells the marker of a folder without its slash."""

from __future__ import annotations

import pytest

from tandem.runtime.stores.bucket import files_of


@pytest.mark.parametrize(
    ("folder", "listed", "files"),
    [
        pytest.param("x/", {"x": 0, "x/a": 1}, ["x/a"], id="the marker of the folder itself is none"),
        pytest.param("x/", {"x/y": 0, "x/y/a": 1}, ["x/y/a"], id="nor is that of a folder in it"),
        pytest.param("x/", {"x/y/z": 0, "x/y": 0, "x/y/z/a": 1}, ["x/y/z/a"], id="nor that of a folder in that"),
        pytest.param("x/", {"x/y": 0, "x/y/z": 0}, ["x/y/z"], id="whatever is in it is empty itself"),
        pytest.param("x/", {"x/y/x": 0}, ["x/y/x"], id="an empty file of the folder's name is one"),
        pytest.param("x/", {"x/y": 0, "x/y2": 1}, ["x/y", "x/y2"], id="a longer name is nothing below it"),
        pytest.param("x/y/", {"x/y": 0, "x/y/a": 0}, ["x/y/a"], id="an empty file is one"),
        pytest.param("", {"a": 0, "b/c": 0}, ["a", "b/c"], id="also in the bucket itself"),
        pytest.param("", {"b": 0, "b/c": 1}, ["b/c"], id="whose folders have markers too"),
        pytest.param("x/", {"x/y": 2, "x/y/a": 1}, ["x/y", "x/y/a"], id="what has bytes is no marker"),
    ],
)
def test_empty_objects_are_files_unless_something_is_below_them(
    folder: str, listed: dict[str, int], files: list[str]
) -> None:
    found = files_of([{"path": path, "size": size} for path, size in listed.items()], folder)
    assert [one["path"] for one in found] == files
