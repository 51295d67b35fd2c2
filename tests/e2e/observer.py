"""Watches the registry and the cluster side by side, to say in which order things happened."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from demo.kubectl import Kubectl

# Runs in MLflow's pod: a line for each look, ten looks a second.
_LOOK: Final = """
import json, sys, time, urllib.request
server = "http://localhost:5000/api/2.0/mlflow"
while True:
    try:
        answer = urllib.request.urlopen(f"{server}/registered-models/alias?name={sys.argv[1]}&alias={sys.argv[2]}")
        print(json.load(answer)["model_version"]["version"], flush=True)
    except OSError:  # no answer, or there is no such alias
        print("", flush=True)
    time.sleep(0.1)
"""
_SERVED: Final = "jsonpath={.spec.selector.tandem\\.dev/revision}"


@dataclass(frozen=True)
class Sighting:
    """The alias had just moved to ``version``; the revision that the Service selected right after; '' for none."""

    version: str
    revision: str


@dataclass
class Sightings:
    seen: list[Sighting] = field(default_factory=list)
    looks: int = 0


def _served(app: Kubectl, name: str) -> str:
    return app.run("get", "service", name, "--ignore-not-found", "--output", _SERVED)


@contextmanager
def watching(system: Kubectl, app: Kubectl, model: str, alias: str) -> Iterator[Sightings]:
    """``system``: where MLflow runs; ``app``: where the Service of the same name as the model is."""
    found = Sightings()
    words = system.words("exec", "deployment/mlflow", "--", "python", "-c", _LOOK, model, alias)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:

        def look() -> None:
            assert process.stdout is not None
            before = ""
            for line in process.stdout:
                found.looks += 1
                version = line.strip()
                if version and version != before:
                    # Read after the alias was: a Service that follows later cannot hide here.
                    found.seen.append(Sighting(version, _served(app, model)))
                before = version or before

        looker = threading.Thread(target=look, daemon=True)
        looker.start()
        try:
            yield found
        finally:
            process.kill()
            looker.join(10)
