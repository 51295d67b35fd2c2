"""Leadership by a coordination.k8s.io Lease.

Of our own, because both ready ones were measured to split the brain: kopf's peering lets two equal replicas pause each
other, and the client's elector goes on leading when a request hangs or the connection fails. Rules: a monotonic clock
of this process alone decides; every call has a timeout; any failure counts as not renewed; step down well before
others may take over; exit on loss. Correctness never depends on it: names are deterministic and writes idempotent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tandem.api.meta import Json
from tandem.engine.api import ApiError, ApiServer
from tandem.engine.controller import ResourceType, collection_path, object_path
from tandem.engine.tasks import MustEnd

logger = logging.getLogger(__name__)

LEASES: Final = ResourceType("coordination.k8s.io", "v1", "Lease", "leases")


@dataclass(frozen=True)
class LeaseTimes:
    """Seconds, in client-go's proportions: another may take over after ``duration``, we stop at ``renew_deadline``."""

    duration: int = 15

    @property
    def renew_deadline(self) -> float:
        return self.duration * 2 / 3

    @property
    def retry_period(self) -> float:
        return self.duration * 2 / 15

    @property
    def call_timeout(self) -> float:
        """The longest with which one renewal after the other keeps the lease: a slow answer is one."""
        return (self.renew_deadline - self.retry_period) / 2


class LeadershipLost(MustEnd):
    """The lease could not be renewed in time, or is another's; the process must end."""


class Lease:
    def __init__(
        self,
        api: ApiServer,
        namespace: str,
        name: str,
        identity: str,
        now: Callable[[], datetime],
        times: LeaseTimes = LeaseTimes(),
    ) -> None:
        self._api = api
        self._names = {"namespace": namespace, "name": name}
        self._identity = identity
        self._now = now
        self._times = times
        self._seen: tuple[str, float] | None = None  # another's record, and when this process first saw it
        self._renewed_at = 0.0

    @property
    def holds(self) -> bool:
        """Whether nobody else can lead now, by this process' own clock: that goes on while the process is stopped."""
        return asyncio.get_running_loop().time() < self._renewed_at + self._times.renew_deadline

    async def acquire(self) -> None:
        """Return when this process leads."""
        while await self._try() is not True:
            await asyncio.sleep(self._times.retry_period)
        logger.info("leading as %s", self._identity)

    async def keep(self) -> None:
        """Renew for ever.

        Raises:
            LeadershipLost: not renewed within the deadline (at the deadline, even while a request hangs), or taken.
        """
        while True:
            try:
                async with asyncio.timeout_at(self._renewed_at + self._times.renew_deadline):
                    await asyncio.sleep(self._times.retry_period)
                    held = await self._try()
            except TimeoutError:
                seconds = self._times.renew_deadline
                raise LeadershipLost(f"lease {self._names['name']} was not renewed for {seconds:.0f} s") from None
            if held is False:
                raise LeadershipLost(f"lease {self._names['name']} was taken by another")

    async def release(self) -> None:
        """Hand over at once, so that nobody waits for the lease to run out."""
        try:
            async with asyncio.timeout(self._times.retry_period):
                lease = await self._api.request("GET", object_path(LEASES), self._names)
                if lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"] = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._api.request("PUT", object_path(LEASES), self._names, body=lease)
        except Exception as error:
            logger.warning("the lease was not released, it runs out by itself: %s", error or type(error).__name__)

    async def _try(self) -> bool | None:
        """One attempt to take or renew: True it is ours, False it is another's, None nobody knows."""
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._times.call_timeout):
                held = await self._take()
        except Exception as error:  # whatever it is, it is not a renewal
            logger.warning("the lease could not be renewed: %s", str(error) or type(error).__name__)
            return None
        if held:
            self._renewed_at = started  # the moment before the request: never later than the server's own
        return held

    async def _take(self) -> bool:
        try:
            lease = await self._api.request("GET", object_path(LEASES), self._names)
        except ApiError as error:
            if error.code != 404:
                raise
            body: Json = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": dict(self._names),
                "spec": self._record({}),
            }
            await self._api.request("POST", collection_path(LEASES), {"namespace": self._names["namespace"]}, body=body)
            return True
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder not in {"", self._identity} and not self._expired(spec):
            return False
        lease["spec"] = self._record(spec)
        await self._api.request("PUT", object_path(LEASES), self._names, body=lease)  # 409: another was quicker
        return True

    def _expired(self, spec: Json) -> bool:
        """Unchanged for its whole duration by this process' own clock: clocks of two machines are not compared."""
        clock = asyncio.get_running_loop().time()
        record = f"{spec.get('holderIdentity')} {spec.get('renewTime')}"
        if self._seen is None or self._seen[0] != record:
            self._seen = (record, clock)
            return False
        return clock - self._seen[1] > float(spec.get("leaseDurationSeconds") or self._times.duration)

    def _record(self, before: Json) -> Json:
        now = self._now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        same = before.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._times.duration,
            "acquireTime": (before.get("acquireTime") or now) if same else now,
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (not same and bool(before)),
        }
