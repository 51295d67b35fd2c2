"""What became of the operator in a session with a red test: the cluster that could tell is gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from demo.kubectl import Json, Kubectl, KubectlFailed

_LINES: Final = 60
_MEANT: Final = ("WARNING", "ERROR", "CRITICAL", "Traceback", "lease")


def diagnosis(system: Kubectl) -> Iterator[str]:
    """Lines: each pod, how often its containers began anew and why, and what their logs have that matters."""
    for pod in system.json("get", "pods")["items"]:
        name = pod["metadata"]["name"]
        for status in pod["status"].get("containerStatuses", []):
            yield f"{name}: {pod['status']['phase']}, {_restarts(status)}"
            if status.get("restartCount"):
                yield from _log(system, name, "--previous")
            yield from _log(system, name)


def _restarts(status: Json) -> str:
    ended = status.get("lastState", {}).get("terminated", {})
    told = f", the last time with {ended['exitCode']} at {ended['finishedAt']} ({ended['reason']})" if ended else ""
    return f"begun anew {status.get('restartCount', 0)} times{told}"


def _log(system: Kubectl, pod: str, *options: str) -> Iterator[str]:
    try:
        lines = system.run("logs", pod, "--timestamps", *options).splitlines()
    except KubectlFailed as failed:  # the kubelet keeps no more than one of those that ended
        yield f"  {failed}"
        return
    meant = [line for line in lines if any(word in line for word in _MEANT)]
    yield from (f"  {line}" for line in meant[-_LINES:])
