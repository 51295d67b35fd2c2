"""The whole story, chapter by chapter. `demo/iris.py` and `demo/web.py` play them, this says in which order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

from demo import iris, visitor, web
from demo.facts import Story
from demo.lineage import trace
from demo.scene import Scene, expect

CHAPTERS: Final = (
    "A model is trained, judged and registered",
    "It is served; then alias champion moves",
    "A visitor starts asking, and never stops",
    "Ordinary flowers: drift says healthy",
    "Grown flowers: drift asks for one run",
    "The new version replaces the old one",
    "The same flowers: healthy again",
    "A web app: released, updated, broken",
    "Where a prediction comes from",
)
TRAIN, SERVE, VISIT, WATCH, DRIFT, REPLACE, RECOVER, RELEASE, TRACE = CHAPTERS

Chapter: TypeAlias = Callable[[str], AbstractContextManager[Scene]]


def tell(chapter: Chapter) -> Story:
    """``chapter`` opens a chapter by its title and gives the scene that it plays on.

    Raises:
        StoryStopped, NotInTime, KubectlFailed, MlflowRefused: as the chapter met them.
    """
    with chapter(TRAIN) as scene:
        trained = iris.train(scene)
    with chapter(SERVE) as scene:
        served = iris.serve(scene)
    with chapter(VISIT) as scene:
        iris.visit(scene)
    with chapter(WATCH) as scene:
        healthy = iris.watch(scene)
    with chapter(DRIFT) as scene:
        drifted = iris.drift(scene)
    with chapter(REPLACE) as scene:
        replaced = iris.replace(scene, drifted.trained.version)
    with chapter(RECOVER) as scene:
        recovered = iris.recover(scene, replaced.version)
    with chapter(RELEASE) as scene:
        released = web.release(scene)
    with chapter(TRACE) as scene:
        lineage = trace(scene, replaced.prediction)
        visitors = goodbye(scene)
    return Story(trained, served, healthy, drifted, replaced, recovered, released, lineage, visitors)


def goodbye(scene: Scene) -> dict[str, visitor.Tally]:
    """The visitors go home, and say what they counted."""
    guests = (visitor.of_model(scene.kubectl), visitor.of_web(scene.kubectl))
    tallies = {guest.app: guest.tally() for guest in guests}
    for guest in guests:
        guest.stop()
    for app, tally in tallies.items():
        expect(tally.answers > 0, f"the visitor of {app} was never answered")
    return tallies
