"""The section "Rollouts" of docs/reliability.md, written from what was counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median

from demo.visitor import Tally
from tests.rollouts import names


@dataclass(frozen=True)
class Rounds:
    """Each with what it was and how many seconds it took."""

    all: tuple[tuple[str, float], ...]

    def count(self, what: str) -> int:
        return sum(told.startswith(what) for told, _ in self.all)

    def seconds(self, what: str) -> str:
        """The median, and the longest."""
        took = [seconds for told, seconds in self.all if told.startswith(what)]
        return f"{median(took):.0f} s, {max(took):.0f} s" if took else "-"


@dataclass(frozen=True)
class Account:
    command: str
    machine: str
    commit: str
    date: str
    minutes: float
    rounds: Rounds
    kills: int
    tally: Tally
    rate: int
    names: names.Account
    heard_hidden: list[str]  # versions that were never ready, and answered
    problem: str = ""

    @property
    def held(self) -> bool:
        return not (self.tally.failures or self.names.wrong or self.heard_hidden or self.problem)


def section(account: Account) -> str:
    tally, rounds = account.tally, account.rounds
    failing = Counter(told for told, _ in rounds.all if told.startswith("failing"))
    kinds = ", ".join(f"{count} {told.removeprefix('failing canary ')}" for told, count in sorted(failing.items()))
    failed = ", ".join(f"{count} {why}" for why, count in sorted(tally.failed.items()))
    late = sorted(account.names.late) or [0.0]
    broken = [*account.names.wrong, *(f"{v} was never ready, and answered" for v in account.heard_hidden)]
    broken += [account.problem] if account.problem else []
    return "\n".join(
        [
            "## Rollouts",
            "",
            f"What `{account.command}` counted on {account.date} at commit {account.commit} ({account.machine}),",
            f"in {account.minutes:.0f} minutes: three pods on a real cluster, and a client in a pod beside them",
            f"that asks its Service {account.rate} times a second, each on a new connection, tries nothing twice.",
            "In each round the operator gets a SIGKILL, in turn as soon as there is a candidate, while it waits for a",
            "person, and right after that one has spoken.",
            "",
            "| | | median, longest |",
            "|---|---|---|",
            _row(
                "rollouts (canary of 25 % until approved, 50 %, all)",
                rounds.count("rollout"),
                rounds.seconds("rollout"),
            ),
            _row(f"failing canaries: {kinds}", rounds.count("failing"), rounds.seconds("failing")),
            _row("rollbacks (`rollback.toRevision`)", rounds.count("rollback"), rounds.seconds("rollback")),
            _row("SIGKILLs of the operator", account.kills),
            _row("requests answered", tally.answers, f"slowest {tally.slowest_ms:,} ms"),
            _row("**requests failed**", tally.failures, failed),
            _row("versions of the status looked at", account.names.statuses),
            _row("of them naming what did not serve, nor had right before", len(account.names.wrong)),
            _row(
                "switches of the Service, and until the status named the revision",
                len(account.names.switches),
                f"{median(late):.1f} s, {late[-1]:.1f} s",
            ),
            "",
            *(["It did not hold:", "", *(f"- {told}" for told in broken), ""] if broken else []),
        ]
    )


def _row(what: str, count: int, more: str = "") -> str:
    return f"| {what} | {count:,} | {more} |"
