"""Which image ran: the digest that a node tells, and a name by which a registry has it, where there is one."""

from __future__ import annotations

import re
from typing import Final

from tandem.api.trainingjob import TrainingJobSpec

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_TAG: Final = re.compile(r":[^/:]*$")


def written(spec: TrainingJobSpec, default: str) -> dict[str, str]:
    """The image of each step, as the spec says it."""
    return {step.name: step.image or spec.image or default for step in spec.steps}


def digest_of(image_id: str) -> str:
    """``sha256:…`` out of an imageID like ``docker-pullable://name@sha256:…`` or a bare digest; or ''."""
    candidate = image_id.rpartition("@")[2]
    return candidate if _DIGEST.fullmatch(candidate) else ""


def reference(image: str, image_id: str) -> str:
    """``name@sha256:…``; the digest alone where the image was loaded into the node, not pulled by this name; or ''."""
    digest = digest_of(image_id)
    name, at, _ = image_id.removeprefix("docker-pullable://").rpartition("@")
    repository = _repository(image)
    return f"{repository}@{digest}" if digest and at and _full(name) == _full(repository) else digest


def pinned(image: str, reference: str) -> str:
    """The image by the digest that is on record of it; as it is written where no registry knows that.

    By its own repository: what is on record is a tag in MLflow, and whoever writes that does not choose what runs here.
    """
    digest = digest_of(reference)
    return f"{_repository(image)}@{digest}" if digest and "@" in reference else image


def _repository(image: str) -> str:
    return _TAG.sub("", image.partition("@")[0])


def _full(repository: str) -> str:
    """As container runtimes read a short name: iris is docker.io/library/iris."""
    first, slash, _ = repository.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return repository
    return f"docker.io/{repository}" if slash else f"docker.io/library/{repository}"
