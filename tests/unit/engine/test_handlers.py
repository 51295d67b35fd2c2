"""What a watch tells goes to the store and to the queue; what kopf is told to do, and not to do."""

from __future__ import annotations

from itertools import islice

import pytest

from tandem.api.meta import Key
from tandem.engine.controller import JOBS
from tandem.engine.handlers import Backoff, Observer, settings_for
from tandem.engine.store import Store
from tandem.engine.stream import Version
from tests.unit.engine.objects import WIDGETS, Json, child, controller, resource
from tests.unit.engine.test_session import Ear

W = Key("Widget", "ns", "w")


class World:
    """An observer with a real store, and what comes out of it."""

    def __init__(self) -> None:
        self.store = Store([controller()])
        self.queued: list[Key] = []
        self.watches = Ear()
        self.observer = Observer(self.store, self.queued.append, self.watches)

    def hear(self, type_: str, body: Json) -> None:
        self.observer.hear(type_, body["kind"], body)


@pytest.fixture
def world() -> World:
    return World()


# --- events ----------------------------------------------------------------------------------------------------------


def test_a_resource_that_is_there_is_known_delivered_and_looked_at(world: World) -> None:
    world.hear("ADDED", resource(version=3))

    assert world.store.get(W) is not None
    assert (world.queued, world.watches.told) == ([W], ["Widget of ns in version 3"])


def test_a_childs_event_is_its_owners_business(world: World) -> None:
    world.hear("ADDED", resource())
    world.hear("MODIFIED", child("Job", "j", "uid-j", owner="uid-w"))

    assert world.queued == [W, W]
    assert [view.metadata.name for view in world.store.children_of("uid-w")] == ["j"]


def test_what_is_deleted_is_known_no_more_and_looked_at_once_more(world: World) -> None:
    world.hear("ADDED", resource())
    world.hear("DELETED", resource(version=2))

    assert world.store.get(W) is None
    assert (world.queued, world.watches.told[-1]) == ([W, W], "Widget of ns in version 2")


def test_one_that_has_lost_its_label_and_got_it_again_is_there(world: World) -> None:
    """A watch by a selector tells the loss as a deletion, and both of the same uid: their order must be kept."""
    job = child("Job", "j", "uid-j", version=4, owner="uid-w")
    world.hear("ADDED", resource())
    for type_, version in (("ADDED", "4"), ("DELETED", "5"), ("ADDED", "6")):
        world.hear(type_, {**job, "metadata": {**job["metadata"], "resourceVersion": version}})

    assert [view.metadata.resource_version for view in world.store.children_of("uid-w")] == ["6"]


@pytest.mark.parametrize("type_", ["ADDED", "DELETED"])
def test_one_that_cannot_be_read_is_left_out_and_the_watch_goes_on(
    world: World, type_: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = resource()
    broken["metadata"]["labels"] = ["none"]

    world.hear(type_, broken)

    assert world.queued == []
    assert world.watches.told == ["Widget of ns in version 1"]
    assert "kind Widget" in caplog.text


# --- echoes ----------------------------------------------------------------------------------------------------------


def test_an_echo_counts_as_delivered(world: World) -> None:
    """Or the watch would be taken for deaf."""
    world.store.observe("Widget", resource(version=3))

    assert world.observer.is_echo("Widget", Version("uid-w", "3", "ns"))
    assert world.watches.told == ["Widget of ns in version 3"]


def test_what_is_not_known_yet_is_none(world: World) -> None:
    world.store.observe("Widget", resource(version=3))

    assert not world.observer.is_echo("Widget", Version("uid-w", "4", "ns"))
    assert world.watches.told == []


# --- kopf ------------------------------------------------------------------------------------------------------------


def test_kopf_writes_nothing_and_looks_for_nothing_of_its_own() -> None:
    settings = settings_for([JOBS, WIDGETS])

    assert not settings.posting.enabled
    assert settings.scanning.disabled
    assert settings.peering.standalone


def test_kopf_never_gives_a_connection_up() -> None:
    assert isinstance(settings_for([]).networking.error_backoffs, Backoff)
    assert next(islice(Backoff(), 2000, None)) == 30.0
