"""How long a judgement takes, and how often it measures."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from tandem.api.analysis import Metric
from tandem.api.duration import parse_duration

WATCH: Final = "watch"  # the moment that has an end of its own

_ASK_SECONDS: Final = 25  # of the runtime: how long a question may take, and how long until it is asked again
_LONGEST: Final = 86400.0 * 1000


def throughout(metric: Metric, window: int) -> Metric:
    """As it is measured in a watch window of so many seconds: until its end.

    Errors that begin in its last minute count like those of the first, and a source that is away for a while, or a
    minute in which nobody asks anything, does not end it before.
    """
    if metric.job is not None:
        return metric
    times = int((window - seconds(metric.initial_delay)) // max(seconds(metric.interval), 1))
    count = max(metric.count, times)
    return structs.replace(metric, count=count, inconclusive_limit=count, consecutive_error_limit=count)


def expected_seconds(metric: Metric) -> float:
    """How long a metric takes when its source answers at once each time."""
    times = metric.count if metric.pods is not None else metric.count - 1
    return seconds(metric.initial_delay) + times * seconds(metric.interval)


def deadline_of(metric: Metric, moment: str) -> float:
    """How many seconds a metric may take, its source failing as often as it may once; a watch ends with its window."""
    if moment == WATCH:
        return expected_seconds(metric) + _ASK_SECONDS
    errors = (metric.consecutive_error_limit + 1) * _ASK_SECONDS
    return expected_seconds(metric) + metric.count * _ASK_SECONDS + errors


def seconds(duration: str) -> float:
    """The CRD's bounds keep it small; a resource from before them must not stop the plan."""
    try:
        return min(parse_duration(duration).total_seconds(), _LONGEST)
    except ValueError:
        return _LONGEST
