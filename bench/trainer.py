"""Kubeflow Trainer's own manager beside Tandem, built from its Go module: the same creations, its own kind.

It does less of a run than Tandem does (see ``WHAT``); the row is there for the figures of a client with the default
limits of controller-runtime. The kubelet's part, mounting the certificate of its webhook, is played here.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Final

from bench.actors import Actor, started
from bench.audit import Request, finished
from bench.client import Client, each
from bench.ground import Ground
from bench.results import Throughput
from bench.workload import IMAGE, Workload
from cluster.control_plane import ControlPlane
from cluster.embedded import go, parts
from cluster.embedded.parts import Part

WHAT: Final = (
    "its real manager, its client's limit of 20 requests a second as it ships; applies a JobSet for each TrainJob and "
    "stops there: the Job would be JobSet's controller's, which does not run here, and a status comes when that ends"
)
TRAINER: Final = Actor("Kubeflow Trainer", WHAT, program="trainer-controller-manager", watches="trainjobs")
TRAIN_JOBS: Final = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/{}/trainjobs"
JOB_SETS: Final = "/apis/jobset.x-k8s.io/v1alpha2/namespaces/{}/jobsets"

_MODULE: Final = "github.com/kubeflow/trainer/v2"
_SOURCE: Final = Path(__file__).parent / "parts" / "trainer"
_NAMESPACE: Final = "kubeflow-system"  # fixed in its code, as the folder is
_CERTIFICATES: Final = Path("/tmp/k8s-webhook-server/serving-certs")
_QUIET: Final = 2.5
_SECONDS_FOR_EACH: Final = 0.5


def part() -> Part:
    return Part(
        "trainer",
        parts.pinned("trainer", _MODULE, _SOURCE),
        "3 minutes the first time",
        packages=(f"{_MODULE}/cmd/trainer-controller-manager",),
        module=_SOURCE,
    )


def measure(ground: Ground, resources: int) -> Throughput:
    """From the first TrainJob that arrived to the last JobSet."""
    program = str(parts.ensure(part()).binary("trainer-controller-manager"))
    _prepare(ground.plane)
    arguments = ("--health-probe-bind-address", "0", "--webhook-server-port", "{port}")
    workload, names = ground.workload(), range(resources)
    with (
        _certificates(ground.plane),
        started(ground.plane, replace(TRAINER, program=program, arguments=arguments), ground.mlflow) as process,
    ):
        cpu_before, before = process.cpu_seconds, len(process.tail.requests)
        creations = ground.client_tail()
        ground.do(partial(_create, workload, names))
        patience = 60 + _SECONDS_FOR_EACH * resources
        process.tail.await_settled(lambda: len(_made(process.tail.requests)) >= resources, "all JobSets", patience)
        process.tail.await_quiet(_QUIET)
        creations.read()
        own = process.tail.requests[before:]
        cpu, megabytes = process.cpu_seconds - cpu_before, process.memory("VmHWM")
    ground.do(_clear)
    begun = min(r.received for r in creations.requests if (r.verb, r.resource) == ("create", "trainjobs"))
    requests = {f"{verb} {resource}": n for (verb, resource), n in sorted(finished(own).items())}
    ended = max(_made(own).values())
    return Throughput(TRAINER.name, TRAINER.what, resources, ended - begun, cpu, requests, megabytes)


def _made(requests: list[Request]) -> dict[str, float]:
    """namespace/name of each JobSet → when its first apply had succeeded."""
    found: dict[str, float] = {}
    for r in requests:
        if (r.verb, r.resource) == ("patch", "jobsets") and r.code < 300:
            found.setdefault(r.name, r.answered)
    return found


async def _create(workload: Workload, numbers: range, client: Client) -> None:
    async def one(number: int) -> None:
        body = {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": workload.name(number)},
            "spec": {"runtimeRef": {"name": "bench"}, "trainer": {"command": ["python", "train.py"]}},
        }
        await client.send("POST", TRAIN_JOBS.format(workload.namespace(number)), json.dumps(body).encode())

    await each(numbers, one)


async def _clear(client: Client) -> None:
    await client.clear(TRAIN_JOBS, JOB_SETS)


def _prepare(plane: ControlPlane) -> None:
    """Its kinds, a runtime, and what its certificates need. Again changes nothing."""
    for module, folder in ((_MODULE, "manifests/base/crds"), ("sigs.k8s.io/jobset", "config/components/crd/bases")):
        plane.define(*sorted((_folder_of(module) / folder).glob("*_*.yaml")))
    for body in (_namespace(), _secret(), _webhook(), _runtime()):
        plane.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(body))


@cache
def _folder_of(module: str) -> Path:
    """Where Go keeps the sources of a module; they are there since the build."""
    toolchain = str(go.toolchain("1.24"))
    asked = [toolchain, "list", "-m", "-f", "{{.Dir}}", module]
    environ = {**os.environ, **go.environment()}
    done = subprocess.run(asked, cwd=_SOURCE, env=environ, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def _namespace() -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}


def _secret() -> dict[str, object]:
    meta = {"name": "kubeflow-trainer-webhook-cert", "namespace": _NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta}


def _webhook() -> dict[str, object]:
    """It puts its certificate into the webhooks of this, and does not start before; there are none to be called."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "validator.trainer.kubeflow.org"},
    }


def _runtime() -> dict[str, object]:
    """The plainest: one node, one container."""
    pod = {"containers": [{"name": "node", "image": IMAGE}]}
    ancestor = {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}
    job = {"name": "node", "template": {"metadata": ancestor, "spec": {"template": {"spec": pod}}}}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "ClusterTrainingRuntime",
        "metadata": {"name": "bench", "labels": {"trainer.kubeflow.org/framework": "plain"}},
        "spec": {"mlPolicy": {"numNodes": 1}, "template": {"spec": {"replicatedJobs": [job]}}},
    }


@contextmanager
def _certificates(plane: ControlPlane) -> Iterator[None]:
    """What the kubelet does: the Secret, as soon as there is something in it, as files."""
    stopped = threading.Event()

    def mount() -> None:
        while not stopped.wait(0.2):
            found = plane.kubectl("get", "secret", "-n", _NAMESPACE, "kubeflow-trainer-webhook-cert", "-o", "json")
            data = json.loads(found).get("data") or {}
            if data:
                _CERTIFICATES.mkdir(parents=True, mode=0o700, exist_ok=True)
                for name, value in data.items():
                    (_CERTIFICATES / name).write_bytes(base64.b64decode(value))
                return

    thread = threading.Thread(target=mount, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        shutil.rmtree(_CERTIFICATES, ignore_errors=True)
