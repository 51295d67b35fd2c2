"""A server that is away, comes back, or turns us away: an observation for the reader, a refusal for the writer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import mlflow
import pytest

from tandem.api.facts import ModelNamed, MonitorOf, RunsOf, Unavailable
from tandem.api.plan import EnsureRun, Refused
from tandem.tracking import MlflowClient, TrackingReader, TrackingWriter
from tests.contract.tracking.probes import Clock, ask
from tests.contract.tracking.server import MlflowServer

pytestmark = pytest.mark.asyncio


@pytest.mark.slow
async def test_a_server_that_stops_and_starts_again_is_unavailable_since_then_and_answers_again(
    server: MlflowServer, oracle: mlflow.MlflowClient, client: MlflowClient, clock: Clock, unique: Callable[[str], str]
) -> None:
    name, experiment = unique("iris"), unique("experiment")
    oracle.create_registered_model(name)
    model, runs, monitor = ModelNamed(name), RunsOf("uid", experiment), MonitorOf(name, "1", ("accuracy",))
    reader, writer = TrackingReader(client, now=clock), TrackingWriter(client)
    assert (await ask(reader, model)).exists
    ensure = EnsureRun("uid", 1, experiment, "iris-1", {}, {})

    # When it is away: each question is answered so, and for as long as it lasts with the moment it began
    server.stop()
    try:
        stopped_at = clock.now
        first = await reader.answer([model, runs])
        clock.now += timedelta(minutes=5)
        later = await reader.answer([model, monitor])
        with pytest.raises(Refused) as refused:
            await writer.carry_out(ensure)
    finally:
        server.start()

    away = [*first.values(), *later.values()]
    assert [(type(a), a.since, a.reason) for a in away if isinstance(a, Unavailable)] == [
        (Unavailable, stopped_at, "TrackingUnavailable")
    ] * 4
    messages = {answer.message for answer in away if isinstance(answer, Unavailable)}
    assert len(messages) == 1, "a message that changes would be written again and again"
    assert server.url in messages.pop()
    assert refused.value.reason == "TrackingUnavailable"

    # When it is back: the same client answers, and the same write succeeds
    await writer.carry_out(ensure)
    assert (await ask(reader, model)).exists
    assert [run.number for run in await ask(reader, runs)] == [1]
    assert await ask(reader, monitor) is None


async def test_a_host_check_that_does_not_know_the_server_s_name_is_told_with_its_remedy(
    server: MlflowServer, unique: Callable[[str], str]
) -> None:
    query = ModelNamed(unique("iris"))

    async with MlflowClient(server.url_of_foreign_name, environ={}) as client:
        unavailable = (await TrackingReader(client).answer([query]))[query]
        with pytest.raises(Refused) as refused:
            await TrackingWriter(client).carry_out(EnsureRun("uid", 1, unique("experiment"), "iris-1", {}, {}))

    assert isinstance(unavailable, Unavailable)
    assert unavailable.reason == refused.value.reason == "MLflowHostRejected"
    host = server.url_of_foreign_name.removeprefix("http://")
    assert f"--allowed-hosts '{host}," in unavailable.message
