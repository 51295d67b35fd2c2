"""An instant query of Prometheus: a scalar, or a vector of exactly one element."""

from __future__ import annotations

import aiohttp
import msgspec

from tandem.runtime.analysis.asking import NotMeasured, ask, bearer_of
from tandem.runtime.analysis.verdict import NoData, Reading, Value


class _Sample(msgspec.Struct):
    value: tuple[float, str]


class _Scalar(msgspec.Struct, tag_field="resultType", tag="scalar"):
    result: tuple[float, str]


class _Vector(msgspec.Struct, tag_field="resultType", tag="vector"):
    result: list[_Sample]


class _Matrix(msgspec.Struct, tag_field="resultType", tag="matrix"):
    pass


class _Text(msgspec.Struct, tag_field="resultType", tag="string"):
    pass


class _Answer(msgspec.Struct):
    data: _Scalar | _Vector | _Matrix | _Text


class Prometheus:
    def __init__(self, session: aiohttp.ClientSession, address: str, query: str, secret: str) -> None:
        self._session, self._query, self._secret = session, query, secret
        self._url = f"{address.rstrip('/')}/api/v1/query"

    async def measure(self) -> Reading:
        headers = bearer_of(self._secret)
        return read(await ask(self._session, self._url, headers=headers, query={"query": self._query}))


def read(body: bytes) -> Reading:
    """Raises: NotMeasured: it is not what a Prometheus answers, or not one number. An empty vector is no data."""
    try:
        data = msgspec.json.decode(body, type=_Answer).data
    except msgspec.DecodeError as error:
        raise NotMeasured(f"the answer is not one of a Prometheus: {error}") from None
    if isinstance(data, _Scalar):
        return _number(data.result[1])
    if not isinstance(data, _Vector):
        raise NotMeasured("the query gives a range or a text; make it an instant query with one number")
    if len(data.result) > 1:
        raise NotMeasured(f"the query gives {len(data.result)} series; sum or narrow it to one")
    return _number(data.result[0].value[1]) if data.result else NoData("the query gives no series")


def _number(text: str) -> Value:
    try:
        return Value(float(text))  # +Inf, -Inf and NaN are spelt so that Python reads them
    except ValueError:
        raise NotMeasured(f"{text[:64]!r} is no number") from None
