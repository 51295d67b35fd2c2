"""The parts that come from Go modules: pinned, built once, never half there."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from cluster.embedded import go, parts
from cluster.embedded.archive import Runs, write_binary_image, write_image
from cluster.embedded.parts import Part
from cluster.errors import ClusterError


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Part:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(parts, "MODULES", tmp_path)
    source = tmp_path / "greeter"
    source.mkdir()
    (source / "go.mod").write_text("module greeter\n\ngo 1.26.6\n")
    (source / "main.go").write_text("package main\n")
    return Part("greeter", "1.0", "no time", links=("hello",))


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []

    def run(argv: list[object], **_: object) -> str:
        words = [str(word) for word in argv]
        if "list" in words:
            return "fmt\ngreeter\n"
        done.append(" ".join(words))
        Path(words[words.index("-o") + 1], "greeter").write_text("binary")
        return ""

    monkeypatch.setattr(parts, "run", run)
    monkeypatch.setattr(go, "toolchain", lambda minimum: Path(f"go-at-least-{minimum}"))
    return done


def test_every_part_has_the_version_that_its_go_mod_pins() -> None:
    for part in (parts.kubernetes(), parts.containerd(), parts.coredns()):
        assert f"v{part.version}" in (part.source / "go.mod").read_text()
        assert (part.source / "go.sum").is_file()


def test_all_of_kubernetes_is_of_one_release() -> None:
    """A staging module left behind would be another API server than the version says."""
    minor = parts.kubernetes().version.removeprefix("1.")
    replaced = [
        line for line in (parts.kubernetes().source / "go.mod").read_text().splitlines() if "=> k8s.io/" in line
    ]

    assert len(replaced) >= 30
    assert all(line.endswith(f"v0.{minor}") for line in replaced)


def test_given_nothing_built_then_it_is_built_and_plays_its_roles(part: Part, builds: list[str]) -> None:
    parts.ensure(part)

    assert "go-at-least-1.26.6" in builds[0]
    assert part.binary("hello").read_text() == "binary"


def test_given_it_was_built_then_it_is_not_built_again(part: Part, builds: list[str]) -> None:
    parts.ensure(part)
    parts.ensure(part)

    assert len(builds) == 1


def test_given_its_source_changed_then_it_is_built_again(part: Part, builds: list[str]) -> None:
    parts.ensure(part)
    (part.source / "main.go").write_text("package main // changed\n")
    parts.ensure(part)

    assert len(builds) == 2


def test_a_part_may_have_its_module_elsewhere(part: Part, builds: list[str], tmp_path: Path) -> None:
    """What only tests or the bench need does not belong to the cluster."""
    folder = tmp_path / "somewhere" / "else"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text("module other\n\ngo 1.99.0\n\nrequire example.org/thing v2.3.4\n")

    elsewhere = Part("greeter", parts.pinned("greeter", "example.org/thing", folder), "no time", module=folder)
    parts.ensure(elsewhere)

    assert elsewhere.folder.name == "greeter-2.3.4"
    assert "go-at-least-1.99.0" in builds[0]


def test_given_a_build_that_failed_then_nothing_half_done_is_taken_for_a_part(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise ClusterError(what="no space", rule="r", remedy="d")

    monkeypatch.setattr(parts, "run", fail)
    monkeypatch.setattr(go, "toolchain", lambda _: Path("go"))
    with pytest.raises(ClusterError):
        parts.ensure(part)

    assert not part.folder.exists()


def test_when_a_program_is_wrapped_as_an_image_then_the_image_runs_it(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    write_binary_image(tmp_path / "image.tar", "localhost/pause:1", program, user="65532:65532")

    with tarfile.open(tmp_path / "image.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest"))[0]
        config = json.load(archive.extractfile(manifest["Config"]) or pytest.fail("no config"))
    assert manifest["RepoTags"] == ["localhost/pause:1"]
    assert config["config"]["Entrypoint"] == ["/pause"]
    assert config["config"]["User"] == "65532:65532"


def test_when_an_image_is_written_twice_from_the_same_files_then_it_is_the_same_image(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    layer.write_bytes(b"same")
    for name in ("one.tar", "two.tar"):
        write_image(tmp_path / name, "localhost/x:1", layer, Runs())

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
