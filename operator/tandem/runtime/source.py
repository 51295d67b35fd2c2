"""The code version: a Git commit, or the files of a ConfigMap, laid out in a folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tandem.runtime.failure import Failure
from tandem.runtime.instruction import GIT_PROTOCOLS, Git
from tandem.runtime.redact import redacted

_COMMIT: Final = re.compile(r"^([0-9a-f]{40}|[0-9a-f]{64})$")

# Nothing of the machine's or the repository's configuration decides what runs: no hooks, no prompts, no submodules,
# no file system monitor, no protocol but these.
_OPTIONS: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "credential.helper=",
    "gc.auto=0",
    "advice.detachedHead=false",
    # A server that stalls is given up after a minute; only the Job's deadline would end it otherwise.
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
)
_ENVIRONMENT: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_ALLOW_PROTOCOL": ":".join(GIT_PROTOCOLS),
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "LC_ALL": "C",
}


class CodeNotFetched(Failure):
    exit_code = 4


class _GitRefused(Exception):
    """Git exited non-zero; the message is what it wrote."""


def clone(git: Git, folder: Path) -> str:
    """Put the files of ``git.path`` at ``git.ref`` into ``folder`` (made new); the full commit that ``ref`` meant.

    The result is a plain tree without ``.git``: the commit is recorded by the operator, on the MLflow run.

    Raises:
        CodeNotFetched: the repository, the ref or the folder is not there, or cannot be read.
    """
    # Beside the target, not in /tmp: the same volume, so the tree is moved, not copied.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".git-", dir=folder.parent) as checkout_name:
        checkout = Path(checkout_name)
        commit = check_out(git, checkout)
        tree = _folder_of(checkout, git)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for entry in tree.iterdir():
            entry.rename(folder / entry.name)
    return commit


def check_out(git: Git, checkout: Path, authorization: str = "", field: str = "spec.source.git.ref") -> str:
    """Put the tree at ``git.ref`` into the folder ``checkout``, which is empty; the full commit that the ref meant.

    ``authorization``: a header for the server. ``field``: what a person has to correct.

    Raises:
        CodeNotFetched: the repository or the ref is not there, or cannot be read.
    """
    _git(checkout, "init", "--quiet")
    commit = _fetch(checkout, git, _secret(authorization), field)
    _git(checkout, "checkout", "--quiet", "--force", "--detach", commit)
    shutil.rmtree(checkout / ".git")
    return commit


def resolve(git: Git, authorization: str = "", field: str = "spec.source.git.ref") -> str:
    """The object that ``git.ref`` names on the server now, the commit if it is a branch; nothing is fetched.

    Raises:
        CodeNotFetched: the repository or the ref is not there, or cannot be read.
    """
    if _COMMIT.match(git.ref):
        return git.ref
    try:
        told = _git(Path("/"), "ls-remote", "--quiet", "--", git.url, git.ref, more=_secret(authorization))
    except _GitRefused as refused:
        raise CodeNotFetched(_explained(str(refused), git, field)) from None
    found = {name: commit for commit, _, name in (line.partition("\t") for line in told.splitlines())}
    # The order in which `git fetch` takes a short name (gitrevisions).
    for name in (git.ref, f"refs/{git.ref}", f"refs/tags/{git.ref}", f"refs/heads/{git.ref}"):
        if name in found:
            return found[name]
    raise CodeNotFetched(_explained("couldn't find remote ref", git, field))


def _secret(authorization: str) -> dict[str, str]:
    """By the environment, where no list of processes shows it; without redirects, which could lead it elsewhere."""
    if not authorization:
        return {}
    return {"http.extraHeader": f"Authorization: {authorization}", "http.followRedirects": "false"}


def copy_files(mounted: Path, folder: Path) -> str:
    """Copy the files of a mounted ConfigMap into ``folder`` (made new); the digest of their names and contents.

    A mounted ConfigMap holds links into ``..data``, which the kubelet swaps when it changes; the run keeps what it
    started with.

    Raises:
        CodeNotFetched: nothing is mounted there.
    """
    try:
        files = [entry for entry in mounted.iterdir() if not entry.name.startswith("..") and entry.is_file()]
    except OSError as error:
        raise CodeNotFetched(
            f"the ConfigMap of spec.source.configMapRef is not mounted at {mounted}: {error.strerror}"
        ) from None
    if not files:
        raise CodeNotFetched("the ConfigMap of spec.source.configMapRef has no files: put the code into its data")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for entry in files:
        shutil.copyfile(entry, folder / entry.name)
    return digest_of(folder)


def digest_of(folder: Path) -> str:
    """``sha256:…`` over a line per file, by name: the same lines as ``sha256sum *`` prints there."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir())]
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def _fetch(checkout: Path, git: Git, configuration: Mapping[str, str], field: str) -> str:
    """Fetch one commit without its history where the server allows it, everything where it does not."""
    url = redacted(git.url)
    try:
        _git(checkout, "fetch", "--quiet", "--depth=1", "--no-tags", "--", git.url, git.ref, more=configuration)
        return _git(checkout, "rev-parse", "--verify", "--quiet", "FETCH_HEAD^{commit}")
    except _GitRefused as refused:
        if not _COMMIT.match(git.ref):
            raise CodeNotFetched(_explained(str(refused), git, field)) from None
    try:
        # A server may refuse to send a commit that no branch or tag points at (uploadpack.allowAnySHA1InWant).
        everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        _git(checkout, "fetch", "--quiet", "--", git.url, *everything, more=configuration)
        return _git(checkout, "rev-parse", "--verify", "--quiet", f"{git.ref}^{{commit}}")
    except _GitRefused as refused:
        detail = str(refused)
        if not detail:
            raise CodeNotFetched(f"{url} has no commit {git.ref}: correct {field}, or push it") from None
        raise CodeNotFetched(_explained(detail, git, field)) from None


def _explained(said: str, git: Git, field: str) -> str:
    url = redacted(git.url)
    if "couldn't find remote ref" in said:
        return f"{url} has no branch or tag {git.ref!r}: correct {field}, or push it (a commit needs all its 40 digits)"
    return f"could not fetch {git.ref} of {url}: {said or 'git failed without a word'}"


def _folder_of(checkout: Path, git: Git) -> Path:
    tree = (checkout / git.path).resolve() if git.path else checkout.resolve()
    if not tree.is_relative_to(checkout.resolve()) or not tree.is_dir():
        raise CodeNotFetched(
            f"{redacted(git.url)} has no folder {git.path!r} at {git.ref}: correct spec.source.git.path"
        )
    return tree


def _git(folder: Path, *arguments: str, more: Mapping[str, str] | None = None) -> str:
    """``more``: configuration that is nobody else's to see."""
    hidden = {"GIT_CONFIG_COUNT": str(len(more or {}))}
    for place, (key, value) in enumerate((more or {}).items()):
        hidden |= {f"GIT_CONFIG_KEY_{place}": key, f"GIT_CONFIG_VALUE_{place}": value}
    options = [word for option in _OPTIONS for word in ("-c", option)]
    try:
        done = subprocess.run(
            ["git", *options, "-C", str(folder), *arguments],
            env={**os.environ, **_ENVIRONMENT, **hidden},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise CodeNotFetched("the image has no git: use the tandem runtime image for the fetch step") from None
    if done.returncode != 0:
        raise _GitRefused(redacted(" ".join(done.stderr.split()))[-500:])
    return done.stdout.strip()
