"""Client configuration as one self-contained file, credentials inside."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from cluster.certificates import Authority, Credential


def write(path: Path, *, name: str, url: str, authority: Authority, user: str, credential: Credential) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {"name": name, "cluster": {"server": url, "certificate-authority-data": _text(authority.certificate)}}
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _text(credential.certificate),
                    "client-key-data": _text(credential.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
    }
    # JSON is YAML: every client reads it, and it needs no library.
    write_private(path, json.dumps(document, indent=2).encode() + b"\n")
    return path


def write_private(path: Path, content: bytes) -> None:
    """The file is never readable by others, not even between its creation and its first byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
