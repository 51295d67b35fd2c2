"""What a rollout remembers, and where: never in the status alone, which may be lost.

Where a candidate has got to is written on its own Deployment, in one write with the number of its pods; who has the
traffic, and who had it before, on the Service, in one write with its selector. So whatever a crash leaves is one
moment of the rollout, whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, TypeVar

import msgspec

from tandem.api import names
from tandem.api.meta import Wire

NOTE_ANNOTATION: Final = f"{names.GROUP}/rollout"
TRAFFIC_ANNOTATION: Final = f"{names.GROUP}/traffic"
SPENT_ANNOTATION: Final = f"{names.GROUP}/spent-words"


class Note(Wire, frozen=True):
    """Of a candidate. ``reached``: since when its pods are ready and the traffic is divided as the step asks for.

    ``exposed``: since when somebody could be sent to it, or it was judged. It stays from step to step: a container that
    ends after that counts, also while the pods of the next step are on their way.
    """

    since: datetime
    phase: Literal["Step", "Promotion", "Switch"] = "Step"
    step: int = 0  # of spec.rollout.steps, from 0; of no meaning in the other phases
    reached: datetime | None = None
    exposed: datetime | None = None

    @property
    def name(self) -> str:
        """As people write it: "2" is the second step."""
        return str(self.step + 1) if self.phase == "Step" else "promotion"


class Traffic(Wire, frozen=True):
    """Of the Service: which revision is stable, which one was before it, and since when that is so."""

    stable: int
    previous: int | None = None
    since: datetime | None = None


class Spent(Wire, frozen=True):
    """Of a revision: what people had said of it when it was set aside or made room for another, by annotation.

    Nobody takes that away for them, and it was about an attempt that is over: in the next one it counts no more.
    """

    words: dict[str, str] = {}


NOTHING_SPENT: Final = Spent()

Read = TypeVar("Read", bound=Wire)


def read(notes: Mapping[str, str], name: str, type_: type[Read]) -> Read | None:
    """A note that somebody edited by hand is a note that is not there."""
    text = notes.get(name)
    try:
        return msgspec.json.decode(text, type=type_) if text else None
    except msgspec.MsgspecError:
        return None


def write(note: Wire) -> str:
    return msgspec.json.encode(note).decode()
