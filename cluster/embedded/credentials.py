"""The files by which the parts of one cluster know each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import kubeconfig
from cluster.certificates import Authority, new_authority, new_signing_key
from cluster.kubeconfig import write_private

ADMINISTRATORS = "system:masters"


@dataclass(frozen=True)
class Credentials:
    """`folder` is where the files are written; `seen_as` is where the daemons find the same folder."""

    name: str
    url: str
    folder: Path
    seen_as: Path
    authority: Authority

    @property
    def ca(self) -> Path:
        return self.seen_as / "ca.crt"

    @property
    def signing_key(self) -> Path:
        return self.seen_as / "service-accounts.key"

    def certificate(self, name: str) -> Path:
        return self.seen_as / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.seen_as / f"{name}.key"

    def config(self, name: str) -> Path:
        return self.seen_as / f"{name}.kubeconfig"

    def add_server(self, name: str, reached_as: Sequence[str]) -> None:
        issued = self.authority.server(name, reached_as)
        write_private(self.folder / f"{name}.crt", issued.certificate)
        write_private(self.folder / f"{name}.key", issued.key)

    def add_client(self, name: str, user: str, groups: Sequence[str] = ()) -> None:
        """A bare certificate, for a client that is not configured by a kubeconfig."""
        issued = self.authority.user(user, groups)
        write_private(self.folder / f"{name}.crt", issued.certificate)
        write_private(self.folder / f"{name}.key", issued.key)

    def add_config(self, name: str, user: str, groups: Sequence[str] = (), url: str | None = None) -> Path:
        return kubeconfig.write(
            self.folder / f"{name}.kubeconfig",
            name=self.name,
            url=url or self.url,
            authority=self.authority,
            user=user,
            credential=self.authority.user(user, groups),
        )


def new_credentials(*, name: str, url: str, folder: Path, seen_as: Path | None = None) -> Credentials:
    authority = new_authority(f"tandem-{name}")
    write_private(folder / "ca.crt", authority.certificate)
    write_private(folder / "ca.key", authority.key)
    # Pods verify with ca.crt through a ConfigMap; nothing in the file is secret.
    (folder / "ca.crt").chmod(0o644)
    write_private(folder / "service-accounts.key", new_signing_key())
    return Credentials(name, url, folder, seen_as or folder, authority)


def read_credentials(*, name: str, url: str, folder: Path) -> Credentials:
    authority = Authority((folder / "ca.crt").read_bytes(), (folder / "ca.key").read_bytes())
    return Credentials(name, url, folder, folder, authority)
