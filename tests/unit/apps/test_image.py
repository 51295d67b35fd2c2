"""An old revision comes back with the image that it ran, wherever its tag points by then."""

from __future__ import annotations

import pytest

from tandem.cli.explain import explain
from tests.unit.apps.deployments import IMAGE_DIGEST, NEVER
from tests.unit.apps.world import World, app

OTHER = "sha256:" + "cd" * 32


def pulled(image: str, image_id: str) -> World:
    """Revision 1 ran ``image``, which the nodes call ``image_id``; revision 2 serves."""
    world = app(image)
    world.image_ids[image] = image_id
    world.converge()
    world.change(image="elsewhere:2")
    return world.converge()


@pytest.mark.parametrize(
    ("image", "repository", "pinned"),
    [
        ("shop:1", "docker.io/library/shop", "shop"),
        ("shop", "docker.io/library/shop", "shop"),
        ("acme/shop:1", "docker.io/acme/shop", "acme/shop"),
        ("ghcr.io/acme/shop:1", "ghcr.io/acme/shop", "ghcr.io/acme/shop"),
        ("registry:5000/shop", "registry:5000/shop", "registry:5000/shop"),
        ("localhost/shop:1", "localhost/shop", "localhost/shop"),
        ("shop:1", "docker-pullable://docker.io/library/shop", "shop"),
    ],
)
def test_a_revision_whose_pods_go_is_pinned_to_what_they_ran(image: str, repository: str, pinned: str) -> None:
    world = pulled(image, f"{repository}@{IMAGE_DIGEST}")
    assert (world.scale[1], world.image(1)) == (0, f"{pinned}@{IMAGE_DIGEST}")


@pytest.mark.parametrize(
    ("image", "image_id"),
    [
        ("shop:1", IMAGE_DIGEST),
        ("shop:1", f"docker.io/library/import-2026-03-01@{IMAGE_DIGEST}"),
        ("shop:1", "docker.io/library/shop@sha256:short"),
        ("shop:1", ""),
        (f"shop@{OTHER}", f"docker.io/library/shop@{IMAGE_DIGEST}"),
    ],
    ids=["loaded by hand", "loaded into kind", "no digest", "not told", "named by digest"],
)
def test_what_no_registry_would_know_again_stays_as_it_was_written(image: str, image_id: str) -> None:
    assert pulled(image, image_id).image(1) == image


def test_nothing_that_runs_is_restarted_for_it() -> None:
    world = app(replicas=2)
    world.image_ids["shop:1"] = f"docker.io/library/shop@{IMAGE_DIGEST}"
    world.converge()
    assert world.image(1) == "shop:1"
    world.change(replicas=3)
    assert world.converge().image(1) == "shop:1"


def test_a_rollback_runs_what_ran_then_and_stays_with_it() -> None:
    world = pulled("shop:1", f"docker.io/library/shop@{IMAGE_DIGEST}")
    world.image_ids["shop:1"] = f"docker.io/library/shop@{OTHER}"
    world.change(rollback={"toRevision": 1})
    world.converge()
    assert (world.serving, world.image(1)) == (1, f"shop@{IMAGE_DIGEST}")
    assert world.told.stable is not None
    assert world.told.stable.image == "shop:1"
    world.change(rollback=None)
    world.converge()
    assert (world.serving, world.image(1)) == (2, f"shop@{IMAGE_DIGEST}")


def test_a_revision_whose_notes_are_unreadable_keeps_its_image() -> None:
    """An apply that left the image out would take it away."""
    world = pulled("shop:1", f"docker.io/library/shop@{IMAGE_DIGEST}")
    world.deployments["shop-1"]["metadata"]["annotations"]["tandem.dev/revision-content"] = "edited by hand"
    world.change(rollback={"toRevision": 1})
    world.converge()
    assert (world.scale[1], world.image(1)) == (1, f"shop@{IMAGE_DIGEST}")


# --- What the status tells -------------------------------------------------------------------------------------------


def test_each_revision_keeps_the_digest_that_it_ran_when_its_pods_are_gone() -> None:
    world = pulled("shop:1", f"docker.io/library/shop@{OTHER}")
    world.image_ids["shop:1"] = f"docker.io/library/shop@{IMAGE_DIGEST}"
    world.wait(3600)
    world.converge()
    assert [(one.revision, one.state, one.image_digest) for one in world.told.revisions] == [
        (2, "Stable", IMAGE_DIGEST),
        (1, "Retired", OTHER),
    ]


def test_what_failed_keeps_its_digest_too() -> None:
    world = app("shop:1").converge()
    world.image_ids["shop:2"] = f"docker.io/library/shop@{OTHER}"
    world.change(image="shop:2", rollout={"approval": "Required"})
    world.converge()
    world.say(abort="2")
    world.converge()
    assert (world.record(2).state, world.record(2).image_digest, world.scale[2]) == ("Failed", OTHER, 0)


def test_what_never_was_ready_tells_what_it_was_tried_with() -> None:
    world = app("shop:1").converge()
    world.behaviour["shop:2"] = NEVER
    world.moved["shop:2"] = f"docker.io/library/shop@{OTHER}"  # its only pod
    world.change(image="shop:2")
    world.converge()
    assert (world.record(2).state, world.record(2).image_digest) == ("Failed", OTHER)


@pytest.mark.parametrize("repository", ["docker.io/library/shop", "docker.io/library/import-2026-03-01"])
def test_when_the_status_is_lost_a_revision_without_pods_still_tells_its_digest(repository: str) -> None:
    world = pulled("shop:1", f"{repository}@{OTHER}")
    world.lose_status()
    world.converge()
    assert world.record(1).image_digest == OTHER


def test_a_tag_that_moved_and_is_met_by_another_node_is_told_once() -> None:
    world = app("shop:1", replicas=3)
    world.image_ids["shop:1"] = f"docker.io/library/shop@{IMAGE_DIGEST}"
    world.converge()
    assert world.record(1).other_image_digests == ()
    world.moved["shop:1"] = f"docker.io/library/shop@{OTHER}"
    for _ in range(3):
        world.reconcile()
    told = [event for event in world.events if event.reason == "ImageDiffers"]
    assert [event.type for event in told] == ["Warning"]
    for words in (
        "revision 1",
        "image shop:1",
        IMAGE_DIGEST,
        OTHER,
        "name each build by a tag of its own, or by digest",
    ):
        assert words in told[0].message
    assert (world.record(1).image_digest, world.record(1).other_image_digests) == (IMAGE_DIGEST, (OTHER,))
    assert any(f"{OTHER}" in line for line in explain(world.app, world.now))
    del world.moved["shop:1"]
    world.reconcile()
    assert world.record(1).other_image_digests == ()


def test_an_image_that_was_loaded_into_one_node_and_pulled_by_another_is_no_other_one() -> None:
    """Its id is one that no registry knows: nobody can say whether it is the same."""
    world = app("shop:1", replicas=3)
    world.image_ids["shop:1"] = f"docker.io/library/shop@{IMAGE_DIGEST}"
    world.converge()
    world.moved["shop:1"] = f"docker.io/library/import-2026-03-01@{OTHER}"
    world.reconcile()
    assert world.record(1).other_image_digests == ()
