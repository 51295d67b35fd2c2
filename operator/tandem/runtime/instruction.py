"""What a fetch step is told, in one environment variable: the operator writes it, :mod:`tandem.runtime.fetch` reads it.

::

    {"git":   {"url": "https://…/repo.git", "ref": "main", "path": "train",    or null
               "secret": "/tandem/source-secret"},  where its Secret is mounted, or null
     "files": "/tandem/source",                    a mounted ConfigMap, or null; never together with git
     "filesDigest": "sha256:…",                    that its files have to have, where a run is reproduced
     "data":  [{"name": "iris", "storageUri": "https://…/iris.csv", "digest": "sha256:…",
                "secret": "/tandem/secrets/iris",  where its Secret is mounted, or null
                "claim": "/tandem/claims/iris",    where the claim of a pvc:// is mounted, or null
                "cache": "/tandem/caches/iris"}],  where its cache is mounted, or null
     "workspace": "/workspace",
     "reportLimit": 4096}                          the most bytes that the kubelet keeps of the report
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from tandem.runtime import location
from tandem.runtime.failure import Failure

VARIABLE: Final = "TANDEM_FETCH"
# The protocols that git may speak: never `ext::`, which runs a command.
GIT_PROTOCOLS: Final = ("https", "http", "ssh", "git", "file")


class InstructionInvalid(Failure):
    """The instruction is not what this program understands: trying again will not help."""

    exit_code: ClassVar[int] = 2


class Git(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``ref`` is a branch, a tag or a full commit; ``path`` a folder of the repository, the whole of it by default."""

    url: str
    # No leading dash anywhere: git would read it as an option.
    ref: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")] = "main"
    path: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]*$")] | None = None
    secret: str | None = None


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    storage_uri: str
    digest: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    secret: str | None = None
    claim: str | None = None
    cache: str | None = None

    @property
    def location(self) -> location.Location:
        """Raises: BadLocation; not after :func:`parse`."""
        return location.parse(self.storage_uri)


class Instruction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    git: Git | None = None
    files: str | None = None
    files_digest: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    data: tuple[Data, ...] = ()
    workspace: str = "/workspace"
    report_limit: Annotated[int, msgspec.Meta(ge=128, le=4096)] = 4096

    @property
    def source_folder(self) -> Path:
        return Path(self.workspace) / "src"

    def data_folder(self, data: Data) -> Path:
        return Path(self.workspace) / "data" / data.name


def parse(text: str | None, variable: str = VARIABLE) -> Instruction:
    """The instruction in ``text``, which came from this environment variable.

    Raises:
        InstructionInvalid: it is missing, not JSON, or breaks a rule; the message names the field.
    """
    if not text:
        raise InstructionInvalid(
            f"the environment variable {variable} is empty: the operator sets it in the pods that it makes"
        )
    try:
        instruction = msgspec.json.decode(text, type=Instruction)
    except msgspec.DecodeError as error:
        raise InstructionInvalid(f"{variable} is not a valid fetch instruction: {error}") from None
    _check(instruction)
    return instruction


def _check(instruction: Instruction) -> None:
    git = instruction.git
    if git and instruction.files:
        raise InstructionInvalid("spec.source has both git and configMapRef: set exactly one of them")
    if git and urlsplit(git.url).scheme not in GIT_PROTOCOLS:
        raise InstructionInvalid(f"spec.source.git.url must start with {_listed(GIT_PROTOCOLS)}")
    if git and git.path and ".." in git.path.split("/"):
        raise InstructionInvalid("spec.source.git.path must not contain '..': it names a folder of the repository")
    for data in instruction.data:
        try:
            location.parse(data.storage_uri)
        except location.BadLocation as error:
            raise InstructionInvalid(f"data set {data.name}: storageUri {error}") from None
    names = [data.name for data in instruction.data]
    if len(set(names)) < len(names):
        raise InstructionInvalid("spec.data: two data sets have the same name; names must be unique")


def _listed(protocols: tuple[str, ...]) -> str:
    return " or ".join(f"{protocol}://" for protocol in protocols)
