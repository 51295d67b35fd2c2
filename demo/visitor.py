"""The visitor: a pod that keeps asking an app from its first answer to the end of the story, and counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import yaml

from cluster.paths import REPOSITORY
from demo.kubectl import Json, Kubectl, NotInTime

POD_PREFIX: Final = "visitor-"
VISITORS: Final = "app.kubernetes.io/component=visitor"
RATE: Final = 10
HEARD_WITHIN: Final = 60.0
_GARDEN: Final = REPOSITORY / "examples/iris/garden.yaml"


@dataclass(frozen=True)
class Tally:
    """``answered``: version → requests. ``failed``: why → requests. ``slowest_ms``: of those that were answered."""

    answered: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    slowest_ms: int = 0

    @property
    def answers(self) -> int:
        return sum(self.answered.values())

    @property
    def failures(self) -> int:
        return sum(self.failed.values())

    def and_then(self, line: str) -> Tally:
        """One more line of the visitor's log; what is no line of counts (a traceback) changes nothing."""
        try:
            told = json.loads(line)
            return Tally(
                answered=dict(Counter(self.answered) + Counter(told["answered"])),
                failed=dict(Counter(self.failed) + Counter(told["failed"])),
                slowest_ms=max(self.slowest_ms, told["slowest_ms"]),
            )
        except (ValueError, KeyError, TypeError):
            return self


Enough: TypeAlias = Callable[[Tally], bool]


def counted(lines: Iterable[str]) -> Tally:
    tally = Tally()
    for line in lines:
        tally = tally.and_then(line)
    return tally


@dataclass(frozen=True)
class Visitor:
    """Asks ``url`` for ever. ``kubectl``: in the namespace where its pod lives, beside the garden."""

    kubectl: Kubectl
    app: str
    url: str
    method: str
    rate: int = RATE  # requests per second

    @property
    def pod(self) -> str:
        return f"{POD_PREFIX}{self.app}"

    def start(self) -> None:
        """Returns when it has had its first answer."""
        self.kubectl.apply(self.manifest())
        self.kubectl.wait_for(f"pod/{self.pod}", "condition=Ready")
        self.await_answer(lambda tally: tally.answers > 0, "a first answer")

    def hears(self, version: str) -> None:
        """Returns when this version has answered."""
        self.await_answer(lambda tally: tally.answered.get(version, 0) > 0, f"an answer of version {version}")

    def await_answer(self, enough: Enough, what: str) -> None:
        tally = Tally()
        with self.kubectl.stream("logs", "--follow", self.pod, within=HEARD_WITHIN) as lines:
            for line in lines:
                tally = tally.and_then(line)
                if enough(tally):
                    return
        raise NotInTime(f"pod {self.pod} not within {HEARD_WITHIN:.0f} s: {what}; it counted {tally}")

    def tally(self) -> Tally:
        """All that it has counted so far."""
        return counted(self.kubectl.run("logs", self.pod).splitlines())

    def stop(self) -> None:
        self.kubectl.run("delete", "pod", self.pod, "--ignore-not-found", "--wait=false")

    def manifest(self) -> Json:
        """The garden's pod with another command: the visitor lives beside the garden and has its code."""
        pod: Json = yaml.safe_load(_GARDEN.read_text())
        pod["metadata"] = {"name": self.pod, "labels": dict([VISITORS.split("=")])}
        words = ["python", "visitor.py", f"--url={self.url}", f"--method={self.method}", f"--rate={self.rate}"]
        pod["spec"]["containers"][0] |= {"name": "visitor", "command": words}
        return pod


def of_model(kubectl: Kubectl) -> Visitor:
    return Visitor(kubectl, "iris", "http://iris/invocations", "POST")


def of_web(kubectl: Kubectl) -> Visitor:
    return Visitor(kubectl, "web", "http://web/", "GET")
