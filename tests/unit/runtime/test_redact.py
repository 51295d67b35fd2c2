"""What is secret in a URL never reaches a log or a status."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.runtime.redact import redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://host/a.csv", "https://host/a.csv"),
        ("https://me:secret@host/a.csv", "https://host/a.csv"),
        ("https://token@host/r.git failed", "https://host/r.git failed"),
        ("https://me:se@cret@host/r", "https://host/r"),
        ("https://host/a.csv?X-Amz-Signature=abc&x=1", "https://host/a.csv"),
        ("'https://u:p@host/a?sig=1': 404", "'https://host/a': 404"),
        ("http://a:b@one/x and http://c:d@two/y", "http://one/x and http://two/y"),
        ("mail me@host about it?", "mail me@host about it?"),
        ("abfs://box@acme.dfs.core.windows.net/a.csv", "abfs://box@acme.dfs.core.windows.net/a.csv"),
        ("abfss://box@acme.dfs.core.windows.net", "abfss://box@acme.dfs.core.windows.net"),
        ("abfs://me:secret@acme.dfs.core.windows.net/a", "abfs://acme.dfs.core.windows.net/a"),
        ("abfs://box@me:secret@acme/a", "abfs://acme/a"),
        ("abfs://box@acme/a?sig=1", "abfs://box@acme/a"),
    ],
)
def test_user_names_passwords_and_queries_are_taken_out(text: str, shown: str) -> None:
    assert redacted(text) == shown


_SECRETS = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCXYZ0123456789:@!$&*+,;=.~%-_", min_size=8)


@given(secret=_SECRETS)
def test_no_password_survives(secret: str) -> None:
    assert redacted(f"fetch https://me:{secret}@host/repo.git now") == "fetch https://host/repo.git now"


@given(secret=_SECRETS)
def test_no_signature_survives(secret: str) -> None:
    assert redacted(f"fetch https://host/a.csv?sig={secret} now") == "fetch https://host/a.csv now"
