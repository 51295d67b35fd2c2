"""What the API server accepts: the whole range that the documentation promises, each corner once."""

from __future__ import annotations

import msgspec
import pytest

from tandem.api.appdeployment import AppDeployment
from tandem.api.trainingjob import TrainingJob
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import Json, checks, gpus, judged, measured, resource, signal, step, steps, threshold

TJ, AD = "TrainingJob", "AppDeployment"
MODELS = {TJ: TrainingJob, AD: AppDeployment}

CASES: list[tuple[str, str, Json]] = [
    ("the smallest", TJ, {}),
    ("sixteen steps", TJ, {"steps": [step(name=f"s{i}") for i in range(16)]}),
    ("steps with images of their own", TJ, steps(image="ghcr.io/acme/train@sha256:" + "0" * 64)),
    (
        "resources as numbers and as strings",
        TJ,
        steps(resources={"requests": {"cpu": 1, "memory": "512Mi"}, "limits": {"memory": "1.5G", "nvidia.com/gpu": 1}}),
    ),
    ("requests equal to limits", TJ, steps(resources={"requests": {"cpu": "1000m"}, "limits": {"cpu": 1}})),
    ("code from git over https", TJ, {"source": {"git": {"url": "https://x.org/r.git", "ref": "v1", "path": "a/b"}}}),
    ("code from git over ssh, with its user", TJ, {"source": {"git": {"url": "ssh://git@x.org/r.git"}}}),
    ("code from a ConfigMap", TJ, {"source": {"configMapRef": {"name": "iris.code"}}}),
    *(
        (f"data from {uri.partition(':')[0]}", TJ, {"data": [{"name": "iris", "storageUri": uri}]})
        for uri in (
            "http://x.org:8080/a/iris.csv?sig=a/b",
            "file:///data/iris/",
            "pvc://acme.data/iris/",
            "s3://acme/iris/",
            "s3://acme/a..b/iris.csv",
            "gs://acme/iris.csv",
            "abfss://box@acme.dfs.core.windows.net/iris/",
            "git+https://x.org/r.git//iris.csv?ref=v1",
            "oci://x.org/acme/iris@sha256:" + "0" * 64 + "//iris.csv",
        )
    ),
    ("data with checks that keep statistics only", TJ, checks()),
    (
        "data with every check",
        TJ,
        checks(
            minRows=1,
            maxRows=10**12,
            unexpectedColumns="Allow",
            unique=["id", "day"],
            baseline="Previous",
            rowRatio={"min": "0.5", "max": "2"},
            columns=[
                {"name": "id", "type": "Integer", "unique": True, "min": "0", "minUnique": 1, "maxUnique": 10**9},
                {"name": "Größe (cm)", "type": "Float", "nullable": True, "minPresence": "0.9", "allowInfinite": True},
                {"name": "kind", "type": "String", "values": ["a", ""], "minDomainMass": "0.99", "pattern": "^[a-z]*$"},
                {"name": "day", "type": "Timestamp", "required": False, "drift": {"kolmogorovSmirnov": "0.1"}},
                {"name": "any", "drift": {"lInfinity": "0.1", "jensenShannon": "0.1", "kolmogorovSmirnov": "1"}},
            ],
        ),
    ),
    ("as many columns as there may be", TJ, checks(columns=[{"name": f"c{n}"} for n in range(200)])),
    (
        "data with credentials and a cache",
        TJ,
        {
            "data": [
                {
                    "name": "iris",
                    "storageUri": "s3://acme/iris.csv",
                    "digest": "sha256:" + "0" * 64,
                    "secretRef": {"name": "acme.data"},
                    "cache": {"persistentVolumeClaim": {"claimName": "cache"}},
                }
            ]
        },
    ),
    ("data", TJ, {"data": [{"name": "iris", "storageUri": "https://x.org/i.csv", "digest": "sha256:" + "0" * 64}]}),
    ("parameters", TJ, {"parameters": {"max_iter": "200", "_C": "", "MLFLOWER": "x", "PATHS": "y"}}),
    ("as many parameters as there may be", TJ, {"parameters": {f"p{i}": "x" * 4096 for i in range(64)}}),
    ("bounds of every notation", TJ, threshold(min="-1.5e+10", max="+3E-2")),
    ("min equal to max", TJ, threshold(min="1", max="1.0")),
    (
        "every kind of rule",
        TJ,
        {
            "data": [{"name": "holdout", "storageUri": "https://x.org/i.csv"}],
            "model": {"name": "iris", "approval": "Required"},
            "gate": {
                "metrics": [
                    {"name": "accuracy", "change": {"direction": "HigherIsBetter", "absolute": "-0.01"}},
                    {"name": "loss", "max": "1", "change": {"direction": "LowerIsBetter", "relative": "+1e-1"}},
                    {"name": "recall", "min": "0.9", "slices": ["sex:f", "sex:m_X_age:30-40"], "minSamples": 0},
                    {
                        "name": "recall",
                        "min": "0.9",
                        "sampleCountMetric": "rows",
                        "minSamples": 1,
                        "confidence": "0.95",
                    },
                ],
                "baseline": {"alias": "production", "data": ["holdout"], "onDifferentData": "Compare"},
            },
        },
    ),
    ("64 rules", TJ, {"gate": {"metrics": [{"name": "m", "min": "0", "slices": ["a", "b"]}] * 32}}),
    ("a model with an alias", TJ, {"model": {"name": "Iris model.v2", "alias": "vNext"}}),
    ("drift by a floor", TJ, signal(min="0.85", sampleCountMetric="samples", minSamples=200, breaches={"count": 2})),
    ("drift by a change", TJ, signal(change={"absolute": "-0.05"})),
    *(
        (f"the schedule {cron!r}", TJ, {"retrain": {"schedule": cron, "timeZone": "Europe/Berlin"}})
        for cron in (
            "0 2 * * *",
            "*/5 8-18 * * MON-FRI",
            "0,30 0-12/2 1,15 jan,JUL 0",
            "59 23 31 12 7",
            "@daily",
            "@yearly",
        )
    ),
    *(
        (f"the time zone {zone}", TJ, {"retrain": {"schedule": "@daily", "timeZone": zone}})
        for zone in ("UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "EST5EDT")
    ),
    ("a starting deadline", TJ, {"retrain": {"schedule": "@daily", "startingDeadlineSeconds": 60}}),
    ("GPUs by limit, and by both", TJ, {"steps": [{**gpus(1)["steps"][0]}, {**gpus("2", 2)["steps"][0], "name": "b"}]}),
    (
        "where it runs",
        TJ,
        {
            "nodeSelector": {"gpu.acme.org/kind": "a100", "spot": ""},
            "tolerations": [
                {"operator": "Exists"},
                {"key": "a.b/c", "operator": "Equal", "value": "d", "effect": "NoExecute", "tolerationSeconds": 0},
                {"key": "e", "operator": "Exists", "value": ""},
            ],
            "priorityClassName": "batch.low",
        },
    ),
    ("a checkpoint", TJ, {"checkpoint": {"persistentVolumeClaim": {"claimName": "check.points"}}}),
    (
        "several nodes",
        TJ,
        {"numNodes": 256, "numProcPerNode": 8, "resourcesPerNode": {"limits": {"cpu": 8, "nvidia.com/gpu": "8"}}},
    ),
    ("a progress deadline", TJ, {"progressDeadlineSeconds": 1}),
    ("a cooldown of a year", TJ, {"retrain": {"cooldown": "8784h"}}),
    ("a cooldown in parts", TJ, {"retrain": {"cooldown": "1h30m1.5s"}}),
    ("the smallest", AD, {}),
    ("a model server", AD, {"image": None, "model": {"name": "iris", "alias": "challenger", "promoteTo": "champion"}}),
    ("a pinned model", AD, {"image": None, "model": {"name": "iris", "version": "3"}}),
    ("an app and its model", AD, {"model": {"name": "iris", "version": "3"}, "command": ["serve"], "args": ["-v"]}),
    ("an empty command without an image", AD, {"image": None, "model": {"name": "i", "version": "1"}, "command": []}),
    ("environment variables", AD, {"env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "EMPTY"}]}),
    ("no replicas", AD, {"replicas": 0}),
    (
        "variables from ConfigMaps and Secrets",
        AD,
        {"envFrom": [{"configMapRef": {"name": "shop"}, "prefix": "A_"}, {"secretRef": {"name": "shop.db"}}]},
    ),
    (
        "files from ConfigMaps and Secrets",
        AD,
        {
            "configFrom": [
                {"mountPath": "/etc/shop", "configMapRef": {"name": "shop"}},
                {"mountPath": "/srv/a.b/_c-1", "secretRef": {"name": "tls"}},
            ]
        },
    ),
    ("a rollback", AD, {"rollback": {"toRevision": 1}}),
    ("autoscaling by Kubernetes' own metric", AD, {"autoscaling": {"maxReplicas": 3}}),
    (
        "autoscaling, copied from a HorizontalPodAutoscaler",
        AD,
        {
            "autoscaling": {
                "minReplicas": 0,
                "maxReplicas": 1000,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
                    },
                    {
                        "type": "Pods",
                        "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1k"}},
                    },
                    {
                        "type": "Object",
                        "object": {
                            "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "shop"},
                            "metric": {"name": "rps"},
                            "target": {"type": "Value", "value": 100},
                        },
                    },
                    {
                        "type": "External",
                        "external": {
                            "metric": {"name": "a.com|queue", "selector": {"matchLabels": {"queue": "mail"}}},
                            "target": {"averageValue": 30},
                        },
                    },
                ],
                "behavior": {
                    "scaleUp": {"policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
                    "scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Min"},
                },
            }
        },
    ),
    (
        "a share of a request that a limit makes",
        AD,
        measured(
            "Resource",
            "resource",
            {"averageUtilization": 70},
            safeDefaults={"requests": False},
            resources={"limits": {"cpu": 1}},
        ),
    ),
    ("a commit", AD, {"commit": "9fceb02"}),
    ("a default turned off", AD, {"safeDefaults": {"networkPolicy": False}}),
    ("a day to end", AD, {"terminationGracePeriodSeconds": 86400}),
    ("a health path with a query", AD, {"healthPath": "/health?deep=1"}),
    ("a judgement by pods", AD, judged(pods={"metric": "requestLatencyP99", "minRequests": 50}, at=["Step", "Watch"])),
    ("a judgement by a job", AD, judged(job={"image": "smoke:2", "args": ["$(URL)"], "activeDeadlineSeconds": 60})),
    ("a judgement of the app by itself", AD, judged(web={"url": "$(URL)/selftest", "jsonPointer": "/a~1b/0"})),
    (
        "a judgement by a Prometheus with every knob",
        AD,
        judged(
            prometheus={"address": "http://prometheus:9090", "query": "up", "secretRef": {"name": "token"}},
            min="-1.5",
            max="1e3",
            interval="1m30s",
            initialDelay="2h",
            count=10,
            failureLimit=2,
            inconclusiveLimit=3,
            consecutiveErrorLimit=0,
            onNoData="Fail",
            dryRun=True,
        ),
    ),
    ("a judgement by MLflow", AD, {"model": {"name": "iris", "version": "3"}} | judged(mlflow={"metric": "accuracy"})),
]


@pytest.mark.parametrize(("title", "kind", "spec"), CASES, ids=[f"{kind}: {title}" for title, kind, _ in CASES])
def test_accepted_kept_and_understood(api_server: ApiServer, title: str, kind: str, spec: Json) -> None:
    """What comes back has every field that was sent (nothing pruned), and the controllers' model can read it."""
    sent = resource(kind, **spec)

    kept = api_server.create(sent, dry_run=True)

    assert _within(sent["spec"], kept["spec"])
    msgspec.convert(kept, MODELS[kind])


def test_a_name_of_52_characters_is_accepted(api_server: ApiServer) -> None:
    assert api_server.create(resource(TJ, name="a" * 52), dry_run=True)


def _within(part: object, whole: object) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and _within(v, whole[k]) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(part) == len(whole) and all(map(_within, part, whole))
    return part == whole
