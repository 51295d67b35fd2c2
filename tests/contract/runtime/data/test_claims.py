"""Data of claims and of the web, and files that are none of the data."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

import pytest

from tests.contract.runtime.conftest import HttpServer
from tests.contract.runtime.data.pod import IRIS, Pod
from tests.contract.runtime.stores import HEADER, ME, guarded_server


def test_a_web_server_gets_the_password_and_the_place_it_redirects_to_does_not(pod: Pod, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, IRIS)

    def redirect(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", f"{elsewhere.url}/iris.csv")
        request.send_header("Content-Length", "0")
        request.end_headers()

    with guarded_server(lambda _: None) as elsewhere, guarded_server(redirect) as guarded:
        done = pod.fetch(f"{guarded.url}/iris.csv", secret=pod.secret(ME))
    assert set(guarded.seen) == {HEADER}
    assert set(elsewhere.seen) == {""}
    assert done.code == 6
    assert "the server answered 401" in done.message


def test_a_folder_of_a_claim_is_fetched(pod: Pod) -> None:
    claim = pod.folder / "claim"
    (claim / "iris" / "a").mkdir(parents=True)
    (claim / "iris" / "iris.csv").write_bytes(IRIS)
    (claim / "iris" / "a" / "latest.csv").symlink_to("../iris.csv")
    done = pod.fetch("pvc://acme/iris/", claim=str(claim))
    assert (done.code, done.err) == (0, "")
    assert pod.files() == {"iris/iris.csv": IRIS, "iris/a/latest.csv": IRIS}
    assert not (pod.folder / "workspace/data/iris/a/latest.csv").is_symlink()


@pytest.mark.parametrize("link", ["/etc/hostname", "../../secret.txt", "/proc/self/environ"])
def test_a_link_that_leads_out_of_a_claim_is_refused(pod: Pod, link: str) -> None:
    claim = pod.folder / "claim"
    (claim / "iris").mkdir(parents=True)
    (pod.folder / "secret.txt").write_text("hunter2")
    (claim / "iris" / "iris.csv").symlink_to(link)
    done = pod.fetch("pvc://acme/iris/", claim=str(claim))
    assert (done.code, pod.files()) == (6, {})
    assert "iris.csv is a link that leads out of the volume" in done.message


@pytest.mark.parametrize(
    "path", ["/proc/self/environ", "/dev/zero", "/sys/kernel/notes", "/var/run/x", "/tandem/secrets/a/k"]
)
def test_a_file_that_is_not_of_the_image_cannot_be_named(pod: Pod, path: str) -> None:
    done = pod.fetch(f"file://{path}")
    assert done.code == 6
    assert "is no file of the image" in done.message


def test_a_volume_that_is_full_is_told_as_such(pod: Pod) -> None:
    """/dev/full is a real device that has no room; the workspace's own file is linked to it half way."""
    claim = pod.folder / "claim"
    claim.mkdir()
    (claim / "iris.csv").write_bytes(IRIS)
    (pod.folder / "full.py").write_text(
        "import pathlib\n"
        "real = pathlib.Path.open\n"
        "def opened(path, mode='r', *a, **k):\n"
        "    full = mode == 'xb'\n"
        "    return real(pathlib.Path('/dev/full') if full else path, 'wb' if full else mode, *a, **k)\n"
        "pathlib.Path.open = opened\n"
        "import runpy\n"
        "runpy.run_module('tandem.runtime.fetch', run_name='__main__')\n"
    )
    done = pod.run("pvc://c/iris.csv", {}, module="full", claim=str(claim))
    assert done.code == 8
    assert "no space left on the volume of the workspace; the node's disk or the volume is full" in done.message
