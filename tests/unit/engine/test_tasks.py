"""The first task that ends, ends the process, and says why."""

from __future__ import annotations

import asyncio

import pytest

from tandem.engine.tasks import Endless, MustEnd

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


async def for_ever() -> None:
    await asyncio.Event().wait()


async def fail_after(seconds: float, why: str) -> None:
    await asyncio.sleep(seconds)
    raise MustEnd(why)


async def test_the_first_that_fails_is_the_one_that_is_told() -> None:
    tasks = Endless()
    tasks.start("a", for_ever())
    tasks.start("b", fail_after(2, "second"))
    tasks.start("c", fail_after(1, "first"))

    with pytest.raises(MustEnd, match="first"):
        await tasks.first_end()

    assert (tasks.has_ended("c"), tasks.has_ended("a"), tasks.has_ended("never started")) == (True, False, False)
    await tasks.cancel()
    assert tasks.has_ended("a")


async def test_one_that_ends_well_ends_the_process_well() -> None:
    tasks = Endless()
    tasks.start("a", for_ever())
    tasks.start("told", asyncio.sleep(3))

    await tasks.first_end()

    assert asyncio.get_running_loop().time() == pytest.approx(3)
    await tasks.cancel()


async def test_one_that_is_started_later_counts_as_well() -> None:
    tasks = Endless()

    async def start_another() -> None:
        tasks.start("b", fail_after(1, "later"))
        await for_ever()

    tasks.start("a", start_another())

    with pytest.raises(MustEnd, match="later"):
        await tasks.first_end()
    await tasks.cancel()


async def test_one_that_needs_a_moment_to_end_gets_it_and_no_more() -> None:
    tasks = Endless()
    tasks.start("quick", asyncio.sleep(1))
    tasks.start("slow", for_ever())

    await tasks.let_end("quick", 5)
    assert asyncio.get_running_loop().time() == pytest.approx(1)
    await tasks.let_end("slow", 5)
    assert asyncio.get_running_loop().time() == pytest.approx(6)
    await tasks.let_end("never started", 5)
    await tasks.cancel()
