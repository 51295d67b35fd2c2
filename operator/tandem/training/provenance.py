"""What went into a run: the commit and the data digests that ``fetch`` reports, and the image digest that ran.

The report comes from inside a pod, so it is read strictly: another shape is as good as none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import msgspec

from tandem.api import names
from tandem.api.children import ContainerStatus, Pod
from tandem.api.containers import MAX_INT32
from tandem.api.facts import TrackedRun
from tandem.api.trainingjob import Sha256, TrainingJobSpec
from tandem.api.trainingjob_status import DataStatus, ImageStatus, SourceStatus
from tandem.training.findings import Findings
from tandem.training.images import digest_of, reference
from tandem.training.inputs import FETCH, VALIDATE
from tandem.training.quality import with_verdicts

_VERSION = 128  # characters
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
Commit = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


class FetchedData(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(max_length=63)]
    digest: Sha256
    bytes: Annotated[int, msgspec.Meta(ge=-1)] = -1  # the shortest report leaves it out
    files: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT32)] = 0
    rows: Annotated[int, msgspec.Meta(ge=0)] | None = None
    version: Annotated[str, msgspec.Meta(max_length=128)] = ""


class FetchReport(msgspec.Struct, frozen=True):
    commit: Commit | None = None
    data: Annotated[tuple[FetchedData, ...], msgspec.Meta(max_length=16)] = ()
    files: Sha256 | None = None


def with_provenance(found: Findings, written: Mapping[str, str], pods: tuple[Pod, ...]) -> Findings:
    """The findings with what the youngest pod tells; what was known before is kept when it tells nothing.

    ``written``: the image of each step, the last one last, as the spec says it.
    """
    if not pods:
        return found
    containers = {container.name: container for container in pods[-1].containers}
    report = _report(containers.pop(FETCH, None))
    ran = {step: reference(image, containers[step].image_id) for step, image in written.items() if step in containers}
    last = containers.get(list(written)[-1])
    digest = digest_of(last.image_id) if last else ""
    validate = containers.get(VALIDATE)
    found = replace(
        found,
        source=_source(report) or found.source,
        data=(
            tuple(
                DataStatus(
                    name=d.name, digest=d.digest, bytes=max(d.bytes, 0), files=d.files, rows=d.rows, version=d.version
                )
                for d in report.data
            )
            if report
            else found.data
        ),
        image=ImageStatus(digest=digest, steps={k: v for k, v in ran.items() if v}) if digest else found.image,
    )
    return with_verdicts(found, validate)


def fetched_by(pod: Pod) -> FetchReport | None:
    """What a pod tells of the code and data that it has fetched; None while it has not, or if it tells nothing."""
    return _report(next((container for container in pod.containers if container.name == FETCH), None))


def with_recorded_data(found: Findings, spec: TrainingJobSpec, tracked: TrackedRun) -> Findings:
    """The findings with the digests and versions that the fetching container wrote to MLflow, if its pod did not tell.

    A report may have been cut, a pod may be gone before anybody looked.
    """
    told = {data.name: data for data in found.data}
    for data in spec.data:
        digest = tracked.tags.get(f"{names.TAG_DATA}.{data.name}", "")
        version = tracked.tags.get(f"{names.TAG_DATA_VERSION}.{data.name}", "")[:_VERSION]
        if data.name not in told and _SHA256.fullmatch(digest):
            told[data.name] = DataStatus(name=data.name, digest=digest, version=version)
        elif data.name in told and not told[data.name].version and version:
            told[data.name] = msgspec.structs.replace(told[data.name], version=version)
    return replace(found, data=tuple(told[data.name] for data in spec.data if data.name in told))


def lineage_tags(found: Findings) -> dict[str, str]:
    """The tags by which a run, and the version made from it, lead back to code, data and image."""
    tags = {}
    if found.source and found.source.commit:
        tags[names.TAG_COMMIT] = found.source.commit
    if found.source and found.source.digest:
        tags[names.TAG_SOURCE_DIGEST] = found.source.digest
    if found.image:
        tags[names.TAG_IMAGE_DIGEST] = found.image.digest
        tags.update({f"{names.TAG_IMAGE}.{step}": image for step, image in found.image.steps.items()})
    tags.update({f"{names.TAG_DATA}.{data.name}": data.digest for data in found.data})
    return tags


def _source(report: FetchReport | None) -> SourceStatus | None:
    if report is None or not (report.commit or report.files):
        return None
    return SourceStatus(commit=report.commit or "", digest=report.files or "")


def _report(fetch: ContainerStatus | None) -> FetchReport | None:
    terminated = fetch.state.terminated if fetch else None
    if terminated is None or terminated.exit_code != 0:
        return None
    try:
        return msgspec.json.decode(terminated.message, type=FetchReport)
    except msgspec.DecodeError:
        return None
