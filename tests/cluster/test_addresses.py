"""Addresses of clusters: distinct side by side, and never those that the machine uses."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence

import pytest

from cluster.embedded import network
from cluster.embedded.network import SLOTS, Slot
from cluster.errors import ClusterError


def _given_routes(monkeypatch: pytest.MonkeyPatch, *destinations: str, links: tuple[str, ...] = ("lo", "eth0")) -> None:
    def ip(words: Sequence[str]) -> str:
        if "route" in words:
            return json.dumps([{"dst": destination} for destination in destinations])
        return json.dumps([{"ifname": name} for name in links])

    monkeypatch.setattr(network, "ip", ip)


def test_given_a_machine_with_a_default_route_only_then_the_first_addresses_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _given_routes(monkeypatch, "default", "192.168.1.0/24", "192.168.1.7")

    assert network.free_slot() == Slot(0)


@pytest.mark.parametrize("taken", ["10.200.0.0/16", "10.201.3.0/24", "10.199.0.0/30", "10.200.7.7"])
def test_given_a_route_to_any_of_them_then_the_next_are_taken(taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _given_routes(monkeypatch, "default", taken)

    assert network.free_slot() == Slot(1)


def test_given_a_link_without_routes_then_the_next_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of a cluster whose start was interrupted, and the next one goes on with it."""
    _given_routes(monkeypatch, "default", links=("lo", "eth0", Slot(0).link))

    assert network.free_slot() == Slot(1)


def test_given_a_route_over_all_of_them_then_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    _given_routes(monkeypatch, "10.0.0.0/8")

    with pytest.raises(ClusterError, match="see `ip route`"):
        network.free_slot()


def test_no_two_slots_share_an_address() -> None:
    nets = [
        ipaddress.ip_network(net)
        for number in range(SLOTS)
        for net in (Slot(number).cable, Slot(number).pods, Slot(number).services)
    ]

    assert not any(one.overlaps(other) for i, one in enumerate(nets) for other in nets[i + 1 :])
    assert all(len(Slot(number).link) <= 15 for number in range(SLOTS))
