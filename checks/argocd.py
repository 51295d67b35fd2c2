"""Argo CD's actions in the form that argocd-cm takes, made of the scripts in the form that Argo CD's repository has.

python -m checks.argocd
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

KINDS: Final = ("AppDeployment", "TrainingJob")
SCRIPTS: Final = Path(__file__).parent.parent / "manifests/components/argocd/resource_customizations/tandem.dev"


def assembled(kind: str) -> str:
    """``actions.yaml`` of a kind: discovery.lua, and the action.lua of each action."""
    folder = SCRIPTS / kind / "actions"
    made = ["# Made of the scripts in actions/ by `python -m checks.argocd`.\n"]
    made += ["discovery.lua: |\n", _indented(folder / "discovery.lua", "  "), "definitions:\n"]
    for action in sorted(script.parent for script in folder.glob("*/action.lua")):
        made += [f"- name: {action.name}\n", "  action.lua: |\n", _indented(action / "action.lua", "    ")]
    return "".join(made)


def target(kind: str) -> Path:
    return SCRIPTS / kind / "actions.yaml"


def _indented(script: Path, by: str) -> str:
    return textwrap.indent(script.read_text(), by)


if __name__ == "__main__":
    for kind in KINDS:
        target(kind).write_text(assembled(kind))
