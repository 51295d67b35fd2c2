"""python -m demo: a model is trained, served, found drifting and replaced, on a real Kubernetes made for it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from cluster.choose import Backend, cluster
from cluster.errors import ClusterError
from cluster.progress import step
from demo import stage
from demo.facts import Story
from demo.kubectl import KubectlFailed, NotInTime
from demo.mlflow import MlflowRefused
from demo.scene import Scene, StoryStopped
from demo.setup import Site, set_up
from demo.show import showing
from demo.story import CHAPTERS, tell
from demo.summary import commands, summary, verdict

# A log has no width of its own.
CONSOLE = Console(width=None if sys.stdout.isatty() else 160)
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the whole story was told and nobody was turned away."""
    given = _parser().parse_args(arguments)
    try:
        if given.action == "down":
            cluster(given.name, Backend(given.backend)).down()
            return 0
        return perform(set_up(given.name, Backend(given.backend)))
    except KeyboardInterrupt:
        _say(
            "interrupted; everything stays as it is. The same command goes on: what is set up stays set up, and the "
            f"story begins anew. To look at it: export KUBECONFIG={_kubeconfig(given)}; to remove it: {_down(given)}"
        )
        return INTERRUPTED
    except (ClusterError, StoryStopped, NotInTime, KubectlFailed, MlflowRefused) as error:
        _say(f"error: {error}", "red")
        _say(f"The cluster stays up: export KUBECONFIG={_kubeconfig(given)}; to remove it: {_down(given)}")
        return 1


def perform(site: Site) -> int:
    scene = Scene(site.kubectl.within(stage.NAMESPACE), site.mlflow)
    with step("Clearing the stage"):
        stage.clear(site.kubectl, site.mlflow)
    with showing(scene, site.cluster.name, CHAPTERS, CONSOLE) as (chapter, board):
        story = tell(chapter)
    CONSOLE.print(summary(story, board.snapshot))
    CONSOLE.print("\nWhere to look next", style="bold underline")
    for line in commands(stage.NAMESPACE, site.kubectl.command):
        CONSOLE.print(line, highlight=False, markup=False, soft_wrap=True)
    return _judged(story)


def _judged(story: Story) -> int:
    wrong = verdict(story)
    for line in wrong:
        _say(line, "bold red")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("action", nargs="?", choices=["up", "down"], default="up", help="down removes the cluster")
    parser.add_argument("--name", default="tandem", help="which of several clusters")
    parser.add_argument("--backend", choices=[str(one) for one in Backend], default=str(Backend.AUTO))
    return parser


def _kubeconfig(given: argparse.Namespace) -> str:
    return str(cluster(given.name, Backend(given.backend)).kubeconfig)


def _down(given: argparse.Namespace) -> str:
    return "make demo-down" if given.name == "tandem" else f"python -m demo down --name {given.name}"


def _say(text: str, style: str = "") -> None:
    print(file=sys.stderr, flush=True)
    Console(stderr=True).print(text, style=style, highlight=False, markup=False, soft_wrap=True)
