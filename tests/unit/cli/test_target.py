"""How people name a resource."""

from __future__ import annotations

import pytest

from tandem.cli.cluster import APP, TRAINING, Kind
from tandem.cli.errors import CommandError
from tandem.cli.target import parse


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("shop", None, "shop"),
        ("appd/shop", APP, "shop"),
        ("appdeployment/shop", APP, "shop"),
        ("AppDeployment/shop", APP, "shop"),
        ("appdeployments/shop", APP, "shop"),
        ("appdeployment.tandem.dev/shop", APP, "shop"),  # as kubectl get -o name says it
        ("appdeployments.tandem.dev/shop", APP, "shop"),
        ("tj/iris", TRAINING, "iris"),
        ("trainingjob.tandem.dev/iris", TRAINING, "iris"),
    ],
)
def test_a_name_with_or_without_its_kind(text: str, kind: Kind | None, name: str) -> None:
    assert parse(text) == (kind, name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("deployment/shop", "deployment is neither AppDeployment or TrainingJob"),
        ("appd/", "names no resource"),
        ("", "names no resource"),
        ("a/b/c", "a/b is neither"),
    ],
)
def test_what_names_nothing_is_refused_with_the_words_that_do(text: str, says: str) -> None:
    with pytest.raises(CommandError, match=says):
        parse(text)
