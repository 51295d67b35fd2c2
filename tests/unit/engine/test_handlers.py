"""What kopf is told to do, and not to do."""

from __future__ import annotations

import kopf
import pytest

from tandem.engine.controller import JOBS
from tandem.engine.handlers import settings_for

SETTINGS = settings_for([JOBS])


@pytest.mark.parametrize("written", ["{no JSON", '{"spec": {}}', ""])
def test_kopf_reads_nothing_of_its_annotations_on_an_object(written: str) -> None:
    """Any tenant can write them; by default one that is no JSON made kopf drop the events of that object."""
    body = kopf.Body({"metadata": {"annotations": {"kopf.zalando.org/last-handled-configuration": written}}})

    assert SETTINGS.persistence.diffbase_storage.fetch(body=body) is None
    assert SETTINGS.persistence.progress_storage.fetch(key=kopf.HandlerId("watch-jobs"), body=body) is None


def test_kopf_copies_nothing_of_an_object_to_compare_it() -> None:
    essence = SETTINGS.persistence.diffbase_storage.build(body=kopf.Body({"spec": {"replicas": 1}}))

    assert essence == {}
    assert SETTINGS.persistence.progress_storage.clear(essence=essence) is essence


def test_kopf_writes_nothing_to_an_object() -> None:
    patch, body = kopf.Patch(), kopf.Body({})
    SETTINGS.persistence.diffbase_storage.store(body=body, patch=patch, essence=kopf.BodyEssence())
    SETTINGS.persistence.progress_storage.touch(body=body, patch=patch, value="now")

    assert not patch
    assert not SETTINGS.posting.enabled
