"""What a poll compares: the state of the data, by what their store says without giving them."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.contract.runtime.conftest import HttpServer, Repository, free_port, pod_environment, run_module
from tests.contract.runtime.data.pod import IRIS, MORE, Pod
from tests.contract.runtime.stores import ME, Bucket


def test_the_version_of_an_object_follows_its_bytes_and_is_told_by_the_fetch(pod: Pod, bucket: Bucket) -> None:
    bucket.put({"v/iris.csv": IRIS})
    secret = pod.secret(bucket.secret)
    assert pod.fetch("s3://acme-data/v/iris.csv", secret=secret).code == 0
    first = pod.version("s3://acme-data/v/iris.csv", secret=secret)
    assert first == f"etag:{hashlib.md5(IRIS).hexdigest()}" == pod.told_version
    bucket.put({"v/iris.csv": IRIS})
    assert pod.version("s3://acme-data/v/iris.csv", secret=secret) == first, "the same bytes are no change"
    bucket.put({"v/iris.csv": MORE})
    assert pod.version("s3://acme-data/v/iris.csv", secret=secret) != first


def test_the_version_of_a_folder_follows_what_is_in_it_and_nothing_beside_it(pod: Pod, bucket: Bucket) -> None:
    secret, seen = pod.secret(bucket.secret), []
    for files in ({"w/a.csv": IRIS}, {"w-old/a.csv": MORE}, {"w/b/c.csv": IRIS}, {"w/a.csv": MORE}):
        bucket.put(files)
        seen.append(pod.version("s3://acme-data/w/", secret=secret))
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


@pytest.mark.parametrize("ref", ["main", "v1", "light", "refs/heads/main"])
def test_the_version_of_a_repository_is_the_commit_that_a_fetch_would_take(
    pod: Pod, git_server: str, repository: Repository, ref: str
) -> None:
    version = pod.version(f"{git_server}//train.py?ref={ref}", secret=pod.secret(ME))
    pointed = repository.git("rev-parse", ref)
    assert version == f"commit:{pointed}"


def test_a_commit_needs_nobody_to_be_asked(pod: Pod) -> None:
    assert pod.version(f"git+http://nowhere.invalid/r.git//x?ref={'a' * 40}") == f"commit:{'a' * 40}"


def test_the_version_of_a_claim_follows_the_files(pod: Pod) -> None:
    claim = pod.folder / "claim"
    claim.mkdir()
    (claim / "iris.csv").write_bytes(IRIS)
    one = pod.version("pvc://data/iris.csv", claim=str(claim))
    all_ = pod.version("pvc://data/", claim=str(claim))
    assert (pod.version("pvc://data/iris.csv", claim=str(claim)), one[:9]) == (one, "modified:")
    (claim / "more.csv").write_bytes(MORE)
    assert pod.version("pvc://data/iris.csv", claim=str(claim)) == one
    assert pod.version("pvc://data/", claim=str(claim)) != all_


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"ETag": '"abc"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}, "etag:abc"),
        ({"ETag": 'W/"abc"'}, "etag:abc"),
        ({"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}, "modified:Thu, 01 Jan 2026 00:00:00 GMT 39"),
        ({"ETag": '"' + "x" * 100 + '"'}, f"etag:{hashlib.sha256(b'x' * 100).hexdigest()[:32]}"),
        ({}, ""),
    ],
)
def test_the_version_of_a_file_on_the_web_is_what_its_headers_tell(
    pod: Pod, http: HttpServer, headers: dict[str, str], version: str
) -> None:
    http.files["/iris.csv"], http.headers["/iris.csv"] = (200, IRIS), headers
    assert pod.version(f"{http.url}/iris.csv") == version


def test_a_poll_tells_each_set_by_itself(pod: Pod, bucket: Bucket) -> None:
    """As the process that runs in the pod: one that is not there, one that nobody answers for, one that is."""
    sets = [
        {"name": "gone", "storageUri": "s3://acme-data/none.csv", "secret": pod.secret(bucket.secret)},
        {"name": "silent", "storageUri": f"http://127.0.0.1:{free_port()}/x.csv"},
        {"name": "iris", "storageUri": "s3://acme-data/iris/iris.csv", "secret": pod.secret(bucket.secret)},
    ]
    log = pod.folder / "log"
    variables = {"TANDEM_POLL": json.dumps({"data": sets}), "TANDEM_TERMINATION_LOG": str(log)}
    done = run_module("tandem.runtime.poll", cwd=pod.folder, env=pod_environment(pod.folder, **variables))
    assert (done.code, done.err) == (0, "")
    gone, silent, iris = json.loads(log.read_text())["data"]
    assert (gone["code"], silent["code"], iris.get("code", 0)) == (5, 7, 0)
    assert "could not ask for s3://acme-data/none.csv: there is no such object" in gone["message"]
    assert iris["version"] == f"etag:{hashlib.md5(IRIS).hexdigest()}"
    assert "hunter2" not in done.out + log.read_text()
