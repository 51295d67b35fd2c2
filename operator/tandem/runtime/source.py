"""The code version: a Git commit, or the files of a ConfigMap, laid out in a folder."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tandem.runtime import credentials
from tandem.runtime.failure import AccessDenied, Failure
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
    "GIT_SSH_COMMAND": "ssh -F none -o BatchMode=yes -o ConnectTimeout=20",
    "LC_ALL": "C",
}
# The first line of a Git LFS pointer, and a size that none reaches (its specification).
POINTER: Final = b"version https://git-lfs.github.com/spec/"
_POINTER_SIZE: Final = 1024
# What git, curl and ssh say when it is the credentials.
_DENIED: Final = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "terminal prompts disabled",
    "the requested url returned error: 401",
    "the requested url returned error: 403",
    "permission denied (",
    "host key verification failed",
    "access denied",
)


# What they say when it is the server or the way to it, and a try later on may succeed.
_AWAY: Final = (
    *("failed to connect", "couldn't connect", "connection refused", "connection timed out", "operation timed out"),
    *("operation too slow", "connection reset", "connection closed", "network is unreachable", "no route to host"),
    *("returned error: 5", "returned error: 429", "early eof", "rpc failed", "hung up unexpectedly"),
    "temporary failure in name resolution",
)


class CodeNotFetched(Failure):
    exit_code = 4


class GitServerAway(CodeNotFetched):
    passes = True


@dataclass(frozen=True)
class Access:
    """How a server is spoken to: configuration and environment of git that are nobody else's to see."""

    configuration: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def with_header(authorization: str) -> Access:
    """By the environment, where no list of processes shows it; without redirects, which could lead it elsewhere."""
    if not authorization:
        return Access()
    return Access({"http.extraHeader": f"Authorization: {authorization}", "http.followRedirects": "false"})


@contextmanager
def access_by(secret: credentials.Credentials) -> Iterator[Access]:
    """What a Secret gives access with: a user name and password or token; or a deploy key, for the hosts it knows.

    Raises:
        AccessDenied: there is a key and no known_hosts: whoever answers would get what the key is good for.
    """
    if not secret["ssh-privatekey"]:
        yield with_header(secret.basic_header)
        return
    if not secret["known_hosts"]:
        raise AccessDenied(
            "the Secret of secretRef has no known_hosts: add what `ssh-keyscan HOST` prints, once checked"
        )
    with tempfile.TemporaryDirectory(prefix="git-") as folder:
        for name in ("ssh-privatekey", "known_hosts"):
            file = Path(folder) / name
            file.touch(0o600)  # ssh takes no key that others could read
            file.write_text(f"{secret[name]}\n")
        options = (
            *("BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=4"),
            *(f"IdentityFile={folder}/ssh-privatekey", "IdentitiesOnly=yes", "IdentityAgent=none"),
            *(f"UserKnownHostsFile={folder}/known_hosts", "GlobalKnownHostsFile=none", "StrictHostKeyChecking=yes"),
        )
        command = ["ssh", "-F", "none", *(word for option in options for word in ("-o", option))]
        yield Access(environment={"GIT_SSH_COMMAND": shlex.join(command)})


class _GitRefused(Exception):
    """Git exited non-zero; the message is what it wrote."""


def clone(git: Git, folder: Path) -> str:
    """Put the files of ``git.path`` at ``git.ref`` into ``folder`` (made new); the full commit that ``ref`` meant.

    The result is a plain tree without ``.git``: the commit is recorded by the operator, on the MLflow run.

    Raises:
        CodeNotFetched: the repository, the ref or the folder is not there, or cannot be read; or a file is in Git LFS.
        AccessDenied: the server wants credentials, or others.
    """
    secret = credentials.read(git.secret, urlsplit(git.url).scheme)
    # Beside the target, not in /tmp: the same volume, so the tree is moved, not copied.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".git-", dir=folder.parent) as checkout_name:
        checkout = Path(checkout_name)
        try:
            with access_by(secret) as access:
                commit = check_out(git, checkout, access)
        except Failure as failure:
            raise type(failure)(secret.scrubbed(str(failure))) from None
        tree = _folder_of(checkout, git)
        pointer = next((file for file in sorted(tree.rglob("*")) if is_pointer(file)), None)
        if pointer is not None:
            raise CodeNotFetched(
                f"{pointer.relative_to(tree)} of {redacted(git.url)} is kept in Git LFS, which is not fetched: name a "
                "folder without it by spec.source.git.path, and get the file by spec.data from the store that holds it"
            )
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for entry in tree.iterdir():
            entry.rename(folder / entry.name)
    return commit


def is_pointer(file: Path) -> bool:
    """Whether it is what Git LFS leaves in the place of a file."""
    if file.is_symlink() or not file.is_file() or file.stat().st_size >= _POINTER_SIZE:
        return False
    with file.open("rb") as content:
        return content.read(len(POINTER)) == POINTER


def check_out(git: Git, checkout: Path, access: Access, ref_field: str = "spec.source.git.ref") -> str:
    """Put the tree at ``git.ref`` into the folder ``checkout``, which is empty; the full commit that the ref meant.

    ``ref_field``: what a person has to correct.

    Raises:
        CodeNotFetched: the repository or the ref is not there, or cannot be read.
        AccessDenied: the server wants credentials, or others.
    """
    _git(checkout, "init", "--quiet")
    commit = _fetch(checkout, git, access, ref_field)
    _git(checkout, "checkout", "--quiet", "--force", "--detach", commit)
    shutil.rmtree(checkout / ".git")
    return commit


def resolve(git: Git, access: Access, ref_field: str = "spec.source.git.ref") -> str:
    """The object that ``git.ref`` names on the server now, the commit if it is a branch; nothing is fetched.

    Raises:
        CodeNotFetched: the repository or the ref is not there, or cannot be read.
        AccessDenied: the server wants credentials, or others.
    """
    if _COMMIT.match(git.ref):
        return git.ref
    try:
        told = _git(Path("/"), "ls-remote", "--quiet", "--", git.url, git.ref, access=access)
    except _GitRefused as refused:
        raise _explained(str(refused), git, ref_field) from None
    found = {name: commit for commit, _, name in (line.partition("\t") for line in told.splitlines())}
    # The order in which `git fetch` takes a short name (gitrevisions).
    for name in (git.ref, f"refs/{git.ref}", f"refs/tags/{git.ref}", f"refs/heads/{git.ref}"):
        if name in found:
            return found[name]
    raise _explained("couldn't find remote ref", git, ref_field)


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


def _fetch(checkout: Path, git: Git, access: Access, ref_field: str) -> str:
    """Fetch one commit without its history where the server allows it, everything where it does not."""
    url = redacted(git.url)
    try:
        _git(checkout, "fetch", "--quiet", "--depth=1", "--no-tags", "--", git.url, git.ref, access=access)
        return _git(checkout, "rev-parse", "--verify", "--quiet", "FETCH_HEAD^{commit}")
    except _GitRefused as refused:
        if not _COMMIT.match(git.ref):
            raise _explained(str(refused), git, ref_field) from None
    try:
        # A server may refuse to send a commit that no branch or tag points at (uploadpack.allowAnySHA1InWant).
        everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        _git(checkout, "fetch", "--quiet", "--", git.url, *everything, access=access)
        return _git(checkout, "rev-parse", "--verify", "--quiet", f"{git.ref}^{{commit}}")
    except _GitRefused as refused:
        detail = str(refused)
        if not detail:
            raise CodeNotFetched(f"{url} has no commit {git.ref}: correct {ref_field}, or push it") from None
        raise _explained(detail, git, ref_field) from None


def _explained(said: str, git: Git, ref_field: str) -> Failure:
    url = redacted(git.url)
    if "couldn't find remote ref" in said:
        advice = f"correct {ref_field}, or push it (a commit needs all its 40 digits)"
        return CodeNotFetched(f"{url} has no branch or tag {git.ref!r}: {advice}")
    told = f"could not fetch {git.ref} of {url}: {said or 'git failed without a word'}"
    if any(sign in said.lower() for sign in _DENIED):
        return AccessDenied(f"{told}; see to the rights of what secretRef names, or name a Secret that has them")
    return GitServerAway(told) if any(sign in said.lower() for sign in _AWAY) else CodeNotFetched(told)


def _folder_of(checkout: Path, git: Git) -> Path:
    tree = (checkout / git.path).resolve() if git.path else checkout.resolve()
    if not tree.is_relative_to(checkout.resolve()) or not tree.is_dir():
        raise CodeNotFetched(
            f"{redacted(git.url)} has no folder {git.path!r} at {git.ref}: correct spec.source.git.path"
        )
    return tree


def _git(folder: Path, *arguments: str, access: Access | None = None) -> str:
    access = access or Access()
    hidden = {"GIT_CONFIG_COUNT": str(len(access.configuration)), **access.environment}
    for place, (key, value) in enumerate(access.configuration.items()):
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
