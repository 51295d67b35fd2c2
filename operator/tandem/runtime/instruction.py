"""What a fetch step is told, in one environment variable: the operator writes it, :mod:`tandem.runtime.fetch` reads it.

::

    {"git":   {"url": "https://…/repo.git", "ref": "main", "path": "train"},   or null
     "files": "/tandem/source",                    a mounted ConfigMap, or null; never together with git
     "data":  [{"name": "iris", "storageUri": "https://…/iris.csv", "digest": "sha256:…"}],
     "workspace": "/workspace"}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Final
from urllib.parse import unquote, urlsplit

import msgspec

from tandem.runtime.failure import Failure

VARIABLE: Final = "TANDEM_FETCH"
# The protocols that git may speak: never `ext::`, which runs a command.
GIT_PROTOCOLS: Final = ("https", "http", "ssh", "git", "file")
DATA_PROTOCOLS: Final = ("https", "http", "file")


class InstructionInvalid(Failure):
    """The instruction is not what this program understands: trying again will not help."""

    exit_code: ClassVar[int] = 2


class Git(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``ref`` is a branch, a tag or a full commit; ``path`` a folder of the repository, the whole of it by default."""

    url: str
    # No leading dash anywhere: git would read it as an option.
    ref: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")] = "main"
    path: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]*$")] | None = None


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    storage_uri: str
    digest: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None

    @property
    def filename(self) -> str:
        """The last part of the URI: ``https://host/a/iris.csv?sig=…`` → ``iris.csv``."""
        return unquote(urlsplit(self.storage_uri).path).rsplit("/", 1)[-1]


class Instruction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    git: Git | None = None
    files: str | None = None
    data: tuple[Data, ...] = ()
    workspace: str = "/workspace"

    @property
    def source_folder(self) -> Path:
        return Path(self.workspace) / "src"

    def data_file(self, data: Data) -> Path:
        return Path(self.workspace) / "data" / data.name / data.filename


def parse(text: str | None) -> Instruction:
    """The instruction in ``text``.

    Raises:
        InstructionInvalid: it is missing, not JSON, or breaks a rule; the message names the field.
    """
    if not text:
        raise InstructionInvalid(
            f"the environment variable {VARIABLE} is empty: the operator sets it in the pods that it makes"
        )
    try:
        instruction = msgspec.json.decode(text, type=Instruction)
    except msgspec.DecodeError as error:
        raise InstructionInvalid(f"{VARIABLE} is not a valid fetch instruction: {error}") from None
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
        if urlsplit(data.storage_uri).scheme not in DATA_PROTOCOLS:
            raise InstructionInvalid(f"data set {data.name}: storageUri must start with {_listed(DATA_PROTOCOLS)}")
        if data.filename in ("", ".", "..") or "\0" in data.filename:
            raise InstructionInvalid(f"data set {data.name}: storageUri must end in the name of one file")
    names = [data.name for data in instruction.data]
    if len(set(names)) < len(names):
        raise InstructionInvalid("spec.data: two data sets have the same name; names must be unique")


def _listed(protocols: tuple[str, ...]) -> str:
    return " or ".join(f"{protocol}://" for protocol in protocols)
