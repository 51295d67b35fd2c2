"""URLs as they may be shown: a password in one, or the signature of a presigned one, stays out of logs and status."""

from __future__ import annotations

import re
from typing import Final

# Azure's URIs have a container where others have a user: abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH.
_CONTAINER: Final = r"(abfss?://[a-z0-9$-]{1,63}@(?=[A-Za-z0-9.-]+(?:[/\s'\"?#]|$)))"
_USERINFO: Final = re.compile(rf"{_CONTAINER}|(?<=://)[^/\s'\"]*@")
_QUERY: Final = re.compile(r"(://[^\s'\"?#]*)[?#][^\s'\"]*")


def redacted(text: str) -> str:
    """``text`` with user names, passwords, queries and fragments taken out of every URL in it.

    >>> redacted("could not read https://me:secret@host/a.csv?X-Amz-Signature=abc today")
    'could not read https://host/a.csv today'
    """
    return _QUERY.sub(r"\1", _USERINFO.sub(lambda found: found[1] or "", text))
