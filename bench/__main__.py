"""``python -m bench``: measure, print, and with ``--write-docs`` write docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from statistics import median
from typing import ParamSpec, TypeVar

import msgspec
from msgspec.structs import replace

from bench import failover, latency, poison, restart, throughput, trainer
from bench.actors import BARE, BARE_MLFLOW, ENGINE, KOPF, ROOT, SHIPPED, TANDEM
from bench.ground import Ground, prepared
from bench.machine import Others, command_line, describe
from bench.page import page, summary
from bench.results import PARTS, Failover, Latency, Poison, Restart, Results, Run, Throughput, renewed

PAGE = ROOT / "docs" / "performance.md"
FOLDER = ROOT / "docs" / "performance"
RESULTS = FOLDER / "results.json"
QUIET_PERCENT = 15.0  # of the machine; beyond that it is others who are measured
_PATIENCE = 900.0
# Those that are held against each other stand side by side, and every other round runs backwards: a machine whose speed
# changes by a third within minutes changes it for both.
ROW_BY_ROW = (BARE, ENGINE, TANDEM, BARE_MLFLOW, SHIPPED, KOPF)

Asked = ParamSpec("Asked")
Measured = TypeVar("Measured")


class Bench:
    """One run of everything that was asked for."""

    def __init__(self, ground: Ground, asked: argparse.Namespace) -> None:
        self._ground = ground
        self._asked = asked
        self._others: list[float] = []

    def run(self) -> Iterator[Results]:
        """What is known after each part; the last has all of it."""
        found = Results([], [], [], [])
        parts: list[str] = []
        for part in (part for part in PARTS if part in (self._asked.only or PARTS)):
            match part:
                case "throughput":
                    found = replace(found, throughput=self._throughput() + self._trainer())
                case "latency":
                    found = replace(found, latency=self._latency())
                case "restart":
                    found = replace(found, restart=self._restart())
                case "failover":
                    found = replace(found, failover=self._failover())
                case "poison":
                    found = replace(found, poison=self._poison())
            parts.append(part)
            yield replace(found, runs=[Run([*parts], describe(self._asked.command, self._others))])

    def _rounds(self, size: int) -> range:
        """Ten times as many take ten times as long, and vary less."""
        return range(self._asked.rounds if size <= self._asked.resources else self._asked.large_rounds)

    def _throughput(self) -> list[Throughput]:
        sizes = [self._asked.resources, *([10 * self._asked.resources] if self._asked.full else [])]
        found = []
        for size, number in [(one, number) for one in sizes for number in self._rounds(one)]:
            for actor in ROW_BY_ROW[:: 1 - 2 * (number % 2)]:
                what = f"throughput of {size:,}, round {number + 1}: {actor.name}"
                found.append(self._measured(what, throughput.measure, self._ground, actor, size))
                _tell(f"    {found[-1].per_second:.0f} per second")
                self._ground.clear()
        return found

    def _trainer(self) -> list[Throughput]:
        """At the smaller size alone: it is limited to 20 a second."""
        size = self._asked.resources
        rounds = [
            f"throughput of {size:,}, round {number + 1}: Kubeflow Trainer" for number in range(self._asked.rounds)
        ]
        return [self._measured(what, trainer.measure, self._ground, size) for what in rounds]

    def _latency(self) -> list[Latency]:
        found = []
        for number, rate in product(range(self._asked.rounds), self._asked.rates):
            for actor in (BARE, SHIPPED, KOPF):
                what = f"latency at {rate:g} a second, round {number + 1}: {actor.name}"
                found.append(self._measured(what, latency.measure, self._ground, actor, rate, self._asked.seconds))
                self._ground.clear()
        return found

    def _restart(self) -> list[Restart]:
        some = self._asked.resources
        most = (10 if self._asked.full else 2) * some
        found: list[Restart] = []
        there = 0
        for size in sorted({0, some, most // 2, most}):
            _tell(f"restart: {size:,} resources are made")
            restart.fill(self._ground, size - there)
            there = size
            for number in range(self._asked.rounds):
                what = f"restart over {size:,}, round {number + 1}"
                found.append(self._measured(what, restart.measure, self._ground, size, self._asked.seconds))
        self._ground.clear()
        return found

    def _failover(self) -> list[Failover]:
        asked = self._asked
        settled = (10 if asked.full else 1) * asked.resources
        _tell(f"fail-over: {settled:,} resources are made")
        failover.fill(self._ground, settled)
        found = []
        for number, fault in product(self._rounds(settled), failover.FAULTS):
            what = f"fail-over, round {number + 1}: {fault}"
            found.append(self._measured(what, failover.measure, self._ground, fault, settled, asked.pause))
            _tell(f"    {found[-1].takeover_seconds:.1f} s")
        self._ground.clear()
        return found

    def _poison(self) -> list[Poison]:
        size = (10 if self._asked.full else 1) * self._asked.resources
        found = []
        for number, poisoned in product(self._rounds(size), (False, True)):
            what = f"{size:,} resources{', one a poison' * poisoned}, round {number + 1}"
            found.append(self._measured(what, poison.measure, self._ground, size, poisoned))
            self._ground.clear()
        return found

    def _measured(
        self, what: str, measure: Callable[Asked, Measured], *arguments: Asked.args, **options: Asked.kwargs
    ) -> Measured:
        with Others() as others:
            found = measure(*arguments, **options)
        self._others.append(others.percent)
        _tell(f"{what} (other programs: {others.percent:.0f} % of the machine)")
        return found


def main() -> int:
    asked = _arguments()
    if asked.render:
        _write(msgspec.json.decode(RESULTS.read_bytes(), type=Results))
        return 0
    if asked.write_docs and not _await_quiet(asked.patience):
        _tell("the machine is busy with other programs: nothing that is measured now belongs into the docs")
        return 1
    with prepared() as ground:
        for results in Bench(ground, asked).run():
            if asked.results:
                asked.results.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    print(page(results, ()))
    _tell(summary(results))
    if asked.write_docs:
        busy = median(results.runs[0].machine.others_percent)
        if busy > QUIET_PERCENT:
            _tell(f"other programs used {busy:.0f} % of the machine meanwhile: the docs stay as they were")
            return 1
        FOLDER.mkdir(parents=True, exist_ok=True)
        if RESULTS.exists():
            results = renewed(msgspec.json.decode(RESULTS.read_bytes(), type=Results), results)
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
        _write(results)
    return 0


def _write(results: Results) -> None:
    from bench.plots import draw  # matplotlib takes a second to load

    PAGE.write_text(page(results, draw(results, FOLDER)))
    _tell(f"written: {PAGE.relative_to(ROOT)}")


def _await_quiet(seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        with Others() as others:
            time.sleep(5)
        if others.percent <= QUIET_PERCENT:
            return True
        if time.monotonic() > deadline:
            return False
        _tell(f"other programs use {others.percent:.0f} % of the machine; waiting")
        time.sleep(10)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--resources", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--full", action="store_true", help="ten times as many, too")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (default 3)")
    parser.add_argument("--large-rounds", type=int, default=1, help="how often with ten times as many (default 1)")
    parser.add_argument("--rates", type=float, nargs="+", default=[10, 50, 100], help="steady creations a second")
    parser.add_argument("--seconds", type=float, default=10, help="how long each of the rates is kept up (default 10)")
    parser.add_argument("--pause", type=float, default=failover.PAUSE, help="seconds that a leader is stopped (60)")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="leave out the other parts; the docs keep theirs")
    parser.add_argument("--results", type=Path, help="write all that was measured to this file, as JSON, part by part")
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md, on a quiet machine only")
    parser.add_argument("--patience", type=float, default=_PATIENCE, help="seconds to wait for a quiet machine")
    parser.add_argument("--render", action="store_true", help="make the page anew from the last results")
    asked = parser.parse_args()
    asked.command = command_line()
    return asked


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
