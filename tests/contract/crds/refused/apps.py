"""What an app is, and how many of it."""

from __future__ import annotations

from typing import Final

from tests.contract.crds.resources import AD, Refusal, measured

CASES: Final = (
    # --- names of resources
    Refusal("an app's name too long for its Deployments", AD, "metadata.name", "at most 52 characters", name="a" * 53),
    Refusal("an app's name that is no name of a Service", AD, "metadata.name", "a letter first", name="1shop"),
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
)
