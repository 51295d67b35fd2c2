"""A default storage class: folders made beforehand, each of them one volume, handed out to claims by size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

STORAGE_CLASS = "standard"
VOLUMES = {"1Gi": 12, "5Gi": 12, "20Gi": 6}


def make_folders(folder: Path) -> None:
    for name, _ in _names():
        path = folder / name
        path.mkdir(parents=True, exist_ok=True)
        # fsGroup does not apply to a hostPath volume: without this only root could write.
        path.chmod(0o777)


def manifests(folder_on_node: Path) -> Iterator[dict[str, object]]:
    yield _storage_class()
    for name, size in _names():
        spec = {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "hostPath": {"path": str(folder_on_node / name), "type": "Directory"},
        }
        yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def released(listed: str) -> list[str]:
    """Of a list of volumes as JSON those that no claim has any more; nothing in the cluster frees them again."""
    return [
        volume["metadata"]["name"]
        for volume in json.loads(listed)["items"]
        if volume["spec"].get("storageClassName") == STORAGE_CLASS and volume["status"].get("phase") == "Released"
    ]


def empty(folder: Path, names: list[str]) -> None:
    for name in names:
        shutil.rmtree(folder / name, ignore_errors=True)
    make_folders(folder)


def _names() -> Iterator[tuple[str, str]]:
    for size, count in VOLUMES.items():
        for number in range(1, count + 1):
            yield f"{STORAGE_CLASS}-{size.lower()}-{number}", size


def _storage_class() -> dict[str, object]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
