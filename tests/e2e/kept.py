"""Data in an object store that asks for credentials: a real S3 server on this machine, Secrets, and pods that fetch.

What the store refuses, cuts short or does not have is told the fetching process in tests/contract/runtime; here it is
pods that meet it, with what the kubelet makes of a Secret.
"""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import dataclass
from typing import Final

from demo.kubectl import Json, Kubectl, is_true
from tests.contract.runtime.stores import Bucket, s3_server
from tests.e2e.beside import Scenario, Stage
from tests.e2e.diary import is_over
from tests.e2e.scripts import resource, step

FETCHED: Final = "fetched"
REFUSED: Final = "refused"  # its Secret says where the store is, and no key
MISSING: Final = "missing"  # there is no such object
CLOSED: Final = "closed"  # the store takes the key, and its policy lets nobody in, until somebody mends it
SECRET: Final = "acme-data"
FLOWERS: Final = b"id,species\n1,setosa\n2,versicolor\n"
DIGEST: Final = f"sha256:{hashlib.sha256(FLOWERS).hexdigest()}"


@dataclass(frozen=True)
class Facts:
    """Each TrainingJob as it ended. ``said``: what the step of the first one read.

    ``pod``: its pod. ``opened``: ``CLOSED`` after the policy was mended, and another run asked for.
    """

    ends: dict[str, Json]
    said: str
    pod: Json
    opened: Json


def _keep(stage: Stage) -> Facts:
    kubectl, diary = stage.kubectl, stage.diary
    with s3_server(_this_machine(kubectl)) as bucket:
        flowers, closed = bucket("flowers"), bucket("closed")
        for one in (flowers, closed):
            one.put({"iris/flowers.csv": FLOWERS})
        closed.deny_everybody()
        keyless = {name: value for name, value in flowers.secret.items() if "KEY" not in name}
        kubectl.apply(_secret(SECRET, flowers.secret), _secret("keyless", keyless))
        kubectl.apply(
            _job(FETCHED, flowers, "flowers.csv"),
            _job(REFUSED, flowers, "flowers.csv", secret="keyless"),
            _job(MISSING, flowers, "weeds.csv"),
            _job(CLOSED, closed, "flowers.csv"),
        )
        names = (FETCHED, REFUSED, MISSING, CLOSED)
        ended = diary.until_all({f"trainingjobs/{name}": is_over for name in names}, "all are over")
        closed.admit_everybody()
        kubectl.run("annotate", f"trainingjob/{CLOSED}", "tandem.dev/requestedAt=the policy is mended")
        opened = diary.until(f"trainingjobs/{CLOSED}", lambda job: is_true(job, "Complete"), "it is let in")
    [pod] = kubectl.json("get", "pods", f"--selector=job-name={FETCHED}-1")["items"]
    return Facts(
        ends={name: ended[f"trainingjobs/{name}"] for name in names},
        said=kubectl.run("logs", pod["metadata"]["name"], "--container=train"),
        pod=pod,
        opened=opened,
    )


def _job(name: str, bucket: Bucket, key: str, secret: str = SECRET) -> Json:
    data = {"name": "flowers", "storageUri": f"s3://{bucket.name}/iris/{key}", "secretRef": {"name": secret}}
    command = ["sh", "-c", "env | grep -c AWS_ ; cat data/flowers/*.csv"]
    return resource("TrainingJob", name, {"data": [data], "steps": [step("train", *command)], "backoffLimit": 0})


def _secret(name: str, values: dict[str, str]) -> Json:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def _this_machine(kubectl: Kubectl) -> str:
    """Its address as nodes and pods know it: that from which this machine talks to them; nothing is sent."""
    [node] = kubectl.json("get", "nodes")["items"]
    address = next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        mine: str = probe.getsockname()[0]
    return mine


def secrets_of(pod: Json) -> dict[str, list[str]]:
    """Container → whatever of its environment or mounts comes from a Secret, as JSON."""
    spec = pod["spec"]
    volumes = {volume["name"] for volume in spec["volumes"] if "secret" in json.dumps(volume)}
    found = {}
    for container in [*spec["initContainers"], *spec["containers"]]:
        parts = [*container.get("env", ()), *container.get("envFrom", ())]
        told = [json.dumps(part) for part in parts if "secret" in json.dumps(part)]
        told += [mount["name"] for mount in container["volumeMounts"] if mount["name"] in volumes]
        found[container["name"]] = told
    return found


KEPT: Final = Scenario("kept", ("trainingjobs",), _keep)
