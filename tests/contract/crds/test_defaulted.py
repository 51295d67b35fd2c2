"""What the API server fills in and takes away."""

from __future__ import annotations

import msgspec
import pytest

from tandem.api.appdeployment import AppDeployment
from tandem.api.trainingjob import TrainingJob
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import SMALLEST, Json, checks, resource, signal

TJ, AD = "TrainingJob", "AppDeployment"

DEFAULTS = {
    "backoffLimit": 2,
    "disruptionLimit": 20,
    "suspend": False,
    "historyLimit": 10,
    "numNodes": 1,
    "numProcPerNode": 1,
}

FILLED_IN = [
    (
        "the smallest TrainingJob",
        TJ,
        {},
        DEFAULTS,
    ),
    (
        "the smallest AppDeployment",
        AD,
        {},
        {
            "port": 8080,
            "replicas": 1,
            "progressDeadlineSeconds": 600,
            "scaleDownDelaySeconds": 30,
            "terminationGracePeriodSeconds": 30,
            "revisionHistoryLimit": 10,
            "suspend": False,
        },
    ),
    (
        "safe defaults, of which one is turned off",
        AD,
        {"safeDefaults": {"networkPolicy": False}},
        {
            "safeDefaults": {
                **dict.fromkeys(("probes", "requests", "topologySpread", "gracefulTermination"), True),
                "podDisruptionBudget": True,
                "networkPolicy": False,
            }
        },
    ),
    (
        "the ref of a repository",
        TJ,
        {"source": {"git": {"url": "https://x.org/r.git"}}},
        {"source": {"git": {"url": "https://x.org/r.git", "ref": "main"}}},
    ),
    (
        "the alias and the approval of a model",
        TJ,
        {"model": {"name": "iris"}},
        {"model": {"name": "iris", "alias": "challenger", "approval": "Automatic"}},
    ),
    (
        "checks of data",
        TJ,
        checks(columns=[{"name": "a"}]),
        {
            "data": [
                {
                    "name": "iris",
                    "storageUri": "https://x.org/iris.csv",
                    "checks": {
                        "columns": [
                            {
                                "name": "a",
                                "required": True,
                                "nullable": False,
                                "unique": False,
                                "allowInfinite": False,
                            }
                        ],
                        "unexpectedColumns": "Refuse",
                        "baseline": "None",
                    },
                }
            ]
        },
    ),
    (
        "drift",
        TJ,
        signal(min="0.9"),
        {
            "retrain": {
                "cooldown": "1h",
                "drift": {
                    "alias": "champion",
                    "signals": [{"metric": "accuracy", "min": "0.9", "minSamples": 0, "breaches": {"count": 3}}],
                },
            }
        },
    ),
    ("the value of an environment variable", AD, {"env": [{"name": "A"}]}, {"env": [{"name": "A", "value": ""}]}),
]


@pytest.mark.parametrize(("title", "kind", "spec", "filled"), FILLED_IN, ids=[case[0] for case in FILLED_IN])
def test_filled_in(api_server: ApiServer, title: str, kind: str, spec: Json, filled: Json) -> None:
    kept = api_server.create(resource(kind, **spec), dry_run=True)["spec"]

    assert {field: kept[field] for field in filled} == filled


@pytest.mark.parametrize(("kind", "model"), [(TJ, TrainingJob), (AD, AppDeployment)])
def test_the_model_reads_the_same_with_and_without_the_defaults(
    api_server: ApiServer, kind: str, model: type[TrainingJob | AppDeployment]
) -> None:
    """So a plan never depends on whether a resource went through this API server."""
    sent = resource(kind)
    kept = api_server.create(sent, dry_run=True)

    assert kept["spec"].keys() > SMALLEST[kind].keys()
    assert msgspec.convert(kept, model).spec == msgspec.convert(sent, model).spec


def test_fields_that_are_null_are_taken_as_not_given(api_server: ApiServer) -> None:
    """Templates write `image: null`; the model never sees it."""
    sent = resource(TJ)
    sent["spec"] |= {"source": None, "image": None, "parameters": None, "backoffLimit": None, "gate": {"metrics": None}}

    kept = api_server.create(sent, dry_run=True)["spec"]

    assert kept == {
        **SMALLEST[TJ],
        **DEFAULTS,
        "gate": {},
    }


def test_unknown_fields_are_dropped(api_server: ApiServer) -> None:
    """kubectl refuses them before (strict field validation); whoever sends them all the same changes nothing."""
    kept = api_server.create(resource(TJ, template={"spec": {"hostPID": True}}, parallelism=3), dry_run=True)

    assert kept["spec"].keys() == {"steps", *DEFAULTS}


def test_a_parameter_without_a_value_is_dropped(api_server: ApiServer) -> None:
    """`C:` with nothing behind it is null in YAML. The documentation says to write `C: ""`."""
    kept = api_server.create(resource(TJ, parameters={"C": None, "D": ""}), dry_run=True)

    assert kept["spec"]["parameters"] == {"D": ""}
