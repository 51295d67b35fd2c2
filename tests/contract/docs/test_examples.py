"""Every manifest that people are shown is one that a real API server accepts."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from tandem.api.names import GROUP
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.crds import ROOT

PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
PAGE_OF = {"TrainingJob": ROOT / "docs/spec/trainingjob.md", "AppDeployment": ROOT / "docs/spec/appdeployment.md"}
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").rglob("kustomization.yaml"))


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


WHOLE = [(page, block) for page in PAGES for block in blocks(page) if re.search(f"^apiVersion: {GROUP}/", block, re.M)]
PARTS = [
    (kind, block) for kind, page in PAGE_OF.items() for block in blocks(page) if not re.search("^kind:", block, re.M)
]


@pytest.mark.parametrize(("page", "block"), WHOLE, ids=[page.name for page, _ in WHOLE])
def test_a_whole_resource_in_the_documentation_is_accepted(
    api_server: ApiServer, namespace: str, page: Path, block: str
) -> None:
    applied = api_server.plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "-n", namespace, "-f", "-", stdin=block
    )

    assert "serverside-applied" in applied


@pytest.mark.parametrize(("kind", "block"), PARTS, ids=[f"{kind}: {block.split(':')[0]}" for kind, block in PARTS])
def test_a_part_of_a_spec_in_the_documentation_is_accepted(
    api_server: ApiServer, namespace: str, kind: str, block: str
) -> None:
    """The smallest resource with these lines in its spec, read by kubectl itself: unknown fields are refused."""
    head = resource(kind, namespace)
    rest = {field: value for field, value in head.pop("spec").items() if field not in yaml.safe_load(block)}
    spec = (yaml.safe_dump(rest) if rest else "") + block
    manifest = f"{yaml.safe_dump(head)}spec:\n{textwrap.indent(spec, '  ')}"

    api_server.plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=manifest)


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_an_example_is_accepted_where_restricted_is_enforced(api_server: ApiServer, example: Path) -> None:
    kubectl = api_server.plane.kubectl
    namespace = api_server.new_namespace(
        f"example-{example.name}", {"pod-security.kubernetes.io/enforce": "restricted"}
    )
    built = kubectl("kustomize", str(example))

    applied = kubectl("apply", "--server-side", "--dry-run=server", "-n", namespace, "-f", "-", stdin=built)

    assert len(applied.splitlines()) == len([one for one in yaml.safe_load_all(built) if one])
