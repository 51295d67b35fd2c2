"""Data that an object store gives to whoever has the key, by a Secret that only the fetching container sees."""

from __future__ import annotations

import pytest

from demo.kubectl import Json, condition, is_true
from tests.e2e.kept import CLOSED, DIGEST, FETCHED, FLOWERS, MISSING, REFUSED, Facts, secrets_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_data_are_fetched_with_the_key_of_a_secret_and_their_digest_is_on_record(kept: Facts) -> None:
    job = kept.ends[FETCHED]
    [data] = job["status"]["data"]

    assert is_true(job, "Complete")
    assert (data["digest"], data["bytes"]) == (DIGEST, len(FLOWERS))


def test_a_step_gets_the_data_and_not_the_key(kept: Facts) -> None:
    assert kept.said == f"0\n{FLOWERS.decode()}", "no variable of its environment is called AWS_…"
    having = {container for container, secrets in secrets_of(kept.pod).items() if secrets}
    assert having == {"fetch"}


@pytest.mark.parametrize(
    ("name", "reason", "uri"),
    [
        (REFUSED, "AccessDenied", "s3://flowers/iris/flowers.csv"),
        (MISSING, "DataNotFound", "s3://flowers/iris/weeds.csv"),
        (CLOSED, "AccessDenied", "s3://closed/iris/flowers.csv"),
    ],
)
def test_what_the_store_refuses_is_told_with_the_data_sets_name_and_address(
    kept: Facts, name: str, reason: str, uri: str
) -> None:
    job = kept.ends[name]
    failed = condition(job, "Failed")

    assert failed["reason"] == reason
    assert "flowers" in failed["message"]
    assert uri in failed["message"]
    assert "hunter2" not in str(without_managed_fields(job)), "a key is never told"
    assert job["status"]["run"]["attempts"] == 1


def test_a_store_that_lets_in_again_is_asked_by_the_next_run(kept: Facts) -> None:
    assert is_true(kept.opened, "Complete")
    assert kept.opened["status"]["run"]["number"] == 2
    assert kept.opened["status"]["data"][0]["digest"] == DIGEST


def without_managed_fields(job: Json) -> Json:
    return {**job, "metadata": {**job["metadata"], "managedFields": None}}
