"""Everything that was ever seen of a namespace: each version of each object, from before the first one was made.

What passes quickly (a phase, a Job that is deleted again) is in here even if no assertion looked at that moment.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from demo.kubectl import Json, Kubectl, NotInTime, Predicate, changes, condition, is_true, watch_words

# A machine with two cores that does much else meanwhile.
WITHIN = 420.0


class Diary:
    """Targets are ``kind/name``, with the kind in the words that it was opened with: ``trainingjobs/iris``."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self._versions: defaultdict[str, list[Json]] = defaultdict(list)
        self._new = threading.Condition()
        self._closed = False
        self._lost = ""

    def versions(self, target: str) -> list[Json]:
        """Oldest first."""
        with self._new:
            return list(self._versions[target])

    def all(self, kind: str) -> list[Json]:
        """Every version of every object of the kind."""
        with self._new:
            return [one for target, all_ in self._versions.items() if target.startswith(f"{kind}/") for one in all_]

    def made(self, kind: str) -> dict[str, str]:
        """Everything of the kind that ever was: uid → name."""
        return {version["metadata"]["uid"]: version["metadata"]["name"] for version in self.all(kind)}

    def until(self, target: str, predicate: Predicate, what: str, within: float = WITHIN) -> Json:
        """The first version that is as wanted, however long ago it was.

        Raises:
            NotInTime: none in so many seconds, with what the last version's conditions say.
        """
        return self.until_all({target: predicate}, what, within)[target]

    def until_all(self, wanted: Mapping[str, Predicate], what: str, within: float = WITHIN) -> dict[str, Json]:
        """For each target its first version that is as wanted; one wait for all."""
        found: dict[str, Json] = {}
        looked: dict[str, int] = dict.fromkeys(wanted, 0)
        deadline = time.monotonic() + within
        with self._new:
            while True:
                for target, predicate in wanted.items():
                    fresh = self._versions[target][looked[target] :]
                    looked[target] += len(fresh)
                    first = next(filter(predicate, fresh), None)
                    if target not in found and first is not None:
                        found[target] = first
                if len(found) == len(wanted):
                    return found
                if not self._more(deadline):
                    missing = [_told(target, self._versions[target]) for target in wanted if target not in found]
                    raise NotInTime(f"not within {within:.0f} s: {what}\n" + "\n".join(missing))

    def until_any(self, kind: str, predicate: Predicate, what: str, within: float = WITHIN) -> Json:
        """The first version of any object of the kind that is as wanted."""
        deadline = time.monotonic() + within
        with self._new:
            while True:
                targets = [target for target in self._versions if target.startswith(f"{kind}/")]
                for target in targets:
                    found = next(filter(predicate, self._versions[target]), None)
                    if found is not None:
                        return found
                if not self._more(deadline):
                    raise NotInTime(f"no {kind} within {within:.0f} s: {what}; seen: {', '.join(targets) or 'none'}")

    def follow(self, kind: str, lines: Iterator[str]) -> None:
        """Until the watch ends; before the diary is closed, that is told whoever waits."""
        problem = "it ended"
        try:
            for change in changes(lines):
                target = f"{kind}/{change.object['metadata']['name']}"
                with self._new:
                    self._versions[target].append(change.object)
                    self._new.notify_all()
        except ValueError as error:  # half a line, or none: kubectl was killed
            problem = str(error)
        with self._new:
            self._lost = self._lost or ("" if self._closed else f"the watch of {kind} was lost: {problem}")
            self._new.notify_all()

    def close(self) -> None:
        with self._new:
            self._closed = True

    def _more(self, deadline: float) -> bool:
        """Whether anything came before the deadline."""
        if self._lost:
            raise NotInTime(self._lost)
        return self._new.wait(deadline - time.monotonic())


@contextmanager
def diary_of(kubectl: Kubectl, *kinds: str) -> Iterator[Diary]:
    """Plural kinds, each on a watch of its own: ``diary_of(kubectl, "trainingjobs", "jobs")``."""
    diary = Diary(kubectl)
    with ExitStack() as watches:
        for kind in kinds:
            lines = watches.enter_context(kubectl.stream(*watch_words(kind)))
            threading.Thread(target=diary.follow, args=(kind, lines), name=f"watch {kind}", daemon=True).start()
        try:
            yield diary
        finally:
            diary.close()


def says(type_: str, status: str, reason: str = "") -> Predicate:
    """A condition, as a predicate: ``says("Stalled", "True", "ImagePullBackOff")``."""

    def predicate(object_: Json) -> bool:
        found = condition(object_, type_)
        return bool(found.get("status") == status and reason in ("", found.get("reason")))

    return predicate


def in_phase(phase: str) -> Predicate:
    return lambda object_: bool(object_.get("status", {}).get("phase") == phase)


def is_over(job: Json) -> bool:
    """Of a TrainingJob: its run has ended, well or not."""
    return is_true(job, "Complete") or condition(job, "Failed").get("status") == "True"


def in_words(object_: Json) -> str:
    """The status as ``kubectl describe`` would tell it, shortened; for messages of assertions."""
    status = object_.get("status", {})
    conditions = (
        f"{c['type']}={c['status']} {c.get('reason', '')}: {c.get('message', '')}" for c in status.get("conditions", ())
    )
    return "\n  ".join([f"phase {status.get('phase')}, run {status.get('run')}", *conditions])


def _told(target: str, versions: list[Json]) -> str:
    return f"{target}: {in_words(versions[-1]) if versions else 'never seen'}"
