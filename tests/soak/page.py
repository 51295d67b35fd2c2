"""The section "Soak" of docs/reliability.md, written from what was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_INTRODUCTION: Final = """\
Random doings and random faults in eight namespaces, on a real API server, etcd and kube-controller-manager, with a
real MLflow (SQLite), and two replicas of the operator with a Lease. What a node would do (pods start and end, scripts
log) is played. Invariants are looked at through watches of their own at every event, and in MLflow's database at the
end. Operators are killed and stopped for the first 60 % of the time, servers and MLflow for all of it: in the rest the
memory of one process is watched. No drift controller runs, and no replica is cut off from the API server alone (`make
faults` and `make bench` do that)."""


@dataclass
class Account:
    """What was done, what happened, what held."""

    command: str
    machine: str
    versions: str
    commit: str
    date: str
    minutes: float
    resources: int
    seed: int
    did: Mapping[str, int] = field(default_factory=dict)
    happened: Mapping[str, int] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    looked_at: Mapping[str, int] = field(default_factory=dict)
    writes: Mapping[tuple[str, str], int] = field(default_factory=Counter)
    jobs: int = 0
    runs: int = 0
    versions_registered: int = 0
    settled_after: float | None = None  # seconds since the faults ended; None: it did not, while it was waited for
    at_rest: list[str] = field(default_factory=list)  # writes that there should not have been
    resyncs: int = 0
    memory: tuple[float, float, float, float] = (0, 0, 0, 0)  # MB early, MB late, minutes between, MB at most
    broken: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return not self.broken and not self.at_rest


def _settled(account: Account) -> str:
    if account.settled_after is None:
        return f"not all of {account.resources:,} did"
    return f"all {account.resources:,} after {account.settled_after:.0f} s"


def section(account: Account) -> str:
    early, late, minutes, most = account.memory
    held = "Everything held." if account.held else f"**Did not hold: {len(account.broken) + len(account.at_rest)}.**"
    promises = [
        ("one Job per run", f"{account.jobs:,} Jobs, none made twice for one run of one resource"),
        (
            "one live Job per resource",
            f"looked at with every one of {account.looked_at.get('Job', 0):,} events of Jobs",
        ),
        (
            "one MLflow run per run, one version per MLflow run",
            f"{account.runs:,} runs, {account.versions_registered:,} versions",
        ),
        ("every status is one that kstatus reads", f"{_statuses(account):,} statuses"),
        ("it settles when the faults end", _settled(account)),
        ("no write at rest", f"{len(account.at_rest)} writes over {account.resyncs} comparisons of everything"),
        ("memory", f"{early:.0f} MB, {minutes:.0f} min later {late:.0f} MB in the same process; {most:.0f} MB at most"),
    ]
    broken = [*account.broken, *(f"at rest: {write}" for write in account.at_rest)]
    return "\n".join(
        [
            "## Soak",
            "",
            f"What `{account.command}` counted on {account.date} at commit",
            f"{account.commit}: {account.minutes:g} minutes with {account.resources:,} resources.",
            _INTRODUCTION,
            "",
            f"{held}",
            "",
            "| Promise | |",
            "|---|---|",
            *(f"| {promise} | {figure} |" for promise, figure in promises),
            "",
            *(["### What did not hold", "", *(f"- {what}" for what in broken[:50]), ""] if broken else []),
            "### What went wrong, on purpose",
            "",
            *_table("Fault", account.happened),
            *_table("How operators ended", account.ended),
            "### What was done meanwhile",
            "",
            *_table("By users and the cluster", account.did),
            "### What the operators wrote",
            "",
            *_table("Request that took effect", {f"{verb} {what}": n for (verb, what), n in account.writes.items()}),
            f"Machine: {account.machine}. {account.versions}.",
            f"Seed {account.seed}; the same seed throws the same dice, at other moments.",
            "",
        ]
    )


def _statuses(account: Account) -> int:
    return sum(n for kind, n in account.looked_at.items() if kind != "Job")


def _table(head: str, counted: Mapping[str, int]) -> list[str]:
    rows = sorted(counted.items(), key=lambda row: (-row[1], row[0]))
    return [f"| {head} | times |", "|---|---:|", *(f"| {what} | {n:,} |" for what, n in rows), ""]
