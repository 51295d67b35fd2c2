"""The images that the story needs, all built here: Tandem's own two, and three releases of the example web app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cluster import images
from cluster.interface import Cluster
from cluster.paths import REPOSITORY

OPERATOR: Final = "tandem/operator:dev"
RUNTIME: Final = "tandem/runtime:dev"


@dataclass(frozen=True)
class Image:
    tag: str
    context: Path
    target: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)

    def build(self) -> str:
        """The image's id."""
        return images.build(self.tag, context=self.context, target=self.target, arguments=self.arguments)


TANDEM: Final = (Image(OPERATOR, REPOSITORY, target="operator"), Image(RUNTIME, REPOSITORY, target="runtime"))
WEB: Final = tuple(
    Image(f"web:{version}", REPOSITORY / "examples/web", arguments={"VERSION": version})
    for version in ("1", "2", "broken")
)


def provide(cluster: Cluster, wanted: tuple[Image, ...]) -> dict[str, str]:
    """Builds and loads what changed; the images' ids by tag."""
    ids = {image.tag: image.build() for image in wanted}
    cluster.load_image(*ids)
    return ids
