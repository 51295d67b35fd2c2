"""Whether layers can be stacked in a folder; not, for example, where the folder lies on such a stack itself."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path


@cache
def works(folder: Path) -> bool:
    """Tried, in a namespace that ends with the try: kernels and file systems differ in too many ways to be asked."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".overlay-") as name:
        place = Path(name)
        for part in ("lower", "upper", "work", "merged"):
            (place / part).mkdir()
        options = f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work"
        command = ["unshare", "--mount", "mount", "-t", "overlay", "overlay", "-o", options, str(place / "merged")]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
