"""Applies and deletions name the one object that they mean, and no other of that name."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from aiolimiter import AsyncLimiter

from tandem.api.meta import ObjectMeta
from tandem.api.plan import Apply, Delete, Refused
from tandem.engine.api import ApiError, ApiServer
from tandem.engine.cluster import Cluster, StaleView
from tests.unit.engine.objects import Json, child
from tests.unit.engine.strict_api import StrictApi, client_of, refuse

pytestmark = pytest.mark.asyncio


@pytest.fixture
def api() -> StrictApi:
    return StrictApi()


@pytest.fixture
def observed() -> list[str]:
    """The uids of what was observed."""
    return []


@pytest_asyncio.fixture
async def cluster(api: StrictApi, observed: list[str]) -> AsyncIterator[Cluster]:
    async with TestServer(api.app) as server, client_of(server) as client:
        yield Cluster(
            ApiServer(client, AsyncLimiter(1000, 1)), lambda _, body: observed.append(body["metadata"]["uid"]), "here"
        )


def wanted() -> Json:
    body = child("Service", "s", "", owner="uid-w")
    del body["metadata"]["uid"], body["metadata"]["resourceVersion"]
    return body


def seen(body: Json) -> ObjectMeta:
    return msgspec.convert(body["metadata"], ObjectMeta)


async def test_an_apply_makes_what_is_not_there(cluster: Cluster, api: StrictApi, observed: list[str]) -> None:
    await cluster.apply(Apply(wanted()), "tandem", None)

    assert api.requests == ["GET services", "PATCH services"]
    assert len(observed) == 1


async def test_an_apply_to_a_child_that_is_known_asks_nothing_first_and_names_its_version(
    cluster: Cluster, api: StrictApi
) -> None:
    known = api.put("services", child("Service", "s", "uid-s", owner="uid-w"))

    await cluster.apply(Apply(wanted()), "tandem", seen(known))

    assert api.requests == ["PATCH services"]
    named = api.bodies[0]["metadata"]
    assert (named["uid"], named["resourceVersion"]) == ("uid-s", known["metadata"]["resourceVersion"])


async def test_an_apply_takes_over_nothing_of_somebody_else(cluster: Cluster, api: StrictApi) -> None:
    api.put("services", child("Service", "s", "uid-s", owner="uid-somebody"))

    with pytest.raises(Refused, match="Service s is there already and belongs to somebody else"):
        await cluster.apply(Apply(wanted()), "tandem", None)
    assert api.writes() == []


@pytest.mark.parametrize("uid", ["uid-s", "uid-other"], ids=["changed", "replaced"])
async def test_an_apply_to_a_child_that_changed_meanwhile_is_planned_again(
    cluster: Cluster, api: StrictApi, observed: list[str], uid: str
) -> None:
    known = seen(api.put("services", child("Service", "s", "uid-s", owner="uid-w")))
    api.put("services", child("Service", "s", uid, owner="uid-w"))

    with pytest.raises(StaleView):
        await cluster.apply(Apply(wanted()), "tandem", known)
    assert observed == [uid], "and the next plan sees what is there"


async def test_a_child_of_ours_that_was_not_seen_is_planned_for_before_anything_is_applied_to_it(
    cluster: Cluster, api: StrictApi, observed: list[str]
) -> None:
    api.put("services", child("Service", "s", "uid-s", owner="uid-w"))

    with pytest.raises(StaleView):
        await cluster.apply(Apply(wanted()), "tandem", None)
    assert (api.writes(), observed) == ([], ["uid-s"])


async def test_a_deletion_is_of_one_uid(cluster: Cluster, api: StrictApi) -> None:
    api.put("services", child("Service", "s", "uid-other"))

    await cluster.delete(Delete("v1", "Service", "ns", "s", "uid-s"))

    assert api.named("services", "s") is not None


async def test_a_deletion_of_what_changed_meanwhile_is_planned_again(
    cluster: Cluster, api: StrictApi, observed: list[str]
) -> None:
    known = seen(api.put("services", child("Service", "s", "uid-s")))
    api.put("services", child("Service", "s", "uid-s"))

    with pytest.raises(StaleView):
        await cluster.delete(Delete("v1", "Service", "ns", "s", "uid-s"), known)

    assert api.named("services", "s") is not None
    assert observed == ["uid-s"], "and the next plan sees what is there"


async def test_a_deletion_of_what_is_as_it_was_is_carried_out(cluster: Cluster, api: StrictApi) -> None:
    known = seen(api.put("services", child("Service", "s", "uid-s")))

    await cluster.delete(Delete("v1", "Service", "ns", "s", "uid-s"), known)

    assert api.named("services", "s") is None


async def test_a_deletion_of_what_is_gone_is_done(cluster: Cluster) -> None:
    await cluster.delete(Delete("v1", "Service", "ns", "s", "uid-s"))


async def test_a_deletion_that_is_forbidden_is_told(cluster: Cluster, api: StrictApi) -> None:
    api.put("services", child("Service", "s", "uid-s"))
    api.fail("DELETE services", refuse(403, "Forbidden"))

    with pytest.raises(ApiError, match="403 Forbidden"):
        await cluster.delete(Delete("v1", "Service", "ns", "s", "uid-s"))
