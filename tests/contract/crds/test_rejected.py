"""What the API server refuses, with words that name the field and the rule. Each CEL rule of the CRDs has a case."""

from __future__ import annotations

from typing import Final

import pytest

from tests.contract.api_server import ApiServer, Rejected
from tests.contract.crds.refused import apps, rollouts, training_again, training_gate, training_inputs
from tests.contract.crds.resources import Refusal, resource
from tests.crds import KINDS, nodes, schema

CASES: Final = (
    *training_inputs.CASES,
    *training_gate.CASES,
    *training_again.CASES,
    *apps.CASES,
    *rollouts.CASES,
)


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
