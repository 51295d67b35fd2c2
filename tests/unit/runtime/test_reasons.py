"""Whatever a library raises becomes one of five kinds of failure, in words for a person."""

from __future__ import annotations

import errno
import os
import socket

import pytest
import requests
from mlflow.exceptions import MlflowException, RestException
from obstore.exceptions import GenericError, PermissionDeniedError, PreconditionError, UnauthenticatedError

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
from tandem.runtime.reasons import failure_of, not_recorded


class Answer(Exception):
    """As aiohttp tells a status."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.message = message


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


S3 = (
    "Generic S3 error: Error performing GET http://h/b?X-Amz-Signature=hunter2 in 5ms - "
    "Server returned non-2xx status code: "
)

TABLE: list[tuple[Exception, type[Failure], str]] = [
    (Answer(404, "Not Found"), NotFound, "the server answered 404 Not Found; correct spec.data[].storageUri"),
    (Answer(410, "Gone"), NotFound, "410 Gone"),
    (Answer(401), AccessDenied, "the server answered 401; see to the rights of what secretRef names"),
    (Answer(403, "Forbidden"), AccessDenied, "403 Forbidden"),
    (Answer(503, "Service Unavailable"), StoreFailed, "503 Service Unavailable"),
    (Answer(429, "Too Many Requests"), StoreFailed, "429 Too Many Requests"),
    (Answer(409, "Conflict"), NotFetched, "409 Conflict"),
    (caused(FileNotFoundError("u"), Answer(403)), AccessDenied, "403"),
    (FileNotFoundError("u"), NotFound, "404"),
    (OSError(errno.ENOENT, os.strerror(errno.ENOENT)), NotFound, "No such file or directory"),
    (OSError(errno.EACCES, "x"), AccessDenied, "Permission denied"),
    (OSError(errno.EIO, "x"), NotFetched, "Input/output error"),
    (OSError(errno.ENOSPC, "x"), NoSpace, "no space left on the volume of the workspace; the node's disk"),
    (OSError(errno.EDQUOT, "x"), NoSpace, "no space left"),
    (caused(GenericError("x"), OSError(errno.ENOSPC, "x")), NoSpace, "no space left"),
    (socket.gaierror(-2, "Name or service not known"), HostUnknown, "the host is unknown; correct the host"),
    (socket.gaierror(-3, "Temporary failure in name resolution"), Unreachable, "the name service does not answer"),
    (ConnectionResetError(errno.ECONNRESET, "x"), StoreFailed, "the connection broke off"),
    (OSError(errno.EHOSTUNREACH, "x"), Unreachable, "No route to host"),
    (TimeoutError(), Unreachable, "no answer for a minute"),
    (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Unreachable, "the connection was refused"),
    (FileNotFoundError("Object at location iris.csv not found: …"), NotFound, "there is no such object"),
    (GenericError(f"{S3}404 Not Found: <Code>NoSuchBucket</Code>"), NotFound, "there is no such bucket"),
    (GenericError(f"{S3}404 Not Found: <Code>NoSuchKey</Code>"), NotFound, "there is no such object (NoSuchKey)"),
    (PermissionDeniedError(f"{S3}403: <Code>AccessDenied</Code>"), AccessDenied, "access denied (AccessDenied)"),
    (UnauthenticatedError("x"), AccessDenied, "access denied"),
    (GenericError(f"{S3}503: <Code>SlowDown</Code>"), StoreFailed, "the store failed (SlowDown)"),
    (PreconditionError("x"), NotFetched, "it changed while it was fetched"),
    (
        GenericError("error sending request … dns error: failed to lookup"),
        HostUnknown,
        "the host is unknown",
    ),
    (
        GenericError("… dns error: failed to lookup address information: Temporary failure in name resolution"),
        Unreachable,
        "the name service does not answer",
    ),
    (GenericError("error sending request … Connection refused (os error 111)"), Unreachable, "connection was refused"),
    (GenericError("error sending request … operation timed out"), Unreachable, "no answer"),
    (
        GenericError("Received redirect without LOCATION, this normally indicates …"),
        NotFetched,
        "the bucket is in another region: set AWS_REGION in the Secret",
    ),
    (ValueError("strange\nthings"), NotFetched, "strange things"),
    (ValueError(), NotFetched, "ValueError"),
]


@pytest.mark.parametrize(("error", "class_", "says"), TABLE, ids=lambda case: str(case)[:40])
def test_a_failure_says_whose_it_is_and_what_to_do(error: Exception, class_: type[Failure], says: str) -> None:
    told = failure_of(error, "data set iris: could not fetch s3://b/iris.csv")
    assert type(told) is class_
    assert str(told).startswith("data set iris: could not fetch s3://b/iris.csv: ")
    assert says in str(told)
    assert "\n" not in str(told)


@pytest.mark.parametrize("error", [error for error, _, _ in TABLE], ids=lambda error: str(error)[:40])
def test_no_signature_of_a_url_is_told(error: Exception) -> None:
    assert "hunter2" not in str(failure_of(error, "x"))


def test_a_store_that_has_said_it_all_gets_no_further_advice() -> None:
    told = failure_of(AccessDenied("a link that leads out"), "data set iris")
    assert (type(told), str(told)) == (AccessDenied, "data set iris: a link that leads out")


def test_each_kind_has_an_exit_code_of_its_own() -> None:
    kinds = [NotFetched, NotFound, AccessDenied, Unreachable, NoSpace]
    assert [kind.exit_code for kind in kinds] == [4, 5, 6, 7, 8]


def test_waiting_is_for_those_who_have_given_no_answer() -> None:
    assert [kind for kind in (StoreFailed, Unreachable, MlflowAway) if not kind.passes] == []
    answers = (NotFetched, NotFound, AccessDenied, HostUnknown, NoSpace, NotRecorded)
    assert [kind for kind in answers if kind.passes] == []


def answered(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


def refused(code: str) -> Exception:
    error: Exception = RestException({"error_code": code, "message": "x"})  # type: ignore[no-untyped-call]
    return error


@pytest.mark.parametrize(
    ("error", "class_"),
    [
        (MlflowException("API request to http://mlflow/ failed with exception … Max retries exceeded"), MlflowAway),
        (refused("TEMPORARILY_UNAVAILABLE"), MlflowAway),
        (refused("INTERNAL_ERROR"), MlflowAway),
        (refused("RESOURCE_DOES_NOT_EXIST"), NotRecorded),
        (refused("PERMISSION_DENIED"), NotRecorded),
        (refused("INVALID_PARAMETER_VALUE"), NotRecorded),
        (answered(503), MlflowAway),
        (answered(403), NotRecorded),
        (requests.ConnectionError("refused"), MlflowAway),
        (ValueError("strange"), NotRecorded),
    ],
    ids=str,
)
def test_mlflow_that_is_away_is_told_apart_from_mlflow_that_refuses(
    error: Exception, class_: type[NotRecorded]
) -> None:
    told = not_recorded(error, "it was not recorded")
    assert (type(told), told.exit_code) == (class_, 9)
    assert str(told).startswith("it was not recorded: ")
