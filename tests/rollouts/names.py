"""Whether the status always names what serves: every version of the resource and of its Service, side by side.

A status is written right after the Service was switched, by the same pass or by the next; so it may name what served
until a moment ago, never anything else, and that moment is measured.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from demo.kubectl import Json, Kubectl, changes, watch_words
from tests.rollouts.app import NAME


@dataclass
class Account:
    """``statuses``: how many were looked at. ``switches``: the revisions that the Service sent to, in turn.

    ``wrong``: a status that named something else, in words. ``late``: of each switch, how many seconds it took until
    the status named the revision.
    """

    statuses: int = 0
    switches: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    late: list[float] = field(default_factory=list)


class Names:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, int], tuple[float, Json]] = {}
        self.ended = threading.Event()

    def follow(self, kubectl: Kubectl, kind: str) -> None:
        """An API server ends a watch after half an hour at the earliest; the next one begins with what there is."""
        while not self.ended.is_set():
            with kubectl.stream(*watch_words(kind, NAME)) as lines, suppress(ValueError):  # half a line: it was ended
                for change in changes(lines):
                    version = int(change.object["metadata"]["resourceVersion"])
                    with self._lock:
                        self._seen.setdefault((kind, version), (time.monotonic(), change.object))
                    if self.ended.is_set():
                        return
            self.ended.wait(1)

    def account(self) -> Account:
        """Of all that was seen until now, in the order in which the API server wrote it."""
        with self._lock:
            seen = sorted(((version, kind, *of) for (kind, version), of in self._seen.items()), key=lambda one: one[0])
        found, switched_at, statuses = Account(), 0.0, 0
        named: int | None = None
        for version, kind, at, object_ in seen:
            if kind == "services":
                serving = serving_of(object_)
                if found.switches[-1:] != [serving]:
                    found.switches.append(serving)
                    switched_at = at
                continue
            stable = object_.get("status", {}).get("stable", {}).get("revision")
            if stable is None or not found.switches:
                continue
            statuses += 1
            if stable not in found.switches[-2:] or (stable != named and stable != found.switches[-1]):
                told = f"status says {stable} while revision {found.switches[-1]} had the traffic"
                found.wrong.append(f"{told} (version {version})")
            if stable == found.switches[-1] != named:
                found.late.append(max(0.0, at - switched_at))
            named = stable
        found.statuses = statuses
        return found


@contextmanager
def followed(kubectl: Kubectl) -> Iterator[Names]:
    names = Names()
    for kind in ("appdeployments", "services"):
        threading.Thread(target=names.follow, args=(kubectl, kind), name=f"watch {kind}", daemon=True).start()
    try:
        yield names
    finally:
        names.ended.set()


def serving_of(service: Json) -> int:
    """The revision that the Service sends the traffic to: alone, or as the stable one of two."""
    selected = service["spec"]["selector"].get("tandem.dev/revision")
    if selected is not None:
        return int(selected)
    return int(json.loads(service["metadata"]["annotations"]["tandem.dev/traffic"])["stable"])
