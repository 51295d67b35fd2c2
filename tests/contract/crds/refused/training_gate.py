"""What a run must reach, where its model goes, and how long it may take."""

from __future__ import annotations

from typing import Final

from tests.contract.crds.resources import TJ, Refusal, data, threshold

CASES: Final = (
    # --- limits of a run
    Refusal(
        "a negative number of retries", TJ, "spec.backoffLimit", "greater than or equal to 0", {"backoffLimit": -1}
    ),
    Refusal("a deadline of nothing", TJ, "spec.activeDeadlineSeconds", "equal to 1", {"activeDeadlineSeconds": 0}),
    Refusal(
        "a number that no Job can hold",
        TJ,
        "spec.ttlSecondsAfterFinished",
        "less than or equal to 2147483647",
        {"ttlSecondsAfterFinished": 2**31},
    ),
    # --- gate
    Refusal("a threshold without a bound", TJ, "spec.gate.metrics[0]", "give min, max or both", threshold()),
    Refusal("min above max", TJ, "spec.gate.metrics[0].min", "no value could pass", threshold(min="0.9", max="1e-1")),
    Refusal("a bound that is a number", TJ, "spec.gate.metrics[0].min", "must be of type string", threshold(min=0.9)),
    Refusal("a bound that is NaN", TJ, "spec.gate.metrics[0].min", "should match", threshold(min="NaN")),
    Refusal("a bound beyond every double", TJ, "spec.gate.metrics[0].min", "should match", threshold(min="1e999")),
    Refusal(
        "a change without a bound",
        TJ,
        "spec.gate.metrics[0].change",
        "give absolute, relative or both",
        threshold(change={"direction": "HigherIsBetter"}),
    ),
    Refusal(
        "a change without a direction",
        TJ,
        "spec.gate.metrics[0].change.direction",
        "Required value",
        threshold(change={"absolute": "0"}),
    ),
    Refusal(
        "a change in a direction that TFMA spells otherwise",
        TJ,
        "spec.gate.metrics[0].change.direction",
        "Unsupported value",
        threshold(change={"direction": "HIGHER_IS_BETTER", "absolute": "0"}),
    ),
    Refusal(
        "a change of a model that is not registered",
        TJ,
        "spec.model",
        "say which by model.name",
        threshold(change={"direction": "HigherIsBetter", "absolute": "0"}),
    ),
    Refusal(
        "few samples of nobody knows what",
        TJ,
        "spec.gate.metrics[0].sampleCountMetric",
        "need the metric that counts the samples",
        threshold(min="0", minSamples=100),
    ),
    Refusal(
        "confidence without samples",
        TJ,
        "spec.gate.metrics[0].sampleCountMetric",
        "need the metric that counts the samples",
        threshold(min="0", confidence="0.95"),
    ),
    Refusal(
        "confidence in a part of the baseline",
        TJ,
        "spec.gate.metrics[0].change.relative",
        "give change.absolute with it",
        {
            "model": {"name": "iris"},
            **threshold(
                change={"direction": "HigherIsBetter", "relative": "0"}, confidence="0.95", sampleCountMetric="rows"
            ),
        },
    ),
    *(
        Refusal(title, TJ, "spec.gate.metrics[0].confidence", says, threshold(min="0", sampleCountMetric="n", **given))
        for title, says, given in (
            ("confidence in per cent", "should match", {"confidence": "95"}),
            ("certainty", "should match", {"confidence": "1"}),
            ("less confidence than a coin has", "more than 0.5", {"confidence": "0.5"}),
            ("confidence that is a number", "must be of type string", {"confidence": 0.95}),
        )
    ),
    Refusal("a slice twice", TJ, "spec.gate.metrics[0].slices[1]", "Duplicate", threshold(min="0", slices=["a", "a"])),
    Refusal(
        "a slice that MLflow has no name for",
        TJ,
        "spec.gate.metrics[0].slices[0]",
        "should match",
        threshold(min="0", slices=["sex=f"]),
    ),
    Refusal(
        "more rules than are told",
        TJ,
        "spec.gate.metrics",
        "more than 64 rules, counted by slice",
        {"gate": {"metrics": [{"name": "m", "min": "0", "slices": [f"s{n}" for n in range(13)]}] * 5}},
    ),
    Refusal(
        "a baseline measured on data that are not there",
        TJ,
        "spec.gate.baseline.data",
        "must name data sets of spec.data",
        {**data(), "gate": {"baseline": {"data": ["holdout"]}}},
    ),
    Refusal(
        "a baseline measured on data of a job that has none",
        TJ,
        "spec.gate.baseline.data",
        "must name data sets of spec.data",
        {"gate": {"baseline": {"data": ["iris"]}}},
    ),
    Refusal(
        "a word for other data that is none",
        TJ,
        "spec.gate.baseline.onDifferentData",
        "Unsupported value",
        {"gate": {"baseline": {"onDifferentData": "Ignore"}}},
    ),
    Refusal(
        "an approval that is a yes",
        TJ,
        "spec.model.approval",
        "Unsupported value",
        {"model": {"name": "iris", "approval": "Yes"}},
    ),
    Refusal(
        "runs in the promotion ledger",
        TJ,
        "spec.tracking.experiment",
        "records of its own",
        {"tracking": {"experiment": "tandem-promotions"}},
    ),
    # --- model
    Refusal(
        "an alias that MLflow keeps",
        TJ,
        "spec.model.alias",
        "MLflow keeps 'latest'",
        {"model": {"name": "iris", "alias": "Latest"}},
    ),
    Refusal(
        "an alias that MLflow takes for a version",
        TJ,
        "spec.model.alias",
        "MLflow keeps 'latest'",
        {"model": {"name": "iris", "alias": "v2"}},
    ),
    Refusal("a model whose name is a path", TJ, "spec.model.name", "should match", {"model": {"name": "a/b"}}),
    Refusal(
        "a baseline by a metric without a name",
        TJ,
        "spec.gate.metrics[0].change.baselineMetric",
        "at least 1 chars",
        {
            "model": {"name": "iris"},
            **threshold(change={"direction": "HigherIsBetter", "absolute": "0", "baselineMetric": ""}),
        },
    ),
    # --- how long, how often
    *(
        Refusal(f"a history of {limit} runs", TJ, "spec.historyLimit", says, {"historyLimit": limit})
        for limit, says in ((-1, "greater than or equal to 0"), (51, "less than or equal to 50"))
    ),
    Refusal("a suspension by a word", TJ, "spec.suspend", "must be of type boolean", {"suspend": "yes"}),
)
