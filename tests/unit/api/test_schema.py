"""crds/*.yaml and operator/tandem/api/*.py are one contract, written twice: here the two are held equal."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import pytest

from tandem.api import names
from tandem.api.appdeployment import AppDeployment
from tandem.api.trainingjob import TrainingJob
from tests.crds import FILES, KINDS, ROOT, Schema, definition, nodes, schema, version
from tests.unit.api.shapes import Shape, shapes_of_model, shapes_of_schema

MODELS: dict[str, type[msgspec.Struct]] = {"TrainingJob": TrainingJob, "AppDeployment": AppDeployment}

IN_SCHEMA = {kind: shapes_of_schema(schema(kind)) for kind in KINDS}
IN_MODEL = {kind: shapes_of_model(MODELS[kind]) for kind in KINDS}

pytestmark = pytest.mark.parametrize("kind", KINDS)


def under(shapes: dict[str, Shape], part: str) -> dict[str, Shape]:
    return {path: shape for path, shape in shapes.items() if path.startswith(part)}


def described(kind: str) -> dict[str, Schema]:
    """The parts of the schema that have a name: items of lists and values of maps left out."""
    return {path: node for path, node in nodes(schema(kind)) if path and not path.endswith(("[]", "{}"))}


# --- The same contract twice -----------------------------------------------------------------------------------------


def test_schema_and_model_have_the_same_fields(kind: str) -> None:
    assert IN_SCHEMA[kind].keys() == IN_MODEL[kind].keys()


def test_the_spec_is_the_same_in_both(kind: str) -> None:
    """Type, required, enum, bounds and pattern of every field. Defaults have rules of their own, below."""
    in_schema, in_model = (
        {p: replace(s, default=None) for p, s in under(both[kind], "spec").items()} for both in (IN_SCHEMA, IN_MODEL)
    )
    assert in_schema == in_model


def test_the_status_is_the_same_in_both_but_for_bounds(kind: str) -> None:
    """The models of what Tandem itself writes have no bounds; the schema has, against surprises in etcd."""
    in_schema, in_model = (
        {p: replace(s, default=None, max_size=None) for p, s in under(both[kind], "status").items()}
        for both in (IN_SCHEMA, IN_MODEL)
    )
    assert in_schema == in_model


def test_the_api_server_fills_in_the_scalar_defaults_of_the_model(kind: str) -> None:
    """A list, a map or an object that is empty in the model is left out instead: resources stay small."""
    scalars = {
        path: shape for path, shape in under(IN_SCHEMA[kind], "spec").items() if shape.type not in {"array", "object"}
    }
    assert {p: s.default for p, s in scalars.items()} == {p: IN_MODEL[kind][p].default for p in scalars}


def test_what_the_api_server_leaves_out_is_empty_in_the_model(kind: str) -> None:
    defaults = {path: s.default for path, s in under(IN_MODEL[kind], "spec").items() if s.type in {"array", "object"}}
    in_schema = {path: s.default for path, s in under(IN_SCHEMA[kind], "spec").items()}
    assert {path: default for path, default in defaults.items() if default} == {}
    assert {path: in_schema[path] for path in defaults if in_schema[path] not in (None, {})} == {}


def test_a_resource_that_nobody_has_looked_at_has_observed_generation_minus_one(kind: str) -> None:
    """kstatus takes a resource without any status for done."""
    assert IN_SCHEMA[kind]["status"].default == {"observedGeneration": -1}
    assert IN_MODEL[kind]["status.observedGeneration"].default == -1


# --- Rules that the schema alone has to keep -------------------------------------------------------------------------


def test_everything_is_bounded(kind: str) -> None:
    """Unbounded strings, lists and maps make CEL rules too costly for the API server, and etcd full."""
    bounds = {"string": {"maxLength", "enum"}, "array": {"maxItems"}, "object": {"properties", "maxProperties"}}
    unbounded = [
        path
        for path, node in nodes(schema(kind))
        if node.get("format") != "date-time"
        and path not in {"apiVersion", "kind"}
        and node.get("type") in bounds
        and not bounds[node["type"]] & node.keys()
    ]
    assert unbounded == []


def test_every_list_says_how_it_is_merged(kind: str) -> None:
    lists = {path: node for path, node in nodes(schema(kind)) if node.get("type") == "array"}
    assert [
        path for path, node in lists.items() if node.get("x-kubernetes-list-type") not in {"atomic", "map", "set"}
    ] == []


def test_no_reference_leaves_the_namespace_and_no_pod_spec_is_passed_through(kind: str) -> None:
    forbidden = {"namespace", "podSpec", "podTemplate", "template", "serviceAccountName", "hostPath", "volumes"}
    # A Gateway is the one exception: it lets routes from other namespaces in by itself, or does not (allowedRoutes).
    paths = IN_SCHEMA[kind].keys() - {"spec.gateway.parentRefs[].namespace"}
    assert {path.rpartition(".")[2] for path in paths} & forbidden == set()


def test_unknown_fields_are_never_kept(kind: str) -> None:
    assert [path for path, node in nodes(schema(kind)) if "x-kubernetes-preserve-unknown-fields" in node] == []


def test_every_rule_has_a_message_and_a_reason(kind: str) -> None:
    reasons = {"FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate"}
    rules = [rule for _, node in nodes(schema(kind)) for rule in node.get("x-kubernetes-validations", ())]
    assert rules, "no rules at all"
    assert [rule for rule in rules if not rule.get("message") or rule.get("reason") not in reasons] == []


def test_every_field_tells_a_person_what_it_does(kind: str) -> None:
    assert [path for path, node in described(kind).items() if not node.get("description")] == []


def test_the_description_of_a_field_names_its_default(kind: str) -> None:
    def said(default: object) -> str:
        return (
            "the empty string" if default == "" else str(default).lower() if default in (True, False) else str(default)
        )

    silent = [
        path
        for path, node in described(kind).items()
        if path.startswith("spec.")
        and isinstance(node.get("default"), (str, int))
        and f"Default: {said(node['default'])}" not in node["description"]
    ]
    assert silent == []


def test_the_description_of_a_scalar_has_a_default_or_an_example(kind: str) -> None:
    silent = [
        path
        for path, node in described(kind).items()
        if path.startswith("spec.")
        and node.get("type") not in {"array", "object"}
        and not re.search(r"Default: .|Example: .", node["description"])
    ]
    assert silent == []


# --- Budgets ---------------------------------------------------------------------------------------------------------


def test_a_definition_is_smaller_than_128_kB(kind: str) -> None:
    """kubectl apply keeps a copy in an annotation of at most 262,144 bytes; large definitions break it (k8s#82292)."""
    assert FILES[kind].stat().st_size < 128_000


# --- How it is shown -------------------------------------------------------------------------------------------------

COLUMNS = {
    "TrainingJob": ["Phase", "Step", "Run", "Figure", "Model", "Reason", "Age"],
    "AppDeployment": ["Phase", "Stable", "Model", "Image", "URL", "Reason", "Age"],
}


def test_kubectl_get_shows_what_a_person_asks_first(kind: str) -> None:
    assert [column["name"] for column in version(kind)["additionalPrinterColumns"]] == COLUMNS[kind]


def test_columns_selectors_and_scale_name_fields_that_exist(kind: str) -> None:
    paths = [column["jsonPath"] for column in version(kind)["additionalPrinterColumns"]]
    paths += [field["jsonPath"] for field in version(kind)["selectableFields"]]
    paths += version(kind)["subresources"].get("scale", {}).values()
    plain = {re.sub(r"\[\?\(.*\)\]", "[]", path).removeprefix(".") for path in paths}
    assert plain - IN_SCHEMA[kind].keys() == {"metadata.creationTimestamp"}


def test_names_are_those_of_the_api_group(kind: str) -> None:
    spec = definition(kind)["spec"]
    assert (spec["group"], version(kind)["name"], spec["names"]["kind"]) == (names.GROUP, names.VERSION, kind)
    assert definition(kind)["metadata"]["name"] == f"{spec['names']['plural']}.{names.GROUP}"


def test_apply_of_the_folder_takes_the_definitions_alone(kind: str) -> None:
    """kubectl apply -f crds/ reads every *.yaml; a kustomization.yaml there would be refused."""
    assert {path.name for path in (ROOT / "crds").glob("*.y*ml")} == {path.name for path in FILES.values()}
