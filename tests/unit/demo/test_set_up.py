"""The set-up agrees with the manifests and the examples that it applies."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from cluster.paths import REPOSITORY
from demo.images import TANDEM, WEB
from demo.setup import RUNS, SYSTEM
from demo.stage import MODEL, namespace_object
from demo.story import CHAPTERS


def documents(path: str) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all((REPOSITORY / path).read_text()) if found]


def deployments() -> dict[str, dict[str, Any]]:
    files = ("manifests/base/operator.yaml", "manifests/base/drift.yaml", "manifests/components/mlflow/deployment.yaml")
    found = [each for file in files for each in documents(file) if each["kind"] == "Deployment"]
    return {each["metadata"]["name"]: each for each in found}


def test_every_deployment_is_restarted_when_its_image_was_built_anew() -> None:
    images = {name: each["spec"]["template"]["spec"]["containers"][0]["image"] for name, each in deployments().items()}

    assert images == RUNS


def test_every_image_that_the_story_runs_is_built() -> None:
    built = {image.tag for image in TANDEM + WEB}
    [web] = documents("examples/web/appdeployment.yaml")

    assert set(RUNS.values()) <= built
    assert {web["spec"]["image"], "web:2", "web:broken"} <= built


@pytest.mark.parametrize("image", TANDEM + WEB, ids=lambda image: image.tag)
def test_an_image_has_a_dockerfile_with_its_target(image: Any) -> None:
    text = (image.context / "Dockerfile").read_text()

    assert image.target is None or f"AS {image.target}\n" in text
    assert all(f"ARG {name}" in text for name in image.arguments)


def test_what_is_cleared_before_a_story_is_what_the_example_makes() -> None:
    [job] = documents("examples/iris/trainingjob.yaml")

    assert job["spec"]["model"]["name"] == MODEL


def test_the_code_that_is_trained_comes_from_the_git_server_of_the_example() -> None:
    """Nothing in a lineage names a commit otherwise."""
    [job] = documents("examples/iris/trainingjob.yaml")
    pod, service = documents("examples/iris/git-server.yaml")

    assert job["spec"]["source"]["git"]["url"].startswith(f"git://{service['metadata']['name']}/")
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["containers"][0]["readinessProbe"]["tcpSocket"]["port"] == service["spec"]["ports"][0]["port"]


def test_the_system_lives_where_the_overlay_puts_it() -> None:
    [overlay] = documents("manifests/overlays/demo/kustomization.yaml")

    assert overlay["namespace"] == SYSTEM


def test_the_stage_is_restricted() -> None:
    assert namespace_object("x")["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}


def test_chapters_are_found_by_their_titles() -> None:
    assert len(set(CHAPTERS)) == len(CHAPTERS)
    assert max(len(title) for title in CHAPTERS) <= 42
