"""The arithmetic of a verdict: pure, and three-valued.

What is measured is a number, no data, or an error of whoever was asked. A number is held against bounds, no data
against what its metric says of it, and errors are never the fault of what is judged. The counting is Argo Rollouts'
(``assessMetricStatus``): a limit is what is still allowed, errors do not count as measurements. But nothing is
Successful without one measurement that was: there, limits as large as the count let everything through.

==========================  =================================================================
a number within its bounds  Successful
outside of one              Failed, infinities too
infinite, and no bound says no   Inconclusive: nothing that is real was measured
NaN, nothing at all         no data: Inconclusive (``Hold``), Successful (``Pass``) or Failed (``Fail``)
==========================  =================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["Successful", "Failed", "Inconclusive"]
OnNoData: TypeAlias = Literal["Hold", "Pass", "Fail"]

_ON_NO_DATA: dict[OnNoData, Phase] = {"Hold": "Inconclusive", "Pass": "Successful", "Fail": "Failed"}


@dataclass(frozen=True, slots=True)
class Value:
    number: float


@dataclass(frozen=True, slots=True)
class NoData:
    why: str


@dataclass(frozen=True, slots=True)
class Error:
    """Whoever was asked did not answer, or not with a number."""

    why: str


Reading: TypeAlias = Value | NoData
Measurement: TypeAlias = Value | NoData | Error


@dataclass(frozen=True, slots=True)
class Bounds:
    """Inclusive; None: there is none on that side."""

    min: Decimal | None = None
    max: Decimal | None = None

    def broken_by(self, number: float) -> str:
        """Which bound does not hold, in words; '' when both do."""
        exact = Decimal(str(number))  # as it is written: a measured 0.1 is no more than a maximum of 0.1
        if self.max is not None and exact > self.max:
            return f"above max {self.max}"
        if self.min is not None and exact < self.min:
            return f"below min {self.min}"
        return ""

    def __str__(self) -> str:
        told = [f"{name} {bound}" for name, bound in (("min", self.min), ("max", self.max)) if bound is not None]
        return ", ".join(told)


@dataclass(frozen=True, slots=True)
class Limits:
    """``count`` measurements are made; more failures (…) than allowed end it before."""

    count: int = 1
    failure: int = 0
    inconclusive: int = 0
    consecutive_error: int = 4


def judge(measured: Reading, bounds: Bounds, on_no_data: OnNoData) -> tuple[Phase, str]:
    """Of one measurement: the phase, and why in words."""
    if isinstance(measured, Value) and math.isnan(measured.number):
        measured = NoData("the value is NaN")
    if isinstance(measured, NoData):
        return _ON_NO_DATA[on_no_data], f"no data ({measured.why})"
    shown, broken = f"{measured.number:.6g}", bounds.broken_by(measured.number)
    if broken:
        return "Failed", f"{shown} is {broken}"
    if math.isinf(measured.number):
        return "Inconclusive", f"{shown} is no number that could be judged"
    return "Successful", f"{shown} ({bounds})"


@dataclass(frozen=True, slots=True)
class Tally:
    """What the measurements of one metric have come to so far."""

    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    errors: int = 0
    consecutive_errors: int = 0
    value: str = ""  # the last number
    told: str = ""  # of the last measurement
    worst: str = ""  # of the last one that was not successful

    @property
    def measured(self) -> int:
        return self.successful + self.failed + self.inconclusive

    def add(self, measurement: Measurement, bounds: Bounds, on_no_data: OnNoData) -> Tally:
        if isinstance(measurement, Error):
            return replace(
                self, errors=self.errors + 1, consecutive_errors=self.consecutive_errors + 1, told=measurement.why
            )
        phase, told = judge(measurement, bounds, on_no_data)
        return replace(
            self,
            successful=self.successful + (phase == "Successful"),
            failed=self.failed + (phase == "Failed"),
            inconclusive=self.inconclusive + (phase == "Inconclusive"),
            consecutive_errors=0,
            value=f"{measurement.number:.6g}" if isinstance(measurement, Value) else self.value,
            told=told,
            worst=self.worst if phase == "Successful" else told,
        )

    def verdict(self, limits: Limits) -> Phase | None:
        """None: it goes on."""
        if self.failed > limits.failure:
            return "Failed"
        if self.inconclusive > limits.inconclusive or self.consecutive_errors > limits.consecutive_error:
            return "Inconclusive"
        if self.measured < limits.count:
            return None
        return "Successful" if self.successful else "Inconclusive"

    def explain(self, phase: Phase, limits: Limits) -> str:
        """One sentence: what was measured, and what it was counted against."""
        if phase == "Successful":
            return self.told + (f"; {self.successful} of {self.measured} measurements" if limits.count > 1 else "")
        if self.failed > limits.failure:
            return self.worst + _counted(self.failed, limits.failure, "failed")
        if self.inconclusive > limits.inconclusive:
            return self.worst + _counted(self.inconclusive, limits.inconclusive, "inconclusive")
        if self.consecutive_errors > limits.consecutive_error:
            return f"could not be measured: {self.told} ({self.consecutive_errors} times in a row)"
        if self.measured >= limits.count:
            return f"no measurement of {self.measured} was successful: {self.worst}"
        return f"was not measured in time ({self.measured} of {limits.count}): {self.told or 'nothing came'}"


def overall(phases: Iterable[Phase]) -> Phase:
    """Of all metrics that count: one failure decides, and what nobody knows holds."""
    found = set(phases)
    return "Failed" if "Failed" in found else "Inconclusive" if "Inconclusive" in found else "Successful"


def _counted(times: int, allowed: int, what: str) -> str:
    return f" ({times} {what}, {allowed} allowed)" if allowed else ""
