"""A client that never stops asking: every request is answered, or counted as failed.

    python visitor.py --rate 20

From the first answer on, one line of JSON per second: how many requests were answered and by which version, how many
failed and why, and the slowest answer in milliseconds. The name is looked up once; each request opens a connection of
its own, as clients behind a load balancer do; none is tried twice. Plain python, so that nothing between it and the
network hides a failure.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import threading
import time
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

QUESTION = json.dumps(
    {
        "dataframe_split": {
            "columns": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
            "data": [[5.1, 3.5, 1.4, 0.2]],
        }
    }
)
TIMEOUT = 10.0


class Tally:
    """What happened since the last look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answered: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._slowest = 0.0

    def answered(self, version: str, seconds: float) -> None:
        with self._lock:
            self._answered[version] += 1
            self._slowest = max(self._slowest, seconds)

    def failed(self, why: str) -> None:
        with self._lock:
            self._failed[why] += 1

    def take(self) -> dict[str, object]:
        with self._lock:
            line = {
                "time": round(time.time(), 1),
                "answered": dict(self._answered),
                "failed": dict(self._failed),
                "slowest_ms": round(self._slowest * 1000),
            }
            self._answered, self._failed, self._slowest = Counter(), Counter(), 0.0
            return line


def ask(address: str, host: str, method: str, path: str, tally: Tally) -> None:
    begun = time.monotonic()
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    try:
        body = QUESTION if method == "POST" else None
        connection.request(method, path, body, {"Content-Type": "application/json", "Host": host})
        response = connection.getresponse()
        response.read()
        if response.status == 200:
            version = response.getheader("X-Model-Version") or response.getheader("X-App-Version") or "?"
            tally.answered(version, time.monotonic() - begun)
        else:
            tally.failed(f"{response.status}")
    except OSError as error:
        tally.failed(type(error).__name__)
    except http.client.HTTPException as error:
        tally.failed(type(error).__name__)
    finally:
        connection.close()


def await_answer(address: str, host: str, method: str, path: str) -> None:
    """A node refuses a Service until it has heard of its pods: up to a second where kube-proxy gathers changes."""
    while True:
        first = Tally()
        ask(address, host, method, path, first)
        told = first.take()
        if told["answered"]:
            return
        print(f"not answered yet: {told['failed']}", flush=True)
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("MODEL_URL", "http://127.0.0.1:8080") + "/invocations")
    parser.add_argument("--method", choices=["GET", "POST"], default="POST")
    parser.add_argument("--rate", type=float, default=20.0, help="requests per second")
    given = parser.parse_args()
    url = urllib.parse.urlsplit(given.url)
    address = f"{socket.gethostbyname(url.hostname or '')}:{url.port or 80}"
    await_answer(address, url.netloc, given.method, url.path or "/")
    tally = Tally()
    begun = told = time.monotonic()
    sent = 0
    with ThreadPoolExecutor(max_workers=32) as pool:
        while True:
            pool.submit(ask, address, url.netloc, given.method, url.path or "/", tally)
            sent += 1
            time.sleep(max(0.0, begun + sent / given.rate - time.monotonic()))
            if time.monotonic() - told >= 1.0:
                told = time.monotonic()
                print(json.dumps(tally.take()), flush=True)


if __name__ == "__main__":
    main()
