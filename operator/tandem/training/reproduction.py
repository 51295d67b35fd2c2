"""spec.reproduceFrom: train again what one run was made from, and see whether the same model comes out.

What the original was made from is on record in its MLflow run: the commit, the digests of data and images, the settings
of its environment, and what its steps and parameters were. All of that is pinned; what cannot be had again, or was not
recorded, ends the run before anything trains. The models are compared in the pod (:mod:`tandem.runtime.compare`).

A reproduction is judged by no gate, registered as no version, and moves no alias.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Final

import msgspec

from tandem.api import names
from tandem.api.conditions import Failed, Outcome, Passed, Undecided
from tandem.api.facts import RunNamed, TrackedRun, Unavailable
from tandem.api.plan import TagRun
from tandem.api.trainingjob import GitSource, TrainingJobSpec
from tandem.api.trainingjob_status import ReproductionStatus
from tandem.training import images
from tandem.training.attempts import own
from tandem.training.attempts import tags as attempt_tags
from tandem.training.case import TRAINED, Case, Pins, refused, unavailable
from tandem.training.environment import inputs_of, settings_on_record
from tandem.training.findings import Findings
from tandem.training.gate import logged
from tandem.training.provenance import lineage_tags, with_recorded_data
from tandem.training.run import jobs_of

REPRODUCED: Final = "Reproduced"
INPUTS_DIFFER: Final = "InputsDiffer"
_NOT_RECORDED: Final = "InputsNotRecorded"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_RESOURCE: Final = 512  # characters, of the status


class Comparison(msgspec.Struct, frozen=True, rename="camel"):
    """What the pod found, as the tag of its MLflow run has it."""

    same: bool
    files: Annotated[int, msgspec.Meta(ge=0, le=10**9)] = 0
    difference: Annotated[str, msgspec.Meta(max_length=4096)] = ""


def find(case: Case, found: Findings) -> tuple[Outcome | None, Findings]:
    """Step: what the original was made from, before anything trains."""
    wanted = case.spec.reproduce_from
    assert wanted is not None
    if case.recorded(TRAINED, found.run) or found.run.job_name or jobs_of(case, found.run):
        return Passed("OriginalFound", f"the inputs of run {wanted} are pinned"), found
    query = RunNamed(wanted)
    original = case.draft.read(query)
    match original:
        case Unavailable():
            return unavailable(original, f"what run {wanted} was made from is in MLflow"), found
        case None if not case.observed.facts.answered(query):
            return None, found
    problem = _problem(case, wanted, original)
    if problem is not None:
        return problem, found
    assert isinstance(original, TrackedRun)
    return Passed("OriginalFound", f"the inputs of run {wanted} are pinned"), replace(found, original=original)


def pinned(case: Case, original: TrackedRun) -> Case:
    """The case with everything pinned that is on record of the original."""
    spec, tags = case.spec, original.tags
    source = spec.source
    if source is not None and source.git is not None:
        git: GitSource = msgspec.structs.replace(source.git, ref=tags[names.TAG_COMMIT])
        source = msgspec.structs.replace(source, git=git)
    data = tuple(msgspec.structs.replace(one, digest=tags[f"{names.TAG_DATA}.{one.name}"]) for one in spec.data)
    image = images.written(spec, case.settings.runtime_image)
    steps = tuple(
        msgspec.structs.replace(step, image=images.pinned(image[step.name], tags[f"{names.TAG_IMAGE}.{step.name}"]))
        for step in spec.steps
    )
    spec = msgspec.structs.replace(spec, source=source, data=data, steps=steps)
    resource = msgspec.structs.replace(case.resource, spec=spec)
    settings = settings_on_record(spec, tags[names.TAG_ENVIRONMENT]) or {}
    pins = Pins(settings, tags.get(names.TAG_SOURCE_DIGEST, ""))
    return replace(case, observed=replace(case.observed, resource=resource), pins=pins)


def conclude(case: Case, found: Findings) -> tuple[Outcome | None, Findings]:
    """Step, the last: whether the same model came out of the same inputs."""
    recorded = case.recorded(REPRODUCED, found.run)
    if recorded:
        return Passed(recorded.reason, recorded.message), found
    wanted = case.spec.reproduce_from
    assert wanted is not None
    tracked = logged(case, found)
    if not isinstance(tracked, TrackedRun):
        return tracked, found
    original = case.draft.read(RunNamed(wanted))
    match original:
        case Unavailable():
            return unavailable(original, "the comparison needs what is on record of the original"), found
        case None if not case.observed.facts.answered(RunNamed(wanted)):
            return None, found
        case None:
            return _gone(wanted), found
    found = with_recorded_data(found, case.spec, tracked)
    tags = {**lineage_tags(found), **attempt_tags(found.run), names.TAG_TRAINED: "true"}
    missing = {name: value for name, value in tags.items() if tracked.tags.get(name) != value}
    if missing:
        refusal = case.draft.act(TagRun(tracked.run_id, missing))
        return (refused(refusal, "the run's lineage could not be written to MLflow") if refusal else None), found
    if tracked.models and not own(found.run, tracked).models:
        told = f"the last attempt of run {tracked.run_id} logged no model, what was compared is an earlier one's"
        return Failed("NotCompared", f"{told}; ask for another run"), found
    outcome, files = _verdict(wanted, tracked, original)
    difference = outcome.message if isinstance(outcome, Failed) else ""
    status = ReproductionStatus(
        mlflow_run_id=wanted,
        resource=original.tags.get(names.TAG_RESOURCE, "")[:_RESOURCE],
        files=files,
        difference=difference,
    )
    return outcome, replace(found, reproduction=status)


def with_condition(case: Case, outcomes: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
    """The outcomes with that of the reproduction while there is none of its own yet."""
    trained = outcomes.get(TRAINED)
    if case.spec.reproduce_from is None or REPRODUCED in outcomes or trained is None:
        return outcomes
    if isinstance(trained, Failed):
        return {REPRODUCED: trained, **outcomes}
    return {REPRODUCED: Undecided("ReproductionPending", "the models are compared when training has ended"), **outcomes}


def _verdict(wanted: str, mine: TrackedRun, original: TrackedRun) -> tuple[Outcome, int]:
    other = next(_differences(mine.tags, original.tags), "")
    try:
        compared = msgspec.json.decode(mine.tags.get(names.TAG_REPRODUCTION, ""), type=Comparison)
    except msgspec.DecodeError:
        return Failed("NotCompared", f"run {mine.run_id} ended without a comparison; ask for another run"), 0
    if other:
        same = "the models are the same all the same" if compared.same else f"the models differ: {compared.difference}"
        return Failed(INPUTS_DIFFER, f"{other}; {same}"), compared.files
    if not compared.same:
        return Failed("ModelDiffers", f"the model is not that of run {wanted}: {compared.difference}"), compared.files
    told = f"the model of run {wanted} came out again: {compared.files} files, the same bytes in all that is the model"
    return Passed("ModelReproduced", told), compared.files


def _differences(mine: Mapping[str, str], original: Mapping[str, str]) -> Iterator[str]:
    """What went into the two, by what is on record of both."""
    for tag, what in ((names.TAG_COMMIT, "the commit"), (names.TAG_SOURCE_DIGEST, "the digest of the code")):
        if mine.get(tag, "") != original.get(tag, ""):
            yield f"{what} is {mine.get(tag) or 'not known'}, it was {original.get(tag) or 'not recorded'}"
    for prefix, what in ((names.TAG_DATA, "the digest of data set"), (names.TAG_IMAGE, "the image of step")):
        for tag in sorted(name for name in original if name.startswith(f"{prefix}.")):
            now, then = mine.get(tag, "").rpartition("@")[2], original[tag].rpartition("@")[2]
            if now != then:
                yield f"{what} {tag.removeprefix(f'{prefix}.')} is {now or 'not known'}, it was {then}"


def _problem(case: Case, wanted: str, original: TrackedRun | None) -> Failed | None:
    if original is None or original.status == "DELETED":
        return _gone(wanted)
    tags, namespace = original.tags, case.resource.metadata.namespace
    resource = tags.get(names.TAG_RESOURCE, "")
    if not resource.startswith(f"{namespace}/"):
        whose = f"of {resource.partition('/')[0]}" if resource else "nobody's that Tandem knows"
        return Failed("OriginalNotOwned", f"run {wanted} is {whose}: a run of namespace {namespace} can be reproduced")
    if names.TAG_TRAINED not in tags:
        return Failed(
            "OriginalNotTrained", f"run {wanted} did not train to its end, so there is nothing to compare with"
        )
    missing = next(_missing(case.spec, tags), "")
    if missing:
        return Failed(_NOT_RECORDED, f"run {wanted} cannot be reproduced: {missing} is not on record")
    different = next(_different(case.spec, tags), "")
    if different:
        return Failed(INPUTS_DIFFER, f"{different} is not what run {wanted} had: copy it from the spec of {resource}")
    forged = next(_forged(case.spec, tags), "")
    if forged:
        told = f"its tag {forged} is not what Tandem writes there, so somebody has changed it: reproduce another run"
        return Failed(_NOT_RECORDED, f"run {wanted} cannot be reproduced: {told}")
    return None


def _missing(spec: TrainingJobSpec, tags: Mapping[str, str]) -> Iterator[str]:
    if names.TAG_INPUTS not in tags or names.TAG_ENVIRONMENT not in tags:
        yield "with which steps, parameters and settings it ran (by an operator of before)"
    if spec.source is not None and spec.source.git is not None and names.TAG_COMMIT not in tags:
        yield "its commit"
    if spec.source is not None and spec.source.config_map_ref is not None and names.TAG_SOURCE_DIGEST not in tags:
        yield "the digest of its code"
    for one in spec.data:
        if f"{names.TAG_DATA}.{one.name}" not in tags:
            yield f"the digest of data set {one.name}"
    for step in spec.steps:
        if f"{names.TAG_IMAGE}.{step.name}" not in tags:
            yield f"the image that step {step.name} ran"


def _forged(spec: TrainingJobSpec, tags: Mapping[str, str]) -> Iterator[str]:
    """The tags that decide what runs and with what, where they have another form than Tandem writes."""
    if spec.source is not None and spec.source.git is not None and not _COMMIT.fullmatch(tags[names.TAG_COMMIT]):
        yield names.TAG_COMMIT
    digests = [f"{names.TAG_DATA}.{one.name}" for one in spec.data]
    if spec.source is not None and spec.source.config_map_ref is not None:
        digests.append(names.TAG_SOURCE_DIGEST)
    yield from (tag for tag in digests if not _DIGEST.fullmatch(tags[tag]))
    ran = [f"{names.TAG_IMAGE}.{step.name}" for step in spec.steps]
    yield from (tag for tag in ran if not images.digest_of(tags[tag]))
    if settings_on_record(spec, tags[names.TAG_ENVIRONMENT]) is None:
        yield names.TAG_ENVIRONMENT


def _different(spec: TrainingJobSpec, tags: Mapping[str, str]) -> Iterator[str]:
    then, now = _decoded(tags[names.TAG_INPUTS]), inputs_of(spec)
    for field in (*now, *(then.keys() - now.keys())):
        if then.get(field) != now.get(field):
            yield f"spec.{field}"
    recorded = {name.removeprefix(f"{names.TAG_DATA}.") for name in tags if name.startswith(f"{names.TAG_DATA}.")}
    if recorded != {one.name for one in spec.data}:
        yield f"spec.data (it had {', '.join(sorted(recorded)) or 'none'})"
    for one in spec.data:
        if one.digest is not None and one.digest != tags[f"{names.TAG_DATA}.{one.name}"]:
            yield f"the digest of spec.data {one.name}"


def _decoded(text: str) -> Mapping[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError:
        return {}


def _gone(wanted: str) -> Failed:
    return Failed("OriginalNotFound", f"MLflow knows no run {wanted}, or it was deleted: correct spec.reproduceFrom")
