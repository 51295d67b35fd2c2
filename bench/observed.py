"""``tandem operator``, with patience, and a thread that says what is not seen from outside: `python -m bench.observed`.

    python -m bench.observed [--tracking-in-memory] [--probe PORT] operator …the options of `tandem operator`…

``--probe`` serves :class:`Seen` as JSON; the thread sleeps until it is asked. ``--tracking-in-memory`` answers the
plan's questions without HTTP, so that what is measured is the engine alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec

from tandem import cli, main
from tandem.api.facts import Query, RunNumbered, RunsOf, Told, TrackedRun
from tandem.api.meta import Key
from tandem.api.plan import EnsureRun, Outside
from tandem.engine.facts import Source
from tandem.engine.reconcile import Reconciler
from tandem.engine.resync import Resync
from tandem.training import train

STARTED = "BENCH_STARTED"  # seconds since the epoch, set by whoever starts this process


class Seen(msgspec.Struct):
    listed: bool = False  # everything was listed once
    looked_at: int = 0  # different resources that were reconciled
    reconciled: int = 0  # how often anything was
    cpu_seconds: float = 0.0  # of this process, up to the last resource that was looked at for the first time
    seconds: float = 0.0  # since the process was started, up to the same moment
    tasks: int = 0  # of the event loop, now


class Probe:
    def __init__(self) -> None:
        self._seen = Seen()
        self._keys: set[Key] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = float(os.environ.get(STARTED) or time.time())

    @property
    def seen(self) -> Seen:
        tasks = len(asyncio.all_tasks(self._loop)) if self._loop is not None else 0
        return msgspec.structs.replace(self._seen, tasks=tasks)

    def attach(self) -> None:
        list_all, reconcile = Resync.fill, Reconciler.reconcile

        async def fill(resync: Resync) -> None:
            self._loop = asyncio.get_running_loop()
            await list_all(resync)
            self._note()
            self._seen.listed = True

        async def look(reconciler: Reconciler, key: Key) -> bool:
            done = await reconcile(reconciler, key)
            self._seen.reconciled += 1
            if key not in self._keys:
                self._keys.add(key)
                self._seen.looked_at += 1
                self._note()
            return done

        Resync.fill = fill  # type: ignore[assignment, method-assign]
        Reconciler.reconcile = look  # type: ignore[assignment, method-assign]

    def _note(self) -> None:
        self._seen.cpu_seconds, self._seen.seconds = time.process_time(), time.time() - self._started


class MemoryTracking:
    """A source of facts that needs no server."""

    def __init__(self) -> None:
        self._runs: dict[str, tuple[TrackedRun, ...]] = {}  # by uid

    async def answer(self, queries: Collection[Query[object]]) -> Mapping[Query[object], object]:
        return {query: self._runs.get(query.uid, ()) for query in queries if isinstance(query, (RunsOf, RunNumbered))}

    def poll_interval(self, _: Query[object]) -> timedelta | None:
        return None

    def lot(self, _: Query[object]) -> str | None:
        return None

    async def carry_out(self, write: Outside) -> Told:
        assert isinstance(write, EnsureRun), f"not part of the start of a run: {write}"
        run_id = write.uid.replace("-", "")
        run = TrackedRun(run_id, "1", write.number, "RUNNING", datetime.now(UTC), tags=write.tags, made=True)
        self._runs[write.uid] = (run,)
        return {RunsOf(write.uid, write.experiment): (run,)}


@asynccontextmanager
async def tracking_in_memory(*_: object) -> AsyncIterator[Source]:
    yield MemoryTracking()


def serve(port: int, seen: Callable[[], Seen]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(msgspec.json.encode(seen()))

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def run(arguments: list[str]) -> None:
    # No controller gives the Jobs of the bench a pod, ever: a minute later each would cost a status and an Event more.
    train.BLOCKED_GRACE = timedelta(hours=1)
    if "--tracking-in-memory" in arguments:
        arguments.remove("--tracking-in-memory")
        main.mlflow = tracking_in_memory  # type: ignore[assignment]
    if "--probe" in arguments:
        at = arguments.index("--probe")
        port = int(arguments[at + 1])
        del arguments[at : at + 2]
        probe = Probe()
        probe.attach()
        serve(port, lambda: probe.seen)
    cli.app(arguments)


if __name__ == "__main__":
    run(sys.argv[1:])
