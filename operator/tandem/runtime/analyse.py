"""The main container of an analysis: measures what a revision is judged by, and ends with a verdict.

Reads its instruction from the environment variable TANDEM_ANALYSIS (:mod:`tandem.runtime.analysis.instruction`) and
leaves its verdict in the container's termination message (:mod:`tandem.runtime.analysis.report`). A verdict of whatever
kind is exit code 0; any other means that there is none.

Exit codes: 2 the instruction is invalid.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

import aiohttp

from tandem.runtime import failure
from tandem.runtime.analysis.asking import NotMeasured
from tandem.runtime.analysis.instruction import VARIABLE, Instruction, Metric, parse
from tandem.runtime.analysis.mlflow import Monitoring, Training
from tandem.runtime.analysis.placeholders import fill_in
from tandem.runtime.analysis.pods import Begun, Pods
from tandem.runtime.analysis.prometheus import Prometheus
from tandem.runtime.analysis.report import Judged, Report, judged, report
from tandem.runtime.analysis.verdict import Error, Phase, Reading, Tally
from tandem.runtime.analysis.web import Web

TERMINATION_LOG: Final = "/dev/termination-log"
RETRY_SECONDS: Final = 10.0  # after an error, as in Argo Rollouts; or the interval, where that is shorter


class Provider(Protocol):
    async def measure(self) -> Reading | Begun:
        """Raises: NotMeasured."""


class _Follower:
    """One metric: what its measurements have come to, also when there is no time left for more."""

    def __init__(self, metric: Metric, provider: Provider) -> None:
        self.metric = metric
        self._provider = provider
        self._tally = Tally()
        self._phase: Phase | None = None

    async def follow(self) -> Phase:
        await asyncio.sleep(self.metric.initial_delay)
        while self._phase is None:
            await asyncio.sleep(await self._once())
        return self._phase

    @property
    def counts(self) -> bool:
        return not self.metric.dry_run

    def judged(self) -> Judged:
        """What was not measured in time is not known."""
        return judged(self.metric, self._tally, self._phase or "Inconclusive")

    async def _once(self) -> float:
        """Measures; returns how long to wait until the next time."""
        metric = self.metric
        try:
            measured = await self._provider.measure()
        except NotMeasured as error:
            self._add(Error(str(error)))
            return 0.0 if self._phase else min(RETRY_SECONDS, metric.interval)
        if isinstance(measured, Begun):
            return metric.interval
        self._add(measured)
        return 0.0 if self._phase else metric.interval

    def _add(self, measurement: Reading | Error) -> None:
        metric = self.metric
        self._tally = self._tally.add(measurement, metric.bounds, metric.on_no_data)
        self._phase = self._tally.verdict(metric.limits)
        print(f"{metric.name}: {self._tally.told}", flush=True)


async def analyse(instruction: Instruction, provider: Callable[[Metric], Provider]) -> Report:
    """Measure everything at once, until all is known, one metric that counts has failed, or the time is over."""
    followers = [_Follower(metric, provider(metric)) for metric in instruction.metrics]
    following = {asyncio.ensure_future(follower.follow()): follower for follower in followers}
    pending = set(following)
    try:
        async with asyncio.timeout(instruction.deadline_seconds):
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if any(task.result() == "Failed" and following[task].counts for task in done):
                    break
    except TimeoutError:
        print("the time is over", flush=True)
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    return report(tuple(follower.judged() for follower in followers))


def provider_of(
    metric: Metric, instruction: Instruction, session: aiohttp.ClientSession, environment: Mapping[str, str]
) -> Provider:
    def filled(text: str) -> str:
        return fill_in(text, instruction.placeholders)

    if metric.prometheus is not None:
        asked = metric.prometheus
        return Prometheus(session, filled(asked.address), filled(asked.query), asked.secret)
    if metric.web is not None:
        return Web(session, filled(metric.web.url), metric.web.json_pointer, metric.web.secret)
    if metric.pods is not None:
        return Pods(session, metric.pods)
    assert metric.mlflow is not None  # the instruction was read: exactly one is there
    logged, uri = metric.mlflow, environment.get("MLFLOW_TRACKING_URI", "")
    if logged.run_id:
        return Training(session, uri, logged.run_id, logged.metric)
    return Monitoring(session, uri, logged.model, logged.version, logged.metric, instruction.since)


async def _run(instruction: Instruction) -> Report:
    async with aiohttp.ClientSession() as session:
        return await analyse(instruction, lambda metric: provider_of(metric, instruction, session, os.environ))


def command() -> None:
    instruction = parse(os.environ.get(VARIABLE))
    found = asyncio.run(_run(instruction))
    log = Path(os.environ.get("TANDEM_TERMINATION_LOG", TERMINATION_LOG))
    log.write_bytes(found.encoded(instruction.report_limit))
    print(f"verdict: {found.phase}", flush=True)


if __name__ == "__main__":
    sys.exit(failure.run(command))
