"""Which image a tag stood for: what the nodes say that they run, and how a revision is kept from running another.

Nobody asks a registry. A tag that is moved changes nothing while pods run, and would change what an old revision is
when it comes back. So a revision whose pods go is pinned to the digest that they ran: then nothing is restarted by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tandem.apps.case import Case
from tandem.apps.failure import pods_of
from tandem.apps.manifest import CONTAINER
from tandem.apps.revision import Owned

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_TAG: Final = re.compile(r":[^/:@]*$")
_DEFAULT_REGISTRY: Final = "docker.io"


def image_digest(case: Case, owned: Owned) -> str:
    """As the first ready pod tells it; '' while none is ready."""
    return next((found.group() for id_ in _ids(case, owned) if (found := _DIGEST.search(id_))), "")


def pinned(case: Case, owned: Owned, replicas: int) -> str:
    """The image that the pod template is to have instead of the one that was written; '': that one."""
    written, present = owned.shown.image, owned.deployment.image_of(CONTAINER)
    if "@" in present and present != written:
        return present  # once pinned, always
    if replicas > 0 or not written or "@" in written:
        return ""
    repository = _TAG.sub("", written)
    for id_ in _ids(case, owned):
        # An image that was loaded into a node, not pulled, has an id that no registry knows, or another's name.
        name, at, digest = id_.removeprefix("docker-pullable://").partition("@")
        if at and _DIGEST.fullmatch(digest) and _full(name) == _full(repository):
            return f"{repository}@{digest}"
    return ""


def _ids(case: Case, owned: Owned) -> Iterator[str]:
    children = case.observed.children
    for pod in pods_of(owned.deployment, children.replica_sets, children.pods):
        for container in pod.containers:
            if container.name == CONTAINER and container.ready:
                yield container.image_id


def _full(repository: str) -> str:
    """As container runtimes read a short name: shop is docker.io/library/shop."""
    first, slash, _ = repository.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return repository
    return f"{_DEFAULT_REGISTRY}/{repository}" if slash else f"{_DEFAULT_REGISTRY}/library/{repository}"
