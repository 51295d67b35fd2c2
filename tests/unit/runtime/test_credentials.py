"""A Secret is read by the keys that a store knows, and is never shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tandem.runtime.credentials import Credentials, of_registry, read
from tandem.runtime.failure import AccessDenied


def mounted(folder: Path, keys: Mapping[str, str]) -> str:
    for key, value in keys.items():
        (folder / key).write_text(value)
    return str(folder)


def test_only_the_keys_of_the_store_are_read(tmp_path: Path) -> None:
    folder = mounted(tmp_path, {"AWS_ACCESS_KEY_ID": "id\n", "username": "me", "AWS_ROLE_ARN": "x", "..data": "y"})
    assert read(folder, "s3").values == {"AWS_ACCESS_KEY_ID": "id"}
    assert read(folder, "https").values == {"username": "me"}


def test_without_a_secret_there_are_none() -> None:
    assert (read(None, "s3").values, read(None, "s3").given) == ({}, False)


@pytest.mark.parametrize("scheme", ["s3", "gs", "abfs", "https", "git+https", "oci"])
def test_a_secret_without_any_key_of_the_store_is_refused_with_those_it_could_have(tmp_path: Path, scheme: str) -> None:
    with pytest.raises(AccessDenied) as refused:
        read(mounted(tmp_path, {"key": "hunter2"}), scheme)
    assert f"none of the keys that {scheme}:// understands: " in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_key_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "username").write_bytes(b"\xff\xfe")
    with pytest.raises(AccessDenied, match="username of secretRef cannot be read as text"):
        read(str(tmp_path), "https")


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("values", "header", "for_git"),
    [
        ({}, "", ""),
        ({"username": "me", "password": "p"}, basic("me:p"), basic("me:p")),
        ({"token": "t"}, "Bearer t", basic("token:t")),
        ({"username": "me", "token": "t"}, basic("me:t"), basic("me:t")),
        ({"username": "me"}, "", ""),
    ],
)
def test_the_header_of_a_request(values: Mapping[str, str], header: str, for_git: str) -> None:
    assert (Credentials(values).header, Credentials(values).basic_header) == (header, for_git)


def test_nothing_of_a_secret_is_in_a_message_or_a_repr() -> None:
    secret = Credentials({"AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_REGION": "eu-west-1"})
    assert secret.scrubbed("denied hunter2 in eu-west-1") == "denied *** in eu-west-1"
    assert "hunter2" not in repr(secret)


DOCKER = {"auths": {"h:5000": {"auth": base64.b64encode(b"me:p:q").decode()}, "x": {"username": "u", "password": "p"}}}


@pytest.mark.parametrize(("host", "who"), [("h:5000", ("me", "p:q")), ("x", ("u", "p"))])
def test_a_registry_is_found_in_a_docker_configuration(host: str, who: tuple[str, str]) -> None:
    assert of_registry(Credentials({".dockerconfigjson": json.dumps(DOCKER)}), host) == who


@pytest.mark.parametrize(
    "text", ["no json", "[]", "{}", json.dumps(DOCKER), '{"auths": {"y": {}}}', '{"auths": {"y": 3}}']
)
def test_a_docker_configuration_that_does_not_know_the_registry_is_refused(text: str) -> None:
    with pytest.raises(AccessDenied, match="no usable entry in auths for y"):
        of_registry(Credentials({".dockerconfigjson": text}), "y")
