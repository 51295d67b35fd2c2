"""A machine without the tools: they are installed, or one line says what is missing and what to do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

from cluster.embedded import backend, buildah, debian, go
from cluster.embedded.debian import Tool
from cluster.errors import ClusterError

RUNC = Tool("runc-that-is-nowhere", "runc")
IPTABLES = Tool("iptables-that-is-nowhere", "iptables")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    commands: list[list[str]] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(debian, "run", lambda argv, **_: commands.append(list(argv)))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return commands


def test_given_root_and_apt_then_only_what_is_missing_is_installed(
    installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "_present", lambda tool: tool is not RUNC)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/usr/bin/apt-get")

    debian.ensure((RUNC, IPTABLES))

    assert installed[-1] == ["apt-get", "install", "-q", "-y", "--no-install-recommends", "runc"]


def test_given_nothing_missing_then_nothing_is_run(installed: list[list[str]]) -> None:
    debian.ensure((Tool("sh", "dash"),))

    assert installed == []


def test_given_no_apt_then_one_line_names_the_packages_and_the_ways_out(installed: list[list[str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(debian, "SYSTEM_PATH", "/nowhere")
        with pytest.raises(ClusterError) as refused:
            debian.ensure((RUNC, IPTABLES))

    message = str(refused.value)
    assert "missing on this machine: iptables runc" in message
    assert "install them with this machine's package tool, or run Docker" in message
    assert "\n" not in message
    assert installed == []


def test_given_a_plain_user_then_up_says_what_would_help(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(ClusterError, match="--control-plane-only` needs neither"):
        backend.EmbeddedCluster("dev").up()


@pytest.mark.parametrize(
    ("own", "chosen"), [("go1.26.8", "own"), ("go1.27", "own"), ("go1.9.9", "packaged"), ("", "packaged")]
)
def test_given_the_machines_go_then_it_is_used_where_it_is_recent_enough(
    own: str, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "own")
    monkeypatch.setattr(go, "_version_of", lambda _: own)
    monkeypatch.setattr(go, "_packaged", lambda: Path("packaged"))

    assert go.toolchain("1.26.6") == Path(chosen)


def test_given_neither_go_nor_a_way_to_fetch_it_then_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_, **__: None)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    with pytest.raises(ClusterError, match="install Go, or pip"):
        go._installer(Path("somewhere"))


def test_given_no_pip_then_go_is_fetched_with_the_uv_beside_this_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As `make setup` leaves the environment of a second clone; its programs are on nobody's PATH."""
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "/nowhere")

    assert go._installer(Path("somewhere"))[:3] == [str(uv), "pip", "install"]


def test_given_an_authority_of_the_machines_own_then_it_is_mounted_and_not_copied(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.touch()

    words = buildah.own_authority({"SSL_CERT_FILE": str(bundle)})

    assert words[:2] == ["--volume", f"{bundle}:/etc/ssl/certs/ca-certificates.crt:ro"]
    assert words[2:] == ["--build-arg", "PIP_CERT=/etc/ssl/certs/ca-certificates.crt"]


def test_given_no_authority_of_its_own_then_the_build_is_left_alone() -> None:
    assert buildah.own_authority({}) == []
