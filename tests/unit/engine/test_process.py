"""How the API server is reached."""

from __future__ import annotations

import pytest

from tandem.engine.process import _proxy_for

PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY}, PROXY),
        ({"HTTP_PROXY": PROXY}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "kubernetes.default.svc"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": ".svc,10.0.0.1"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "example.com"}, PROXY),
    ],
    ids=[
        "no proxy",
        "for https",
        "in small letters",
        "for http alone",
        "not for this host",
        "not for a suffix",
        "other",
    ],
)
def test_the_api_server_is_reached_through_the_proxy_that_the_environment_names(
    environment: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert _proxy_for("https://kubernetes.default.svc:443") == expected
