"""An old revision comes back with the image that it ran, wherever its tag points by then."""

from __future__ import annotations

import pytest

from tests.unit.apps.world import IMAGE_DIGEST, World, app

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
