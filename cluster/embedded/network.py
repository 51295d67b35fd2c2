"""The one cable between the machine and a cluster: a pair of virtual links, and routes to its pods and services.

No firewall rule and no sysctl of the machine is touched, and the kernel takes link and routes away with the
cluster's network namespace, however that ends.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cluster.embedded import debian
from cluster.errors import ClusterError

SLOTS = 20
NODE_LINK = "eth0"


@dataclass(frozen=True)
class Slot:
    """Addresses of one cluster; several clusters side by side have different ones."""

    number: int

    @property
    def link(self) -> str:
        return f"tandem{self.number}"

    @property
    def cable(self) -> str:
        return f"10.199.{self.number}.0/30"

    @property
    def host(self) -> str:
        return f"10.199.{self.number}.1"

    @property
    def node(self) -> str:
        return f"10.199.{self.number}.2"

    @property
    def pods(self) -> str:
        return f"10.{200 + 2 * self.number}.0.0/16"

    @property
    def services(self) -> str:
        return f"10.{201 + 2 * self.number}.0.0/16"

    @property
    def dns(self) -> str:
        return f"10.{201 + 2 * self.number}.0.10"


def free_slot() -> Slot:
    """The first whose addresses the machine has no route to, so that nothing it talks to is hidden."""
    routes, links = list(_routes()), _links()
    for number in range(SLOTS):
        slot = Slot(number)
        wanted = [ipaddress.ip_network(net) for net in (slot.cable, slot.pods, slot.services)]
        # A link without routes is a cluster's whose start was interrupted: it is still that cluster's.
        if slot.link not in links and not any(net.overlaps(route) for net in wanted for route in routes):
            return slot
    raise ClusterError(
        what="no free addresses for a cluster",
        rule=f"{Slot(0).cable} and 10.200.0.0 to 10.{201 + 2 * SLOTS - 2}.255.255 are tried",
        remedy="take another cluster down, or see `ip route` for what covers them",
    )


def plug_in(slot: Slot, pid: int) -> None:
    """One end here, the other in the network namespace of process `pid`.

    Whoever was interrupted in it does it again: a link without its address is there, but what is sent to the cluster
    leaves the machine by its default route, and a stranger may answer.
    """
    if not plugged_in(slot):
        ip(["link", "add", slot.link, "type", "veth", "peer", "name", NODE_LINK, "netns", str(pid)])
    ip(["address", "replace", f"{slot.host}/30", "dev", slot.link])
    ip(["link", "set", slot.link, "up"])
    for net in (slot.pods, slot.services):
        ip(["route", "replace", net, "via", slot.node, "dev", slot.link])


def unplug(slot: Slot) -> None:
    """Only hurries what the kernel does by itself."""
    subprocess.run([debian.where("ip"), "link", "delete", slot.link], check=False, capture_output=True)


def plugged_in(slot: Slot) -> bool:
    return slot.link in _links()


def ip(arguments: Sequence[str]) -> str:
    done = subprocess.run([debian.where("ip"), *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ClusterError(
            what=f"`ip {' '.join(arguments)}`: {done.stderr.strip()}",
            rule="a cluster is reached through a pair of virtual links",
            remedy="see that this is root and that the kernel has the veth link type",
        )
    return done.stdout


def _links() -> frozenset[str]:
    return frozenset(link["ifname"] for link in json.loads(ip(["-json", "link", "show"])))


def _routes() -> Iterator[ipaddress.IPv4Network]:
    for route in json.loads(ip(["-json", "-4", "route", "show", "table", "all"])):
        if route["dst"] != "default":
            yield ipaddress.IPv4Network(route["dst"], strict=False)
