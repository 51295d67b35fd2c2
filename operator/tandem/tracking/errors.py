"""How a request to MLflow can fail, in the three ways that ask for different acts."""

from __future__ import annotations

from typing import Final

TRACKING_UNAVAILABLE: Final = "TrackingUnavailable"
HOST_REJECTED: Final = "MLflowHostRejected"

# MLflow's own words (``mlflow.protos.databricks_pb2.ErrorCode``).
NOT_FOUND: Final = "RESOURCE_DOES_NOT_EXIST"
ALREADY_EXISTS: Final = "RESOURCE_ALREADY_EXISTS"

_REASONS: Final = {
    "UNAUTHENTICATED": "TrackingUnauthorized",
    "PERMISSION_DENIED": "TrackingForbidden",
}


class TrackingFailure(Exception):
    """``reason`` is CamelCase, fit for a condition; ``message`` says what to do and stays the same while it lasts."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class TrackingUnavailable(TrackingFailure):
    """No answer for now: no connection, a timeout, 5xx, 429, or an answer that no MLflow server gives."""

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(TRACKING_UNAVAILABLE, message)
        self.answered = answered  # something answered, so another question may fare better


class MLflowHostRejected(TrackingFailure):
    """MLflow's host check turned the request away: since 3.5 it knows localhost and private IP addresses only.

    ``/health`` is exempt, so a server in a cluster looks healthy to its probes while every client gets this.
    """

    def __init__(self, host: str) -> None:
        super().__init__(
            HOST_REJECTED,
            f'the MLflow server rejects the Host header "{host}" (403): start it with '
            f"--allowed-hosts '{host},localhost:*' (mlflow server; the port is part of the match)",
        )


class TrackingError(TrackingFailure):
    """Any other 4xx: the server understood the request and said no; the same request gets the same answer."""

    def __init__(self, error_code: str, message: str) -> None:
        super().__init__(_REASONS.get(error_code, "TrackingRejected"), message)
        self.error_code = error_code
