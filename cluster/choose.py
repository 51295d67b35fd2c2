"""Which backend: kind where Docker answers, since that is what people know; the embedded one elsewhere."""

from __future__ import annotations

from enum import StrEnum

from cluster import docker
from cluster.embedded.backend import EmbeddedCluster
from cluster.interface import Cluster


class Backend(StrEnum):
    AUTO = "auto"
    KIND = "kind"
    EMBEDDED = "embedded"


def cluster(name: str, backend: Backend = Backend.AUTO) -> Cluster:
    if backend is Backend.KIND or (backend is Backend.AUTO and docker.answers()):
        # Imported here: pytest-kind is needed on machines with Docker only.
        from cluster.kind import Kind

        return Kind(name)
    return EmbeddedCluster(name)
