"""The curated container fields that both kinds share: never a whole pod spec (anchors: Argo CVE-2026-31892)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tandem.api.meta import Wire

# The same rule as Kubernetes' own for names of objects and containers (RFC 1123 label).
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN, min_length=1, max_length=63)]
ObjectName = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
Image = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\s]+$")]
Argument = Annotated[str, msgspec.Meta(max_length=4096)]


class Resources(Wire, frozen=True):
    """Requests and limits, as in a container of a pod."""

    requests: dict[str, str | int] = {}
    limits: dict[str, str | int] = {}


class EnvVar(Wire, frozen=True):
    """A plain environment variable (values from Secrets come with ``envFrom``, resolved by the kubelet)."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
    value: Annotated[str, msgspec.Meta(max_length=4096)] = ""
