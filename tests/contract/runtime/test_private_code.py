"""Private repositories against Git's own server side behind a password, as the container that fetches meets them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tandem.runtime import source
from tandem.runtime.credentials import Credentials
from tandem.runtime.failure import AccessDenied, Failure
from tandem.runtime.instruction import Git, parse
from tests.contract.runtime.conftest import Repository, free_port, pod_environment, run_module
from tests.contract.runtime.stores import HEADER, ME, Guarded, Ssh, git_http_backend, guarded_server, ssh_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ssh_client")]


@pytest.fixture(scope="module")
def server(repository: Repository) -> Iterator[Guarded]:
    with guarded_server(git_http_backend(repository.path.parent)) as guarded:
        guarded.url = f"{guarded.url}/{repository.path.name}/.git"
        yield guarded


def secret(folder: Path, keys: Mapping[str, str]) -> str:
    place = folder / "secret"
    place.mkdir()
    for key, value in keys.items():
        (place / key).write_text(value)
    return str(place)


def test_a_private_repository_is_fetched_with_the_mounted_password_and_nothing_shows_it(
    server: Guarded, repository: Repository, tmp_path: Path
) -> None:
    told = {"git": {"url": server.url, "ref": "v1", "secret": secret(tmp_path, ME)}, "workspace": str(tmp_path / "w")}
    log = tmp_path / "log"
    variables = {"TANDEM_FETCH": json.dumps(told), "TANDEM_TERMINATION_LOG": str(log)}
    done = run_module("tandem.runtime.fetch", cwd=tmp_path, env=pod_environment(tmp_path, **variables))
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "w/src/train.py").read_text() == "one"
    assert json.loads(log.read_text())["commit"] == repository.commits["one"]
    assert "hunter2" not in done.out + log.read_text()
    assert not any("hunter2" in file.read_text() for file in (tmp_path / "w").rglob("*") if file.is_file())
    assert set(server.seen) == {HEADER}


@pytest.mark.parametrize(
    "keys", [None, {"username": "me", "password": "wrong-hunter2"}, {"token": "wrong-hunter2"}, {"other": "x"}]
)
def test_without_the_right_credentials_it_is_denied_and_says_what_to_do(
    server: Guarded, tmp_path: Path, keys: Mapping[str, str] | None
) -> None:
    git = Git(server.url, secret=secret(tmp_path, keys) if keys else None)
    with pytest.raises(AccessDenied) as denied:
        source.clone(git, tmp_path / "src")
    assert "secretRef" in str(denied.value)
    assert "hunter2" not in str(denied.value)
    assert not (tmp_path / "src").exists()


def test_a_commit_that_nothing_points_at_is_fetched_with_the_password_too(
    server: Guarded, repository: Repository, tmp_path: Path
) -> None:
    """What a reproduction asks for."""
    git = Git(server.url, repository.commits["one"], secret=secret(tmp_path, ME))
    assert source.clone(git, tmp_path / "src") == repository.commits["one"]


# --- ssh -------------------------------------------------------------------------------------------------------------


def test_a_key_without_known_hosts_speaks_to_nobody(tmp_path: Path) -> None:
    git = Git("ssh://git@127.0.0.1:1/r.git", secret=secret(tmp_path, {"ssh-privatekey": "-----BEGIN"}))
    with pytest.raises(AccessDenied, match="no known_hosts: add what `ssh-keyscan HOST` prints"):
        source.clone(git, tmp_path / "src")


def test_ssh_gets_the_key_in_a_file_of_its_own_and_trusts_no_other_host() -> None:
    held = Credentials({"ssh-privatekey": "KEY", "known_hosts": "host ssh-ed25519 AAAA"}, given=True)
    with source.access_by(held) as access:
        command = access.environment["GIT_SSH_COMMAND"]
        words = dict(word.split("=", 1) for word in command.split() if "=" in word)
        key = Path(words["IdentityFile"])
        assert (key.read_text(), key.stat().st_mode & 0o777) == ("KEY\n", 0o600)
        assert Path(words["UserKnownHostsFile"]).read_text() == "host ssh-ed25519 AAAA\n"
        assert (words["StrictHostKeyChecking"], words["GlobalKnownHostsFile"]) == ("yes", "none")
        assert "-F none" in command, "no configuration of the machine decides"
    assert not key.exists()


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    with ssh_server(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.mark.parametrize(("ref", "text"), [("v1", "one"), ("main", "three")])
def test_a_repository_is_fetched_over_ssh_with_a_deploy_key(
    ssh: Ssh, repository: Repository, tmp_path: Path, ref: str, text: str
) -> None:
    git = Git(ssh.url(repository.path), ref, secret=secret(tmp_path, ssh.secret))
    commit = source.clone(git, tmp_path / "src")
    assert commit == repository.git("rev-parse", f"{ref}^{{commit}}")
    assert (tmp_path / "src/train.py").read_text() == text


def test_another_key_is_denied(ssh: Ssh, repository: Repository, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    keys = {**ssh.secret, "ssh-privatekey": (tmp_path / "other").read_text()}
    with pytest.raises(AccessDenied, match="see to the rights of what secretRef names"):
        source.clone(Git(ssh.url(repository.path), secret=secret(tmp_path, keys)), tmp_path / "src")


def test_a_server_with_another_host_key_gets_nothing(ssh: Ssh, repository: Repository, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    public = (tmp_path / "other.pub").read_text()
    keys = {**ssh.secret, "known_hosts": f"[127.0.0.1]:{ssh.port} {public}"}
    with pytest.raises(AccessDenied, match="Host key verification failed"):
        source.clone(Git(ssh.url(repository.path), secret=secret(tmp_path, keys)), tmp_path / "src")


def test_a_server_that_does_not_answer_over_ssh_is_told(tmp_path: Path) -> None:
    """The real ssh; where the machine has none, git says so."""
    keys = {"ssh-privatekey": "KEY", "known_hosts": "host ssh-ed25519 AAAA"}
    git = Git(f"ssh://git@127.0.0.1:{free_port()}/r.git", secret=secret(tmp_path, keys))
    with pytest.raises(Failure, match=r"could not fetch main of ssh://127\.0\.0\.1:"):
        source.clone(git, tmp_path / "src")


def test_the_instruction_is_what_the_operator_writes(tmp_path: Path) -> None:
    told = {"git": {"url": "https://a.example/r.git", "ref": "main", "path": None, "secret": "/tandem/source-secret"}}
    git = parse(json.dumps(told)).git
    assert git is not None
    assert git.secret == "/tandem/source-secret"
