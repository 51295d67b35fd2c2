"""What a watch has missed is found by comparing with the server's list; a list that was cut short proves nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiolimiter import AsyncLimiter

from tandem.api.meta import Key
from tandem.engine.api import ApiError, ApiServer, ApiUnavailable
from tandem.engine.resync import Resync
from tandem.engine.store import Store
from tests.unit.engine.objects import WIDGETS, Json, child, controller, resource
from tests.unit.engine.strict_api import client_of

pytestmark = pytest.mark.asyncio

W = Key("Widget", "ns", "w")
KINDS = {"widgets": "Widget", "jobs": "Job", "pods": "Pod"}


@dataclass
class Listing:
    """Serves lists, two objects to a page, and single objects."""

    objects: list[Json] = field(default_factory=list)
    broken_after: int = 99  # pages
    status: int = 410
    deleted_meanwhile: bool = False
    requests: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        kind = KINDS[request.path.rpartition("/")[2]]
        metadata_only = "PartialObjectMetadataList" in request.headers["Accept"]
        self.requests.append(f"{'metadata of ' if metadata_only else ''}{kind}")
        objects = [body for body in self.objects if body["kind"] == kind]
        start = int(request.query.get("continue", 0))
        if start // 2 >= self.broken_after:
            return web.json_response({"reason": "Expired", "message": "too old"}, status=self.status)
        page = objects[start : start + 2]
        more = {"continue": str(start + 2)} if start + 2 < len(objects) else {}
        if metadata_only:
            page = [{"metadata": body["metadata"]} for body in page]
        return web.json_response({"metadata": more, "items": page or None})  # a real server says null, too

    async def handle_one(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        self.requests.append(f"GET {name}")
        for body in self.objects:
            if body["metadata"]["name"] == name and not self.deleted_meanwhile:
                return web.json_response(body)
        return web.json_response({"reason": "NotFound"}, status=404)


@pytest.fixture
def listing() -> Listing:
    return Listing()


@pytest.fixture
def store() -> Store:
    return Store([controller()])


@pytest.fixture
def woken() -> list[Key]:
    return []


@pytest_asyncio.fixture
async def resync(listing: Listing, store: Store, woken: list[Key]) -> AsyncIterator[Resync]:
    app = web.Application()
    app.router.add_get("/{tail:.*}/namespaces/{ns}/{plural}/{name}", listing.handle_one)
    app.router.add_get("/{tail:.*}", listing.handle)
    async with TestServer(app) as server, client_of(server) as client:
        yield Resync(ApiServer(client, AsyncLimiter(1000, 1)), store, woken.append, ())


async def test_at_the_start_everything_is_listed_page_by_page_before_anything_is_planned(
    resync: Resync, listing: Listing, store: Store, woken: list[Key]
) -> None:
    listing.objects = [resource(f"w{number}", f"uid-{number}") for number in range(5)]
    listing.objects.append(child("Job", "j", "uid-j", owner="uid-3"))

    await resync.fill()

    assert listing.requests == ["Widget", "Widget", "Widget", "Job", "Pod"]
    assert sorted(key.name for key in woken) == ["w0", "w1", "w2", "w3", "w4"]
    assert [view.metadata.name for view in store.children_of("uid-3")] == ["j"]


async def test_what_a_watch_has_missed_is_fetched_alone(
    resync: Resync, listing: Listing, store: Store, woken: list[Key]
) -> None:
    store.observe("Widget", resource(version=1))
    store.observe("Widget", resource("same", "uid-same", version=1))
    listing.objects = [
        resource(version=2),
        resource("same", "uid-same", version=1),
        resource("new", "uid-new", version=3),
    ]

    await resync.compare(WIDGETS)

    assert listing.requests == ["metadata of Widget", "GET w", "metadata of Widget", "GET new"]
    assert woken == [W, Key("Widget", "ns", "new")]


async def test_what_the_server_does_not_list_is_a_ghost(
    resync: Resync, listing: Listing, store: Store, woken: list[Key]
) -> None:
    store.observe("Widget", resource())

    await resync.compare(WIDGETS)

    assert store.all_keys() == []
    assert woken == [W], "somebody has to notice"


@pytest.mark.parametrize(("status", "error"), [(410, ApiError), (500, ApiUnavailable)])
async def test_a_list_that_is_cut_short_makes_no_ghosts(
    resync: Resync, listing: Listing, store: Store, status: int, error: type[Exception]
) -> None:
    listing.objects = [resource(f"w{number}", f"uid-{number}", version=1) for number in range(5)]
    for body in listing.objects:
        store.observe("Widget", body)
    listing.broken_after, listing.status = 1, status

    with pytest.raises(error):
        await resync.compare(WIDGETS)

    assert len(store.all_keys()) == 5


async def test_what_is_deleted_between_the_list_and_the_fetch_is_nothing(
    resync: Resync, listing: Listing, store: Store, woken: list[Key]
) -> None:
    listing.objects = [resource()]
    listing.deleted_meanwhile = True

    await resync.compare(WIDGETS)

    assert listing.requests == ["metadata of Widget", "GET w"]
    assert (woken, store.all_keys()) == ([], [])
