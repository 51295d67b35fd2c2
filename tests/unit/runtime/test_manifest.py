"""The digest of a data set is one that a person can compute without Tandem."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from tandem.runtime.manifest import File, Manifest


def manifest_of(folder: Path) -> Manifest:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return Manifest(
        tuple(
            File(p.relative_to(folder).as_posix(), p.stat().st_size, hashlib.sha256(p.read_bytes()).hexdigest())
            for p in reversed(found)
        ),
        folder=True,
    )


def test_the_digest_of_a_folder_is_what_sha256sum_makes_of_it(tmp_path: Path) -> None:
    for path, text in {"b.csv": "b", "a/c d.csv": "", "Z.txt": "z", "a/ä.csv": "ä", "a.csv": "x"}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    command = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
    said = subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert manifest_of(tmp_path).digest == f"sha256:{said.stdout.split()[0]}"


def test_the_digest_of_one_file_is_its_own() -> None:
    assert Manifest((File("a.csv", 1, "f" * 64),), folder=False).digest == "sha256:" + "f" * 64


@pytest.mark.parametrize(
    "other",
    [
        (File("a.csv", 1, "a" * 64), File("c.csv", 1, "b" * 64)),
        (File("a.csv", 1, "b" * 64), File("b.csv", 1, "a" * 64)),
        (File("a.csv", 1, "a" * 64),),
        (File("a.csv", 1, "a" * 64), File("b.csv", 1, "b" * 64), File("c.csv", 0, "c" * 64)),
    ],
    ids=["renamed", "swapped", "one less", "one more"],
)
def test_names_contents_and_number_of_files_are_all_in_the_digest(other: tuple[File, ...]) -> None:
    first = Manifest((File("a.csv", 1, "a" * 64), File("b.csv", 1, "b" * 64)), folder=True)
    assert Manifest(other, folder=True).digest != first.digest
    assert Manifest(tuple(reversed(first.files)), folder=True).digest == first.digest
    assert first.size == 2
