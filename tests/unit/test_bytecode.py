"""Byte code that one clone has compiled serves the next one of the same libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checks import bytecode
from checks.bytecode import Bytecode


@pytest.fixture
def code(tmp_path: Path) -> Bytecode:
    found = Bytecode(tmp_path / "here" / "site-packages", tmp_path / "bytecode" / "key")
    (found.compiled / "kopf").mkdir(parents=True)
    (found.compiled / "kopf" / "__init__.cpython-311.pyc").write_bytes(b"code")
    return found


def clone(code: Bytecode, name: str = "there") -> Bytecode:
    return Bytecode(code.compiled.parent.parent / name / "site-packages", code.kept)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_kept_the_next_clone_takes(code: Bytecode) -> None:
    assert code.keep()
    assert clone(code).take()
    assert files(clone(code).compiled) == files(code.compiled) != {}


def test_what_is_not_there_is_not_taken_nor_kept_and_nothing_twice(code: Bytecode) -> None:
    assert not clone(code).take()
    assert not clone(code).keep()
    assert code.keep()
    assert not code.keep()


def test_what_is_compiled_here_already_stays(code: Bytecode) -> None:
    """pip was there before any clone's byte code could be taken."""
    code.keep()
    there = clone(code)
    [file] = code.compiled.rglob("*.pyc")
    own = there.compiled / file.relative_to(code.compiled)
    own.parent.mkdir(parents=True)
    own.write_bytes(b"own")
    (own.parent / "more.cpython-311.pyc").write_bytes(b"more")

    assert there.take()

    assert files(there.compiled) == {"kopf/__init__.cpython-311.pyc": b"own", "kopf/more.cpython-311.pyc": b"more"}


def test_nothing_but_the_whole_is_ever_seen(code: Bytecode, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bytecode, "_link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        code.keep()
    assert list(code.kept.parent.iterdir()) == []


def test_of_two_that_keep_at_once_the_faster_one_is_kept(code: Bytecode, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def late(self: Path, target: Path) -> Path:
        target.mkdir()
        (target / "faster").touch()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    code.keep()

    assert files(code.kept) == {"faster": b""}


def test_a_clone_that_replaces_a_file_changes_no_other(code: Bytecode) -> None:
    """As Python writes byte code: beside, and then renamed."""
    code.keep()
    there = clone(code)
    there.take()
    [file] = there.compiled.rglob("*.pyc")
    new = file.with_suffix(".new")
    new.write_bytes(b"other")
    new.rename(file)

    assert files(code.compiled) == files(code.kept) == {"kopf/__init__.cpython-311.pyc": b"code"}


def test_where_there_are_no_links_it_is_copied(code: Bytecode, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    assert code.keep()
    assert files(code.kept) == files(code.compiled)


def test_what_nobody_has_taken_for_a_month_is_deleted_when_another_is_kept(code: Bytecode) -> None:
    old, used = code.kept.with_name("old"), code.kept.with_name("used")
    for folder, days in ((old, 31), (used, 29)):
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - days * 86400,) * 2)

    code.keep()

    assert {path.name for path in code.kept.parent.iterdir()} == {"used", "key"}


def test_python_believes_it_of_the_same_file_in_another_place(tmp_path: Path) -> None:
    """The whole way, with real byte code: compiled in one clone, not compiled again in the next."""
    source = tmp_path / "one" / "module.py"
    source.parent.mkdir()
    source.write_text("answer = 42\n")
    (tmp_path / "two").mkdir()
    os.link(source, tmp_path / "two" / "module.py")

    def compiled(clone: str) -> Path:
        return tmp_path / "cache" / (tmp_path / clone).relative_to("/")

    def run(clone: str) -> None:
        environment = {"PYTHONPATH": str(tmp_path / clone), "PYTHONPYCACHEPREFIX": str(tmp_path / "cache")}
        subprocess.run([sys.executable, "-c", "import module"], env=environment, check=True)

    run("one")
    assert Bytecode(compiled("one"), tmp_path / "kept").keep()
    assert Bytecode(compiled("two"), tmp_path / "kept").take()
    before = {path: path.stat().st_ino for path in compiled("two").rglob("*.pyc")}
    run("two")

    assert before
    assert {path: path.stat().st_ino for path in compiled("two").rglob("*.pyc")} == before
