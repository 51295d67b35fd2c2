"""Get and list: pages of one version, a selector, metadata alone."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import TypeAlias

from tests.faults.apiserver.answers import bad_request, expired
from tests.faults.apiserver.database import Database
from tests.faults.apiserver.kinds import Json, Kind

Selects: TypeAlias = Callable[[Json], bool]

METADATA = "as=PartialObjectMetadata"
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter."
)


def selected(kind: Kind, namespace: str | None, selector: str) -> Selects:
    """Whether an object is of the namespace (None: of any) and has the labels (``a=b,c!=d,e``)."""
    terms = [term for term in selector.split(",") if term]

    def holds(term: str, labels: Mapping[str, str]) -> bool:
        if "!=" in term:
            key, _, value = term.partition("!=")
            return labels.get(key) != value
        key, equals, value = term.replace("==", "=").partition("=")
        return labels.get(key) == value if equals else key in labels

    def selects(body: Json) -> bool:
        meta = body["metadata"]
        there = namespace is None or meta["namespace"] == namespace
        return there and all(holds(term, meta.get("labels") or {}) for term in terms)

    return selects


def listed(
    database: Database, kind: Kind, namespace: str | None, query: Mapping[str, str], accept: str, view: int
) -> Json:
    """One page. ``view``: how far this reader can see."""
    revision, after = view, ("", "")
    if query.get("continue"):
        revision, after = _opened(query["continue"])
        if revision < database.oldest:
            raise expired(_TOO_OLD)
    selects = selected(kind, namespace, query.get("labelSelector", ""))
    found = sorted(
        ((namespace, name), body)
        for (of, namespace, name), body in database.at(revision).items()
        if of is kind and (namespace, name) > after and selects(body)
    )
    limit = int(query.get("limit") or 0) or len(found)
    meta: Json = {"resourceVersion": str(revision)}
    if len(found) > limit:
        meta["continue"] = _token(revision, found[limit - 1][0])
        meta["remainingItemCount"] = len(found) - limit
    items = [body for _, body in found[:limit]]
    if METADATA in accept:
        partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        parts = [{**partial, "metadata": body["metadata"]} for body in items] or None  # the real one sends null, too
        return {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": parts}
    # Built-in kinds are listed without kind and apiVersion in each item, custom ones with.
    if kind.schema is None:
        items = [{k: v for k, v in body.items() if k not in {"kind", "apiVersion"}} for body in items]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta, "items": items}


def _token(revision: int, last: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([revision, *last]).encode()).decode()


def _opened(token: str) -> tuple[int, tuple[str, str]]:
    try:
        revision, namespace, name = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error) as error:
        raise bad_request("continue key is not valid") from error
    return revision, (namespace, name)
