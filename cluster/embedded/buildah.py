"""Builds images without a daemon, on a base that is put together from Debian packages."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from cluster import paths
from cluster.command import run
from cluster.embedded import debian, overlay
from cluster.embedded.archive import Runs, write_image
from cluster.embedded.layers import write_archive
from cluster.embedded.versions import BASE_IMAGE, DEBIAN_RELEASE
from cluster.lock import exclusive
from cluster.progress import step

BASE = f"localhost/tandem-base:{BASE_IMAGE}"
BASE_PACKAGES = ("ca-certificates", "git", "python-is-python3", "python3", "python3-venv")
NOT_IN_A_CONTAINER = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
# A machine that trusts an authority of its own says so in one of these.
OWN_AUTHORITY = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class Buildah:
    def build(
        self, tag: str, dockerfile: Path, context: Path, target: str | None, arguments: Mapping[str, str]
    ) -> None:
        debian.ensure(debian.IMAGE_TOOLS)
        ensure_base()
        log = paths.cache() / "logs" / "build-image.log"
        with exclusive(paths.cache() / "buildah.lock", "another image build"), step(f"Building {tag}") as detail:
            run(
                _buildah(*build_words(tag, dockerfile, context, target, {"BASE": BASE, **arguments})),
                detail=detail,
                log=log,
                remedy=f"read the step above it; the whole log is in {log}",
            )

    def image_id(self, tag: str) -> str:
        debian.ensure(debian.IMAGE_TOOLS)
        return _image_id(tag)

    def export(self, tag: str, target: Path, known: Collection[str] = ()) -> None:
        def whole(archive: Path) -> None:
            archive.unlink(missing_ok=True)
            run(_buildah("push", "--quiet", tag, f"docker-archive:{archive}:{tag}"))

        config = json.loads(run(_buildah("inspect", "--type", "image", tag)))["Config"]
        write_archive(target, tag, str(config).encode(), known, whole)


def build_words(
    tag: str, dockerfile: Path, context: Path, target: str | None, arguments: Mapping[str, str]
) -> list[str]:
    return [
        *("build", "--isolation", "chroot", "--layers"),
        *(word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")),
        *own_authority(os.environ),
        *(("--target", target) if target else ()),
        *("--tag", tag, "--file", str(dockerfile), str(context)),
    ]


def own_authority(environment: Mapping[str, str]) -> list[str]:
    """Mounted for the build's own downloads and never copied: the image must not trust what this machine trusts."""
    named = next((environment[name] for name in OWN_AUTHORITY if environment.get(name)), None)
    if named is None or not Path(named).is_file():
        return []
    return ["--volume", f"{Path(named).resolve()}:{SYSTEM_BUNDLE}:ro", "--build-arg", f"PIP_CERT={SYSTEM_BUNDLE}"]


def ensure_base() -> None:
    with exclusive(paths.cache() / "base.lock", "another build of the base image"):
        if _image_id(BASE):
            return
        folder = paths.cache() / "base"
        folder.mkdir(parents=True, exist_ok=True)
        root = folder / "root.tar"
        root.unlink(missing_ok=True)
        with step("Building the base image (half a minute)") as detail:
            # Its mounts are in a namespace of their own: an interrupted run leaves none behind.
            run(
                [
                    *("unshare", "--mount", "mmdebstrap", "--variant=minbase"),
                    *(f"--dpkgopt=path-exclude={pattern}" for pattern in NOT_IN_A_CONTAINER),
                    f"--include={','.join(BASE_PACKAGES)}",
                    *(DEBIAN_RELEASE, str(root)),
                ],
                detail=detail,
                log=paths.cache() / "logs" / "base-image.log",
                remedy="see that this machine's apt sources answer, then run it again",
            )
            archive = folder / "image.tar"
            write_image(archive, BASE, root, Runs(command=("python3",), env={"PATH": _PATH}))
            run(_buildah("pull", f"docker-archive:{archive}"))
            root.unlink()
            archive.unlink()


def _image_id(tag: str) -> str:
    listed = run(_buildah("images", "--no-trunc", "--format", "{{.Name}}:{{.Tag}} {{.ID}}"))
    known = dict(line.split(" ", 1) for line in listed.splitlines() if " " in line)
    return known.get(tag, "").strip()


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _buildah(*words: str) -> list[str]:
    store = paths.cache() / "buildah"
    return [
        *("unshare", "--mount", "buildah", "--root", str(store), "--runroot", str(store / "run")),
        *("--storage-driver", "overlay" if overlay.works(paths.cache()) else "vfs", *words),
    ]
