"""What every object of an AppDeployment has in common: whose it is, how it is found, and how a difference is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tandem.api import names
from tandem.api.meta import Json, ObjectMeta, controller_reference
from tandem.apps.case import Case
from tandem.apps.revision import APPLIED_ANNOTATION, hashed

PORT_NAME: Final = "http"
CONTAINER: Final = "app"


def name_of(case: Case, number: int) -> str:
    """Of a revision's Deployment."""
    return f"{case.app.metadata.name}-{number}"


def preview_name(case: Case) -> str:
    """Of the Service in front of the candidate."""
    return f"{case.app.metadata.name}-candidate"


def selector(case: Case, number: int) -> dict[str, str]:
    """The pods of one revision."""
    return {names.APP_LABEL: case.app.metadata.name, names.REVISION_LABEL: str(number)}


def labels(case: Case, number: int | None = None) -> dict[str, str]:
    app = {names.APP_LABEL: case.app.metadata.name} if number is None else selector(case, number)
    return {names.MANAGED_BY_LABEL: names.MANAGED_BY, **app}


def metadata(case: Case, name: str, number: int | None = None, annotations: Mapping[str, str] | None = None) -> Json:
    meta = case.app.metadata
    return {
        "name": name,
        "namespace": meta.namespace,
        "labels": labels(case, number),
        "annotations": dict(annotations or {}),
        "ownerReferences": [controller_reference(names.API_VERSION, names.APP_DEPLOYMENT, meta)],
    }


def marked(manifest: Json) -> Json:
    """What was applied is compared with what was applied last, not with what defaults and webhooks made of it."""
    manifest["metadata"]["annotations"][APPLIED_ANNOTATION] = hashed(manifest)
    return manifest


def mark_of(manifest: Json) -> str:
    return str(manifest["metadata"]["annotations"][APPLIED_ANNOTATION])


def is_applied(manifest: Json, to: ObjectMeta) -> bool:
    return to.annotations.get(APPLIED_ANNOTATION) == mark_of(manifest)
