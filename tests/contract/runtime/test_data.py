"""Data versions against real stores, as the process that runs in the pod: S3, Git over http, claims, caches, MLflow."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from sklearn.datasets import load_iris

from tandem.runtime import fetch, instruction, patience
from tandem.runtime.data import version_now
from tandem.runtime.failure import Failure
from tandem.runtime.patience import Patience
from tests.contract.runtime.conftest import (
    ROOT,
    Finished,
    HttpServer,
    Repository,
    free_port,
    pod_environment,
    run_module,
    run_script,
)
from tests.contract.runtime.stores import (
    HEADER,
    ME,
    Bucket,
    OciRegistry,
    git_http_backend,
    guarded_server,
    oci_registry,
    s3_server,
)

IRIS = b"sepal,species\n5.1,setosa\n4.9,virginica\n"
MORE = b"sepal,species\n6.0,setosa\n"


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def folder_digest(files: Mapping[str, bytes]) -> str:
    lines = "".join(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files))
    return digest(lines.encode())


@dataclass
class Pod:
    """What the fetching container of one run sees and leaves behind."""

    folder: Path
    report: fetch.Report | None = None

    def secret(self, keys: Mapping[str, str]) -> str:
        place = self.folder / "secret"
        place.mkdir(exist_ok=True)
        for key, value in keys.items():
            (place / key).write_text(value)
        return str(place)

    def instruction(self, storage_uri: str, **data: Any) -> str:
        told = {"name": "iris", "storageUri": storage_uri, **data}
        return json.dumps({"data": [told], "workspace": str(self.folder / "workspace")})

    def fetch(self, storage_uri: str, **data: Any) -> Finished:
        """What the process does, without a process: its start would be most of the time of these tests."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            try:
                self.report = fetch.fetch(instruction.parse(self.instruction(storage_uri, **data)))
            except Failure as failure:
                return Finished(failure.exit_code, out.getvalue(), str(failure))
        return Finished(0, out.getvalue(), "")

    def run(
        self, storage_uri: str, env: Mapping[str, str], module: str = "tandem.runtime.fetch", **data: Any
    ) -> Finished:
        told = self.instruction(storage_uri, **data)
        variables = {"TANDEM_FETCH": told, "TANDEM_TERMINATION_LOG": str(self.folder / "log"), **env}
        return run_module(module, cwd=self.folder, env=pod_environment(self.folder, **variables))

    def version(self, storage_uri: str, **data: Any) -> str:
        """What the store says of the state of the data."""
        [told] = instruction.parse(self.instruction(storage_uri, **data)).data
        return version_now(told)

    @property
    def told(self) -> dict[str, Any]:
        """What the report says of the data set."""
        assert self.report is not None
        [data] = json.loads(self.report.encoded(4096))["data"]
        return {name: value for name, value in data.items() if name != "version"}

    @property
    def told_version(self) -> str:
        assert self.report is not None
        return self.report.data[0].version

    def files(self) -> dict[str, bytes]:
        place = self.folder / "workspace" / "data"
        return {p.relative_to(place).as_posix(): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


@pytest.fixture(scope="module")
def buckets() -> Iterator[Callable[[str], Bucket]]:
    with s3_server() as made:
        yield made


@pytest.fixture(scope="module")
def bucket(buckets: Callable[[str], Bucket]) -> Bucket:
    bucket = buckets("acme-data")
    bucket.put({"iris/iris.csv": IRIS, "iris/2026/more.csv": MORE, "iris/": b"", "iris-old/x.csv": b"no"})
    return bucket


# --- S3 --------------------------------------------------------------------------------------------------------------


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


# --- Git -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def git_server(repository: Repository) -> Iterator[str]:
    with guarded_server(git_http_backend(repository.path.parent)) as guarded:
        yield f"{guarded.url.replace('http', 'git+http')}/{repository.path.name}/.git"


@pytest.mark.parametrize(
    ("rest", "files"),
    [
        ("//train.py?ref=v1", {"train.py": b"one"}),
        ("//train.py", {"train.py": b"three"}),
        ("//models/?ref=light", {"iris/train.py": b"iris one"}),
        ("//models/iris/train.py?ref=next", {"train.py": b"iris one"}),
        ("?ref=v1", {"train.py": b"one", "models/iris/train.py": b"iris one"}),
    ],
)
def test_a_file_or_folder_of_a_repository_at_a_ref(
    pod: Pod, git_server: str, rest: str, files: Mapping[str, bytes]
) -> None:
    done = pod.fetch(git_server + rest, secret=pod.secret(ME))
    assert (done.code, done.err) == (0, "")
    assert pod.files() == {f"iris/{path}": body for path, body in files.items()}


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("//train.py?ref=none", "has no branch or tag 'none': correct ?ref= of the storageUri"),
        ("//none.csv", "No such file or directory"),
        ("//models", "models is a folder: end it with '/'"),
        ("//train.py/", "train.py is a file: leave out the '/'"),
        ("//?ref=next", "outside is a link to a folder"),
        ("//outside/etc/passwd?ref=next", "a link that leads out"),
    ],
)
def test_what_is_not_in_the_repository_is_named(pod: Pod, git_server: str, rest: str, says: str) -> None:
    done = pod.fetch(git_server + rest, secret=pod.secret(ME))
    assert done.code in (4, 5, 6)
    assert says in done.message
    assert pod.files() == {}


def test_a_repository_that_wants_a_password_is_told_without_it(pod: Pod, git_server: str) -> None:
    done = pod.fetch(f"{git_server}//train.py", secret=pod.secret({**ME, "password": "wrong-hunter2"}))
    assert done.code in (4, 6)
    assert "could not fetch" in done.message
    assert "hunter2" not in done.out + done.err


def test_a_pointer_of_git_lfs_is_not_taken_for_data(pod: Pod, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("lfs")
    repository = Repository(folder / "r")
    repository.path.mkdir()
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit("one", {"iris.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"})
    with guarded_server(git_http_backend(folder)) as guarded:
        uri = f"{guarded.url.replace('http', 'git+http')}/r/.git//iris.csv"
        done = pod.fetch(uri, secret=pod.secret(ME))
    assert done.code == 4
    assert "iris.csv is kept in Git LFS" in done.message


# --- versions: what a poll compares ----------------------------------------------------------------------------------


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


# --- OCI -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registry() -> Iterator[OciRegistry]:
    with oci_registry() as running:
        yield running


def test_the_version_of_an_artifact_is_its_digest_whatever_its_tag_is(pod: Pod, registry: OciRegistry) -> None:
    pushed = registry.push("acme/version", {"iris.csv": IRIS})
    version = pod.version(f"oci://{registry.host}/acme/version:v1//iris.csv")
    assert version == f"sha256:{pushed.removeprefix('sha256:')[:32]}"
    registry.push("acme/version", {"iris.csv": MORE})
    assert pod.version(f"oci://{registry.host}/acme/version:v1//iris.csv") != version
    assert pod.version(f"oci://{registry.host}/acme/version@{pushed}//iris.csv") == version


FILES = {"iris.csv": IRIS, "2026/more.csv": MORE}


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("", FILES),
        ("//", FILES),
        ("//iris.csv", {"iris.csv": IRIS}),
        ("//2026/", {"more.csv": MORE}),
        ("//2026/more.csv", {"more.csv": MORE}),
    ],
)
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_the_files_of_an_artifact_are_fetched(
    pod: Pod, registry: OciRegistry, by: str, path: str, files: Mapping[str, bytes]
) -> None:
    pushed = registry.push("acme/iris", FILES)
    ref = ":v1" if by == "tag" else f"@{pushed}"
    done = pod.fetch(f"oci://{registry.host}/acme/iris{ref}{path}")
    assert (done.code, done.err) == (0, "")
    assert pod.files() == {f"iris/{name}": body for name, body in files.items()}


def test_a_registry_that_wants_a_password_gets_it(pod: Pod, registry: OciRegistry) -> None:
    registry.push("private/iris", FILES)
    docker = {"auths": {registry.host: {"auth": HEADER.removeprefix("Basic ")}}}
    for keys in (ME, {".dockerconfigjson": json.dumps(docker)}):
        done = pod.fetch(f"oci://{registry.host}/private/iris:v1//iris.csv", secret=pod.secret(keys))
        assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("acme/none:v1", 5, "the server answered 404"),
        ("acme/iris:v9", 5, "the server answered 404"),
        ("acme/iris:v1//none.csv", 5, "the artifact has no file none.csv; it has 2026/more.csv, iris.csv"),
        ("acme/iris:v1//none/", 5, "there is nothing in it"),
        ("private/iris:v1", 6, "the server answered 401 Unauthorized; see to the rights of what secretRef names"),
        ("acme/untitled:v1", 4, "layers without a title of their own"),
        ("acme/packed:v1", 4, "folder.tar is a packed folder: push its files one by one"),
        ("acme/evil:v1", 4, "a file in it must not have the part '..' in its path"),
    ],
)
def test_what_a_registry_does_not_have_or_should_not_is_told(
    pod: Pod, registry: OciRegistry, name: str, code: int, says: str
) -> None:
    registry.push("acme/iris", FILES)
    registry.push("private/iris", FILES)
    registry.push("acme/untitled", {"": IRIS})
    registry.push("acme/packed", {"folder.tar": IRIS}, {"io.deis.oras.content.unpack": "true"})
    registry.push("acme/evil", {"../../etc/passwd": IRIS})
    done = pod.fetch(f"oci://{registry.host}/{name}", secret=pod.secret({**ME, "password": "wrong"}))
    assert (done.code, pod.files()) == (code, {})
    assert says in done.message
    assert "hunter2" not in done.out + done.err


# --- http ------------------------------------------------------------------------------------------------------------


def test_a_web_server_gets_the_password_and_the_place_it_redirects_to_does_not(pod: Pod, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, IRIS)

    def redirect(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", f"{elsewhere.url}/iris.csv")
        request.send_header("Content-Length", "0")
        request.end_headers()

    with guarded_server(lambda _: None) as elsewhere, guarded_server(redirect) as guarded:
        done = pod.fetch(f"{guarded.url}/iris.csv", secret=pod.secret(ME))
    assert set(guarded.seen) == {HEADER}
    assert set(elsewhere.seen) == {""}
    assert done.code == 6
    assert "the server answered 401" in done.message


# --- files and claims ------------------------------------------------------------------------------------------------


def test_a_folder_of_a_claim_is_fetched(pod: Pod) -> None:
    claim = pod.folder / "claim"
    (claim / "iris" / "a").mkdir(parents=True)
    (claim / "iris" / "iris.csv").write_bytes(IRIS)
    (claim / "iris" / "a" / "latest.csv").symlink_to("../iris.csv")
    done = pod.fetch("pvc://acme/iris/", claim=str(claim))
    assert (done.code, done.err) == (0, "")
    assert pod.files() == {"iris/iris.csv": IRIS, "iris/a/latest.csv": IRIS}
    assert not (pod.folder / "workspace/data/iris/a/latest.csv").is_symlink()


@pytest.mark.parametrize("link", ["/etc/hostname", "../../secret.txt", "/proc/self/environ"])
def test_a_link_that_leads_out_of_a_claim_is_refused(pod: Pod, link: str) -> None:
    claim = pod.folder / "claim"
    (claim / "iris").mkdir(parents=True)
    (pod.folder / "secret.txt").write_text("hunter2")
    (claim / "iris" / "iris.csv").symlink_to(link)
    done = pod.fetch("pvc://acme/iris/", claim=str(claim))
    assert (done.code, pod.files()) == (6, {})
    assert "iris.csv is a link that leads out of the volume" in done.message


@pytest.mark.parametrize(
    "path", ["/proc/self/environ", "/dev/zero", "/sys/kernel/notes", "/var/run/x", "/tandem/secrets/a/k"]
)
def test_a_file_that_is_not_of_the_image_cannot_be_named(pod: Pod, path: str) -> None:
    done = pod.fetch(f"file://{path}")
    assert done.code == 6
    assert "is no file of the image" in done.message


def test_a_volume_that_is_full_is_told_as_such(pod: Pod) -> None:
    """/dev/full is a real device that has no room; the workspace's own file is linked to it half way."""
    claim = pod.folder / "claim"
    claim.mkdir()
    (claim / "iris.csv").write_bytes(IRIS)
    (pod.folder / "full.py").write_text(
        "import pathlib\n"
        "real = pathlib.Path.open\n"
        "def opened(path, mode='r', *a, **k):\n"
        "    full = mode == 'xb'\n"
        "    return real(pathlib.Path('/dev/full') if full else path, 'wb' if full else mode, *a, **k)\n"
        "pathlib.Path.open = opened\n"
        "import runpy\n"
        "runpy.run_module('tandem.runtime.fetch', run_name='__main__')\n"
    )
    done = pod.run("pvc://c/iris.csv", {}, module="full", claim=str(claim))
    assert done.code == 8
    assert "no space left on the volume of the workspace; the node's disk or the volume is full" in done.message


# --- caches ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(pod: Pod) -> Path:
    place = pod.folder / "cache"
    place.mkdir()
    return place


def test_what_is_pinned_is_fetched_once_and_then_taken_from_its_cache(pod: Pod, cache: Path, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, IRIS)
    pinned = {"digest": digest(IRIS), "cache": str(cache)}
    assert pod.fetch(f"{http.url}/iris.csv", **pinned).code == 0
    http.files.clear()

    done = pod.fetch(f"{http.url}/other-name.csv", **pinned)

    assert done.code == 0, done.err
    assert "from its cache" in done.out
    assert pod.files() == {"iris/other-name.csv": IRIS}


def test_what_is_damaged_in_its_cache_is_fetched_anew(pod: Pod, cache: Path, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, IRIS)
    pinned = {"digest": digest(IRIS), "cache": str(cache)}
    pod.fetch(f"{http.url}/iris.csv", **pinned)
    [kept] = list(cache.rglob("iris.csv"))
    kept.write_bytes(IRIS.replace(b"5.1", b"9.9"))

    done = pod.fetch(f"{http.url}/iris.csv", **pinned)

    assert done.code == 0, done.err
    assert "damaged in its cache" in done.out
    assert pod.files() == {"iris/iris.csv": IRIS}
    assert kept.read_bytes() == IRIS


@pytest.mark.parametrize("manifest", ["{}", '{"files": [], "folder": false}', "no json"])
def test_a_manifest_that_is_none_is_not_believed(pod: Pod, cache: Path, http: HttpServer, manifest: str) -> None:
    http.files["/iris.csv"] = (200, IRIS)
    pinned = {"digest": digest(IRIS), "cache": str(cache)}
    pod.fetch(f"{http.url}/iris.csv", **pinned)
    [kept] = cache.rglob(".manifest.json")
    kept.write_text(manifest)
    assert pod.fetch(f"{http.url}/iris.csv", **pinned).code == 0
    assert pod.files() == {"iris/iris.csv": IRIS}


def test_a_cache_that_cannot_be_written_stops_nothing(pod: Pod, cache: Path, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, IRIS)
    shutil.rmtree(cache)
    cache.write_text("a file where the volume should be")
    done = pod.fetch(f"{http.url}/iris.csv", digest=digest(IRIS), cache=str(cache))
    assert done.code == 0, done.err
    assert "data: iris is not kept in its cache: " in done.out


# --- MLflow ----------------------------------------------------------------------------------------------------------


def test_the_run_has_the_data_as_an_input_and_the_manifest_as_an_artifact(
    pod: Pod, bucket: Bucket, mlflow_server: str
) -> None:
    client = MlflowClient(mlflow_server)
    run_id = client.create_run(client.create_experiment("ml/data")).info.run_id
    env = {"MLFLOW_TRACKING_URI": mlflow_server, "MLFLOW_RUN_ID": run_id}

    for _ in range(2):  # a second attempt of the same run records the same
        done = pod.run("s3://acme-data/iris/", env, secret=pod.secret(bucket.secret))
        assert (done.code, done.err) == (0, "")

    run = client.get_run(run_id)
    assert run.inputs is not None
    [logged] = run.inputs.dataset_inputs
    whole = folder_digest({"iris.csv": IRIS, "2026/more.csv": MORE})
    assert (logged.dataset.name, logged.dataset.digest) == ("iris", whole[7:39])
    assert json.loads(logged.dataset.source) == {"uri": "s3://acme-data/iris/"}
    assert json.loads(logged.dataset.profile or "") == {
        "digest": whole,
        "bytes": len(IRIS + MORE),
        "files": 2,
        "rows": 3,
    }
    assert {"tandem.dev/digest": whole, "mlflow.data.context": "training"} == {t.key: t.value for t in logged.tags}
    assert run.data.tags["tandem.dev/data.iris"] == whole
    manifest = json.loads(Path(client.download_artifacts(run_id, "tandem/data/iris/manifest.json")).read_text())
    assert {file["path"]: (file["size"], file["sha256"]) for file in manifest["files"]} == {
        path: (len(body), digest(body)[7:]) for path, body in {"iris.csv": IRIS, "2026/more.csv": MORE}.items()
    }


@pytest.mark.slow
def test_the_script_of_the_s3_example_trains_on_what_was_fetched(pod: Pod, bucket: Bucket, mlflow_server: str) -> None:
    flowers = load_iris(as_frame=True)
    names = [name.removesuffix(" (cm)").replace(" ", "_") for name in flowers.feature_names]
    frame = flowers.data.set_axis(names, axis=1).assign(species=flowers.target_names[flowers.target])
    bucket.put({"flowers/a.csv": frame[:75].to_csv(index=False).encode()})
    bucket.put({"flowers/more/b.csv": frame[75:].to_csv(index=False).encode()})
    assert pod.fetch("s3://acme-data/flowers/", secret=pod.secret(bucket.secret)).code == 0
    folder = pod.folder / "workspace" / "data" / "iris"
    client = MlflowClient(mlflow_server)
    run_id = client.create_run(client.create_experiment("ml/iris-s3")).info.run_id
    script = pod.folder / "step.py"
    script.write_text(f"import pathlib, train_folder\ntrain_folder.main(pathlib.Path({str(folder)!r}))\n")
    example = f"{ROOT / 'examples' / 'iris-s3'}:{ROOT / 'operator'}"
    env = {"PYTHONPATH": example, "MLFLOW_TRACKING_URI": mlflow_server, "MLFLOW_RUN_ID": run_id}

    done = run_script(script, cwd=pod.folder, env={**pod_environment(pod.folder), **env})

    assert done.code == 0, done.err
    assert client.get_run(run_id).data.metrics["accuracy"] >= 0.9


def test_a_failure_keeps_its_exit_code_while_mlflow_is_being_imported(pod: Pod, mlflow_server: str) -> None:
    env = {"MLFLOW_TRACKING_URI": mlflow_server, "MLFLOW_RUN_ID": "0" * 32}
    done = pod.run("file:///etc/hostname", env, digest=digest(b"other"))
    assert done.code == 3
    assert "the data changed since it was pinned" in done.message


def test_a_run_that_mlflow_does_not_take_the_record_of_does_not_train(pod: Pod, http: HttpServer) -> None:
    http.files["/iris.csv?sig=hunter2"] = (200, IRIS)
    env = {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
        "MLFLOW_RUN_ID": "0" * 32,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    done = pod.run(f"{http.url}/iris.csv?sig=hunter2", env)
    assert done.code == 9
    assert "MLflow did not take the record of the run's data" in done.message
    assert "hunter2" not in done.out + done.err


def test_of_several_nodes_the_first_one_keeps_the_record(pod: Pod, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, IRIS)
    nobody = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}", "MLFLOW_RUN_ID": "0" * 32}
    done = pod.run(f"{http.url}/iris.csv", {**nobody, "JOB_COMPLETION_INDEX": "1"})
    assert (done.code, "data: iris sha256:" in done.out) == (0, True), done.out + done.err
