"""How far two distributions are from each other, between 0 (the same) and 1.

L-infinity and Jensen-Shannon as TFDV's comparators have them (the second in bits), Kolmogorov-Smirnov as scipy has it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def l_infinity(before: Mapping[str, float], now: Mapping[str, float]) -> tuple[float, str]:
    """The largest change of a value's share, and the value. The maps are counts."""
    shares, others = _shares(before), _shares(now)
    distances = {value: abs(shares.get(value, 0.0) - others.get(value, 0.0)) for value in shares.keys() | others.keys()}
    worst = max(sorted(distances), key=lambda value: distances[value])
    return distances[worst], worst


def jensen_shannon(before: Mapping[str, float], now: Mapping[str, float]) -> float:
    """The divergence (not its root) between two maps of counts."""
    shares, others = _shares(before), _shares(now)
    values = sorted(shares.keys() | others.keys())
    p = np.array([shares.get(value, 0.0) for value in values])
    q = np.array([others.get(value, 0.0) for value in values])
    return _divergence(p, q)


def jensen_shannon_of_numbers(before: Numbers, now: Numbers, bins: int = 20) -> float:
    """The divergence over bins of equal share of ``before``, and one on each side of all it has.

    Both are samples, or quantiles at equal steps.
    """
    below = np.nextafter(np.min(before), -np.inf)
    edges = np.unique(np.concatenate([[below], np.quantile(before, np.linspace(0, 1, bins + 1)[1:])]))
    p = np.bincount(np.searchsorted(edges, before, side="left"), minlength=len(edges) + 1)
    q = np.bincount(np.searchsorted(edges, now, side="left"), minlength=len(edges) + 1)
    return _divergence(p / p.sum(), q / q.sum())


def kolmogorov_smirnov(before: Numbers, now: Numbers) -> float:
    """The largest distance between the two cumulative shares."""
    first, second = np.sort(before), np.sort(now)
    points = np.concatenate([first, second])
    left = np.searchsorted(first, points, side="right") / len(first)
    right = np.searchsorted(second, points, side="right") / len(second)
    return float(np.max(np.abs(left - right)))


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {value: count / total for value, count in counts.items()}


def _divergence(p: Numbers, q: Numbers) -> float:
    middle = (p + q) / 2
    return max(0.0, (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2)


def _relative_entropy(p: Numbers, q: Numbers) -> float:
    some = p > 0
    return float(np.sum(p[some] * np.log2(p[some] / q[some])))
