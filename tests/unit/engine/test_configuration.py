"""ConfigMaps are answered by their content, for as few requests as possible, and copied only as they were planned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from aiolimiter import AsyncLimiter

from tandem.api.configuration import digest_of_data
from tandem.api.facts import ConfigMapContent, ConfigMapNamed, ModelNamed, Query, Told, Unavailable
from tandem.api.meta import ObjectMeta
from tandem.api.plan import CopyConfigMap, Outside, Refused, TagRun
from tandem.engine.api import ApiServer
from tandem.engine.cluster import Cluster, StaleView
from tandem.engine.configuration import ConfigMaps
from tests.unit.engine.objects import Json
from tests.unit.engine.strict_api import StrictApi, client_of, hang_up, refuse

pytestmark = pytest.mark.asyncio

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SHOP, FILES = ConfigMapNamed("ns", "shop"), ConfigMapNamed("ns", "files")


class Others:
    """MLflow, say."""

    def __init__(self) -> None:
        self.written: list[Outside] = []

    async def answer(self, queries: Collection[Query[object]]) -> Mapping[Query[object], object]:
        return dict.fromkeys(queries, "theirs")

    def poll_interval(self, query: Query[object]) -> timedelta | None:
        return None

    def lot(self, query: Query[object]) -> str | None:
        return None

    async def carry_out(self, write: Outside) -> Told:
        self.written.append(write)
        return {ModelNamed("iris"): "known"}


@pytest.fixture
def api() -> StrictApi:
    return StrictApi()


@pytest_asyncio.fixture
async def server(api: StrictApi) -> AsyncIterator[ApiServer]:
    async with TestServer(api.app) as socket, client_of(socket) as client:
        yield ApiServer(client, AsyncLimiter(1000, 1))


@pytest.fixture
def maps(server: ApiServer) -> ConfigMaps:
    return ConfigMaps(server, Others(), lambda: EPOCH)


def put(api: StrictApi, name: str = "shop", namespace: str = "ns", **data: str) -> Json:
    return api.put(
        "configmaps", {"kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}
    )


def content(**data: str) -> ConfigMapContent:
    return ConfigMapContent(digest_of_data(data, {}))


async def test_content_is_read_once_for_a_version(maps: ConfigMaps, api: StrictApi) -> None:
    put(api, A="1")
    assert await maps.answer([SHOP]) == {SHOP: content(A="1")}
    assert len(api.requests) == 2  # metadata, content
    assert await maps.answer([SHOP]) == {SHOP: content(A="1")}
    assert len(api.requests) == 3  # metadata
    put(api, A="2")
    assert await maps.answer([SHOP]) == {SHOP: content(A="2")}
    assert len(api.requests) == 5


async def test_several_of_a_namespace_are_compared_by_one_request(maps: ConfigMaps, api: StrictApi) -> None:
    put(api, "shop", A="1")
    put(api, "files", B="1")
    put(api, "somebody-elses")
    assert await maps.answer([SHOP, FILES]) == {SHOP: content(A="1"), FILES: content(B="1")}
    api.requests.clear()
    await maps.answer([SHOP, FILES])
    assert api.requests == ["GET configmaps"]


async def test_what_is_not_there_is_none_and_what_comes_is_seen(maps: ConfigMaps, api: StrictApi) -> None:
    put(api, "files")
    assert await maps.answer([SHOP]) == {SHOP: None}
    assert (await maps.answer([SHOP, FILES]))[SHOP] is None
    put(api, A="1")
    assert await maps.answer([SHOP]) == {SHOP: content(A="1")}


async def test_a_name_that_is_taken_again_is_read_again(maps: ConfigMaps, api: StrictApi) -> None:
    first = put(api, A="1")
    await maps.answer([SHOP])
    again = put(api, A="2")
    again["metadata"] |= {"uid": "another", "resourceVersion": first["metadata"]["resourceVersion"]}
    assert await maps.answer([SHOP]) == {SHOP: content(A="2")}


async def test_the_same_content_is_the_same_answer_whatever_else_has_changed() -> None:
    assert digest_of_data({"a": "1", "b": "2"}, {}) == digest_of_data({"b": "2", "a": "1"}, {})
    nothing: dict[str, str] = {}
    different = [({"a": "x"}, nothing), (nothing, {"a": "x"}), ({"a": ""}, nothing), (nothing, nothing)]
    assert len({digest_of_data(data, binary) for data, binary in different}) == len(different)


async def test_one_namespace_that_cannot_be_read_keeps_no_other_from_its_answer(
    maps: ConfigMaps, api: StrictApi
) -> None:
    other = ConfigMapNamed("other", "shop")
    put(api, A="1", namespace="other")
    api.fail("GET configmaps", refuse(403, "Forbidden", "configmaps is forbidden"))
    answers = await maps.answer([SHOP, other])
    away = answers[SHOP]
    assert isinstance(away, Unavailable)
    assert (away.reason, away.since, answers[other]) == ("Forbidden", EPOCH, content(A="1"))


async def test_an_outage_is_told_in_the_same_words_for_as_long_as_it_lasts(server: ApiServer, api: StrictApi) -> None:
    """Whoever reads it writes it into a status: another word would be a write at each try."""
    hours = iter([EPOCH, EPOCH + timedelta(hours=1)])
    maps = ConfigMaps(server, Others(), lambda: next(hours))
    api.fail("GET configmaps", hang_up, refuse(503, "", "later"), refuse(500, "", "sorry"))
    answers = [(await maps.answer([SHOP]))[SHOP] for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert isinstance(answers[0], Unavailable)
    assert (answers[0].reason, answers[0].since) == ("ServerTimeout", EPOCH)
    assert await maps.answer([SHOP]) == {SHOP: None}


async def test_every_other_question_and_write_goes_on_to_the_others(server: ApiServer, api: StrictApi) -> None:
    others = Others()
    maps = ConfigMaps(server, others, lambda: EPOCH)
    iris = ModelNamed("iris")
    put(api, A="1")
    assert await maps.answer([iris, SHOP]) == {iris: "theirs", SHOP: content(A="1")}
    assert (maps.poll_interval(iris), maps.poll_interval(SHOP)) == (None, timedelta(seconds=10))
    assert await maps.carry_out(TagRun("r", {})) == {ModelNamed("iris"): "known"}
    assert others.written == [TagRun("r", {})]


async def test_very_many_namespaces_are_asked_more_slowly(maps: ConfigMaps) -> None:
    """Twenty a second, whatever their number: the operator's requests are for its work."""
    await maps.answer([ConfigMapNamed(f"ns-{number}", "shop") for number in range(400)])
    assert maps.poll_interval(SHOP) == timedelta(seconds=20)


def planned(**data: str) -> CopyConfigMap:
    owner = {
        "apiVersion": "tandem.dev/v1alpha1",
        "kind": "AppDeployment",
        "name": "shop",
        "uid": "u",
        "controller": True,
    }
    meta = {"name": "shop-copy", "namespace": "ns", "ownerReferences": [owner]}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "immutable": True}
    return CopyConfigMap(manifest, "shop", digest_of_data(data, {}))


@pytest.fixture
def cluster(server: ApiServer) -> Cluster:
    return Cluster(server, lambda *_: None, "here")


async def test_a_copy_has_what_the_source_has(cluster: Cluster, api: StrictApi) -> None:
    put(api, A="1")
    await cluster.copy(planned(A="1"))
    copied = api.named("configmaps", "shop-copy")
    assert copied is not None
    assert (copied["data"], copied["immutable"]) == ({"A": "1"}, True)
    await cluster.copy(planned(A="1"))  # there already, and ours


@pytest.mark.parametrize("there", [True, False], ids=["changed", "gone"])
async def test_a_source_that_is_not_what_was_planned_with_is_not_copied(
    cluster: Cluster, api: StrictApi, there: bool
) -> None:
    if there:
        put(api, A="2")
    with pytest.raises(StaleView):
        await cluster.copy(planned(A="1"))
    assert api.writes() == []


async def test_a_config_map_of_that_name_that_is_somebody_elses_is_not_used(cluster: Cluster, api: StrictApi) -> None:
    put(api, A="1")
    put(api, "shop-copy", A="something else")
    with pytest.raises(Refused, match="belongs to somebody else"):
        await cluster.copy(planned(A="1"))


@pytest.mark.parametrize(
    ("there", "seen", "current"),
    [("", "", True), ("a", "a", True), ("a", "", False), ("", "a", False), ("b", "a", False)],
)
async def test_a_copy_goes_only_if_its_deployment_is_as_the_plan_saw_it(
    cluster: Cluster, api: StrictApi, there: str, seen: str, current: bool
) -> None:
    """The configuration of a revision that an older view does not know would never come back."""
    if there:
        api.put("deployments", {"kind": "Deployment", "metadata": {"name": "shop-1", "namespace": "ns", "uid": there}})
    known = ObjectMeta(name="shop-1", uid=seen) if seen else None
    asked = cluster.confirm_deployment("ns", "shop-1", known)
    if current:
        await asked
    else:
        with pytest.raises(StaleView):
            await asked


@pytest.mark.parametrize(
    ("there", "seen", "current"), [(0, 0, True), (7, 7, True), (7, 0, False), (0, 7, False), (8, 7, False)]
)
async def test_pods_are_taken_away_only_if_the_service_is_as_the_plan_saw_it(
    cluster: Cluster, api: StrictApi, there: int, seen: int, current: bool
) -> None:
    """Found by the sieve: an older view of the Service alone scaled down what had got the traffic since."""
    version = ""
    for _ in range(there):
        version = put_service(api, "uid-shop")
    known = ObjectMeta(name="shop", uid="a", resource_version=version if current else "1") if seen else None
    asked = cluster.confirm_service(APP, "shop", known)
    if current:
        await asked
    else:
        with pytest.raises(StaleView):
            await asked


@pytest.mark.parametrize("owner", ["uid-of-another", ""])
async def test_a_service_of_somebody_else_has_none_of_our_traffic(cluster: Cluster, api: StrictApi, owner: str) -> None:
    """No plan ever sees it: it would be planned anew for ever."""
    put_service(api, owner)
    await cluster.confirm_service(APP, "shop", None)


APP = ObjectMeta(name="shop", namespace="ns", uid="uid-shop")


def put_service(api: StrictApi, owner: str) -> str:
    """Its version."""
    references = [{"kind": "AppDeployment", "name": "shop", "uid": owner, "controller": True}] if owner else []
    meta = {"name": "shop", "namespace": "ns", "uid": "a", "ownerReferences": references}
    version: str = api.put("services", {"kind": "Service", "metadata": meta})["metadata"]["resourceVersion"]
    return version
