"""Data of Google's and of Azure's store, as the container that fetches meets them; S3 is in test_s3.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tandem.runtime import data
from tandem.runtime.failure import AccessDenied, Failure, NotFound
from tandem.runtime.instruction import Data, parse
from tests.contract.runtime.clouds import Cloud, azure, google
from tests.contract.runtime.data.pod import IRIS, MORE, digest, folder_digest

pytestmark = pytest.mark.slow

_numbers = count(1)


@pytest.fixture(scope="module", params=[google, azure], ids=["gs", "abfs"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    with ExitStack() as stack:
        cloud: Cloud = stack.enter_context(request.param())
        for name, body in {"iris/iris.csv": IRIS, "iris/2026/more.csv": MORE, "iris-old/x.csv": b"no"}.items():
            cloud.put(name, body)
        yield cloud


class Pod:
    """What the fetching container of one run is told and leaves behind."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.folder, self.cloud = folder, cloud

    def told(self, uri: str, secret: Mapping[str, str] | None = None, digest: str | None = None) -> Data:
        place = self.folder / f"secret-{next(_numbers)}"
        place.mkdir()
        for key, value in (self.cloud.secret if secret is None else secret).items():
            (place / key).write_text(value)
        one = {"name": "iris", "storageUri": uri, "secret": str(place), "digest": digest}
        return parse(json.dumps({"data": [one], "workspace": str(self.folder)})).data[0]

    def fetch(self, uri: str, secret: Mapping[str, str] | None = None, digest: str | None = None) -> data.Fetched:
        return data.fetch(self.told(uri, secret, digest), self.folder / "iris")

    def version(self, uri: str) -> str:
        return data.version_now(self.told(uri))

    def files(self) -> dict[str, bytes]:
        place = self.folder / "iris"
        return {p.relative_to(place).as_posix(): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


@pytest.fixture
def pod(tmp_path: Path, cloud: Cloud) -> Pod:
    return Pod(tmp_path, cloud)


def test_an_object_is_fetched_hashed_and_counted(pod: Pod) -> None:
    found = pod.fetch(f"{pod.cloud.root}/iris/iris.csv", digest=digest(IRIS))
    assert (found.manifest.digest, found.rows) == (digest(IRIS), 2)
    assert pod.files() == {"iris.csv": IRIS}


def test_a_folder_is_everything_below_it_and_nothing_beside_it(pod: Pod) -> None:
    files = {"iris.csv": IRIS, "2026/more.csv": MORE}
    found = pod.fetch(f"{pod.cloud.root}/iris/", digest=folder_digest(files))
    assert (pod.files(), found.rows) == (files, 3)


def test_an_object_larger_than_any_chunk_arrives_whole(pod: Pod) -> None:
    body = bytes(range(256)) * 20_000
    pod.cloud.put("big.bin", body)
    assert pod.fetch(f"{pod.cloud.root}/big.bin").manifest.digest == digest(body)


def test_other_bytes_than_the_pinned_ones_refuse_to_train(pod: Pod) -> None:
    with pytest.raises(data.DigestMismatch, match=f"expected {digest(MORE)}"):
        pod.fetch(f"{pod.cloud.root}/iris/iris.csv", digest=digest(MORE))
    assert pod.files() == {}


def test_a_version_follows_what_is_there_and_is_told_by_the_fetch(pod: Pod) -> None:
    """What a poll compares, without a download."""
    for uri in (f"{pod.cloud.root}/v/a.csv", f"{pod.cloud.root}/v/"):
        pod.cloud.put("v/a.csv", IRIS)
        first = pod.version(uri)
        assert first == pod.version(uri) == pod.fetch(uri).version
        pod.cloud.put("v/a.csv", MORE)
        assert pod.version(uri) not in {first, ""}


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("{root}/iris/none.csv", "there is no such object"),
        ("{root}/none/", "there is nothing in it; correct spec.data[].storageUri"),
        ("{nowhere}/iris.csv", "there is no such"),
        ("{nowhere}/iris/", "there is no such"),
    ],
)
def test_what_is_not_there_is_told_with_the_uri(pod: Pod, uri: str, says: str) -> None:
    uri = uri.format(root=pod.cloud.root, nowhere=pod.cloud.nowhere)
    with pytest.raises(NotFound) as told:
        pod.fetch(uri)
    assert f"data set iris: could not fetch {uri}: " in str(told.value)
    assert says in str(told.value)


@pytest.mark.parametrize("path", ["iris/iris.csv", "iris/"])
def test_credentials_that_do_not_suffice_are_told_and_not_shown(pod: Pod, path: str) -> None:
    root, secret = pod.cloud.denied
    with pytest.raises(AccessDenied) as told:
        pod.fetch(f"{root}/{path}", secret=secret)
    assert "access denied" in str(told.value)
    assert "see to the rights of what secretRef names" in str(told.value)
    assert not any(value in str(told.value) for key, value in secret.items() if "ENDPOINT" not in key)


def test_a_secret_for_another_store_is_told_before_anything_is_asked(pod: Pod) -> None:
    with pytest.raises(Failure, match="the Secret of secretRef has none of the keys that"):
        pod.fetch(f"{pod.cloud.root}/iris/iris.csv", secret={"AWS_ACCESS_KEY_ID": "x"})
