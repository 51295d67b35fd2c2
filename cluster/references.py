"""Image references written out as the node knows them, so that a manifest means the same image on every backend."""

from __future__ import annotations

from cluster.errors import ClusterError

DEFAULT_REGISTRY = "docker.io"


def written_out(reference: str) -> str:
    """tandem:dev → docker.io/library/tandem:dev, the way a kubelet reads it."""
    if "@" in reference or not reference:
        raise ClusterError(
            what=f"'{reference}' cannot be the name of an image built here",
            rule="a built image is named by a tag; its digest is known only afterwards",
            remedy="use NAME:TAG, for example tandem:dev",
        )
    first, slash, _ = reference.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    if not has_registry:
        reference = f"{DEFAULT_REGISTRY}/{reference if slash else f'library/{reference}'}"
    return reference if ":" in reference.rsplit("/", 1)[-1] else f"{reference}:latest"


def repository(reference: str) -> str:
    """A written-out reference without its tag."""
    return reference.rsplit(":", 1)[0]
