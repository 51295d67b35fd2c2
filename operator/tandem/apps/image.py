"""Which image a tag stood for: what the nodes say that they run, and how a revision is kept from running another.

Nobody asks a registry. A tag that is moved changes nothing while pods run, and would change what an old revision is
when it comes back. So a revision whose pods go is pinned to the digest that they ran: then nothing is restarted by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from tandem.apps.case import Case
from tandem.apps.failure import pods_of
from tandem.apps.manifest import CONTAINER
from tandem.apps.revision import Owned, Shown

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_TAG: Final = re.compile(r":[^/:@]*$")
_DEFAULT_REGISTRY: Final = "docker.io"
_OTHERS: Final = 16  # as many as the CRD takes


def image_digest(case: Case, number: int, digest: str, owned: Owned | None) -> str:
    """What its first pod told stays: a tag that moves later does not change what was rolled out. '': nobody knows."""
    if owned is not None and owned.shown.image_digest:
        return owned.shown.image_digest
    for known in (case.stored.stable, case.stored.candidate, *case.stored.revisions):
        if known is not None and (known.revision, known.digest) == (number, digest) and known.image_digest:
            return known.image_digest
    return _told(case, owned) if owned is not None else ""


def shown(case: Case, owned: Owned, replicas: int) -> Shown:
    """What is remembered of it: when its pods go, what they ran as well."""
    if replicas > 0 or owned.shown.image_digest:
        return owned.shown
    ran = image_digest(case, owned.number, owned.digest, owned)
    return msgspec.structs.replace(owned.shown, image_digest=ran) if ran else owned.shown


def _told(case: Case, owned: Owned) -> str:
    """By the first pod that is ready, else by the first with an image; without pods, what it is pinned to."""
    ids = (*_ids(case, owned), *_ids(case, owned, ready=False), owned.deployment.image_of(CONTAINER))
    return next((found.group() for id_ in ids if (found := _DIGEST.search(id_))), "")


def other_digests(case: Case, owned: Owned, known: str) -> tuple[str, ...]:
    """What else its pods run under the name that was written: a tag that moved, met by another node."""
    written = owned.shown.image
    found = {digest for id_ in _ids(case, owned, ready=False) if (digest := _pulled(id_, written))}
    return tuple(sorted(found - {known}))[:_OTHERS] if len(found) > 1 else ()


def pinned(case: Case, owned: Owned, replicas: int) -> str:
    """The image that the pod template is to have instead of the one that was written; '': that one."""
    written, present = owned.shown.image, owned.deployment.image_of(CONTAINER)
    if "@" in present and present != written:
        return present  # once pinned, always
    if replicas > 0 or not written or "@" in written:
        return ""
    digest = next((found for id_ in _ids(case, owned) if (found := _pulled(id_, written))), "")
    return f"{_TAG.sub('', written)}@{digest}" if digest else ""


def _pulled(id_: str, written: str) -> str:
    """The digest of what a registry has under the name that was written.

    An image that was loaded into a node, not pulled, has an id that no registry knows, or another's name: ''.
    """
    name, at, digest = id_.removeprefix("docker-pullable://").partition("@")
    is_it = at and _DIGEST.fullmatch(digest) and _full(name) == _full(_TAG.sub("", written.partition("@")[0]))
    return digest if is_it else ""


def _ids(case: Case, owned: Owned, *, ready: bool = True) -> Iterator[str]:
    """``ready``: of containers that are ready alone."""
    children = case.observed.children
    for pod in pods_of(owned.deployment, children.replica_sets, children.pods):
        for container in pod.containers:
            if container.name == CONTAINER and (container.ready or not ready):
                yield container.image_id


def _full(repository: str) -> str:
    """As container runtimes read a short name: shop is docker.io/library/shop."""
    first, slash, _ = repository.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return repository
    return f"{_DEFAULT_REGISTRY}/{repository}" if slash else f"{_DEFAULT_REGISTRY}/library/{repository}"
