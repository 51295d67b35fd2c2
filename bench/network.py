"""A way to the API server that can be cut: a TCP proxy that swallows everything from then on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_CHUNK = 65536


class Cable:
    """``url`` leads to the same server as the one it was made of, until it is cut."""

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._cut = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cable", daemon=True)
        self.url = ""

    def start(self) -> None:
        self._thread.start()
        self._listening.wait()

    def cut(self) -> None:
        """Connections stay open, new ones are accepted, and nothing arrives on either end any more."""
        self._cut.set()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.set_exception_handler(lambda *_: None)  # a connection that is torn has nothing to say
        server = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", 0))
        self.url = f"{self._server.scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listening.set()
        self._loop.run_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            to_server = await asyncio.open_connection(self._server.hostname, self._server.port)
            await asyncio.gather(self._carry(reader, to_server[1]), self._carry(to_server[0], writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if not self._cut.is_set():
                    writer.write(data)
                    await writer.drain()
            writer.close()


@contextmanager
def cable(url: str) -> Iterator[Cable]:
    leads = Cable(url)
    leads.start()
    try:
        yield leads
    finally:
        leads.stop()
