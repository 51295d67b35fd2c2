"""Which image ran, by what nodes tell: containerd after a pull, after a load, docker."""

from __future__ import annotations

import pytest

from tandem.training.images import digest_of, pinned, reference

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("image", "image_id", "expected"),
    [
        ("ghcr.io/acme/train:2", f"ghcr.io/acme/train@{A}", f"ghcr.io/acme/train@{A}"),
        ("ghcr.io/acme/train", f"docker-pullable://ghcr.io/acme/train@{A}", f"ghcr.io/acme/train@{A}"),
        (f"ghcr.io/acme/train@{A}", f"ghcr.io/acme/train@{A}", f"ghcr.io/acme/train@{A}"),
        ("localhost:5000/train:2", f"localhost:5000/train@{A}", f"localhost:5000/train@{A}"),
        ("python", f"docker.io/library/python@{A}", f"python@{A}"),
        ("acme/train:1", f"docker.io/acme/train@{A}", f"acme/train@{A}"),
        # loaded into the node: no registry knows these
        ("tandem/runtime:dev", A, A),
        ("tandem/runtime:dev", f"docker.io/library/import-2026-11-23@{A}", A),
        ("tandem/runtime:dev", "", ""),
        ("tandem/runtime:dev", "docker.io/tandem/runtime:dev", ""),
    ],
)
def test_an_image_is_on_record_by_a_name_that_a_registry_knows_or_by_its_digest(
    image: str, image_id: str, expected: str
) -> None:
    assert reference(image, image_id) == expected


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [(f"acme/train@{A}", f"acme/train@{A}"), (A, "acme/train:2"), ("", "acme/train:2")],
)
def test_only_what_a_registry_knows_can_be_pinned(recorded: str, expected: str) -> None:
    assert pinned("acme/train:2", recorded) == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("ghcr.io/acme/train:2.1", f"ghcr.io/acme/train@{A}"),
        (f"ghcr.io/acme/train:2.1@{B}", f"ghcr.io/acme/train@{A}"),
        ("localhost:5000/train", f"localhost:5000/train@{A}"),
    ],
)
def test_of_what_is_on_record_only_the_digest_is_taken_the_repository_is_that_of_the_spec(
    image: str, expected: str
) -> None:
    assert pinned(image, f"evil.example/miner@{A}") == expected


@pytest.mark.parametrize(
    ("image_id", "digest"), [(f"x@{A}", A), (B, B), ("x@sha256:short", ""), ("", ""), ("sha256:" + "g" * 64, "")]
)
def test_the_digest_of_an_image_id(image_id: str, digest: str) -> None:
    assert digest_of(image_id) == digest
