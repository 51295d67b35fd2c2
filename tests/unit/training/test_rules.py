"""Every edge of the gate's rules, one case each. docs/spec/trainingjob.md tells the same in words.

Cases with a star are those in which TFX's Evaluator (TFMA) or MLflow's validation lets a bad model through, read in
their code or seen to happen (MLflow 3.17.2): here none does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tandem.api.trainingjob import Baseline, Gate, MetricThreshold
from tandem.api.trainingjob_status import GateVerdict
from tandem.training.change import BaselineFound, Measured, NoBaseline, OwnVersion, Unreadable
from tandem.training.rules import describe, rules_of, verdict, verdicts

NAN, INF, LARGEST = math.nan, math.inf, 1.7976931348623157e308
P, F, U, S = "Passed", "Failed", "Unknown", "Skipped"
NOTHING = NoBaseline("models:/iris@champion")


def measured(value: float | None, **more: float) -> Measured:
    logged = {**({} if value is None else {"m": value}), **more}
    return Measured("7", {name: float(number) for name, number in logged.items()})


@dataclass(frozen=True)
class Case:
    title: str
    rule: dict[str, Any]
    value: float | None
    result: str
    baseline: BaselineFound = NOTHING
    says: str = ""
    others: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    slice: str = ""

    def verdict(self) -> GateVerdict:
        threshold = msgspec.convert({"name": "m", **self.rule}, MetricThreshold)
        metric = f"m/{self.slice}" if self.slice else "m"
        logged = {**({} if self.value is None else {metric: self.value}), **self.others}
        metrics = {name: float(value) for name, value in logged.items()}
        return verdict(threshold, metrics, self.baseline, msgspec.convert(self.settings, Baseline), self.slice)


def higher(absolute: str | None = None, relative: str | None = None, **more: Any) -> dict[str, Any]:
    return _change("HigherIsBetter", absolute, relative, **more)


def lower(absolute: str | None = None, relative: str | None = None, **more: Any) -> dict[str, Any]:
    return _change("LowerIsBetter", absolute, relative, **more)


def _change(direction: str, absolute: str | None, relative: str | None, **more: Any) -> dict[str, Any]:
    bounds = {name: value for name, value in (("absolute", absolute), ("relative", relative)) if value is not None}
    measured_by = {"baselineMetric": more.pop("baseline_metric")} if "baseline_metric" in more else {}
    return {"change": {"direction": direction, **bounds, **measured_by}, **more}


ABSOLUTE = [
    Case("better passes", higher("0"), 0.95, P, measured(0.93)),
    Case("as good as the baseline passes a bound of nothing", higher("0"), 0.93, P, measured(0.93)),
    Case("worse does not", higher("0"), 0.92, F, measured(0.93), "a change of -0.01"),
    Case("a tolerated loss is negative", higher("-0.01"), 0.92, P, measured(0.93)),
    Case("more than the tolerated loss fails", higher("-0.01"), 0.9199, F, measured(0.93), "wants ≥ -0.01"),
    Case("a gain that is asked for has to be there", higher("0.01"), 0.935, F, measured(0.93)),
    Case("a bound is inclusive, in decimals and not in doubles", higher("0.01"), 0.94, P, measured(0.93)),
    Case("three tenths are not a tenth more than two", higher("0.1"), 0.1 + 0.2, P, measured(0.2)),
    Case("one step of a double below the bound", higher("0.01"), math.nextafter(0.94, 0), F, measured(0.93)),
    Case("lower is better: lower passes", lower("0"), 0.1, P, measured(0.2)),
    Case("lower is better: higher fails", lower("0"), 0.3, F, measured(0.2), "wants ≤ 0"),
    Case("lower is better: a tolerated loss is positive", lower("0.05"), 0.25, P, measured(0.2)),
    Case("lower is better: more than that fails", lower("0.05"), 0.2501, F, measured(0.2)),
    Case("lower is better: a gain is negative", lower("-0.05"), 0.16, F, measured(0.2)),
    Case("negative values, better", higher("0"), -1.0, P, measured(-2.0)),
    Case("negative values, worse", higher("0"), -3.0, F, measured(-2.0)),
    Case("from negative to positive", higher("1"), 0.5, P, measured(-0.5)),
    Case("very large and very small together", higher("0"), 1e300, P, measured(1e-300)),
    Case("a difference below every double's precision is a difference", higher("1e-20"), 1.0, F, measured(1.0)),
]

RELATIVE = [
    Case("a twentieth better", higher(relative="0.05"), 0.84, P, measured(0.8)),
    Case("a bound is inclusive", higher(relative="0.05"), 0.84, P, measured(0.8)),
    Case("not quite a twentieth better", higher(relative="0.05"), 0.8399, F, measured(0.8), "0.05 of the baseline"),
    Case("a tolerated loss of a hundredth", higher(relative="-0.01"), 0.99, P, measured(1.0)),
    Case("more than a hundredth lost", higher(relative="-0.01"), 0.9899, F, measured(1.0)),
    Case("lower is better: a tenth lower", lower(relative="-0.1"), 0.18, P, measured(0.2)),
    Case("lower is better: not a tenth lower", lower(relative="-0.1"), 0.181, F, measured(0.2)),
    Case("a third is compared as a third", higher(relative="0"), 1 / 3, P, measured(1 / 3)),
    Case(
        "* worse than a negative baseline: TFMA turns its sign and passes it",
        higher(relative="0"),
        -3.0,
        F,
        measured(-2.0),
    ),
    Case("* better than a negative baseline: TFMA refuses it", higher(relative="0"), -1.0, P, measured(-2.0)),
    Case("* a negative loss that has grown: TFMA passes it", lower(relative="0"), -1.0, F, measured(-2.0)),
    Case("a negative baseline, by its size", higher(relative="0.5"), -1.0, P, measured(-2.0)),
    Case("of zero there is no part", higher(relative="0.05"), 0.5, U, measured(0.0), "give change.absolute instead"),
    Case("nor of minus zero", higher(relative="0.05"), 0.5, U, measured(-0.0), "give change.absolute"),
    Case("* not even if nothing changed: MLflow divides by 1e-10", higher(relative="0"), 0.0, U, measured(0.0)),
    Case("of the smallest double there is", higher(relative="0.05"), 1e-320, P, measured(5e-324)),
    Case("both bounds hold", higher("0.01", "0.01"), 0.9, P, measured(0.8)),
    Case("the absolute one does not", higher("0.2", "0.01"), 0.9, F, measured(0.8), "wants ≥ 0.2"),
    Case("the relative one does not", higher("0.01", "0.2"), 0.9, F, measured(0.8), "wants ≥ 0.2 of the baseline"),
    Case("one no is enough beside what nobody can say", higher("0.1", "0.1"), 0.05, F, measured(0.0)),
]

NO_NUMBER = [
    Case("* NaN: MLflow's min_relative_change passes it", higher(relative="0.05"), NAN, F, measured(0.9), "is NaN"),
    Case("* NaN: MLflow's min_absolute_change raises", higher("0.01"), NAN, F, measured(0.9), "is NaN"),
    Case("* NaN: MLflow's max threshold passes it", {"max": "0.2"}, NAN, F, says="is NaN"),
    Case("infinity is not better than everything", higher("0"), INF, F, measured(0.9), "is Infinity"),
    Case("minus infinity is not lower than everything", lower("0"), -INF, F, measured(0.9), "is -Infinity"),
    Case("nor is what MLflow's store keeps of an infinity", higher("0"), LARGEST, F, measured(0.9), "Infinity"),
    Case("never logged", higher("0"), None, F, measured(0.9), "never logged"),
    Case("never logged, by neither", higher("0"), None, F, measured(None), "m was never logged"),
    Case("* a baseline of NaN", higher("0"), 0.9, U, measured(NAN), "nothing can be compared"),
    Case("a baseline of infinity", lower("0"), 0.9, U, measured(INF), "nothing can be compared"),
    Case("a baseline of minus infinity", higher("0"), 0.9, U, measured(-INF), "nothing can be compared"),
    Case("a baseline of the largest double", lower("0"), 0.9, U, measured(LARGEST), "nothing can be compared"),
    Case("a baseline that was never logged", higher("0"), 0.9, U, measured(None), "version 7, the baseline, was never"),
    Case("a bad value is a no before its baseline is looked at", higher("0"), NAN, F, measured(NAN), "m is NaN"),
]

WHICH_BASELINE = [
    Case("the first model: a change has nothing to be compared with", higher("0"), 0.1, S, NOTHING, "nothing is at"),
    Case("the first model: what else is asked decides, yes", higher("0", min="0.9"), 0.95, P, NOTHING, "nothing is at"),
    Case("* the first model: what else is asked decides, no", higher("0", min="0.9"), 0.1, F, NOTHING, "wants ≥ 0.9"),
    Case("* the first model: NaN is a no", higher("0"), NAN, F, NOTHING, "is NaN"),
    Case("the first model: never logged is a no", higher("0"), None, F, NOTHING, "never logged"),
    Case("the baseline is this run's own version", higher("0.1"), 0.9, P, OwnVersion("7"), "from this very run"),
    Case("a baseline that is gone", higher("0"), 0.9, U, Unreadable("version 9 is gone"), "version 9 is gone"),
    Case("a bound that does not hold is a no all the same", higher("0", min="1"), 0.9, F, Unreadable("gone")),
    Case("a bound that holds does not make a yes of it", higher("0", min="0.5"), 0.9, U, Unreadable("gone"), "gone"),
]

OTHER = Measured("7", {"m": 0.8}, "iris was sha256:aa, is sha256:bb")
DATA = [
    Case("* measured on other data: nobody can say", higher("0"), 0.9, U, OTHER, "measured on other data: iris was"),
    Case("what to do about it is said", higher("0"), 0.9, U, OTHER, "change.baselineMetric"),
    Case(
        "compared all the same, with the caveat",
        higher("0"),
        0.9,
        P,
        OTHER,
        "other data",
        settings={"onDifferentData": "Compare"},
    ),
    Case(
        "compared all the same, and worse",
        higher("0"),
        0.7,
        F,
        OTHER,
        "other data",
        settings={"onDifferentData": "Compare"},
    ),
    Case(
        "measured by this run: the data are the same",
        higher("0", baseline_metric="old"),
        0.9,
        P,
        OTHER,
        others={"old": 0.85},
    ),
    Case(
        "measured by this run, and worse",
        higher("0", baseline_metric="old"),
        0.82,
        F,
        OTHER,
        "old of this run is 0.85",
        {"old": 0.85},
    ),
    Case(
        "this run did not measure it",
        higher("0", baseline_metric="old"),
        0.9,
        U,
        OTHER,
        "old of this run, the baseline, was never",
    ),
    Case("this run measured NaN", higher("0", baseline_metric="old"), 0.9, U, OTHER, "NaN", {"old": NAN}),
    Case("the first model needs no measure of another", higher("0", baseline_metric="old"), 0.9, S, NOTHING),
]

COUNTED: dict[str, Any] = {"sampleCountMetric": "n", "minSamples": 100}
SAMPLES = [
    Case("enough samples", {"min": "0.9", **COUNTED}, 0.95, P, others={"n": 100}),
    Case("* too few: a lucky small set", {"min": "0.9", **COUNTED}, 1.0, U, says="n is 99", others={"n": 99}),
    Case("too few: an unlucky small set", {"min": "0.9", **COUNTED}, 0.1, U, says="fewer than 100", others={"n": 99}),
    Case("never counted", {"min": "0.9", **COUNTED}, 0.95, U, says="n, the number of samples, was never logged"),
    Case("counted as NaN", {"min": "0.9", **COUNTED}, 0.95, U, says="n is NaN", others={"n": NAN}),
    Case("counted as infinity", {"min": "0.9", **COUNTED}, 0.95, U, says="n is Infinity", others={"n": INF}),
    Case("counted below zero", {"min": "0.9", **COUNTED}, 0.95, U, says="no number of samples", others={"n": -100}),
    Case("counted in halves", {"min": "0.9", **COUNTED}, 0.95, U, says="no number of samples", others={"n": 100.5}),
    Case("* none at all", {"min": "0.9", "sampleCountMetric": "n"}, 1.0, U, says="n is 0", others={"n": 0}),
    Case("a bad value is a no whatever was counted", {"min": "0.9", **COUNTED}, NAN, F, others={"n": 1}),
    Case("a change on too few", higher("0", **COUNTED), 0.95, U, measured(0.9), "n is 5", {"n": 5}),
    Case("nobody says how they are counted", {"min": "0.9", "minSamples": 5}, 0.95, U, says="sampleCountMetric"),
]

SURE: dict[str, Any] = {"sampleCountMetric": "n", "confidence": "0.95"}
CONFIDENCE = [
    # Wilson, one-sided, 0.95: 0.95 of 1000 is at least 0.9373, at most 0.9602
    Case("surely above", {"min": "0.93", **SURE}, 0.95, P, others={"n": 1000}),
    Case("* above, not surely", {"min": "0.94", **SURE}, 0.95, F, says="at least 0.9374", others={"n": 1000}),
    Case("more samples make it sure", {"min": "0.94", **SURE}, 0.95, P, others={"n": 10000}),
    Case("an upper bound", {"max": "0.05", **SURE}, 0.04, F, says="at most 0.0514", others={"n": 1000}),
    Case("an upper bound that surely holds", {"max": "0.06", **SURE}, 0.04, P, others={"n": 1000}),
    Case("* all of few right", {"min": "0.9", **SURE}, 1.0, F, says="at least 0.88084", others={"n": 20}),
    Case("all of enough right", {"min": "0.9", **SURE}, 1.0, P, others={"n": 25}),
    Case("both sides", {"min": "0.9", "max": "0.96", **SURE}, 0.95, F, says="at most 0.96", others={"n": 1000}),
    Case("what is no proportion", {"min": "0.9", **SURE}, 95.0, F, says="for proportions", others={"n": 1000}),
    Case("what is below none", {"max": "0.9", **SURE}, -0.1, F, says="for proportions", others={"n": 1000}),
    Case("no samples", {"min": "0.9", **SURE}, 0.95, U, says="n is 0", others={"n": 0}),
    # Newcombe: 0.95 and 0.93 of 1000 each differ by at least 0.0023
    Case("surely better", higher("0", **SURE), 0.95, P, measured(0.93, n=1000), others={"n": 1000}),
    Case(
        "* better, not surely",
        higher("0", **SURE),
        0.95,
        F,
        measured(0.94, n=1000),
        "with confidence 0.95",
        {"n": 1000},
    ),
    Case(
        "not surely worse than tolerated", higher("-0.02", **SURE), 0.94, P, measured(0.94, n=1000), others={"n": 1000}
    ),
    Case("surely lower", lower("0", **SURE), 0.05, P, measured(0.07, n=1000), others={"n": 1000}),
    Case("lower, not surely", lower("0", **SURE), 0.06, F, measured(0.07, n=1000), "at most", {"n": 1000}),
    Case(
        "the baseline's samples were never counted", higher("0", **SURE), 0.95, U, measured(0.9), "version 7", {"n": 9}
    ),
    Case("the baseline had none", higher("0", **SURE), 0.95, U, measured(0.9, n=0), "n is 0", {"n": 9}),
    Case("the baseline is no proportion", higher("0", **SURE), 0.95, U, measured(90.0, n=9), "proportions", {"n": 9}),
    Case(
        "measured by this run, on the same samples",
        higher("0", baseline_metric="old", **SURE),
        0.95,
        P,
        OTHER,
        others={"n": 1000, "old": 0.9},
    ),
]

SLICES = [
    Case("a slice that holds", {"min": "0.9"}, 0.95, P, slice="sex:f"),
    Case("* a slice that was not logged", {"min": "0.9"}, None, F, says="m/sex:f was never logged", slice="sex:f"),
    Case("* the whole does not speak for a slice", {"min": "0.9"}, None, F, others={"m": 0.99}, slice="sex:f"),
    Case("a slice of NaN: it had no rows", {"min": "0.9"}, NAN, F, says="m/sex:f is NaN", slice="sex:f"),
    Case(
        "a slice is compared with the same slice", higher("0"), 0.5, P, measured(0.9, **{"m/sex:f": 0.4}), slice="sex:f"
    ),
    Case("which the baseline did not log", higher("0"), 0.5, U, measured(0.9), "m/sex:f of version 7", slice="sex:f"),
    Case(
        "a slice counts its own samples",
        {"min": "0", **COUNTED},
        0.9,
        U,
        says="n/sex:f",
        others={"n": 500},
        slice="sex:f",
    ),
    Case("and has enough of them", {"min": "0", **COUNTED}, 0.9, P, others={"n/sex:f": 500}, slice="sex:f"),
    Case(
        "a slice measured by this run",
        higher("0", baseline_metric="old"),
        0.5,
        F,
        OTHER,
        "old/sex:f of this run is 0.6",
        {"old/sex:f": 0.6},
        slice="sex:f",
    ),
]

UNBOUNDED = [
    Case("* no bound at all", {}, 0.95, F, says="a min or a max"),
    Case(
        "* a change without a bound",
        {"change": {"direction": "HigherIsBetter"}},
        0.95,
        F,
        measured(0.1),
        "without a bound",
    ),
    Case("* such a change beside a bound", {"min": "0", "change": {"direction": "HigherIsBetter"}}, 0.95, F, NOTHING),
]

CASES = [*ABSOLUTE, *RELATIVE, *NO_NUMBER, *WHICH_BASELINE, *DATA, *SAMPLES, *CONFIDENCE, *SLICES, *UNBOUNDED]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_rule(case: Case) -> None:
    given_ = case.verdict()
    assert (given_.result, given_.passed) == (case.result, case.result == P), given_
    assert case.says in given_.message, given_.message
    assert given_.message or given_.passed, "what is not a yes says why"


def test_there_is_a_case_for_every_edge() -> None:
    assert len(CASES) >= 60
    assert len({case.title for case in CASES}) == len(CASES), "a title says what is different about a case"
    assert sum(case.title.startswith("*") for case in CASES) >= 15


# --- what a verdict tells --------------------------------------------------------------------------------------------


def test_a_verdict_tells_what_was_compared_with_what() -> None:
    given_ = Case("", higher("-0.01"), 0.92, P, measured(0.93)).verdict()
    assert (given_.metric, given_.value, given_.baseline, given_.baseline_version) == ("m", "0.92", "0.93", "7")
    assert given_.rule == "change ≥ -0.01 against champion"


def test_a_no_tells_both_values_their_difference_and_the_bound() -> None:
    given_ = Case("", lower(relative="0.05"), 0.25, F, measured(0.2)).verdict()
    assert (
        given_.message == "m is 0.25, m of version 7 is 0.2: a change of +0.05, the gate wants ≤ 0.05 of the baseline"
    )


def test_a_verdict_tells_the_bound_that_counted() -> None:
    given_ = Case("", {"min": "0.94", **SURE}, 0.95, F, others={"n": 1000}).verdict()
    assert given_.bound == "0.9374"
    assert given_.rule == "≥ 0.94, with confidence 0.95, n ≥ 1"


ALIKE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"min": "0.9"}, {}),
    ({"max": "0.9"}, {}),
    ({"min": "0.9", "max": "0.9"}, {}),
    (higher("0.9"), {}),
    (lower("0.9"), {}),
    (higher(relative="0.9"), {}),
    (higher("0.9", baseline_metric="old"), {}),
    (higher("0.9"), {"alias": "production"}),
    (higher("0.9"), {"data": ["holdout"]}),
    (higher("0.9"), {"onDifferentData": "Compare"}),
    ({"min": "0.9", **COUNTED}, {}),
    ({"min": "0.9", **COUNTED, "minSamples": 101}, {}),
    ({"min": "0.9", **SURE}, {}),
    ({"min": "0.9", **SURE, "confidence": "0.99"}, {}),
]


def test_every_difference_of_two_rules_is_in_their_words() -> None:
    """By the words it is found out that a run was judged by other rules than there are now."""
    told = [
        describe(msgspec.convert({"name": "m", **rule}, MetricThreshold), msgspec.convert(settings, Baseline))
        for rule, settings in ALIKE
    ]
    assert len(set(told)) == len(ALIKE), told


def test_a_rule_has_a_verdict_for_each_slice_and_none_for_the_whole() -> None:
    threshold = MetricThreshold(name="m", min="0.9", slices=("sex:f", "sex:m"))
    gate = Gate(metrics=(MetricThreshold(name="m", min="0.8"), threshold))
    given_ = verdicts(gate, {"m": 0.9, "m/sex:f": 0.95})
    assert [(v.metric, v.rule, v.result) for v in given_] == [
        ("m", "≥ 0.8", P),
        ("m/sex:f", "≥ 0.9", P),
        ("m/sex:m", "≥ 0.9", F),
    ]
    assert {(v.metric, v.rule) for v in given_} == rules_of(gate)


# --- whatever the numbers --------------------------------------------------------------------------------------------

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
BOUNDS = st.decimals(-1000, 1000, places=6, allow_nan=False).map(lambda number: f"{number:f}")


def passes(rule: dict[str, Any], value: float, before: float) -> bool:
    return Case("", rule, value, "", measured(before)).verdict().passed


def printed(number: float) -> Fraction:
    return Fraction(Decimal(repr(number)))


@given(value=NUMBERS, before=NUMBERS, bound=BOUNDS)
def test_an_absolute_change_is_compared_exactly(value: float, before: float, bound: str) -> None:
    difference = printed(value) - printed(before)
    assert passes(higher(bound), value, before) is (difference >= Fraction(bound))
    assert passes(lower(bound), value, before) is (difference <= Fraction(bound))


@given(value=NUMBERS, before=NUMBERS, bound=BOUNDS)
def test_a_relative_change_is_compared_exactly(value: float, before: float, bound: str) -> None:
    assume(before != 0)
    relative = (printed(value) - printed(before)) / abs(printed(before))
    assert passes(higher(relative=bound), value, before) is (relative >= Fraction(bound))
    assert passes(lower(relative=bound), value, before) is (relative <= Fraction(bound))


@given(value=NUMBERS, before=NUMBERS, more=st.floats(0, 1e6), bound=BOUNDS, relative=st.booleans())
def test_what_is_better_never_fails_where_what_is_worse_passes(
    value: float, before: float, more: float, bound: str, relative: bool
) -> None:
    rule = higher(relative=bound) if relative else higher(bound)
    if passes(rule, value, before):
        assert passes(rule, value + more, before)


@given(value=NUMBERS, before=NUMBERS, bound=BOUNDS)
def test_the_two_directions_are_mirrors_of_each_other(value: float, before: float, bound: str) -> None:
    mirrored = bound[1:] if bound.startswith("-") else f"-{bound}"
    assert passes(higher(bound), value, before) is passes(lower(mirrored), -value, -before)
    assert passes(higher(relative=bound), value, before) is passes(lower(relative=mirrored), -value, -before)


@given(
    value=st.floats(),
    before=st.floats(),
    count=st.floats(),
    rule=st.sampled_from([rule for rule, _ in ALIKE]),
    baseline=st.sampled_from(["measured", "nothing", "gone"]),
)
def test_no_number_whatsoever_is_an_error_or_an_empty_answer(
    value: float, before: float, count: float, rule: dict[str, Any], baseline: str
) -> None:
    known: dict[str, BaselineFound] = {"measured": measured(before, n=count), "nothing": NOTHING}
    found = known.get(baseline, Unreadable("gone"))
    given_ = Case("", rule, value, "", found, others={"n": count, "old": before}).verdict()
    assert given_.result in {P, F, U, S}
    assert given_.passed or given_.message
    if not math.isfinite(value):
        assert given_.result == F
