"""What makes it train again, when, and where its pods may run."""

from __future__ import annotations

from typing import Final

from tests.contract.crds.resources import AD, TJ, Refusal, frozen, gpus, signal, steps

NOT_REPRODUCED: dict[str, dict[str, object]] = {
    "model": {"model": {"name": "iris"}},
    "gate": {"gate": {"metrics": [{"name": "accuracy", "min": "0.9"}]}},
    "retrain": {"retrain": {"schedule": "@daily"}},
}

CASES: Final = (
    # --- retrain
    Refusal(
        "disruptions without end", TJ, "spec.disruptionLimit", "less than or equal to 1000", {"disruptionLimit": 1001}
    ),
    *(
        Refusal(
            f"a reproduction with {field}",
            TJ,
            "spec.reproduceFrom",
            "leave out model, gate and retrain",
            {"reproduceFrom": "a" * 32, **spec},
        )
        for field, spec in NOT_REPRODUCED.items()
    ),
    Refusal(
        "a reproduction that goes on from a checkpoint",
        TJ,
        "spec.checkpoint",
        "goes on from nothing",
        {"reproduceFrom": "a" * 32, "checkpoint": {"persistentVolumeClaim": {"claimName": "c"}}},
    ),
    *(
        Refusal(
            f"credentials for {url}",
            TJ,
            "spec.source.git.secretRef",
            "is of no use",
            {"source": {"git": {"url": url, "secretRef": {"name": "acme-git"}}}},
        )
        for url in ("git://git.example/r.git", "file:///srv/r.git")
    ),
    Refusal("a reproduction of no run", TJ, "spec.reproduceFrom", "should match", {"reproduceFrom": "runs:/a"}),
    Refusal(
        "data changes without data that could",
        TJ,
        "spec.data",
        "needs a data set without digest",
        {"retrain": {"onDataChange": {}}},
    ),
    Refusal(
        "data changes of pinned data",
        TJ,
        "spec.data",
        "needs a data set without digest",
        {
            "retrain": {"onDataChange": {"interval": "1h"}},
            "data": [{"name": "a", "storageUri": "s3://b/c", "digest": "sha256:" + "0" * 64}],
        },
    ),
    *(
        Refusal(
            f"data looked at every {interval}",
            TJ,
            "spec.retrain.onDataChange.interval",
            "at least one minute",
            {"retrain": {"onDataChange": {"interval": interval}}, "data": [{"name": "a", "storageUri": "s3://b/c"}]},
        )
        for interval in ("59s", "0h", "8785h")
    ),
    Refusal(
        "drift of no model",
        TJ,
        "spec.model",
        "say which by model.name",
        {**signal(min="0.9"), "model": None},
    ),
    Refusal("a signal without a bound", TJ, "spec.retrain.drift.signals[0]", "at least one of min, max", signal()),
    Refusal(
        "a signal whose min is above its max",
        TJ,
        "spec.retrain.drift.signals[0].min",
        "every value would breach",
        signal(min="2", max="1"),
    ),
    Refusal(
        "minSamples of nothing that counts",
        TJ,
        "spec.retrain.drift.signals[0].sampleCountMetric",
        "minSamples needs sampleCountMetric",
        signal(min="0.9", minSamples=200),
    ),
    Refusal(
        "no signals",
        TJ,
        "spec.retrain.drift.signals",
        "at least 1 items",
        {"model": {"name": "iris"}, "retrain": {"drift": {"signals": []}}},
    ),
    Refusal(
        "two signals on one metric",
        TJ,
        "spec.retrain.drift.signals[1]",
        "Duplicate value",
        {"model": {"name": "iris"}, "retrain": {"drift": {"signals": [{"metric": "a", "min": "1"}] * 2}}},
    ),
    # --- when
    *(
        Refusal(f"the schedule {cron!r}", TJ, "spec.retrain.schedule", "five fields", {"retrain": {"schedule": cron}})
        for cron in ("0 2 * *", "0 0 2 * * *", "0  2 * * *", "@often", "CRON_TZ=UTC 0 2 * * *")
    ),
    *(
        Refusal(f"the schedule {cron!r}", TJ, "spec.retrain.schedule", "minute 0-59", {"retrain": {"schedule": cron}})
        for cron in (
            "60 2 * * *",
            "0 24 * * *",
            "0 0 0 * *",
            "0 0 32 * *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "*/0 * * * *",
            "a * * * *",
        )
    ),
    Refusal("a schedule of nothing", TJ, "spec.retrain.schedule", "at least 1 chars", {"retrain": {"schedule": ""}}),
    *(
        Refusal(
            f"the time zone {zone!r}",
            TJ,
            "spec.retrain.timeZone",
            "name of a time zone",
            {"retrain": {"schedule": "0 2 * * *", "timeZone": zone}},
        )
        for zone in ("Mars/Olympus", "Local", "CEST")
    ),
    Refusal(
        "a time zone as a difference",
        TJ,
        "spec.retrain.timeZone",
        "should match",
        {"retrain": {"schedule": "0 2 * * *", "timeZone": "+02:00"}},
    ),
    Refusal("a time zone alone", TJ, "spec.retrain.schedule", "of no use without", {"retrain": {"timeZone": "UTC"}}),
    Refusal(
        "a deadline that is over at once",
        TJ,
        "spec.retrain.startingDeadlineSeconds",
        "greater than or equal to 1",
        {"retrain": {"schedule": "0 2 * * *", "startingDeadlineSeconds": 0}},
    ),
    *(
        Refusal(f"a freeze from {cron!r} on", AD, "spec.rollout.freeze[0].schedule", says, frozen(schedule=cron))
        for cron, says in (
            ("0 18 * *", "five fields"),
            ("0 0 18 * * FRI", "five fields"),
            ("@often", "five fields"),
            ("60 18 * * FRI", "minute 0-59"),
            ("0 24 * * *", "minute 0-59"),
            ("0 0 * 13 *", "month 1-12"),
            ("0 0 * * FRIDAY", "month 1-12"),
            ("0 0 L * *", "minute 0-59"),
        )
    ),
    *(
        Refusal(
            f"a freeze in the time zone {zone!r}",
            AD,
            "spec.rollout.freeze[0].timeZone",
            "name of a time zone",
            frozen(timeZone=zone),
        )
        for zone in ("Mars/Olympus", "Local", "CEST", "")
    ),
    # --- where
    Refusal("half a GPU", TJ, "spec.steps[0].resources.limits", "is a whole number", gpus("0.5")),
    Refusal("a thousandth of GPUs", TJ, "spec.steps[0].resources.limits", "is a whole number", gpus("500m")),
    Refusal("other GPUs than the limit", TJ, "spec.steps[0].resources.requests", "must be the same", gpus(2, 1)),
    Refusal(
        "GPUs without a limit",
        TJ,
        "spec.steps[0].resources.requests",
        "must be the same",
        steps(resources={"requests": {"nvidia.com/gpu": 1}}),
    ),
    *(
        Refusal("a label that is none", TJ, "spec.nodeSelector", "those of labels", {"nodeSelector": {name: value}})
        for name, value in (("a b", "c"), ("a", "b c"), ("/a", "b"), ("-a", "b"))
    ),
    Refusal(
        "too long a label", TJ, "spec.nodeSelector.a", "may not be more than 63", {"nodeSelector": {"a": "b" * 64}}
    ),
    Refusal("a toleration of nothing", TJ, "spec.tolerations[0].key", "every taint", {"tolerations": [{"value": "a"}]}),
    Refusal(
        "a toleration that exists and has a value",
        TJ,
        "spec.tolerations[0].value",
        "takes no value",
        {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
    ),
    Refusal(
        "a time for what is not evicted",
        TJ,
        "spec.tolerations[0].effect",
        "needs effect NoExecute",
        {"tolerations": [{"key": "a", "tolerationSeconds": 5}]},
    ),
    Refusal("a key that is none", TJ, "spec.tolerations[0].key", "key of a taint", {"tolerations": [{"key": "a b"}]}),
    Refusal(
        "a value that is none",
        TJ,
        "spec.tolerations[0].value",
        "value of a taint",
        {"tolerations": [{"key": "a", "value": "b c"}]},
    ),
    Refusal(
        "an effect that is none",
        TJ,
        "spec.tolerations[0].effect",
        "Unsupported value",
        {"tolerations": [{"key": "a", "effect": "Never"}]},
    ),
    Refusal(
        "a canary without steps",
        AD,
        "spec.rollout.steps",
        "steps belong to strategy Canary",
        {"rollout": {"strategy": "Canary"}},
    ),
    Refusal("no node at all", TJ, "spec.numNodes", "greater than or equal to 1", {"numNodes": 0}),
    Refusal("nodes without end", TJ, "spec.numNodes", "less than or equal to 256", {"numNodes": 257}),
    Refusal("no process on a node", TJ, "spec.numProcPerNode", "greater than or equal to 1", {"numProcPerNode": 0}),
    Refusal("processes that a node counts itself", TJ, "spec.numProcPerNode", "integer", {"numProcPerNode": "auto"}),
    Refusal(
        "half a GPU for a node",
        TJ,
        "spec.resourcesPerNode.limits",
        "is a whole number",
        {"resourcesPerNode": {"limits": {"nvidia.com/gpu": "0.5"}}},
    ),
    Refusal(
        "GPUs of a node that are only requested",
        TJ,
        "spec.resourcesPerNode.requests",
        "must be the same",
        {"resourcesPerNode": {"requests": {"nvidia.com/gpu": 1}}},
    ),
    Refusal(
        "a node's request above its limit",
        TJ,
        "spec.resourcesPerNode.requests",
        "must not be larger than the limit",
        {"resourcesPerNode": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}},
    ),
    Refusal("a priority class of two", TJ, "spec.priorityClassName", "should match", {"priorityClassName": "a/b"}),
    Refusal("checkpoints nowhere", TJ, "spec.checkpoint.persistentVolumeClaim", "Required value", {"checkpoint": {}}),
    Refusal(
        "checkpoints in another namespace",
        TJ,
        "spec.checkpoint.persistentVolumeClaim.claimName",
        "should match",
        {"checkpoint": {"persistentVolumeClaim": {"claimName": "other/claim"}}},
    ),
    Refusal(
        "no time for progress",
        TJ,
        "spec.progressDeadlineSeconds",
        "greater than or equal to 1",
        {"progressDeadlineSeconds": 0},
    ),
    Refusal("a cooldown in words", TJ, "spec.retrain.cooldown", "should match", {"retrain": {"cooldown": "a day"}}),
    Refusal(
        "a cooldown of years",
        TJ,
        "spec.retrain.cooldown",
        "at most one year",
        {"retrain": {"cooldown": "9000h"}},
    ),
)
