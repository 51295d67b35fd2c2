"""A revision is configured with immutable copies; a change of what a ConfigMap holds is a new revision."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tandem.api import names
from tandem.api.facts import Unavailable
from tandem.api.meta import Json
from tandem.api.plan import CopyConfigMap, Create, Delete, Refusal
from tests.unit.apps.deployments import START
from tests.unit.apps.restricted import violations
from tests.unit.apps.world import Crash, World, app

FROM_SHOP: Json = {"configMapRef": {"name": "shop"}}


def configured(**spec: object) -> World:
    world = World({"image": "shop:1", "envFrom": [FROM_SHOP], **spec})
    world.config_maps["shop"] = {"GREETING": "hello"}
    return world


def copy_of(world: World, number: int) -> Json:
    """What the only ConfigMap of a revision holds."""
    (name,) = world.configured_with(world.deployments[f"shop-{number}"])
    data: Json = world.copies[name]["data"]
    return data


def test_a_revision_uses_an_immutable_copy_that_is_there_before_its_deployment() -> None:
    world = configured()
    _, first, second = world.plan().actions
    assert isinstance(first, CopyConfigMap)
    assert isinstance(second, Create)
    world.converge()
    (copy,) = world.copies.values()
    assert (copy["immutable"], copy["data"]) == (True, {"GREETING": "hello"})
    assert copy["metadata"]["annotations"]["tandem.dev/copy-of"] == "shop"
    assert copy["metadata"]["labels"][names.MANAGED_BY_LABEL] == names.MANAGED_BY
    (owner,) = copy["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("app-uid", True)
    assert copy_of(world, 1) == {"GREETING": "hello"}


def test_a_change_of_what_it_holds_is_a_new_revision_and_the_old_one_keeps_its_own() -> None:
    world = configured().converge()
    world.config_maps["shop"] = {"GREETING": "good evening"}
    world.converge()
    assert (world.serving, world.scale) == (2, {1: 0, 2: 1})
    assert (copy_of(world, 1), copy_of(world, 2)) == ({"GREETING": "hello"}, {"GREETING": "good evening"})


def test_going_back_to_what_it_held_is_the_old_revision_again() -> None:
    world = configured().converge()
    for greeting in ("good evening", "hello"):
        world.config_maps["shop"] = {"GREETING": greeting}
        world.converge()
    assert (world.serving, world.scale) == (1, {1: 1, 2: 0})


def test_another_name_for_the_same_content_is_the_same_revision() -> None:
    """As kustomize names them: shop-5g2h8m; nothing differs for a pod."""
    world = configured().converge()
    world.config_maps["shop-5g2h8m"] = dict(world.config_maps["shop"])
    world.change(envFrom=[{"configMapRef": {"name": "shop-5g2h8m"}}])
    world.converge()
    assert (world.serving, list(world.copies)) == (1, list(world.copies)[:1])


def test_a_secret_is_named_and_another_name_is_a_new_revision() -> None:
    world = app(envFrom=[{"secretRef": {"name": "db-1"}}]).converge()
    world.change(envFrom=[{"secretRef": {"name": "db-2"}}])
    world.converge()
    assert world.serving == 2
    assert [(record.revision, record.secrets) for record in world.told.revisions] == [(2, ("db-2",)), (1, ("db-1",))]


def test_variables_and_files_come_from_copies_and_secrets() -> None:
    world = app(
        envFrom=[FROM_SHOP | {"prefix": "SHOP_"}, {"secretRef": {"name": "db"}}],
        configFrom=[
            {"mountPath": "/etc/shop", "configMapRef": {"name": "files"}},
            {"mountPath": "/etc/tls", "secretRef": {"name": "tls"}},
        ],
    )
    world.config_maps |= {"shop": {"A": "1"}, "files": {"a.toml": "[a]"}}
    world.converge()
    copies = {copy["metadata"]["annotations"]["tandem.dev/copy-of"]: name for name, copy in world.copies.items()}
    pod = world.pod_spec(1)
    (container,) = pod["containers"]
    assert container["envFrom"] == [
        {"prefix": "SHOP_", "configMapRef": {"name": copies["shop"]}},
        {"secretRef": {"name": "db"}},
    ]
    assert pod["volumes"][1:] == [
        {"name": "config-0", "configMap": {"name": copies["files"]}},
        {"name": "config-1", "secret": {"secretName": "tls"}},
    ]
    assert container["volumeMounts"][1:] == [
        {"name": "config-0", "mountPath": "/etc/shop", "readOnly": True},
        {"name": "config-1", "mountPath": "/etc/tls", "readOnly": True},
    ]
    assert violations(pod) == []


def test_the_status_names_the_copies_of_each_revision() -> None:
    world = configured(commit="9fceb02d").converge()
    (copy,) = world.copies
    assert world.told.stable is not None
    assert [(one.name, one.copy) for one in world.told.stable.config_maps] == [("shop", copy)]
    assert (world.told.stable.commit, world.record(1).commit) == ("9fceb02d", "9fceb02d")


def test_a_config_map_that_is_not_there_is_waited_for_and_named() -> None:
    world = configured()
    del world.config_maps["shop"]
    world.converge()
    condition = world.condition("ConfigurationResolved")
    assert (condition.status, condition.reason) == ("Unknown", "ConfigMapNotFound")
    assert condition.message == ("namespace 'team' has no ConfigMap 'shop'; waiting for it since 2026-03-01 12:00:00Z")
    assert (world.deployments, world.condition("RolledOut").reason) == ({}, "WaitsForConfiguration")
    world.config_maps["shop"] = {}
    assert world.converge().serving == 1


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "unreadable"])
def test_what_serves_goes_on_serving_when_the_config_map_cannot_be_had(gone: bool) -> None:
    world = configured(replicas=2).converge()
    if gone:
        del world.config_maps["shop"]
    else:
        world.readable = Unavailable(START, "Forbidden", "configmaps is forbidden")
    world.change(replicas=3)
    world.converge()
    assert (world.serving, world.scale, len(world.copies)) == (1, {1: 3}, 1)
    assert "revision 1 keeps serving" in world.condition("Ready").message
    assert world.condition("Available").status == "True"


def test_nothing_is_said_before_the_api_server_has_answered() -> None:
    world = configured()
    world.answering = False
    made = world.plan()
    assert (made.actions[1:], made.status, len(made.reads)) == ((), None, 1)


def test_a_source_that_changes_while_it_is_copied_makes_a_new_plan() -> None:
    world = configured()
    stale = world.plan().actions[1]
    world.config_maps["shop"] = {"GREETING": "meanwhile"}
    assert isinstance(stale, CopyConfigMap)
    assert world.copy(stale) is False
    assert copy_of(world.converge(), 1) == {"GREETING": "meanwhile"}


def test_copies_go_with_the_last_revision_that_uses_them() -> None:
    world = configured(revisionHistoryLimit=1).converge()
    for greeting in ("2", "3", "4"):
        world.config_maps["shop"] = {"GREETING": greeting}
        world.converge()
    assert [copy["data"]["GREETING"] for copy in world.copies.values()] == ["3", "4"]


def test_each_revision_has_a_copy_of_its_own_also_of_the_same_content() -> None:
    """Whose last user is gone, nobody could say for certain of a shared one."""
    world = configured().converge()
    world.change(image="shop:2")
    world.converge()
    assert len(world.copies) == 2
    assert copy_of(world, 1) == copy_of(world, 2)


def test_a_copy_is_deleted_only_when_its_deployment_is_known_to_be_gone() -> None:
    world = configured(revisionHistoryLimit=0).converge()
    world.change(image="shop:2")
    world.converge()
    deleted = [action for action in world.done if isinstance(action, Delete)]
    assert [(action.kind, action.rests_on) for action in deleted] == [("Deployment", ""), ("ConfigMap", "shop-1")]


def test_a_copy_of_a_start_that_came_to_nothing_goes() -> None:
    """The operator died after it, and then the spec asked for something else."""
    world = configured().converge()
    world.config_maps["shop"] = {"GREETING": "2"}
    with pytest.raises(Crash):
        world.reconcile(crash_after=1)
    assert len(world.copies) == 2
    world.config_maps["shop"] = {"GREETING": "3"}
    world.converge()
    assert [copy["data"]["GREETING"] for copy in world.copies.values()] == ["hello", "3"]


def test_nothing_is_thrown_away_while_a_revision_cannot_tell_what_it_uses() -> None:
    world = configured(revisionHistoryLimit=1).converge()
    world.config_maps["shop"] = {"GREETING": "2"}
    world.converge()
    world.deployments["shop-1"]["metadata"]["annotations"]["tandem.dev/revision-content"] = "edited by hand"
    world.converge()
    assert len(world.copies) == 2


def test_a_copy_that_somebody_deleted_is_made_again_while_its_source_is_the_same() -> None:
    world = configured().converge()
    world.copies.clear()
    world.converge()
    assert copy_of(world, 1) == {"GREETING": "hello"}


def test_a_copy_that_is_refused_is_told_and_its_revision_does_not_start() -> None:
    world = configured()
    action = world.plan().actions[1]
    world.refusals[action.id] = Refusal("Forbidden", "no", world.now, world.now + timedelta(minutes=5), 1)
    world.reconcile()
    condition = world.condition("RolledOut")
    assert (world.deployments, condition.status, condition.reason) == ({}, "False", "Forbidden")
    assert condition.message.startswith("the configuration of revision 1 (image shop:1) cannot be copied")
