"""kubectl, as a person types it: every step of the story is a command that a reader can repeat.

Nothing here sleeps. What is waited for is awaited with ``kubectl wait`` or seen on a watch.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

# The border to the API server: a value has no type before `msgspec.convert`.
Json: TypeAlias = dict[str, Any]
Predicate: TypeAlias = Callable[[Json], bool]

WITHIN: Final = 180.0


class KubectlFailed(Exception):
    """A command was refused; ``stderr`` says why, in the API server's own words."""

    def __init__(self, words: tuple[str, ...], stderr: str) -> None:
        super().__init__(f"kubectl {shlex.join(words)}: {stderr.strip()}")
        self.words = words
        self.stderr = stderr


class NotInTime(Exception):
    """What was awaited did not come; the message tells the last state that was seen."""


@dataclass(frozen=True)
class Change:
    """One line of a watch. ``type``: ADDED, MODIFIED or DELETED; what exists at the start comes as ADDED."""

    type: str
    object: Json


@dataclass(frozen=True)
class Kubectl:
    """``command``: the program and the options that choose the cluster. ``namespace``: '' for kubectl's own default."""

    command: tuple[str, ...]
    namespace: str = ""

    def within(self, namespace: str) -> Kubectl:
        return replace(self, namespace=namespace)

    def words(self, *words: str) -> list[str]:
        scope = (f"--namespace={self.namespace}",) if self.namespace else ()
        return [*self.command, *scope, *words]

    def run(self, *words: str, stdin: str | None = None) -> str:
        """Standard output.

        Raises:
            KubectlFailed: it ended with another code than 0.
        """
        done = subprocess.run(self.words(*words), check=False, input=stdin or "", capture_output=True, text=True)
        if done.returncode != 0:
            raise KubectlFailed(words, done.stderr or done.stdout)
        return done.stdout

    def json(self, *words: str) -> Json:
        """``kubectl <words> --output=json``; a list has its objects in ``items``."""
        answer: Json = json.loads(self.run(*words, "--output=json"))
        return answer

    def get(self, target: str) -> Json:
        """One object, by ``kind/name``."""
        return self.json("get", target)

    def names(self, kind: str, *options: str) -> list[str]:
        return [item["metadata"]["name"] for item in self.json("get", kind, *options)["items"]]

    def apply(self, *objects: Mapping[str, object]) -> None:
        """``kubectl apply`` of objects made here; files and folders go through :meth:`run`."""
        together = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.run("apply", "--filename=-", stdin=json.dumps(together))

    def merge(self, target: str, patch: Mapping[str, object], *options: str) -> None:
        self.run("patch", target, "--type=merge", f"--patch={json.dumps(patch)}", *options)

    def exec(self, target: str, *command: str) -> str:
        """Standard output of a command in a pod's container."""
        return self.run("exec", target, "--", *command)

    def wait_for(self, target: str, expression: str, within: float = WITHIN) -> None:
        """``kubectl wait --for=<expression>``: condition=Ready, jsonpath={.status.phase}=Complete, create, delete.

        Raises:
            NotInTime: not in so many seconds, with what the object's conditions say.
        """
        try:
            self.run("wait", f"--for={expression}", target, f"--timeout={within:.0f}s")
        except KubectlFailed as failed:
            raise NotInTime(f"{failed.stderr.strip()}\n{self._last_words(target)}") from None

    def watch_until(self, target: str, predicate: Predicate, what: str, within: float = WITHIN) -> Json:
        """Watches ``kind/name`` until the object is as wanted, and returns it; it may not exist yet.

        Raises:
            NotInTime: not in so many seconds, with what the object's conditions say.
        """
        kind, _, name = target.partition("/")
        with self.stream(*watch_words(kind, name), within=within) as lines:
            for change in changes(lines):
                if change.type != "DELETED" and predicate(change.object):
                    return change.object
        raise NotInTime(f"{target} not within {within:.0f} s: {what}\n{self._last_words(target)}")

    @contextmanager
    def stream(self, *words: str, within: float | None = None) -> Iterator[Iterator[str]]:
        """The lines of a command that goes on, until it ends, ``within`` seconds are over, or the block is left."""
        with subprocess.Popen(
            self.words(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            timer = threading.Timer(within, process.kill) if within is not None else None
            try:
                if timer:
                    timer.daemon = True
                    timer.start()
                yield iter(process.stdout)
            finally:
                if timer:
                    timer.cancel()
                process.kill()

    def _last_words(self, target: str) -> str:
        try:
            status = self.get(target).get("status", {})
        except KubectlFailed as failed:
            return failed.stderr.strip()
        return "\n".join([f"{target}: {status.get('phase', 'no phase')}", *map(_told, status.get("conditions", ()))])


def _told(condition: Json) -> str:
    words = (condition.get("reason", ""), condition.get("message", ""))
    return f"  {condition['type']}={condition['status']} {': '.join(words)}"


def watch_words(kind: str, name: str = "") -> tuple[str, ...]:
    """A field selector, not the name: a watch by name fails where the object does not exist yet."""
    only = (f"--field-selector=metadata.name={name}",) if name else ()
    return ("get", kind, *only, "--watch", "--output-watch-events", "--output=json")


def changes(lines: Iterator[str]) -> Iterator[Change]:
    """With --output-watch-events kubectl prints one JSON document a line."""
    for line in lines:
        change = json.loads(line)
        yield Change(change["type"], change["object"])


def condition(object_: Json, type_: str) -> Json:
    """The condition of this type, or an empty one: ``condition(job, "Ready").get("status")``."""
    found = (c for c in object_.get("status", {}).get("conditions", ()) if c["type"] == type_)
    return next(found, {})


def is_true(object_: Json, type_: str) -> bool:
    """Whether the condition is True, and speaks of the spec as it is now."""
    found = condition(object_, type_)
    seen = found.get("observedGeneration", object_["metadata"].get("generation", 0))
    return bool(found.get("status") == "True" and seen >= object_["metadata"].get("generation", 0))
