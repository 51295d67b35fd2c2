"""Builds the project's images with what the machine has: Docker where its daemon answers, buildah elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

from cluster import docker
from cluster.embedded.buildah import Buildah
from cluster.errors import ClusterError
from cluster.references import written_out


class Builder(Protocol):
    def build(
        self, tag: str, dockerfile: Path, context: Path, target: str | None, arguments: Mapping[str, str]
    ) -> None: ...

    def image_id(self, tag: str) -> str:
        """Empty where there is no such image."""

    def export(self, tag: str, target: Path, known: Collection[str] = ()) -> None:
        """As an archive that containerd imports; layers that it knows (``sha256:…``) may be left out."""


@cache
def builder() -> Builder:
    return docker.Docker() if docker.answers() else Buildah()


def build(
    tag: str,
    *,
    context: Path = Path(),
    dockerfile: Path | None = None,
    target: str | None = None,
    arguments: Mapping[str, str] | None = None,
) -> str:
    """The image's id. Unchanged layers come from the builder's cache: a warm build takes about a second."""
    name = written_out(tag)
    file = dockerfile or context / "Dockerfile"
    if not file.is_file():
        raise ClusterError(
            what=f"there is no {file}",
            rule="an image is built from a Dockerfile",
            remedy="give its place with --file",
        )
    builder().build(name, file, context, target, arguments or {})
    return builder().image_id(name)


def built(reference: str) -> tuple[str, str]:
    """The written-out reference and the id of an image that was built here."""
    name = written_out(reference)
    found = builder().image_id(name)
    if not found:
        raise ClusterError(
            what=f"there is no image {name} on this machine",
            rule="only images built here can be loaded",
            remedy=f"build it first: python -m cluster build-image --tag {reference}",
        )
    return name, found
