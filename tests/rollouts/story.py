"""What is done to the app: rollouts, failing canaries, rollbacks, and an operator that is killed in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from demo.kubectl import Json, Kubectl, condition, is_true
from demo.setup import SYSTEM, Site
from tandem.api import names
from tests.e2e.diary import says
from tests.e2e.killing import kill, remove
from tests.rollouts.app import NAME, env, rollout

OPERATOR: Final = "tandem-operator"
WITHIN: Final = 300.0

# When the operator dies: as soon as there is a candidate, while it waits for a person, right after that one has spoken.
Moment = Literal["start", "waiting", "word"]
MOMENTS: Final[tuple[Moment, ...]] = ("start", "waiting", "word")
Failure = Literal["never ready", "not ready any more", "aborted", "judged"]
FAILURES: Final[tuple[Failure, ...]] = ("never ready", "not ready any more", "aborted", "judged")


@dataclass
class Told:
    """What was done, in turn: in words, and how long each took (seconds)."""

    rounds: list[tuple[str, float]] = field(default_factory=list)
    kills: int = 0
    # Versions that must never have answered anybody.
    hidden: set[str] = field(default_factory=set)


class Story:
    """One app, one round after the other; each round returns when the app is at rest again.

    ``killed_at``: of a round's name and number, when the operator is killed in it; None: not at all.
    """

    def __init__(self, site: Site, kubectl: Kubectl, killed_at: Callable[[int], Moment | None]) -> None:
        self.told = Told()
        self._app, self._system = kubectl, site.kubectl.within(SYSTEM)
        self._killed_at = killed_at
        self._version = 1

    def roll_out(self) -> None:
        """A good revision: two steps, the first of which a person approves."""
        moment, begun = self._begins()
        self._version += 1
        self._change(f"good-{self._version}", moment)
        number = self._awaits_approval(moment)
        self._say(moment, "approved", f"{number}/1")
        self._until(lambda app: is_true(app, "Ready") and stable_of(app) == number, f"revision {number} serves")
        self._ends("rollout", begun)

    def fail(self, how: Failure) -> None:
        """A canary that fails; who served goes on serving."""
        moment, begun = self._begins()
        self._version += 1
        version = f"bad-{self._version}"
        before = stable_of(self._app.get(f"appdeployment/{NAME}"))
        sick_after = {"never ready": "0", "not ready any more": "12"}.get(how, "inf")
        if how == "never ready":
            self.told.hidden.add(version)
        self._change(version, moment, sick_after, judged=how == "judged")
        reason = {"never ready": "NotReady", "not ready any more": "NotReady", "judged": "AnalysisFailed"}.get(how, "")
        if how == "aborted":
            self._say(moment, "abort", str(self._awaits_approval(moment)))
            reason = "Aborted"
        elif moment in ("waiting", "word"):
            self._dies()
        failed = self._until(says("Stalled", "True"), f"the canary is set aside ({how})")
        assert condition(failed, "Stalled")["reason"] == reason, condition(failed, "Stalled")
        assert stable_of(failed) == before, f"{stable_of(failed)} serves instead of {before}"
        self._ends(f"failing canary ({how})", begun)

    def roll_back(self) -> None:
        """To the good revision before the one that serves, whose pods are gone."""
        moment, begun = self._begins()
        app = self._app.get(f"appdeployment/{NAME}")
        retired = [r["revision"] for r in app["status"]["revisions"] if r.get("state") == "Retired"]
        number = max(retired)
        if moment == "start":
            self._dies()
        self._merge({"spec": {"rollback": {"toRevision": number}}})
        if moment is not None and moment != "start":
            self._dies()
        self._until(
            lambda app: stable_of(app) == number and condition(app, "Ready").get("reason") == "RolledBack",
            f"revision {number} serves again",
        )
        self._ends("rollback", begun)

    # --- what people do ----------------------------------------------------------------------------------------------

    def _change(self, version: str, moment: Moment | None, sick_after: str = "inf", *, judged: bool = False) -> None:
        change: Json = {"env": env(version, sick_after), "rollback": None, "rollout": rollout(judged=judged)}
        self._merge({"spec": change})
        if moment == "start":
            self._dies()

    def _awaits_approval(self, moment: Moment | None) -> int:
        """The number of the revision that waits for a person."""
        app = self._until(says("RolledOut", "Unknown", "AwaitingApproval"), "the candidate waits for a person")
        number: int = app["status"]["approval"]["revision"]
        assert app["status"]["candidate"]["revision"] == number
        assert app["status"]["candidate"]["trafficPercent"] == 25
        if moment == "waiting":
            self._dies()
        return number

    def _say(self, moment: Moment | None, word: str, of: str) -> None:
        self._merge({"metadata": {"annotations": {f"{names.GROUP}/{word}": of}}})
        if moment == "word":
            self._dies()

    def _merge(self, patch: Json) -> None:
        self._app.merge(f"appdeployment/{NAME}", patch)

    def _until(self, predicate: Callable[[Json], bool], what: str) -> Json:
        """Of the spec as it is now."""

        def seen(app: Json) -> bool:
            current = app.get("status", {}).get("observedGeneration") == app["metadata"]["generation"]
            return bool(current and predicate(app))

        return self._app.watch_until(f"appdeployments/{NAME}", seen, what, WITHIN)

    # --- what happens to the operator --------------------------------------------------------------------------------

    def _dies(self) -> None:
        """kill -9; another pod takes its place at once, where a restarted container would wait longer each time."""
        kill_at_once(self._system)
        self.told.kills += 1

    def _begins(self) -> tuple[Moment | None, float]:
        return self._killed_at(len(self.told.rounds)), time.monotonic()

    def _ends(self, what: str, begun: float) -> None:
        self.told.rounds.append((what, time.monotonic() - begun))


def kill_at_once(system: Kubectl) -> None:
    kill(system, OPERATOR)
    remove(system, OPERATOR)


def stable_of(app: Json) -> int | None:
    number: int | None = app.get("status", {}).get("stable", {}).get("revision")
    return number
