"""What the images hold is what was tested: one list of dependencies, one resolution, every file pinned by hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("dev", "operator", "runtime", "s3")


def wanted(name: str) -> set[str]:
    """The lines of an input list, without comments and without what it includes."""
    lines = (ROOT / f"requirements/{name}.in").read_text().splitlines()
    return {line.split("#")[0].strip() for line in lines} - {"", "-r operator.in", "-r runtime.in"}


def locked(name: str) -> dict[str, set[str]]:
    """Package → the versions that it is locked to (one per environment marker)."""
    versions: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9-]+)==([^\s;\\]+)", (ROOT / f"requirements/{name}.txt").read_text(), re.M
    ):
        versions.setdefault(package, set()).add(version)
    return versions


def package(requirement: str) -> str:
    return re.split(r"[\[=<>~ ]", requirement)[0].lower()


def test_the_operators_list_is_the_packages_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert wanted("operator") == set(project["dependencies"])


@pytest.mark.parametrize("name", LOCKS)
def test_everything_asked_for_is_locked(name: str) -> None:
    assert {package(requirement) for requirement in wanted(name)} <= locked(name).keys()


@pytest.mark.parametrize("name", ["operator", "runtime"])
def test_an_image_holds_the_versions_that_were_tested(name: str) -> None:
    tested = locked("dev")
    assert {package: versions for package, versions in locked(name).items() if versions != tested.get(package)} == {}


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_by_hash_and_names_no_index(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", text) if not entry.startswith("#")]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"^--|://", text, re.M)


def test_the_operators_image_stays_lean() -> None:
    assert not locked("operator").keys() & {"mlflow", "mlflow-skinny", "numpy", "pandas", "scikit-learn"}
