"""Traefik as a Gateway, a real one, before a plan's world: what it is asked is answered by two servers of our own.

There is no node, so no pod ever runs. What stands for the pods of a revision is a server on this machine, told to the
Gateway by an EndpointSlice of each Service that selects the revision.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from cluster.control_plane import ControlPlane
from cluster.embedded.credentials import ADMINISTRATORS
from cluster.ports import free_ports
from tests.contract.apps.entrance import serving
from tests.contract.apps.gateway_build import definitions
from tests.contract.apps.real import Json, Real, eventually
from tests.unit.apps.world import World

CLASS: Final = "traefik"


class Revisions:
    """One server for each revision, which answers with its number."""

    def __init__(self) -> None:
        self._address = _address()
        self._servers: dict[int, ThreadingHTTPServer] = {}

    def port(self, number: int) -> int:
        if number not in self._servers:
            self._servers[number] = server = _Server((self._address, 0), _answer(number))
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self._servers[number].server_address[1]

    def slice(self, service: str, number: int) -> Json:
        """What the endpoint controller would make of the revision's pods."""
        meta = {"name": f"{service}-played", "labels": {"kubernetes.io/service-name": service}}
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": meta | {"namespace": "team"},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": self.port(number), "protocol": "TCP"}],
            "endpoints": [{"addresses": [self._address], "conditions": {"ready": True, "serving": True}}],
        }

    def close(self) -> None:
        for server in self._servers.values():
            server.shutdown()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


class Routed:
    """A plan's world behind the Gateway."""

    def __init__(self, plane: ControlPlane, world: World, revisions: Revisions) -> None:
        self.plane, self.world, self._revisions = plane, world, revisions
        self._played: dict[str, int] = {}
        self._looked = time.monotonic()
        self.real = Real(plane, world)

    def until(self, reason: str) -> None:
        """Passes of the operator, until the rollout says so; what the Gateway writes is seen by each."""

        def seen() -> bool:
            condition = self.world.condition("RolledOut")
            return (condition.reason, condition.observed_generation) == (reason, self.world.generation)

        self.sees(seen, seconds=60)

    def sees(self, seen: Callable[[], bool], seconds: float = 30) -> None:
        """Passes of the operator, until that is so."""

        def looks() -> bool:
            self.step()
            return seen()

        eventually(looks, seconds)

    def step(self) -> None:
        now = time.monotonic()
        self.world.wait(now - self._looked)
        self._looked = now
        self.real.reconcile()
        self._play()
        self.world.look()
        for name, route in self.world.routes.items():
            found = self.plane.get(f"/apis/gateway.networking.k8s.io/v1/namespaces/team/httproutes/{name}")
            route["metadata"]["generation"] = found["metadata"]["generation"]
            route["status"] = found.get("status", {})

    def _play(self) -> None:
        """What each Service selects answers; there are no pods whose number could divide anything."""
        selected = {
            name: int(service["spec"]["selector"]["tandem.dev/revision"])
            for name, service in self.world.services.items()
        }
        for name in self._played.keys() - selected.keys():
            self.plane.kubectl("delete", "endpointslice", f"{name}-played", "-n", "team", "--ignore-not-found")
        for name, number in selected.items():
            if self._played.get(name) != number:
                self.plane.kubectl("apply", "-f", "-", stdin=json.dumps(self._revisions.slice(name, number)))
        self._played = selected


class Client:
    """Asks the Gateway. ``asks``: without a pause beside the test, counting what fails."""

    def __init__(self, port: int, host: str) -> None:
        self._port, self._host = port, host
        self.failed: Counter[str] = Counter()
        self.answered = 0

    def ask(self, **headers: str) -> str:
        """The number of the revision that answers, or why none did."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", "/", headers={"Host": self._host, **headers})
            response = connection.getresponse()
            body = response.read().decode()
            return body if response.status == 200 else str(response.status)
        finally:
            connection.close()

    def shares(self, requests: int, **headers: str) -> dict[str, int]:
        return dict(Counter(self.ask(**headers) for _ in range(requests)))

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Fifty times a second, until the block is left."""
        ended = threading.Event()

        def go_on() -> None:
            while not ended.wait(0.02):
                try:
                    answer = self.ask()
                except (OSError, http.client.HTTPException) as error:
                    answer = type(error).__name__
                self.answered += answer.isdigit() and int(answer) < 100
                self.failed.update([] if answer.isdigit() and int(answer) < 100 else [answer])

        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(15)


@contextmanager
def gateway(plane: ControlPlane) -> Iterator[int]:
    """Gateway API's own definitions, a Gateway `public` in the namespace team, and Traefik behind it; its port."""
    plane.define(*definitions())
    [port] = free_ports(1)
    plane.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects(port)}))
    kubeconfig = plane.kubeconfig_for("traefik", [ADMINISTRATORS])
    with serving(port, kubeconfig, plane.state / "traefik.log", "--providers.kubernetesgateway=true"):
        yield port


def _objects(port: int) -> list[Json]:
    api = "gateway.networking.k8s.io/v1"
    listener = {"name": "web", "port": port, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "Same"}}}
    return [
        {
            "apiVersion": api,
            "kind": "GatewayClass",
            "metadata": {"name": CLASS},
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        },
        {
            "apiVersion": api,
            "kind": "Gateway",
            "metadata": {"name": "public", "namespace": "team"},
            "spec": {"gatewayClassName": CLASS, "listeners": [listener]},
        },
    ]


def _answer(number: int) -> type[BaseHTTPRequestHandler]:
    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

        def do_GET(self) -> None:
            body = str(number).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A log of thousands of lines tells nobody anything."""

    return Answer


def _address() -> str:
    """This machine's own, because an EndpointSlice may not name a loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
    return address
