"""Names of clusters and images, and where things are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster import paths
from cluster.cli import app
from cluster.errors import ClusterError
from cluster.lone import MARK
from cluster.references import repository, written_out


def test_given_xdg_folders_then_parts_and_state_are_kept_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/big/cache")
    monkeypatch.setenv("XDG_STATE_HOME", "/big/state")

    assert paths.cache() == Path("/big/cache/tandem")
    assert paths.state("dev") == Path("/big/state/tandem/clusters/dev")


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_given_no_absolute_xdg_folder_then_the_home_folder_counts(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_CACHE_HOME", value)

    assert paths.cache() == Path("/home/ada/.cache/tandem")


@pytest.mark.parametrize("name", ["tandem", "a", "ci-2", "x" * 32])
def test_given_a_plain_name_then_it_is_accepted(name: str) -> None:
    assert paths.state(name).name == name


@pytest.mark.parametrize("name", ["", "../else", "Tandem", "-a", "a-", "1st", "x" * 33, "a b", ".lock"])
def test_given_a_name_that_is_no_plain_word_then_it_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(ClusterError, match="choose another --name"):
        paths.state(name)


def test_given_a_lone_control_plane_then_its_name_is_not_given_to_a_whole_cluster_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    mark = paths.state("lone") / MARK
    mark.parent.mkdir(parents=True)
    mark.write_text("{}")

    refused = CliRunner().invoke(app, ["up", "--name", "lone"])

    assert isinstance(refused.exception, ClusterError)
    assert "choose another --name" in str(refused.exception)
    assert mark.exists()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("tandem:dev", "docker.io/library/tandem:dev"),
        ("tandem", "docker.io/library/tandem:latest"),
        ("team/tandem:1", "docker.io/team/tandem:1"),
        ("localhost/tandem:1", "localhost/tandem:1"),
        ("localhost:5000/tandem", "localhost:5000/tandem:latest"),
        ("registry.example.org/a/b:v2", "registry.example.org/a/b:v2"),
    ],
)
def test_given_an_image_name_then_it_is_written_out_as_a_kubelet_reads_it(given: str, meant: str) -> None:
    assert written_out(given) == meant


def test_given_a_digest_then_it_is_no_name_for_an_image_to_build() -> None:
    with pytest.raises(ClusterError, match="use NAME:TAG"):
        written_out("tandem@sha256:abc")


def test_given_a_port_in_the_registry_then_only_the_tag_is_taken_off() -> None:
    assert repository("localhost:5000/tandem:dev") == "localhost:5000/tandem"
