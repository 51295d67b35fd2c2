"""How an app's revisions take the traffic, and who judges them."""

from __future__ import annotations

from typing import Final

from tests.contract.crds.resources import AD, Refusal, frozen, judged

WINDOW: dict[str, object] = {"schedule": "0 18 * * FRI", "durationSeconds": 216000}
HEADER = {"name": "X-Canary", "value": "always"}

CASES: Final = (
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
)
