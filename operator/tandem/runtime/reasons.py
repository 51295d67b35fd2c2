"""From whatever the library of a store raises to a failure that says whose it is, and what to do.

==================  ==============================================================================
:class:`NotFound`       the store says so (404, NoSuchKey, ENOENT)
:class:`AccessDenied`   the store says so (401, 403, EACCES)
:class:`Unreachable`    nobody says anything: refused connection, silence
:class:`HostUnknown`    … and the name service knows no such host
:class:`NoSpace`        our own volume is full
:class:`StoreFailed`    5xx, too many requests, a connection that broke off
:class:`NotFetched`     the rest: a file that is not what was promised
==================  ==============================================================================
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator
from typing import Final

from tandem.runtime.failure import (
    AccessDenied,
    Failure,
    HostUnknown,
    MlflowAway,
    NoSpace,
    NotFetched,
    NotFound,
    NotRecorded,
    StoreFailed,
    Unreachable,
)
from tandem.runtime.redact import redacted

_ADVICE: Final = {
    NotFound: "correct spec.data[].storageUri, or put the data there",
    AccessDenied: "see to the rights of what secretRef names, or name a Secret that has them",
    Unreachable: "correct the host in spec.data[].storageUri, or see why it does not answer",
    HostUnknown: "correct the host in spec.data[].storageUri, or see why it does not answer",
    NoSpace: "the node's disk or the volume is full: fetch less, or make room",
    NotFetched: "",
}
# Answers of a server that is away or overloaded: what it was asked for may be there.
_AWAY: Final = frozenset({"408", "429", *(str(status) for status in range(500, 600))})
# Of aiohttp, requests and urllib3: the answer ended before it was whole.
_BROKEN: Final = frozenset(
    {"ClientPayloadError", "ServerDisconnectedError", "ChunkedEncodingError", "IncompleteRead", "ProtocolError"}
)
_ROUTES: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
# It raises Python's own FileNotFoundError for what is not there.
_OBSTORE: Final = frozenset({"GenericError", "PermissionDeniedError", "UnauthenticatedError", "PreconditionError"})
_UNKNOWN: Final = ("dns error", "failed to lookup address")
# What says that the name service itself is away.
_NAMELESS: Final = "temporary failure in name resolution"
_SILENT: Final = (
    ("connection refused", "the connection was refused"),
    ("operation timed out", "no answer"),
    ("error sending request", "the connection failed"),
)


def failure_of(error: Exception, what: str) -> Failure:
    """The failure that ``error`` means for ``what``: a data set and its URI."""
    if isinstance(error, Failure):  # a store that has said it all
        return type(error)(f"{what}: {error}")
    class_, reason = _told(error)
    advice = _ADVICE.get(class_, "")
    return class_(f"{what}: {reason}" + (f"; {advice}" if advice else ""))


def not_recorded(error: Exception, what: str) -> NotRecorded:
    """The failure that an error of MLflow's client means; it raises its own, and whatever requests raises."""
    words = f"{what}: {redacted(' '.join(str(error).split()))[:300]}"
    return MlflowAway(words) if any(_of_mlflow(cause) for cause in _causes(error)) else NotRecorded(words)


def _of_mlflow(cause: BaseException) -> bool:
    """Whether MLflow is away. Its exceptions have a status, 500 unless a server has said another."""
    status = getattr(cause, "get_http_status_code", None)
    if callable(status):
        return str(status()) in _AWAY
    told = _status(cause) or _of_network(cause)
    return told is not None and told[0].passes


def _told(error: Exception) -> tuple[type[Failure], str]:
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return NoSpace, "no space left on the volume of the workspace"
    for cause in chain:
        told = _status(cause) or _of_obstore(cause) or _of_network(cause)
        if told:
            return told
    last = chain[-1]
    if isinstance(last, OSError) and last.errno and last.errno > 0:
        class_ = {errno.ENOENT: NotFound, errno.EACCES: AccessDenied, errno.EPERM: AccessDenied}.get(
            last.errno, NotFetched
        )
        return class_, os.strerror(last.errno)
    if isinstance(last, FileNotFoundError):
        return NotFound, "the server answered 404 Not Found"
    return NotFetched, _words(last)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The chain is walked because fsspec tells every HTTP failure as FileNotFoundError."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def _status(cause: BaseException) -> tuple[type[Failure], str] | None:
    """An answer of a server: aiohttp's, or requests'."""
    response = getattr(cause, "response", None)
    status = getattr(cause, "status", None) or getattr(response, "status_code", None)
    if not isinstance(status, int):
        return None
    words = getattr(cause, "message", "") or getattr(response, "reason", "") or ""
    known: dict[int, type[Failure]] = {401: AccessDenied, 403: AccessDenied, 404: NotFound, 410: NotFound}
    class_ = known.get(status, StoreFailed if str(status) in _AWAY else NotFetched)
    return class_, f"the server answered {status} {words}".rstrip()


def _of_obstore(cause: BaseException) -> tuple[type[Failure], str] | None:
    name, text = type(cause).__name__, str(cause)
    if name not in _OBSTORE and "Object at location" not in text:
        return None
    # Its words have the answer's body in them; the code in there says what matters.
    code = next(iter(re.findall(r"<Code>([A-Za-z]{1,60})</Code>", text)), "")
    status = next(iter(re.findall(r"status(?: code)?:? ([45]\d\d)", text)), "")
    said = f" ({code or status})" if code or status else ""
    if code == "NoSuchBucket":
        return NotFound, "there is no such bucket"
    if isinstance(cause, FileNotFoundError) or status == "404":
        return NotFound, f"there is no such object{said}"
    if name in ("PermissionDeniedError", "UnauthenticatedError") or status in ("401", "403"):
        return AccessDenied, f"access denied{said}"
    if name == "PreconditionError":
        return NotFetched, "it changed while it was fetched"
    if "Received redirect without LOCATION" in text:
        return NotFetched, "the bucket is in another region: set AWS_REGION in the Secret of secretRef"
    if any(sign in text.lower() for sign in _UNKNOWN):
        return _nameless(text)
    silent = next((words for sign, words in _SILENT if sign in text.lower()), "")
    failed = StoreFailed if status in _AWAY else NotFetched
    return (Unreachable, silent) if silent else (failed, f"the store failed{said}: {_words(cause)}")


def _nameless(text: str) -> tuple[type[Failure], str]:
    if _NAMELESS in text.lower():
        return Unreachable, "the name service does not answer"
    return HostUnknown, "the host is unknown"


def _of_network(cause: BaseException) -> tuple[type[Failure], str] | None:
    if isinstance(cause, socket.gaierror) or "Name or service not known" in str(cause):
        return _nameless(str(cause))
    if isinstance(cause, (TimeoutError, ConnectionRefusedError)) and not isinstance(cause, FileNotFoundError):
        return Unreachable, "no answer for a minute" if isinstance(
            cause, TimeoutError
        ) else "the connection was refused"
    inner = getattr(cause, "os_error", None)  # aiohttp's connection errors carry what the system said
    if isinstance(inner, OSError):
        return _of_network(inner) or (Unreachable, os.strerror(inner.errno) if inner.errno else "the connection failed")
    if type(cause).__name__ in _BROKEN or isinstance(cause, ConnectionError):
        return StoreFailed, "the connection broke off"
    if isinstance(cause, OSError) and cause.errno in _ROUTES:
        return Unreachable, os.strerror(cause.errno)
    if type(cause).__module__.startswith("requests") and "Connection" in type(cause).__name__:
        refused = "refused" in str(cause)
        return Unreachable, "the connection was refused" if refused else "the connection failed"
    return None


def _words(cause: BaseException) -> str:
    return redacted(" ".join(str(cause).split())[:300]) or type(cause).__name__
