"""How anything is asked for over HTTP here: bounded in size and time, and without following a redirect.

A redirect would carry the credentials to another host, and the question to where nobody meant it to go.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp

ANSWER_LIMIT: Final = 4 * 2**20  # bytes
PATIENCE: Final = 15.0  # seconds
_TOLD: Final = 200  # characters of what an answer says


class NotMeasured(Exception):
    """Whoever was asked did not answer with a number; ``str()`` says what happened and what to do."""


class NotThere(NotMeasured):
    """404."""


async def ask(
    session: aiohttp.ClientSession,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
) -> bytes:
    """What a GET is answered, or a POST where there is a ``body`` to send as JSON.

    Raises:
        NotThere: 404.
        NotMeasured: no answer, one that is too long, or one that is no success.
    """
    method, timeout = "POST" if body is not None else "GET", aiohttp.ClientTimeout(total=PATIENCE)
    try:
        async with session.request(
            method, url, headers=headers, params=query, json=body, allow_redirects=False, timeout=timeout
        ) as answer:
            content = await _bounded(answer)
    except TimeoutError:
        raise NotMeasured(f"{url} did not answer within {PATIENCE:.0f} seconds") from None
    except (aiohttp.ClientError, ValueError, OSError) as error:
        raise NotMeasured(f"{url}: {_line(str(error), headers) or type(error).__name__}") from None
    if answer.status != 200:
        said = _line(content.decode(errors="replace"), headers)
        type_ = NotThere if answer.status == 404 else NotMeasured
        raise type_(f"{url} answered {answer.status}" + (f": {said}" if said else ""))
    return content


def headers_of(secret: str) -> dict[str, str]:
    """Each key of a mounted Secret is a header."""
    if not secret:
        return {}
    # Kubernetes keeps the files in a hidden folder, and links to them.
    files = [file for file in sorted(_folder(secret).iterdir()) if not file.name.startswith(".")]
    return {file.name: _text(file) for file in files}


def bearer_of(secret: str) -> dict[str, str]:
    """The key ``token`` of a mounted Secret, as a header."""
    if not secret:
        return {}
    file = _folder(secret) / "token"
    if not file.is_file():
        raise NotMeasured("the Secret of secretRef has no key 'token', where the bearer token belongs")
    return {"Authorization": f"Bearer {_text(file)}"}


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    length = 0
    async for part in answer.content.iter_chunked(65536):
        parts.append(part)
        length += len(part)
        if length > ANSWER_LIMIT:
            raise NotMeasured(f"{answer.url} answered with more than {ANSWER_LIMIT // 2**20} MiB")
    return b"".join(parts)


def _folder(secret: str) -> Path:
    folder = Path(secret)
    if not folder.is_dir():
        raise NotMeasured("the Secret of secretRef is not mounted")
    return folder


def _text(file: Path) -> str:
    return file.read_text(errors="replace").strip()


def _line(text: str, headers: Mapping[str, str] | None) -> str:
    """Nothing that came from a Secret is told, whatever a server says: a status is read by more people."""
    for value in (headers or {}).values():
        for secret in filter(None, (value, value.removeprefix("Bearer "))):
            text = text.replace(secret, "[…]")
    return " ".join(text[: _TOLD * 2].split())[:_TOLD]
