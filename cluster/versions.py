"""Versions for the kind backend. Those of the embedded one stand in embedded/parts/*/go.mod and embedded/versions.py."""

from __future__ import annotations

KIND = "v0.31.0"
KUBERNETES = "v1.35.0"
NODE_IMAGE = f"kindest/node:{KUBERNETES}"
