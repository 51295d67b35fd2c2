"""Ports on loopback for servers that are about to start."""

from __future__ import annotations

import random
import socket

# Below the ports that Linux gives to outgoing connections: one of those could take the port before its server does.
LOWEST, HIGHEST = 12000, 29999


def free_ports(count: int) -> list[int]:
    """All are held until the last is found, so that none is given out twice."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            try:
                held.append(socket.create_server(("127.0.0.1", random.randint(LOWEST, HIGHEST))))
            except OSError:  # in use
                continue
        return [listener.getsockname()[1] for listener in held]
    finally:
        for listener in held:
            listener.close()
