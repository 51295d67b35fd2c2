"""The curated container fields that both kinds share: never a whole pod spec (anchors: Argo CVE-2026-31892)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, TypeAlias

import msgspec

from tandem.api.meta import Wire

# The same rule as Kubernetes' own for names of objects and containers (RFC 1123 label).
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN, min_length=1, max_length=63)]
ObjectName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)]
# Printable ASCII, said outright: `\s` is ASCII in the API server's regular expressions (RE2) and Unicode in Python's.
Image = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[!-~]+$")]
Argument = Annotated[str, msgspec.Meta(max_length=4096)]
# Kubernetes keeps seconds and counts in 32 bits: more would pass here and be refused when the Job is created.
MAX_INT32 = 2**31 - 1
# What people write (500m, 1.5, 2Gi, 1), bounded so that no number in a plan is too large to compare.
QUANTITY_PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
Quantity: TypeAlias = (
    Annotated[str, msgspec.Meta(pattern=QUANTITY_PATTERN, max_length=32)] | Annotated[int, msgspec.Meta(ge=0)]
)


_FACTORS: Final = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}


def amount(quantity: Quantity) -> float:
    """The number that a quantity stands for: of CPUs, of bytes."""
    text = str(quantity)
    number = text.rstrip("mkKMGTPi")
    suffix = text[len(number) :]
    factor = 1024.0 ** ("KMGTP".index(suffix[0]) + 1) if suffix.endswith("i") else _FACTORS.get(suffix, 1.0)
    return float(number) * factor


def limits_beside(others: Sequence[Mapping[str, Quantity]], least: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Those of a container of Tandem's own beside ``others``, by their limits: where all have one, as the largest.

    A ResourceQuota on limits refuses a pod of which one container has none, and nobody but us can give ours one.
    ``least``: what it needs, of each resource that it may be limited in.
    """
    return {
        name: max((*(limits[name] for limits in others), needed), key=amount)
        for name, needed in limits_like(others, least).items()
    }


def limits_like(others: Sequence[Mapping[str, Quantity]], own: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Of the limits that a container of Tandem's own could have, those of what all ``others`` limit, too."""
    return {name: limit for name, limit in own.items() if all(name in limits for limits in others)}


class LocalReference(Wire, frozen=True):
    """An object of the resource's own namespace, by name: there is no field for another namespace."""

    name: ObjectName


class Resources(Wire, frozen=True):
    """Requests and limits, as in a container of a pod."""

    requests: Annotated[dict[str, Quantity], msgspec.Meta(max_length=8)] = {}
    limits: Annotated[dict[str, Quantity], msgspec.Meta(max_length=8)] = {}


class EnvVar(Wire, frozen=True):
    """A plain environment variable (values from Secrets come with ``envFrom``, resolved by the kubelet)."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
    value: Annotated[str, msgspec.Meta(max_length=4096)] = ""
