"""A name that the cluster's DNS does not know yet is waited for, and not for ever."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import pytest

from tandem.runtime.resolve import SECONDS, await_name


@dataclass
class Dns:
    """Knows the name from second ``knows_from`` on."""

    knows_from: float
    now: float = 0.0
    asked: int = 0

    def lookup(self, host: str, port: int | None) -> object:
        self.asked += 1
        if self.now < self.knows_from:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(host, port)]

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def await_name(self, host: str) -> str:
        return await_name(host, self.lookup, self.clock, self.sleep)


@pytest.mark.parametrize(
    ("knows_from", "asked", "told"),
    [(0, 1, "shop-analysis is known after 0.0 s"), (3, 7, "shop-analysis is known after 3.0 s")],
    ids=["known", "known later"],
)
def test_it_ends_as_soon_as_the_name_is_known(knows_from: float, asked: int, told: str) -> None:
    dns = Dns(knows_from)

    assert dns.await_name("shop-analysis") == told
    assert dns.asked == asked


def test_a_name_that_never_comes_is_told_of_and_keeps_nobody_for_longer_than_a_minute() -> None:
    dns = Dns(knows_from=float("inf"))

    assert dns.await_name("shop-analysis").startswith("shop-analysis is not known after 60 s: ")
    assert dns.now == SECONDS


def test_by_default_it_asks_the_machine() -> None:
    assert await_name("localhost").startswith("localhost is known after ")
