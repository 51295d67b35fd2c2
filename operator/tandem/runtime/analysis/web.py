"""One number out of a JSON document."""

from __future__ import annotations

import json

import aiohttp

from tandem.runtime.analysis.asking import NotMeasured, ask, headers_of
from tandem.runtime.analysis.verdict import NoData, Reading, Value


class Web:
    """A document at ``url``, and where the number is in it (RFC 6901)."""

    def __init__(self, session: aiohttp.ClientSession, url: str, pointer: str, secret: str) -> None:
        self._session, self._url, self._pointer, self._secret = session, url, pointer, secret

    async def measure(self) -> Reading:
        return read(await ask(self._session, self._url, headers=headers_of(self._secret)), self._pointer)


def read(body: bytes, pointer: str) -> Reading:
    """Nothing there, null and [] are no data.

    Raises:
        NotMeasured: it is no JSON, or what is there is no number.
    """
    try:
        found: object = json.loads(body)  # msgspec refuses NaN and Infinity, which many servers write
    except (ValueError, RecursionError):
        raise NotMeasured("the answer is no JSON document") from None
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isascii() and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return NoData(f"there is nothing at {pointer!r}")
    if found is None or found == []:
        return NoData(f"there is nothing at {pointer!r}")
    if isinstance(found, (int, float, str)) and not isinstance(found, bool):
        try:
            return Value(float(found))
        except (ValueError, OverflowError):
            pass
    raise NotMeasured(f"what the answer has at {pointer!r} is no number")
