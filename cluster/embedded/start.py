"""Starts a cluster's process tree in namespaces of its own, and plugs the cable in."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cluster import audit, paths
from cluster.daemons import Daemon, clean_environment, write_spec
from cluster.embedded import cgroups, debian, network, node_daemons, record, volumes
from cluster.embedded.control_daemons import (
    Plan,
    add_control_credentials,
    apiserver,
    controller_manager,
    etcd,
    scheduler,
)
from cluster.embedded.credentials import ADMINISTRATORS, new_credentials
from cluster.embedded.network import NODE_LINK, Slot
from cluster.embedded.node_daemons import CACHE, STATE, NodePlan, add_node_credentials
from cluster.embedded.parts import Part
from cluster.embedded.processes import only_child, process
from cluster.embedded.record import Record
from cluster.lock import exclusive

API_PORT = 6443
FORKED_WITHIN = 10.0
_SESSION_NICE = -10  # nine times the weight of others: these seldom have much to do, and everybody waits for them
NAMESPACES = ("--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--mount-proc", "--kill-child")


def start(name: str, state: Path, kubernetes: Part, containerd: Part, sandbox_image: str) -> Record:
    # Addresses are free until the link is there: two clusters must not choose at the same time.
    with exclusive(paths.states() / ".addresses.lock", "another cluster's start"):
        slot = network.free_slot()
        _write_state(name, state, slot, kubernetes, containerd, sandbox_image)
        outer = _launch(name, state, slot)
        started = Record(process(outer), process(only_child(outer, FORKED_WITHIN)), slot)
        # Written before the cable is plugged in: without it the node ends by itself, so no start is ever forgotten.
        record.write(state, started)
        network.plug_in(slot, started.inner.pid)
    return started


def node_name(name: str) -> str:
    return f"{name}-node"


def _launch(name: str, state: Path, slot: Slot) -> int:
    settings = {
        "state": str(state),
        "cache": str(paths.cache()),
        "node": node_name(name),
        "cgroup": name,
        "link": NODE_LINK,
        "address": slot.node,
    }
    log = state / "logs" / "node.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        launched = subprocess.Popen(
            [
                *(debian.where("unshare"), *NAMESPACES, "--"),
                *(sys.executable, "-m", "cluster.embedded.node", json.dumps(settings)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=clean_environment(debian.SYSTEM_PATH),
            start_new_session=True,  # it outlives the shell that asked for it
        )
    _weigh(launched.pid)
    return launched.pid


def _weigh(pid: int) -> None:
    """The daemons come before pods and shells, where the kernel groups by sessions, as they do on nodes of their own.

    With the weight of one shell for all of them, an API server beside busy pods answered nothing for 10 s; with that of
    two, kube-proxy sent requests to pods that were gone for more than five. containerd has a session of its own: it
    takes what it gets while thirty pods start, and the operator among them lost its Lease.
    """
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_SESSION_NICE))


def _write_state(name: str, state: Path, slot: Slot, kubernetes: Part, containerd: Part, sandbox_image: str) -> None:
    state.mkdir(parents=True, mode=0o700)
    url = f"https://{slot.node}:{API_PORT}"
    credentials = new_credentials(name=f"tandem-{name}", url=url, folder=state / "pki", seen_as=STATE / "pki")
    service = str(ipaddress.ip_network(slot.services)[1])
    add_control_credentials(credentials, (slot.node, service, node_name(name)))
    add_node_credentials(credentials, node_name(name), slot.node)
    credentials.add_config("admin", "kubernetes-admin", (ADMINISTRATORS,)).rename(state / "kubeconfig")
    (state / "audit-policy.yaml").write_text(audit.POLICY)
    volumes.make_folders(state / "volumes")
    binaries = CACHE / kubernetes.folder.name
    plan = Plan(
        binaries=binaries,
        data=STATE,
        credentials=credentials,
        etcd_port=2379,
        etcd_peer_port=2380,
        api_port=API_PORT,
        api_bind="0.0.0.0",
        api_advertise=slot.node,
        services=slot.services,
    )
    node = NodePlan(
        name=node_name(name),
        slot=slot,
        kubernetes=binaries,
        containerd=CACHE / containerd.folder.name,
        credentials=credentials,
        sandbox_image=sandbox_image,
        cgroup_root=f"/{cgroups.folder(name)}",
        unified_cgroups=cgroups.unified(),
    )
    node_daemons.write_files(node, state / "node")
    write_spec(state, _daemons(plan, node))


def _daemons(plan: Plan, node: NodePlan) -> Sequence[Daemon]:
    return (
        etcd(plan),
        node_daemons.containerd(node),
        apiserver(plan),
        controller_manager(plan, port=10257),
        scheduler(plan, port=10259),
        node_daemons.kubelet(node),
        node_daemons.proxy(node),
    )
