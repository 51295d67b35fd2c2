"""How a revision takes the traffic where it is no canary: all at once when a person says so, or in shares at once.

Two apps on real pods, each with a visitor inside the cluster; the first one is asked through an Ingress, too, whose
controller is a real Traefik on this machine, where pods are routed to it (kind's are not).
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from cluster.paths import REPOSITORY
from cluster.ports import free_ports
from demo.kubectl import Json, Kubectl, NotInTime
from demo.setup import Site
from demo.visitor import Tally, Visitor, counted
from tandem.api import names
from tests.contract.apps.entrance import serving
from tests.e2e.beside import Scenario, Stage
from tests.e2e.diary import WITHIN, Diary, says
from tests.e2e.judged import serves
from tests.rollouts import client
from tests.rollouts.app import deployed, env

HELD: Final = "held"  # BlueGreen, and a person approves the switch
ROLLING: Final = "rolling"  # RollingUpdate
HOST: Final = "localhost"  # by which this machine asks itself; the port is none of the rule's business
ENTERED_WITHIN: Final = 60.0  # seconds
ANSWERS_AFTER: Final = 30  # of the new revision, that are looked at
# One request after the other, each on a connection of its own; it ends with the first one that nobody answers.
_IN_TURN: Final = """
import socket, sys, time, urllib.request
address = socket.gethostbyname(sys.argv[1])
while True:
    with urllib.request.urlopen(f"http://{address}/", timeout=10) as answer:
        print(answer.headers["X-App-Version"], flush=True)
    time.sleep(0.05)
"""


@dataclass(frozen=True)
class Facts:
    """``waiting``: the held app before somebody said yes; ``previewed``: what the candidate's own address answered
    then, ``meanwhile``: what the visitor had been answered until then. ``in_turn``: who answered a client that asks
    again when it has its answer, from before the switch on. ``asked``: the visitor's tally; ``entered``: that through
    the Ingress, None where this machine has no way to pods.

    ``shares``: the traffic, in percent, that the status told of the rolling candidate, each once; ``rolled``: the
    tally. ``held``, ``rolling``: the resources in the end.
    """

    waiting: Json
    previewed: str
    meanwhile: Tally
    in_turn: tuple[str, ...]
    asked: Tally
    entered: Tally | None
    held: Json
    shares: tuple[int, ...]
    rolled: Tally
    rolling: Json


def _switch(stage: Stage) -> Facts:
    site, kubectl, diary = stage.site, stage.kubectl, stage.diary
    ingress_class = kubectl.namespace
    site.kubectl.apply(_ingress_class(ingress_class))
    try:
        kubectl.apply(
            _app(HELD, "good-1", {"strategy": "BlueGreen"}, ingress={"host": HOST, "ingressClassName": ingress_class}),
            _app(ROLLING, "good-1", {"strategy": "RollingUpdate"}),
        )
        for app in (HELD, ROLLING):
            diary.until(f"appdeployments/{app}", serves(1), "the first revision serves")
        visitors = {app: client.started(kubectl, app, rate=10) for app in (HELD, ROLLING)}
        with _entering(site, kubectl.namespace) as entered:
            told = _hold(kubectl, diary, visitors[HELD])
            rolled = _roll(kubectl, diary, visitors[ROLLING])
            return Facts(**told, **rolled, entered=entered())
    finally:
        site.kubectl.run("delete", "ingressclass", ingress_class, "--wait=false")


def _hold(kubectl: Kubectl, diary: Diary, visitor: Visitor) -> Json:
    change: Json = {"env": env("good-2"), "rollout": {"strategy": "BlueGreen", "approval": "Required"}}
    kubectl.merge(f"appdeployment/{HELD}", {"spec": change})
    waiting = diary.until(
        f"appdeployments/{HELD}", says("RolledOut", "Unknown", "AwaitingApproval"), "the switch waits for a person"
    )
    preview = _version(kubectl, visitor, waiting["status"]["previewUrl"])
    meanwhile = visitor.tally()
    with kubectl.stream("exec", visitor.pod, "--", "python", "-c", _IN_TURN, HELD, within=WITHIN) as answers:
        in_turn = [next(answers, "").strip()]
        kubectl.run("annotate", f"appdeployment/{HELD}", f"{names.GROUP}/approved=2/promotion")
        held = diary.until(f"appdeployments/{HELD}", serves(2), "the second revision serves")
        for answer in answers:
            in_turn.append(answer.strip())
            if in_turn.count("good-2") >= ANSWERS_AFTER:
                break
    visitor.hears("good-2")
    return {
        "waiting": waiting,
        "previewed": preview,
        "meanwhile": meanwhile,
        "in_turn": tuple(in_turn),
        "asked": visitor.tally(),
        "held": held,
    }


def _roll(kubectl: Kubectl, diary: Diary, visitor: Visitor) -> Json:
    kubectl.merge(f"appdeployment/{ROLLING}", {"spec": {"env": env("good-2")}})
    rolling = diary.until(f"appdeployments/{ROLLING}", serves(2), "the second revision serves")
    visitor.hears("good-2")
    candidates = (app["status"].get("candidate", {}) for app in diary.versions(f"appdeployments/{ROLLING}"))
    shares = dict.fromkeys(one["trafficPercent"] for one in candidates if one.get("trafficPercent"))
    return {"rolling": rolling, "shares": tuple(shares), "rolled": visitor.tally()}


def _app(name: str, version: str, rollout: Json, **others: object) -> Json:
    app = deployed(version, rollout=rollout, replicas=2, **others)
    return {**app, "metadata": {**app["metadata"], "name": name}}


def _ingress_class(name: str) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": "traefik.io/ingress-controller"},
    }


def _version(kubectl: Kubectl, visitor: Visitor, url: str) -> str:
    """What somebody inside the cluster is answered there."""
    ask = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=10).headers['X-App-Version'])"
    return kubectl.exec(visitor.pod, "python", "-c", ask).strip()


@contextmanager
def _entering(site: Site, namespace: str) -> Iterator[Callable[[], Tally | None]]:
    """A visitor who comes through the Ingress, as far as its controller can reach pods from here."""
    if not site.cluster.routes_pods:
        yield lambda: None
        return
    [port] = free_ports(1)
    log = site.cluster.kubeconfig.with_name("traefik-ingress.log")
    provider = ("--providers.kubernetesingress=true", f"--providers.kubernetesingress.namespaces={namespace}")
    with serving(port, site.cluster.kubeconfig, log, *provider), _asking(f"http://{HOST}:{port}/") as entered:
        yield entered


@contextmanager
def _asking(url: str) -> Iterator[Callable[[], Tally]]:
    """The visitor's program on this machine, from the first answer on; what it counted, when it is asked for that."""
    _await_answer(url)
    program = REPOSITORY / "examples/iris/visitor.py"
    words = [sys.executable, str(program), f"--url={url}", "--method=GET", "--rate=10"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:

        def stopped() -> Tally:
            process.terminate()
            return counted(process.communicate()[0].splitlines())

        try:
            yield stopped
        finally:
            process.kill()


def _await_answer(url: str) -> None:
    """Its controller learns of an Ingress, and of the pods behind it, at a time of its own choosing."""
    end = time.monotonic() + ENTERED_WITHIN
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.headers["X-App-Version"]:
                return
        time.sleep(0.1)
    raise NotInTime(f"{url} does not answer after {ENTERED_WITHIN:.0f} s")


SWITCHED: Final = Scenario("switched", ("appdeployments",), _switch)
