"""What a run is made of: names, steps, source, data and their checks, parameters."""

from __future__ import annotations

from typing import Final

from tests.contract.crds.resources import AD, TJ, Refusal, checks, column, data, step, steps

CASES: Final = (
    # --- names of resources
    Refusal("a name too long for its Jobs", TJ, "metadata.name", "at most 52 characters", name="a" * 53),
    Refusal("a name with a dot", TJ, "metadata.name", "DNS label", name="iris.v2"),
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
)
