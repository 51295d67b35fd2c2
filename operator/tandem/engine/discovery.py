"""Which of the kinds that a cluster may or may not have it has: those alone can be watched.

Asked once, at the start. When one is installed later the process ends and is started anew (a rolling update of one);
when one is taken away its watch ends, with the same result.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from tandem.engine.api import ApiError, ApiServer, ApiUnavailable
from tandem.engine.controller import ResourceType
from tandem.engine.tasks import MustEnd

logger = logging.getLogger(__name__)

PERIOD: Final = 60.0  # seconds between two looks for one that is missing


class KindAppeared(MustEnd):
    """A kind is served now that was not when this process began."""


async def served(api: ApiServer, optional: Iterable[ResourceType]) -> frozenset[ResourceType]:
    """Those of them that the API server has. Tried until it answers."""
    return frozenset([type_ for type_ in optional if await _insist(api, type_)])


async def await_others(api: ApiServer, missing: Iterable[ResourceType], period: float = PERIOD) -> None:
    """Never returns.

    Raises:
        KindAppeared: one of them is there by now.
    """
    kinds = tuple(missing)
    while True:
        await asyncio.sleep(period)
        for type_ in kinds:
            try:
                there = await _is_served(api, type_)
            except (ApiUnavailable, ApiError) as error:
                logger.warning("whether there is %s is not known: %s", type_.plural, error)
                continue
            if there:
                raise KindAppeared(
                    f"{type_.kind} of {type_.api_version} is installed by now: it is watched from here on"
                )


async def _insist(api: ApiServer, type_: ResourceType) -> bool:
    delay = 0.5
    while True:
        try:
            return await _is_served(api, type_)
        except (ApiUnavailable, ApiError) as error:
            logger.warning("whether there is %s is not known; asking again in %.1f s: %s", type_.plural, delay, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 15.0)


async def _is_served(api: ApiServer, type_: ResourceType) -> bool:
    try:
        known = await api.request("GET", type_.root)
    except ApiError as error:
        if error.code == 404:
            return False
        raise
    return any(resource.get("name") == type_.plural for resource in known.get("resources") or ())
