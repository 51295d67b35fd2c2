"""Where parts are kept between clusters, and where each cluster keeps its state."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cluster.errors import ClusterError

REPOSITORY = Path(__file__).resolve().parent.parent
NAME_RULE = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")


def cache() -> Path:
    """Parts, base images and layers: safe to delete, slow to make again."""
    return _base("XDG_CACHE_HOME", ".cache")


def state(name: str) -> Path:
    """All that one cluster knows; `down` deletes it."""
    if not NAME_RULE.fullmatch(name):
        raise ClusterError(
            what=f"'{name}' cannot be a cluster's name",
            rule="a name has 1 to 32 small letters, digits and inner dashes, and starts with a letter",
            remedy="choose another --name",
        )
    return states() / name


def states() -> Path:
    return _base("XDG_STATE_HOME", ".local/state") / "clusters"


def _base(variable: str, fallback: str) -> Path:
    # The specification tells programs to ignore a relative path here.
    configured = Path(os.environ.get(variable, ""))
    root = configured if configured.is_absolute() else Path.home() / fallback
    return root / "tandem"
