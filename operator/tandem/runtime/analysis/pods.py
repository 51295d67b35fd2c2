"""A revision's own pods: all of them are asked, by their addresses, and what they count is added up.

A Service of the analysis names the pods of that revision, and has no address of its own: its name resolves to theirs.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from typing import Final

import aiohttp

from tandem.runtime.analysis.asking import NotMeasured, NotThere, ask
from tandem.runtime.analysis.instruction import Pods as Instruction
from tandem.runtime.analysis.traffic import Counted, read, together
from tandem.runtime.analysis.verdict import NoData, Reading, Value

_QUANTILE: Final = {"requestLatencyP50": 0.5, "requestLatencyP99": 0.99}


class Begun:
    """Counters have to be read twice: this was the first time."""


class Pods:
    """What came since the measurement before."""

    def __init__(self, session: aiohttp.ClientSession, told: Instruction) -> None:
        self._session, self._told = session, told
        self._before: dict[str, Counted] | None = None

    async def measure(self) -> Reading | Begun:
        now = await self._scrape()
        before, self._before = self._before, now
        if before is None:
            return Begun()
        # A pod that was not there has counted nothing else since.
        came = together(counted.since(before.get(address, Counted())) for address, counted in now.items())
        return reading(came, self._told)

    async def _scrape(self) -> dict[str, Counted]:
        addresses = await self._addresses()
        ignored = {*self._told.ignored_paths, "/metrics"}
        found = await asyncio.gather(*(self._one(address, ignored) for address in addresses))
        return dict(zip(addresses, found, strict=True))

    async def _one(self, address: str, ignored: Collection[str]) -> Counted:
        host = f"[{address}]" if ":" in address else address
        try:
            body = await ask(self._session, f"http://{host}:{self._told.port}/metrics")
        except NotThere:
            raise NotMeasured("the pods have no /metrics; measure with another provider") from None
        return read(body.decode(errors="replace"), ignored)

    async def _addresses(self) -> list[str]:
        host, port = self._told.host, self._told.port
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NotMeasured(f"the revision has no ready pod at {host}: {error.strerror or error}") from None
        return sorted({str(address[0]) for *_, address in found})


def reading(came: Counted, told: Instruction) -> Reading:
    """Raises: NotMeasured."""
    if told.metric == "requests":
        return Value(came.requests)
    if came.requests < told.min_requests:
        return NoData(f"{came.requests:.0f} requests, of at least {told.min_requests}")
    if told.metric == "requestErrorRate":
        return Value(came.error_rate())
    return Value(came.quantile(_QUANTILE[told.metric]))
