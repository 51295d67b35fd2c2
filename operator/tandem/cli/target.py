"""Which resource is meant: ``shop``, ``appd/shop``, ``trainingjob/iris``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tandem.api import names
from tandem.api.appdeployment import AppDeployment
from tandem.api.meta import Json
from tandem.api.trainingjob import TrainingJob
from tandem.cli.cluster import APP, KINDS, TRAINING, Cluster, Kind
from tandem.cli.errors import CommandError


@dataclass(frozen=True)
class Found:
    """A resource as it was read."""

    kind: Kind
    body: Json

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def annotations(self) -> dict[str, str]:
        return dict(self.body["metadata"].get("annotations") or {})

    @property
    def view(self) -> AppDeployment | TrainingJob:
        """Raises :class:`CommandError` for what a newer operator wrote in words that are not known here."""
        try:
            if self.kind == APP:
                return msgspec.convert(self.body, AppDeployment)
            return msgspec.convert(self.body, TrainingJob)
        except msgspec.ValidationError as error:
            raise CommandError(f"{self} cannot be read by this version of tandem: {error}") from None

    def __str__(self) -> str:
        return f"{self.kind.name.lower()}/{self.name}"


def find(cluster: Cluster, text: str, kinds: Sequence[Kind] = KINDS) -> Found:
    """The resource that ``text`` names, one of these kinds.

    Raises:
        CommandError: there is none, there are two, or its kind is none of these.
    """
    kind, name = parse(text)
    if kind is not None and kind not in kinds:
        raise CommandError(f"{text}: this is for {_or(kinds)} alone")
    found = [Found(one, body) for one in kinds if kind in {None, one} and (body := cluster.read(one, name)) is not None]
    if not found:
        raise CommandError(f"there is no {_or([kind] if kind else kinds)} {name} in namespace {cluster.namespace}")
    if len(found) > 1:
        either = " or ".join(f"{one.kind.short}/{name}" for one in found)
        raise CommandError(f"there are two of that name in namespace {cluster.namespace}: say {either}")
    return found[0]


def find_app(cluster: Cluster, text: str) -> tuple[Found, AppDeployment]:
    found = find(cluster, text, (APP,))
    view = found.view
    assert isinstance(view, AppDeployment)
    return found, view


def find_training(cluster: Cluster, text: str) -> tuple[Found, TrainingJob]:
    found = find(cluster, text, (TRAINING,))
    view = found.view
    assert isinstance(view, TrainingJob)
    return found, view


def parse(text: str) -> tuple[Kind | None, str]:
    """A kind (where one is said) and a name."""
    word, slash, name = text.rpartition("/")
    if not slash:
        return None, _checked(text, text)
    for kind in KINDS:
        said = word.lower().removesuffix(f".{names.GROUP}")
        if said in {kind.short, kind.plural, kind.name.lower()}:
            return kind, _checked(name, text)
    raise CommandError(f"{text}: {word} is neither {_or(KINDS)} ({' or '.join(kind.short for kind in KINDS)})")


def _checked(name: str, text: str) -> str:
    if not name or "/" in name:
        raise CommandError(f"{text!r} names no resource: say NAME or KIND/NAME")
    return name


def _or(kinds: Sequence[Kind]) -> str:
    return " or ".join(kind.name for kind in kinds)
