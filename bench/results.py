"""What was measured, as it is kept in docs/performance/results.json; the page is made from that and nothing else."""

from __future__ import annotations

from statistics import median

import msgspec
from msgspec.structs import replace

PARTS = ("throughput", "latency", "restart", "failover", "poison")
LEAST_GROWTH = 0.2  # CPU seconds: below that, it is the interpreter's start that varies


class Throughput(msgspec.Struct, frozen=True):
    """One actor, one time: from the first creation that arrived to the last resource with its Job and its status."""

    actor: str
    what: str
    resources: int
    seconds: float
    cpu_seconds: float  # of the operator's process; the bare client has none
    requests: dict[str, int]  # "verb resource" → how often, since the first creation; its own, not the creations
    megabytes_at_most: float = 0.0  # resident; of the operator's process
    asked_mlflow: dict[str, int] = {}  # call → how often

    @property
    def per_second(self) -> float:
        return self.resources / self.seconds


class Latency(msgspec.Struct, frozen=True):
    """From the answer to the creation of the resource to the answer to that of its Job, in milliseconds."""

    actor: str
    per_second: float
    milliseconds: list[float]


class Restart(msgspec.Struct, frozen=True):
    """One start of Tandem over resources that have all they need."""

    resources: int
    looked_at: int
    writes: int
    requests: dict[str, int]
    seconds: float  # since the process was started, until all were looked at
    cpu_seconds: float
    cpu_seconds_at_rest: float  # until nothing moved any more
    tasks: int
    megabytes: float  # resident, at rest
    megabytes_at_most: float
    rest_cpu_percent: float  # of one core


class Failover(msgspec.Struct, frozen=True):
    """One leader that something happened to, while resources were created at a steady rate."""

    fault: str
    resources: int  # that were settled before
    created: int  # meanwhile
    lease_seconds: int
    takeover_seconds: float  # until the other one held the lease
    first_job_seconds: float  # until the other one had made a Job
    most_live_jobs: int  # of one resource, at any moment
    jobs: int  # that were made
    writes_after_resuming: int  # by the leader that was
    writes_of_the_former: int  # after the other one held the lease
    writes_into_settled: int  # resources, by both


class Poison(msgspec.Struct, frozen=True):
    """Resources that are created beside one that no operator can read."""

    resources: int
    poisoned: bool
    per_second: float
    requests: dict[str, int]  # about the good ones
    poison_writes: int  # about the other
    poison_reason: str  # what it says itself


class Machine(msgspec.Struct, frozen=True):
    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    versions: dict[str, str]
    commit: str
    date: str
    command: str
    others_percent: list[float]  # of the whole machine, used by other programs during each measurement


class Run(msgspec.Struct, frozen=True):
    """One run of the command, and the parts that it measured."""

    parts: list[str]
    machine: Machine


class Results(msgspec.Struct, frozen=True):
    runs: list[Run]
    throughput: list[Throughput]
    latency: list[Latency]
    restart: list[Restart]
    failover: list[Failover] = []
    poison: list[Poison] = []


def renewed(former: Results, latest: Results) -> Results:
    """The latest of every part. Rows that are held against each other are one part: they are of one run."""
    measured = {part for run in latest.runs for part in run.parts}
    kept = [replace(run, parts=[part for part in run.parts if part not in measured]) for run in former.runs]
    runs = [*(run for run in kept if run.parts), *latest.runs]
    return replace(former, runs=runs, **{part: getattr(latest, part) for part in measured})


def percentile(values: list[float], percent: float) -> float:
    """The value below which so many percent lie: of those that were measured, none in between."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def rates(rows: list[Throughput], actor: str, resources: int) -> list[float]:
    """Resources per second, round by round."""
    return [row.per_second for row in rows if (row.actor, row.resources) == (actor, resources)]


def ratio(rows: list[Throughput], actor: str, to: str, resources: int) -> float:
    """The median of the ratios within each round, so that a slow minute of the machine counts for both."""
    return median(ratios(rows, actor, to, resources))


def ratios(rows: list[Throughput], actor: str, to: str, resources: int) -> list[float]:
    """Round by round."""
    pairs = zip(rates(rows, actor, resources), rates(rows, to, resources), strict=True)
    return [mine / other for mine, other in pairs]


def growth(rows: list[Restart]) -> float | None:
    """CPU until all were looked at, beyond that of an empty cluster: for the most resources over that for half.

    None: too few to tell.
    """
    cpu = {size: median(r.cpu_seconds for r in rows if r.resources == size) for size in {r.resources for r in rows}}
    most = max(cpu, default=0)
    half = cpu.get(most // 2, 0.0) - cpu.get(0, 0.0)
    if {0, most // 2} <= cpu.keys() and most > 1 and half > LEAST_GROWTH:
        return (cpu[most] - cpu[0]) / half
    return None
