"""What takes its time on pods goes on beside the other tests, in a namespace and on a thread of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Generic, Self, TypeVar, cast

from demo.kubectl import Kubectl
from demo.setup import Site
from demo.stage import namespace_object
from tests.e2e.diary import Diary, diary_of

Facts = TypeVar("Facts")


@dataclass(frozen=True)
class Stage:
    """Where a scenario plays; ``diary`` has every version of all objects of its kinds, from before the first one."""

    site: Site
    kubectl: Kubectl
    diary: Diary


@dataclass(frozen=True)
class Scenario(Generic[Facts]):
    """``play`` does all there is to do, and gives what was seen; ``kinds``: plural, those that the diary follows."""

    name: str
    kinds: tuple[str, ...]
    play: Callable[[Stage], Facts]


class Scenarios:
    """Those that have begun; each once."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._begun: dict[str, Future[object]] = {}
        self._ends = ExitStack()

    def begin(self, scenario: Scenario[Facts]) -> None:
        if scenario.name not in self._begun:
            self._begun[scenario.name] = self._ends.enter_context(_beside(self._site, scenario))

    def facts(self, scenario: Scenario[Facts]) -> Facts:
        """When it is over; it raises whatever went wrong in it."""
        self.begin(scenario)
        return cast("Facts", self._begun[scenario.name].result())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self._ends.close()


@contextmanager
def _beside(site: Site, scenario: Scenario[Facts]) -> Iterator[Future[object]]:
    name = f"{scenario.name}-{os.getpid()}"
    site.kubectl.apply(namespace_object(name))
    kubectl = site.kubectl.within(name)
    with diary_of(kubectl, *scenario.kinds) as diary, ThreadPoolExecutor(1) as thread:
        yield thread.submit(scenario.play, Stage(site, kubectl, diary))
    site.kubectl.run("delete", "namespace", name, "--wait=false")
