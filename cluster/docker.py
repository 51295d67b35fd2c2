"""Images where a Docker daemon answers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from cluster.command import run
from cluster.progress import step

ANSWERS_WITHIN = 10.0
# An attestation tells when it was made: where Docker keeps its images in containerd, its default since 29, an image
# that did not change would get another id at every build.
SAME_AGAIN = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def answers() -> bool:
    """The program alone is not enough: it is often installed where no daemon may run."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(["docker", "version"], check=False, capture_output=True, timeout=ANSWERS_WITHIN)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


class Docker:
    def build(
        self, tag: str, dockerfile: Path, context: Path, target: str | None, arguments: Mapping[str, str]
    ) -> None:
        with step(f"Building {tag}") as detail:
            run(build_command(tag, dockerfile, context, target, arguments), env=SAME_AGAIN, detail=detail)

    def image_id(self, tag: str) -> str:
        asked = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", tag], check=False, capture_output=True, text=True
        )
        return asked.stdout.strip()

    def export(self, tag: str, target: Path, known: Collection[str] = ()) -> None:
        """All of it: Docker leaves nothing out."""
        run(["docker", "save", "--output", str(target), tag])


def build_command(
    tag: str, dockerfile: Path, context: Path, target: str | None, arguments: Mapping[str, str]
) -> list[str]:
    return [
        *("docker", "build", "--tag", tag, "--file", str(dockerfile)),
        *(word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")),
        *(("--target", target) if target else ()),
        str(context),
    ]
