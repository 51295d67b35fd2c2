"""The visitor's pod and the count of what it was answered."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cluster.paths import REPOSITORY
from cluster.ports import free_ports
from demo.kubectl import Kubectl
from demo.visitor import Tally, Visitor, counted, of_model, of_web

NOBODY = Kubectl(("false",), "demo")


def line(answered: dict[str, int], failed: dict[str, int] | None = None, slowest: int = 5) -> str:
    return json.dumps({"time": 1.0, "answered": answered, "failed": failed or {}, "slowest_ms": slowest})


def test_lines_add_up_and_the_slowest_stays() -> None:
    tally = counted([line({"1": 10}, slowest=7), line({"1": 4, "2": 6}, slowest=90), line({"2": 10}, {"503": 2})])

    assert tally == Tally({"1": 14, "2": 16}, {"503": 2}, 90)
    assert (tally.answers, tally.failures) == (30, 2)


@pytest.mark.parametrize("noise", ["", "Traceback (most recent call last):", "{}", "[]", '{"answered": 3}', "null"])
def test_what_is_no_count_changes_nothing(noise: str) -> None:
    assert counted([line({"1": 10}), noise]) == counted([line({"1": 10})])


def test_nothing_said_is_nothing_answered() -> None:
    assert (counted([]).answers, counted([]).failures) == (0, 0)


@pytest.mark.parametrize(
    ("visitor", "words"),
    [
        (of_model(NOBODY), {"--url=http://iris/invocations", "--method=POST"}),
        (of_web(NOBODY), {"--url=http://web/", "--method=GET"}),
    ],
)
def test_a_visitor_is_the_gardens_pod_with_another_command(visitor: Visitor, words: set[str]) -> None:
    pod = visitor.manifest()
    [container] = pod["spec"]["containers"]

    assert pod["metadata"]["name"] == visitor.pod
    assert container["command"][:2] == ["python", "visitor.py"]
    assert words <= set(container["command"])
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["metadata"]["labels"] == {"app.kubernetes.io/component": "visitor"}


def test_what_is_refused_before_the_first_answer_is_no_loss() -> None:
    """As by a node that has not heard of the pods yet."""
    [port] = free_ports(1)
    words = [sys.executable, "-u", str(REPOSITORY / "examples/iris/visitor.py"), f"--url=http://127.0.0.1:{port}/"]
    with subprocess.Popen([*words, "--method=GET"], stdout=subprocess.PIPE, text=True) as visitor:
        assert visitor.stdout
        try:
            assert visitor.stdout.readline() == "not answered yet: {'ConnectionRefusedError': 1}\n"
            with ThreadingHTTPServer(("127.0.0.1", port), _Answers) as server:
                threading.Thread(target=server.serve_forever, daemon=True).start()
                told = next(line for line in visitor.stdout if line.startswith("{"))
                server.shutdown()
        finally:
            visitor.kill()

    assert counted([told]).answers > 0
    assert counted([told]).failed == {}


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass
