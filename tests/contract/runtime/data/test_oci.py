"""Data of an OCI registry."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.contract.runtime.data.pod import IRIS, MORE, Pod
from tests.contract.runtime.stores import HEADER, ME, OciRegistry


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
