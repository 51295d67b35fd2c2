"""The Secret of a data set or of a Git repository, as it is mounted into the fetching container: one file per key.

Only keys that a store's own tools know are read; nothing of them is ever shown.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tandem.runtime.failure import AccessDenied
from tandem.runtime.location import BUCKETS, GIT, WEB

_BASIC: Final = ("username", "password", "token")
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys((*WEB, *GIT), _BASIC),
    "ssh": ("ssh-privatekey", "known_hosts"),
    "oci": (*_BASIC, ".dockerconfigjson"),
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
    ),
    "gs": ("gcloud-application-credentials.json",),
    **dict.fromkeys(
        (scheme for scheme in BUCKETS if scheme.startswith("abfs")),
        (
            "AZURE_STORAGE_ACCOUNT_KEY",
            "AZURE_STORAGE_SAS_TOKEN",
            "AZURE_CLIENT_ID",
            "AZURE_CLIENT_SECRET",
            "AZURE_TENANT_ID",
            "AZURE_STORAGE_ENDPOINT",
        ),
    ),
}
_PUBLIC: Final = frozenset({"AWS_REGION", "AWS_ENDPOINT_URL", "AZURE_STORAGE_ENDPOINT", "known_hosts"})
_LIMIT: Final = 64 * 1024


@dataclass(frozen=True)
class Credentials:
    """``values`` by key; none where the data set has no Secret."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    given: bool = False

    def __getitem__(self, key: str) -> str:
        return self.values.get(key, "")

    @property
    def basic(self) -> tuple[str, str] | None:
        """User name and password; a token without a user name is a password, as Git servers take it."""
        password = self["password"] or self["token"]
        return (self["username"] or "token", password) if password else None

    @property
    def basic_header(self) -> str:
        """``Authorization`` for a Git server; or ''."""
        return f"Basic {base64.b64encode(':'.join(self.basic).encode()).decode()}" if self.basic else ""

    @property
    def header(self) -> str:
        """``Authorization`` for a web server: a token without a user name is a bearer token; or ''."""
        return f"Bearer {self['token']}" if self["token"] and not self["username"] else self.basic_header

    def scrubbed(self, text: str) -> str:
        """``text`` without any of the values: what a server says may repeat what it was told."""
        for key, value in self.values.items():
            if key not in _PUBLIC and len(value) >= 4:
                text = text.replace(value, "***")
        return text


def read(folder: str | None, scheme: str) -> Credentials:
    """The keys of the mounted Secret that a store of this scheme understands.

    Raises:
        AccessDenied: it has none of them, or one that cannot be read.
    """
    if folder is None:
        return Credentials()
    known = KEYS.get(scheme, ())
    values = {key: _text(Path(folder) / key) for key in known if (Path(folder) / key).is_file()}
    if not values:
        raise AccessDenied(
            f"the Secret of secretRef has none of the keys that {scheme}:// understands: {', '.join(known) or 'none'}"
        )
    return Credentials(values, given=True)


def of_registry(credentials: Credentials, host: str) -> tuple[str, str] | None:
    """User name and password for a registry, out of plain keys or of a kubernetes.io/dockerconfigjson Secret.

    Raises:
        AccessDenied: the docker configuration cannot be read, or says nothing about this host.
    """
    if not credentials[".dockerconfigjson"]:
        return credentials.basic
    try:
        entry = json.loads(credentials[".dockerconfigjson"])["auths"][host]
        if "auth" in entry:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
            return user, password
        return str(entry["username"]), str(entry["password"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise AccessDenied(f"the .dockerconfigjson of secretRef has no usable entry in auths for {host}") from None


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > _LIMIT:
            raise AccessDenied(f"the key {file.name} of secretRef is larger than {_LIMIT} bytes")
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise AccessDenied(f"the key {file.name} of secretRef cannot be read as text") from None
