"""What is counted of a fail-over, and how it is told."""

from __future__ import annotations

import socket
import threading

import pytest

from bench.audit import Request
from bench.failover import most_live_jobs
from bench.network import cable
from bench.results import Failover, Poison
from bench.tables import failover, poison


def request(verb: str, name: str, second: float, code: int = 201, resource: str = "jobs") -> Request:
    return Request(verb, resource, f"team-0/{name}", second, second, code, "ResponseComplete")


@pytest.mark.parametrize(
    ("requests", "most"),
    [
        ([], 0),
        ([request("create", "iris-1", 1), request("create", "wine-1", 2)], 1),
        ([request("create", "iris-1", 1), request("create", "iris-1", 2, code=409)], 1),
        ([request("create", "iris-1", 1), request("delete", "iris-1", 2, 200), request("create", "iris-2", 3)], 1),
        ([request("create", "iris-1", 1), request("create", "iris-2", 2), request("delete", "iris-1", 3, 200)], 2),
        ([request("create", "iris-2", 5), request("delete", "iris-1", 2, 200), request("create", "iris-1", 1)], 1),
        ([request("create", "iris-1", 1), request("create", "iris-9", 2, resource="pods")], 1),
    ],
    ids=["none", "one each", "refused", "one after the other", "two at once", "in the order of time", "others"],
)
def test_live_jobs_are_counted_by_resource_and_time(requests: list[Request], most: int) -> None:
    assert most_live_jobs(requests) == most


def fell_over(takeover: float, late: int = 0) -> Failover:
    return Failover("kill -9", 1000, 50, 15, takeover, takeover + 0.5, 1, 50, late, late, 0)


def test_a_fail_over_tells_seconds_and_counts() -> None:
    told = failover([fell_over(15.0), fell_over(17.0), fell_over(16.0, late=2)]).splitlines()[-1]

    assert told.split(" | ")[:4] == ["| kill -9", "1000", "16.0 s (most 17.0)", "16.5 s (most 17.5)"]
    assert told.split(" | ")[4:] == ["150, 150", "1", "2, 2", "0 |"]


def test_a_poison_is_told_beside_the_same_without_it() -> None:
    rows = [
        Poison(10, False, 100.0, {"create jobs": 10}, 0, ""),
        Poison(9, True, 99.0, {"create jobs": 9}, 1, "InvalidSpec"),
    ]

    without, beside = (line.split(" | ") for line in poison(rows).splitlines()[2:])

    assert without[2] == beside[2] == "create jobs 1"
    assert beside[3:] == ["1", "InvalidSpec |"]


def test_a_cable_that_is_cut_swallows_what_is_sent_and_stays_connected() -> None:
    heard: list[bytes] = []

    def echo(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(100):
                heard.append(data)
                connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        with cable(f"https://127.0.0.1:{server.getsockname()[1]}") as way:
            host, port = way.url.removeprefix("https://").split(":")
            with socket.create_connection((host, int(port)), timeout=5) as client:
                client.sendall(b"before")
                assert client.recv(100) == b"before"

                way.cut()
                client.sendall(b"after")
                client.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    client.recv(100)

    assert heard == [b"before"]
