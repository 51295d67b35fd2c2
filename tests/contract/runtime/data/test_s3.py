"""Data of an object store, as the container that fetches meets them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from tandem.runtime import fetch, instruction, patience
from tandem.runtime.failure import Failure
from tandem.runtime.patience import Patience
from tests.contract.runtime.conftest import HttpServer, free_port
from tests.contract.runtime.data.pod import IRIS, MORE, Pod, digest, folder_digest
from tests.contract.runtime.stores import Bucket


def test_an_object_of_s3_is_fetched_hashed_and_counted(pod: Pod, bucket: Bucket) -> None:
    done = pod.fetch("s3://acme-data/iris/iris.csv", secret=pod.secret(bucket.secret), digest=digest(IRIS))
    assert (done.code, done.err) == (0, "")
    assert pod.files() == {"iris/iris.csv": IRIS}
    assert pod.told == {"name": "iris", "digest": digest(IRIS), "bytes": len(IRIS), "rows": 2}


def test_a_folder_of_s3_is_everything_below_it_and_nothing_beside_it(pod: Pod, bucket: Bucket) -> None:
    done = pod.fetch("s3://acme-data/iris/", secret=pod.secret(bucket.secret))
    assert (done.code, done.err) == (0, "")
    files = {"iris.csv": IRIS, "2026/more.csv": MORE}
    assert pod.files() == {f"iris/{path}": body for path, body in files.items()}
    assert pod.told == {
        "name": "iris",
        "digest": folder_digest(files),
        "bytes": len(IRIS + MORE),
        "rows": 3,
        "files": 2,
    }


@pytest.mark.parametrize(
    ("name", "folder", "files"),
    [
        ("acme-folder", "iris/", {"iris.csv": IRIS, "2026/a.csv": MORE, "2026/empty": b"", "2026/iris/iris": b""}),
        ("acme-whole", "", {"iris.csv": IRIS, "iris/2026/a.csv": MORE, "iris/empty": b"", "empty": b""}),
    ],
)
def test_what_consoles_call_a_folder_is_no_file_and_an_empty_file_is_one(
    pod: Pod, buckets: Callable[[str], Bucket], name: str, folder: str, files: dict[str, bytes]
) -> None:
    bucket = buckets(name)
    bucket.put({f"{folder}{path}": body for path, body in files.items()})
    bucket.put({"iris/": b"", "iris/2026/": b"", "iris/2027/": b""})  # nothing is in the last one
    secret = pod.secret(bucket.secret)
    done = pod.fetch(f"s3://{name}/{folder}", secret=secret, digest=folder_digest(files))
    assert (done.code, done.err) == (0, "")
    assert pod.files() == {f"iris/{path}": body for path, body in files.items()}
    assert pod.version(f"s3://{name}/{folder}", secret=secret).startswith(f"members:{len(files)} ")


def test_an_object_larger_than_any_chunk_arrives_whole(pod: Pod, bucket: Bucket) -> None:
    body = bytes(range(256)) * 50_000
    bucket.put({"big.bin": body})
    done = pod.fetch("s3://acme-data/big.bin", secret=pod.secret(bucket.secret))
    assert done.code == 0, done.err
    assert pod.told == {"name": "iris", "digest": digest(body), "bytes": len(body)}


@pytest.mark.parametrize(("acl", "code"), [("public-read", 0), ("private", 6)])
def test_without_keys_a_bucket_is_asked_anonymously(
    pod: Pod, bucket: Bucket, acl: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment or the node would lend is not used: it is nobody's to use."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-node")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-node")
    bucket.put({f"{acl}.csv": IRIS}, acl)
    done = pod.fetch(f"s3://acme-data/{acl}.csv", secret=pod.secret({"AWS_ENDPOINT_URL": bucket.url}))
    assert done.code == code, done.err


@pytest.mark.parametrize(
    ("uri", "code", "says"),
    [
        ("s3://acme-data/iris/none.csv", 5, "there is no such object (NoSuchKey); correct spec.data[].storageUri"),
        ("s3://acme-data/none/", 5, "there is nothing in it; correct spec.data[].storageUri"),
        ("s3://acme-data/iris", 5, "there is no such object"),
        ("s3://no-such-bucket/iris.csv", 5, "there is no such"),
        ("s3://no-such-bucket/iris/", 5, "there is no such bucket"),
        ("s3://closed/iris.csv", 6, "access denied (403); see to the rights of what secretRef names"),
    ],
)
def test_what_s3_refuses_is_told_by_its_kind_with_the_uri_and_what_to_do(
    pod: Pod, buckets: Callable[[str], Bucket], bucket: Bucket, uri: str, code: int, says: str
) -> None:
    if "closed" in uri:
        closed = buckets("closed")
        closed.put({"iris.csv": IRIS})
        closed.deny_everybody()
    done = pod.fetch(uri, secret=pod.secret(bucket.secret))
    assert (done.code, pod.files()) == (code, {})
    assert f"data set iris: could not fetch {uri}: " in done.message
    assert says in done.message
    assert "hunter2" not in done.out + done.err


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [("http://127.0.0.1:{port}", "the connection was refused"), ("http://nowhere.invalid", "the host is unknown")],
)
def test_a_store_that_does_not_answer_is_told_apart(pod: Pod, bucket: Bucket, endpoint: str, says: str) -> None:
    secret = pod.secret({**bucket.secret, "AWS_ENDPOINT_URL": endpoint.format(port=free_port())})
    done = pod.fetch("s3://acme-data/iris/iris.csv", secret=secret)
    assert done.code == 7
    assert says in done.message


def test_a_store_that_comes_back_is_waited_for_in_the_container(
    pod: Pod, http: HttpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three attempts of the Job are over within a minute."""
    place = "/iris.csv?sig=hunter2"
    http.files[place] = (503, b"")
    comes_back = Patience(sleep=lambda _: http.files.update({place: (200, IRIS)}))
    monkeypatch.setattr(patience, "of", lambda _: comes_back)
    variables = {"TANDEM_FETCH": pod.instruction(http.url + place), "TANDEM_TERMINATION_LOG": str(pod.folder / "log")}
    for name, value in {**variables, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}.items():
        monkeypatch.setenv(name, value)

    fetch.command()

    assert pod.files() == {"iris/iris.csv": IRIS}
    said = capsys.readouterr().out
    assert "could not fetch" in said
    assert "the server answered 503 Service Unavailable; tried again in 5 s" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(("status", "code"), [(404, 5), (403, 6), (200, 3)])
def test_what_a_store_answers_is_not_waited_for(pod: Pod, http: HttpServer, status: int, code: int) -> None:
    def sleep(_: float) -> None:
        raise AssertionError("it waits")

    http.files["/iris.csv"] = (status, MORE)
    told = instruction.parse(pod.instruction(f"{http.url}/iris.csv", digest=digest(IRIS)))
    with pytest.raises(Failure) as failed:
        fetch.fetch(told, Patience(sleep=sleep))
    assert failed.value.exit_code == code


def test_an_object_that_breaks_off_is_not_taken_for_whole(pod: Pod, bucket: Bucket, http: HttpServer) -> None:
    http.files["/acme-data/broken.csv"] = (200, IRIS)
    secret = pod.secret({**bucket.secret, "AWS_ENDPOINT_URL": http.url})
    done = pod.fetch("s3://acme-data/broken.csv", secret=secret)
    assert (done.code, pod.files()) == (4, {})
    assert "data set iris: could not fetch s3://acme-data/broken.csv: " in done.message


def test_half_a_pair_of_keys_is_told_before_anything_is_asked(pod: Pod) -> None:
    done = pod.fetch("s3://acme-data/iris.csv", secret=pod.secret({"AWS_ACCESS_KEY_ID": "x"}))
    assert done.code == 6
    assert "needs both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in done.message


def test_other_bytes_than_the_pinned_folder_refuse_to_train(pod: Pod, bucket: Bucket) -> None:
    done = pod.fetch("s3://acme-data/iris/", secret=pod.secret(bucket.secret), digest=digest(b"other"))
    assert (done.code, pod.files()) == (3, {})
    assert f"expected {digest(b'other')}, but s3://acme-data/iris/ is sha256:" in done.message


@pytest.mark.parametrize("key", ["evil/../../../etc/x", "evil/a\\b.csv"])
def test_a_key_that_would_leave_the_workspace_is_refused(pod: Pod, buckets: Callable[[str], Bucket], key: str) -> None:
    evil = buckets(f"evil-{hashlib.md5(key.encode()).hexdigest()[:8]}")
    evil.put({key: b"x", "evil/ok.csv": IRIS})
    done = pod.fetch(f"s3://{evil.name}/evil/", secret=pod.secret(evil.secret))
    assert (done.code, pod.files()) == (4, {})
    assert not (pod.folder / "etc").exists()
