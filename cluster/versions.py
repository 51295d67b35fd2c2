"""Versions for the kind backend; those of the embedded one: embedded/parts/*/go.mod, embedded/versions.py."""

from __future__ import annotations

KIND = "v0.33.0"
KUBERNETES = "v1.37.0"
NODE_IMAGE = f"kindest/node:{KUBERNETES}@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
