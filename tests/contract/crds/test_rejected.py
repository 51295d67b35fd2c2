"""What the API server refuses, with words that name the field and the rule. Each CEL rule of the CRDs has a case."""

from __future__ import annotations

import pytest

from tests.contract.api_server import ApiServer, Rejected
from tests.contract.crds.resources import (
    Refusal,
    checks,
    column,
    data,
    frozen,
    gpus,
    judged,
    measured,
    resource,
    signal,
    step,
    steps,
    threshold,
)
from tests.crds import KINDS, nodes, schema

TJ, AD = "TrainingJob", "AppDeployment"


NOT_REPRODUCED: dict[str, dict[str, object]] = {
    "model": {"model": {"name": "iris"}},
    "gate": {"gate": {"metrics": [{"name": "accuracy", "min": "0.9"}]}},
    "retrain": {"retrain": {"schedule": "@daily"}},
}

WINDOW: dict[str, object] = {"schedule": "0 18 * * FRI", "durationSeconds": 216000}
HEADER = {"name": "X-Canary", "value": "always"}

CASES = [
    # --- names of resources
    Refusal("a name too long for its Jobs", TJ, "metadata.name", "at most 52 characters", name="a" * 53),
    Refusal("a name with a dot", TJ, "metadata.name", "DNS label", name="iris.v2"),
    Refusal("an app's name too long for its Deployments", AD, "metadata.name", "at most 52 characters", name="a" * 53),
    Refusal("an app's name that is no name of a Service", AD, "metadata.name", "a letter first", name="1shop"),
    # --- steps
    Refusal("no steps", TJ, "spec.steps", "Required value", {"steps": None}),
    Refusal("an empty list of steps", TJ, "spec.steps", "at least 1 items", {"steps": []}),
    Refusal("more steps than 16", TJ, "spec.steps", "at most 16", {"steps": [step(name=f"s{i}") for i in range(17)]}),
    Refusal("two steps of one name", TJ, "spec.steps[1]", "Duplicate value", {"steps": [step(), step()]}),
    Refusal("a step that is called fetch", TJ, "spec.steps[0].name", "are taken by the steps", steps(name="fetch")),
    *(
        Refusal(f"a step that is called {name}", TJ, "spec.steps[0].name", "are taken", steps(name=name))
        for name in ("validate", "reproduction", "digest")
    ),
    Refusal("a step's name with capitals", TJ, "spec.steps[0].name", "should match", steps(name="Train")),
    Refusal("a step without a command", TJ, "spec.steps[0].command", "at least 1 items", steps(command=[])),
    Refusal("a command that is one string", TJ, "spec.steps[0].command", "must be of type array", steps(command="run")),
    Refusal("an image with a space", TJ, "spec.steps[0].image", "should match", steps(image="python 3")),
    # --- resources
    Refusal(
        "a request above its limit",
        TJ,
        "spec.steps[0].resources.requests",
        "must not be larger than the limit",
        steps(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "2G"}}),
    ),
    Refusal(
        "an app's request above its limit, as numbers",
        AD,
        "spec.resources.requests",
        "must not be larger than the limit",
        {"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}},
    ),
    Refusal(
        "a quantity that is none",
        TJ,
        "spec.steps[0].resources.requests.memory",
        "should match",
        steps(resources={"requests": {"memory": "plenty"}}),
    ),
    Refusal(
        "a negative quantity",
        AD,
        "spec.resources.limits.cpu",
        "greater than or equal to 0",
        {"resources": {"limits": {"cpu": -1}}},
    ),
    # --- source
    Refusal(
        "two sources",
        TJ,
        "spec.source",
        "exactly one of git and configMapRef",
        {"source": {"git": {"url": "https://x.org/r.git"}, "configMapRef": {"name": "code"}}},
    ),
    Refusal("a source that is empty", TJ, "spec.source", "exactly one of git and configMapRef", {"source": {}}),
    Refusal(
        "a password in the URL of a repository",
        TJ,
        "spec.source.git.url",
        "must hold no user name or password",
        {"source": {"git": {"url": "https://me:hunter2@x.org/r.git"}}},
    ),
    *(
        Refusal(
            f"a password in the URL of a repository, with {url.partition(':')[0]}",
            TJ,
            "spec.source.git.url",
            says,
            {"source": {"git": {"url": url}}},
        )
        for url, says in (
            ("git://me:hunter2@x.org/r.git", "must hold no user name or password"),
            ("ssh://git:hunter2@x.org/r.git", "must hold no password"),
            ("ssh://git@x.org:hunter2@x.org/r.git", "must hold no password"),
        )
    ),
    *(
        Refusal(
            f"a token in the URL of a repository, behind {url[17]}",
            TJ,
            "spec.source.git.url",
            "must hold neither '?' nor '#'",
            {"source": {"git": {"url": url}}},
        )
        for url in ("https://x.org/r?token=hunter2", "https://x.org/r#token=hunter2")
    ),
    Refusal(
        "a URL that is a command for git",
        TJ,
        "spec.source.git.url",
        "should match",
        {"source": {"git": {"url": "ext::sh -c evil"}}},
    ),
    Refusal(
        "a ref that is an option for git",
        TJ,
        "spec.source.git.ref",
        "should match",
        {"source": {"git": {"url": "https://x.org/r.git", "ref": "--upload-pack=evil"}}},
    ),
    Refusal(
        "a ref that git does not have",
        TJ,
        "spec.source.git.ref",
        "must not contain '..'",
        {"source": {"git": {"url": "https://x.org/r.git", "ref": "main..dev"}}},
    ),
    Refusal(
        "a path that leaves the repository",
        TJ,
        "spec.source.git.path",
        "must not contain '..'",
        {"source": {"git": {"url": "https://x.org/r.git", "path": "models/../../etc"}}},
    ),
    Refusal(
        "an absolute path",
        TJ,
        "spec.source.git.path",
        "should match",
        {"source": {"git": {"url": "https://x.org/r.git", "path": "/etc"}}},
    ),
    # --- data
    Refusal(
        "two data sets of one name",
        TJ,
        "spec.data[1]",
        "Duplicate value",
        {"data": [{"name": "iris", "storageUri": f"https://x.org/{n}"} for n in (1, 2)]},
    ),
    Refusal(
        "a password in the URI of a data set",
        TJ,
        "spec.data[0].storageUri",
        "must hold no user name or password",
        {"data": [{"name": "iris", "storageUri": "https://token@x.org/iris.csv"}]},
    ),
    Refusal(
        "a data set by a scheme that nobody fetches",
        TJ,
        "spec.data[0].storageUri",
        "should match",
        {"data": [{"name": "iris", "storageUri": "gopher://x.org/iris.csv"}]},
    ),
    Refusal(
        "a folder over http",
        TJ,
        "spec.data[0].storageUri",
        "a folder cannot be listed over http",
        data("https://x.org/iris/?sig=x"),
    ),
    Refusal(
        "a password where Azure has a container",
        TJ,
        "spec.data[0].storageUri",
        "must be abfs://CONTAINER@ACCOUNT",
        data("abfs://box:hunter2@acme.dfs.core.windows.net/a.csv"),
    ),
    Refusal("a web server alone", TJ, "spec.data[0].storageUri", "a folder cannot be listed", data("https://x.org")),
    Refusal(
        "a chain of file systems",
        TJ,
        "spec.data[0].storageUri",
        "must not contain '::'",
        data("https://x.org/a::file:///etc/passwd"),
    ),
    *(
        Refusal(f"a path that leads out: {uri}", TJ, "spec.data[0].storageUri", "must not have '.' or '..'", data(uri))
        for uri in ("file:///data/../etc/passwd", "pvc://claim/..", "s3://acme/./x", "https://x.org/a/..?x=1")
    ),
    Refusal(
        "an account of Azure without its container",
        TJ,
        "spec.data[0].storageUri",
        "must be abfs://CONTAINER@ACCOUNT",
        data("abfs://box/iris.csv"),
    ),
    Refusal(
        "a claim that no object can be called",
        TJ,
        "spec.data[0].storageUri",
        "must be pvc://CLAIM/PATH",
        data("pvc://Acme_Data/iris.csv"),
    ),
    Refusal(
        "a cache of what is not pinned",
        TJ,
        "spec.data[0].digest",
        "cache needs digest",
        data(cache={"persistentVolumeClaim": {"claimName": "cache"}}),
    ),
    Refusal(
        "credentials for a file",
        TJ,
        "spec.data[0].secretRef",
        "secretRef is of no use with file and pvc",
        data("pvc://acme/iris.csv", secretRef={"name": "acme"}),
    ),
    Refusal(
        "a Secret of another namespace",
        TJ,
        "spec.data[0].secretRef.name",
        "should match",
        data(secretRef={"name": "other/acme"}),
    ),
    Refusal(
        "a digest that is none",
        TJ,
        "spec.data[0].digest",
        "should match",
        {"data": [{"name": "iris", "storageUri": "https://x.org/i", "digest": "sha256:123"}]},
    ),
    # --- data checks
    Refusal(
        "fewer rows than none",
        TJ,
        "spec.data[0].checks.minRows",
        "minRows must not be larger than maxRows",
        checks(minRows=2, maxRows=1),
    ),
    Refusal(
        "a distance from nothing",
        TJ,
        "spec.data[0].checks.baseline",
        "set baseline: Previous",
        checks(columns=[{"name": "a", "drift": {"jensenShannon": "0.1"}}]),
    ),
    Refusal(
        "a ratio to nothing",
        TJ,
        "spec.data[0].checks.baseline",
        "set baseline: Previous",
        checks(rowRatio={"min": "0.5"}),
    ),
    *(
        Refusal(title, TJ, f"spec.data[0].checks.columns[0]{field}", says, column(**fields))
        for title, field, says, fields in (
            ("a presence of what is always there", ".minPresence", "set nullable: true", {"minPresence": "0.9"}),
            ("a mass of no domain", ".values", "minDomainMass needs values", {"minDomainMass": "0.9"}),
            ("a range of nothing", ".min", "no value could pass", {"type": "Float", "min": "2", "max": "1"}),
            ("a range of words", ".type", "min and max need type", {"type": "String", "min": "2"}),
            ("a range of nobody knows what", ".type", "min and max need type", {"max": "2"}),
            ("a pattern of numbers", ".type", "pattern needs type: String", {"type": "Float", "pattern": "x"}),
            ("distinct values of nothing", ".minUnique", "no column could pass", {"minUnique": 2, "maxUnique": 1}),
            ("L-infinity of numbers", ".drift", "lInfinity compares", {"type": "Float", "drift": {"lInfinity": "0.1"}}),
            (
                "Kolmogorov-Smirnov of words",
                ".drift",
                "kolmogorovSmirnov compares",
                {"type": "String", "drift": {"kolmogorovSmirnov": "0.1"}},
            ),
            ("a type of another system", ".type", "Unsupported value", {"type": "int64"}),
            ("a range that is a number", ".min", "must be of type string", {"type": "Float", "min": 1}),
        )
    ),
    Refusal(
        "columns that are warned of",
        TJ,
        "spec.data[0].checks.unexpectedColumns",
        "Unsupported value",
        checks(unexpectedColumns="Warn"),
    ),
    Refusal(
        "infinity by a word",
        TJ,
        "spec.data[0].checks.columns[0].allowInfinite",
        "must be of type boolean",
        column(allowInfinite="true"),
    ),
    Refusal("a column twice", TJ, "spec.data[0].checks.columns[1]", "Duplicate", checks(columns=[{"name": "a"}] * 2)),
    # --- parameters
    Refusal(
        "a parameter that no shell can name", TJ, "spec.parameters", "letters, digits", {"parameters": {"a-b": ""}}
    ),
    Refusal("a parameter with a digit first", TJ, "spec.parameters", "letters, digits", {"parameters": {"1a": "x"}}),
    Refusal("a parameter without a name", TJ, "spec.parameters", "letters, digits", {"parameters": {"": "x"}}),
    *(
        Refusal(f"a parameter called {name}", TJ, "spec.parameters", "are taken", {"parameters": {name: "x"}})
        for name in ("MLFLOW_RUN_ID", "TANDEM_X", "PET_NNODES", "KUBERNETES_SERVICE_HOST", "LD_PRELOAD", "PYTHONPATH")
    ),
    *(
        Refusal(f"a parameter called {name}", TJ, "spec.parameters", "are taken", {"parameters": {name: "x"}})
        for name in ("PATH", "HOME", "TMPDIR", "HOSTNAME")
    ),
    Refusal(
        "a parameter that is a number", TJ, "spec.parameters.n", "must be of type string", {"parameters": {"n": 3}}
    ),
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
    # --- AppDeployment
    Refusal("neither image nor model", AD, "spec", "give image (an app), model", {"image": None}),
    Refusal(
        "a model both followed and pinned",
        AD,
        "spec.model",
        "exactly one of alias (followed) and version (pinned)",
        {"model": {"name": "iris", "alias": "champion", "version": "3"}},
    ),
    Refusal(
        "a model neither followed nor pinned",
        AD,
        "spec.model",
        "exactly one of alias (followed) and version (pinned)",
        {"model": {"name": "iris"}},
    ),
    Refusal(
        "a promotion to a name that MLflow keeps",
        AD,
        "spec.model.promoteTo",
        "MLflow keeps 'latest'",
        {"model": {"name": "iris", "alias": "challenger", "promoteTo": "latest"}},
    ),
    Refusal(
        "a command without an image",
        AD,
        "spec.command",
        "needs image",
        {"image": None, "model": {"name": "iris", "version": "3"}, "command": ["sh"]},
    ),
    Refusal(
        "arguments without an image",
        AD,
        "spec.args",
        "needs image",
        {"image": None, "model": {"name": "iris", "version": "3"}, "args": ["-v"]},
    ),
    Refusal(
        "an environment variable that is Tandem's",
        AD,
        "spec.env[0].name",
        "start with TANDEM_ are taken",
        {"env": [{"name": "TANDEM_MODEL"}]},
    ),
    Refusal(
        "two environment variables of one name",
        AD,
        "spec.env[1]",
        "Duplicate value",
        {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
    ),
    Refusal("a port that does not exist", AD, "spec.port", "less than or equal to 65535", {"port": 70000}),
    Refusal("a health path without a slash", AD, "spec.healthPath", "should match", {"healthPath": "health"}),
    Refusal("a health path with a line break", AD, "spec.healthPath", "should match", {"healthPath": "/a\r\nX: y"}),
    Refusal("variables from nowhere", AD, "spec.envFrom[0]", "give exactly one of configMapRef", {"envFrom": [{}]}),
    Refusal(
        "variables from both",
        AD,
        "spec.envFrom[0]",
        "give exactly one of configMapRef",
        {"envFrom": [{"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}]},
    ),
    Refusal(
        "a prefix that no variable can have",
        AD,
        "spec.envFrom[0].prefix",
        "should match",
        {"envFrom": [{"configMapRef": {"name": "a"}, "prefix": "1_"}]},
    ),
    Refusal(
        "files from both",
        AD,
        "spec.configFrom[0]",
        "give exactly one of configMapRef",
        {"configFrom": [{"mountPath": "/etc/a", "configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}]},
    ),
    *(
        Refusal(
            f"files in {path}",
            AD,
            "spec.configFrom[0].mountPath",
            says,
            {"configFrom": [{"mountPath": path, "configMapRef": {"name": "a"}}]},
        )
        for path, says in (
            ("etc/shop", "should match"),
            ("/", "should match"),
            ("/etc/../proc", "must not contain '.' or '..'"),
            ("/tmp", "/tmp is the one place where the app can write"),
        )
    ),
    Refusal(
        "one folder twice",
        AD,
        "spec.configFrom[1]",
        "Duplicate value",
        {"configFrom": [{"mountPath": "/a", "configMapRef": {"name": name}} for name in ("a", "b")]},
    ),
    Refusal("a commit that is none", AD, "spec.commit", "should match", {"commit": "main"}),
    Refusal("a rollback to nowhere", AD, "spec.rollback.toRevision", "Required value", {"rollback": {}}),
    Refusal(
        "a rollback to before the first",
        AD,
        "spec.rollback.toRevision",
        "greater than or equal to 1",
        {"rollback": {"toRevision": 0}},
    ),
    Refusal(
        "no time to end",
        AD,
        "spec.terminationGracePeriodSeconds",
        "greater than or equal to 1",
        {"terminationGracePeriodSeconds": 0},
    ),
    Refusal("replicas below nothing", AD, "spec.replicas", "greater than or equal to 0", {"replicas": -1}),
    # --- autoscaling
    Refusal("no maximum", AD, "spec.autoscaling.maxReplicas", "Required value", {"autoscaling": {}}),
    Refusal(
        "more than replicas takes",
        AD,
        "spec.autoscaling.maxReplicas",
        "less than or equal to 1000",
        {"autoscaling": {"maxReplicas": 1001}},
    ),
    Refusal(
        "a minimum above the maximum",
        AD,
        "spec.autoscaling.minReplicas",
        "must not be larger than maxReplicas",
        {"autoscaling": {"minReplicas": 4, "maxReplicas": 3}},
    ),
    Refusal(
        "nothing, by a measure that nothing has",
        AD,
        "spec.autoscaling.minReplicas",
        "0 needs a metric of type Object or External",
        {"autoscaling": {"minReplicas": 0, "maxReplicas": 3}},
    ),
    Refusal(
        "a metric without what its type names",
        AD,
        "spec.autoscaling.metrics[0]",
        "give the block that type names",
        measured("Resource"),
    ),
    Refusal(
        "a metric with what another type names",
        AD,
        "spec.autoscaling.metrics[0]",
        "give the block that type names",
        measured("Pods", "external", {"value": 1}),
    ),
    Refusal(
        "a resource that Kubernetes does not measure",
        AD,
        "spec.autoscaling.metrics[0].resource.name",
        "Unsupported value",
        {
            "autoscaling": {
                "maxReplicas": 3,
                "metrics": [{"type": "Resource", "resource": {"name": "disk", "target": {"averageValue": 1}}}],
            }
        },
    ),
    *(
        Refusal(
            f"a target that is {title}",
            AD,
            f"spec.autoscaling.metrics[0].{block}.target",
            says,
            measured(type_, block, target),
        )
        for title, type_, block, target, says in (
            ("neither", "Resource", "resource", {}, "exactly one of averageUtilization and averageValue"),
            (
                "both",
                "Resource",
                "resource",
                {"averageUtilization": 1, "averageValue": 1},
                "exactly one of averageUtilization and averageValue",
            ),
            ("neither", "Object", "object", {}, "exactly one of value and averageValue"),
            ("both", "External", "external", {"value": 1, "averageValue": 1}, "exactly one of value and averageValue"),
        )
    ),
    *(
        Refusal(
            f"another type than that of its target, {type_}",
            AD,
            f"spec.autoscaling.metrics[0].{type_.lower()}.target.type",
            says,
            measured(type_, type_.lower(), target),
        )
        for type_, target, says in (
            ("Resource", {"averageUtilization": 70, "type": "Value"}, "the field that is given (Utilization"),
            ("Pods", {"averageValue": 70, "type": "Utilization"}, "the field that is given (AverageValue)"),
            ("Object", {"value": 70, "type": "AverageValue"}, "the field that is given (Value"),
            ("External", {"averageValue": 70, "type": "Value"}, "the field that is given (Value"),
        )
    ),
    Refusal(
        "a share of requests that are not made",
        AD,
        "spec.autoscaling",
        "averageUtilization is a share of what a pod requests",
        measured(
            "Resource",
            "resource",
            {"averageUtilization": 70},
            safeDefaults={"requests": False},
            resources={"requests": {"memory": "1Gi"}},
        ),
    ),
    Refusal(
        "Kubernetes' own share of requests that are not made",
        AD,
        "spec.autoscaling",
        "averageUtilization is a share of what a pod requests",
        {"autoscaling": {"maxReplicas": 3}, "safeDefaults": {"requests": False}},
    ),
    Refusal(
        "a policy of another kind",
        AD,
        "spec.autoscaling.behavior.scaleUp.policies[0].type",
        "Unsupported value",
        {
            "autoscaling": {
                "maxReplicas": 3,
                "behavior": {"scaleUp": {"policies": [{"type": "Nodes", "value": 1, "periodSeconds": 1}]}},
            }
        },
    ),
    # --- rollout
    *(
        Refusal(f"a rollout with {title}", AD, f"spec.rollout.{field}", says, {"rollout": rollout})
        for title, field, says, rollout in (
            ("an approval that is a yes", "approval", "Unsupported value", {"approval": True}),
            ("an approval of nobody", "approval", "Unsupported value", {"approval": "Optional"}),
            ("a watch of less than nothing", "watchSeconds", "greater than or equal to 0", {"watchSeconds": -1}),
            ("a watch in words", "watchSeconds", "must be of type integer", {"watchSeconds": "10m"}),
            ("a watch of half a second", "watchSeconds", "must be of type integer", {"watchSeconds": 0.5}),
            ("a rollback in words", "autoRollback", "must be of type boolean", {"autoRollback": "Never"}),
            ("one window instead of a list", "freeze", "must be of type array", {"freeze": WINDOW}),
            ("more windows than 16", "freeze", "at most 16 items", {"freeze": [WINDOW] * 17}),
            ("a header that nobody reads", "testHeader", "needs gateway", {"testHeader": HEADER}),
        )
    ),
    *(
        Refusal(f"a window {title}", AD, f"spec.rollout.freeze[0].{field}", says, frozen(**window))
        for title, field, says, window in (
            ("that never opens", "schedule", "Required value", {"schedule": None}),
            ("that opens never in particular", "schedule", "at least 1 chars", {"schedule": ""}),
            ("that is a command", "schedule", "should match", {"schedule": "$(date)"}),
            ("that never closes", "durationSeconds", "Required value", {"durationSeconds": None}),
            ("that is over at once", "durationSeconds", "greater than or equal to 60", {"durationSeconds": 59}),
            ("of more than a month", "durationSeconds", "less than or equal to 2678400", {"durationSeconds": 2678401}),
            ("of hours", "durationSeconds", "must be of type integer", {"durationSeconds": "60h"}),
            ("of another time", "timeZone", "should match", {"timeZone": "Europe/Berlin; rm"}),
            ("for many reasons", "reason", "may not be more than 256", {"reason": "x" * 257}),
        )
    ),
    # --- gateway, ingress
    *(
        Refusal(f"a gateway with {title}", AD, f"spec.gateway.{field}", says, {"gateway": gateway})
        for title, field, says, gateway in (
            ("no Gateway", "parentRefs", "Required value", {}),
            ("an empty list of Gateways", "parentRefs", "at least 1 items", {"parentRefs": []}),
            ("nine Gateways", "parentRefs", "at most 8 items", {"parentRefs": [{"name": "public"}] * 9}),
            ("a Gateway by its name alone", "parentRefs[0]", "must be of type object", {"parentRefs": ["public"]}),
            ("a Gateway without a name", "parentRefs[0].name", "Required value", {"parentRefs": [{}]}),
            ("a Gateway in a path", "parentRefs[0].name", "should match", {"parentRefs": [{"name": "a/b"}]}),
            (
                "a namespace that none can be called",
                "parentRefs[0].namespace",
                "should match",
                {"parentRefs": [{"name": "public", "namespace": "Team.A"}]},
            ),
            (
                "a listener that none can be called",
                "parentRefs[0].sectionName",
                "should match",
                {"parentRefs": [{"name": "public", "sectionName": "HTTPS"}]},
            ),
            (
                "a URL for a host name",
                "hostnames[0]",
                "should match",
                {"parentRefs": [{"name": "public"}], "hostnames": ["https://shop.example.com"]},
            ),
            (
                "a host name twice",
                "hostnames[1]",
                "Duplicate value",
                {"parentRefs": [{"name": "public"}], "hostnames": ["shop.example.com"] * 2},
            ),
        )
    ),
    *(
        Refusal(f"an Ingress with {title}", AD, f"spec.ingress.{field}", says, {"ingress": ingress})
        for title, field, says, ingress in (
            ("a port in its host", "host", "should match", {"host": "shop.example.com:8080"}),
            ("a host of nothing", "host", "at least 1 chars", {"host": ""}),
            ("a path without a slash", "path", "should match", {"path": "shop"}),
            ("a line break in its path", "path", "should match", {"path": "/a\nb"}),
            ("a class that none can be called", "ingressClassName", "should match", {"ingressClassName": "Nginx "}),
            ("a certificate in itself", "tlsSecretRef", "must be of type object", {"tlsSecretRef": "shop-tls"}),
            ("a Secret without a name", "tlsSecretRef.name", "Required value", {"tlsSecretRef": {}}),
            ("a Secret of elsewhere", "tlsSecretRef.name", "should match", {"tlsSecretRef": {"name": "a/tls"}}),
        )
    ),
    # --- safe defaults
    *(
        Refusal(
            f"the default {name} as {value!r}",
            AD,
            f"spec.safeDefaults.{name}",
            "must be of type boolean",
            {"safeDefaults": {name: value}},
        )
        for name, value in (
            ("probes", "false"),
            ("requests", 0),
            ("topologySpread", "Off"),
            ("gracefulTermination", 5),
            ("podDisruptionBudget", {"minAvailable": 1}),
            ("networkPolicy", []),
        )
    ),
    Refusal("safe defaults as one word", AD, "spec.safeDefaults", "must be of type object", {"safeDefaults": False}),
    # --- analysis
    Refusal(
        "a metric that nobody measures",
        AD,
        "spec.rollout.analysis[0]",
        "give exactly one of prometheus, web, job, mlflow and pods",
        judged(pods=None),
    ),
    Refusal(
        "a metric that two measure",
        AD,
        "spec.rollout.analysis[0]",
        "give exactly one of prometheus, web, job, mlflow and pods",
        judged(pods={"metric": "requests"}, web={"url": "https://checks.example.com"}),
    ),
    Refusal(
        "a metric that any value passes", AD, "spec.rollout.analysis[0]", "give min, max or both", judged(max=None)
    ),
    Refusal(
        "a bound of an exit code",
        AD,
        "spec.rollout.analysis[0]",
        "give min, max or both",
        judged(job={"image": "smoke:2"}, max="1"),
    ),
    Refusal(
        "a job that runs three times",
        AD,
        "spec.rollout.analysis[0]",
        "a job runs once and at once",
        judged(job={"image": "smoke:2"}, count=3),
    ),
    Refusal(
        "a metric that may always fail",
        AD,
        "spec.rollout.analysis[0].failureLimit",
        "must be less than count",
        judged(count=3, failureLimit=3),
    ),
    Refusal(
        "a model's metric of an app without a model",
        AD,
        "spec.rollout.analysis",
        "spec.model is not given",
        judged(mlflow={"metric": "accuracy"}),
    ),
    Refusal(
        "an interval that never ends",
        AD,
        "spec.rollout.analysis[0].interval",
        "must be at least 1s and at most 24h",
        judged(interval="0s"),
    ),
    Refusal(
        "a delay of a month",
        AD,
        "spec.rollout.analysis[0].initialDelay",
        "must be at most 24h",
        judged(initialDelay="720h"),
    ),
    Refusal(
        "an expression instead of a number",
        AD,
        "spec.rollout.analysis[0].max",
        "should match",
        judged(max="{{ limit }}"),
    ),
    Refusal(
        "a file instead of an address",
        AD,
        "spec.rollout.analysis[0].web.url",
        "should match",
        judged(web={"url": "file:///etc/passwd"}),
    ),
    Refusal(
        "two metrics of one name",
        AD,
        "spec.rollout.analysis[1]",
        "Duplicate value",
        {"rollout": {"analysis": [{"name": "a", "max": "1", "pods": {"metric": "requests"}}] * 2}},
    ),
    Refusal(
        "a request of a job above its limit",
        AD,
        "spec.rollout.analysis[0].job.resources.requests",
        "a request must not be larger than the limit",
        judged(job={"image": "smoke:2", "resources": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}}),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.title}")
def test_refused_with_the_field_and_the_rule(api_server: ApiServer, case: Refusal) -> None:
    with pytest.raises(Rejected) as refused:
        api_server.create(resource(case.kind, name=case.name, **case.spec), dry_run=True)

    assert refused.value.code == 422
    named = [cause for cause in refused.value.causes if cause.field == case.field]
    assert any(case.says in cause.message for cause in named), refused.value.causes


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_of_the_definition_has_a_case(kind: str) -> None:
    """A rule that refuses nothing would not be noticed otherwise."""
    without = [
        (place, rule["message"])
        for place, node in nodes(schema(kind))
        for rule in node.get("x-kubernetes-validations", ())
        if not any(
            case.kind == kind
            and case.says in rule["message"]
            and case.place == (place + rule.get("fieldPath", "")).lstrip(".")
            for case in CASES
        )
    ]
    assert without == []
