"""Confidence bounds of proportions (accuracy, recall, error rate …), in decimals.

Wilson's score interval (E. B. Wilson, JASA 22 (1927) 209–212), one-sided: with z = Φ⁻¹(confidence),

    (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)

It keeps its coverage at small n and at proportions near 0 and 1, where the normal ("Wald") bound says that 20 of 20
right are surely 100 % (L. D. Brown, T. T. Cai, A. DasGupta, Statistical Science 16 (2001) 101–133).

The difference of two proportions: Newcombe's hybrid of their Wilson bounds (R. G. Newcombe, Statistics in Medicine 17
(1998) 873–890, method 10). It takes the two samples as independent; both models judged on the same rows usually agree
on most of them, so that the true interval is narrower: the bound errs towards refusing.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from statistics import NormalDist
from typing import NamedTuple

_DIGITS = 40


class Interval(NamedTuple):
    """Each bound by itself holds with the confidence that was asked for."""

    lower: Decimal
    upper: Decimal


def wilson(proportion: Decimal, samples: int, confidence: Decimal) -> Interval:
    """The bounds of one proportion.

    Raises:
        ValueError: the proportion is not within 0 … 1, there is no sample, or the confidence is not within 0.5 … 1.
    """
    if not 0 <= proportion <= 1:
        raise ValueError(f"{proportion} is no proportion: it is not within 0 and 1")
    if samples < 1:
        raise ValueError(f"{samples} samples have no proportion")
    z = _quantile(confidence)
    with localcontext(prec=_DIGITS):
        n, square = Decimal(samples), z * z
        middle = proportion + square / (2 * n)
        half = z * (proportion * (1 - proportion) / n + square / (4 * n * n)).sqrt()
        whole = 1 + square / n
        # The true bounds lie within 0 … 1; at 0 and 1 the last digit of the root would not.
        lower = max(Decimal(0), (middle - half) / whole) if proportion else Decimal(0)
        upper = min(Decimal(1), (middle + half) / whole) if proportion != 1 else Decimal(1)
        return Interval(lower, upper)


def newcombe(proportion: Decimal, samples: int, other: Decimal, other_samples: int, confidence: Decimal) -> Interval:
    """The bounds of ``proportion − other``.

    Raises:
        ValueError: as :func:`wilson`.
    """
    mine, its = wilson(proportion, samples, confidence), wilson(other, other_samples, confidence)
    with localcontext(prec=_DIGITS):
        difference = proportion - other
        below = ((proportion - mine.lower) ** 2 + (its.upper - other) ** 2).sqrt()
        above = ((mine.upper - proportion) ** 2 + (other - its.lower) ** 2).sqrt()
        return Interval(difference - below, difference + above)


def _quantile(confidence: Decimal) -> Decimal:
    if not Decimal("0.5") < confidence < 1:
        raise ValueError(f"{confidence} is no confidence: it is not between 0.5 and 1")
    return Decimal(NormalDist().inv_cdf(float(confidence)))
