"""The cluster as kubectl sees it: same kubeconfig, same context, same namespace. The official client, with types."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from tandem import __version__
from tandem.api import names
from tandem.api.meta import Json
from tandem.cli.errors import CommandError

_MERGE_PATCH: Final = "application/merge-patch+json"
# Not kubectl…: Flux takes back whatever a manager has written whose name begins like that (fluxcd/pkg ssa, by prefix).
_FIELD_MANAGER: Final = "tandem-cli"
_USER_AGENT: Final = "kubectl-tandem"
_NOT_FOUND, _GONE = 404, 410


@dataclass(frozen=True)
class Kind:
    """One of ours, and how people call it."""

    name: str
    plural: str
    short: str

    def __str__(self) -> str:
        return self.name


APP: Final = Kind(names.APP_DEPLOYMENT, "appdeployments", "appd")
TRAINING: Final = Kind(names.TRAINING_JOB, "trainingjobs", "tj")
KINDS: Final = (APP, TRAINING)


class Expired(Exception):
    """The API server does not remember as far back as was asked for: read again."""


class Cluster:
    """Methods raise :class:`CommandError` with what the API server said, or that nobody answered."""

    def __init__(self, context: str | None, namespace: str | None) -> None:
        # Here, not above: half a second that `--help` need not take.
        from kubernetes import client, config

        # The client has types for some of its functions; these are the ones of those that have none.
        load: Callable[..., None] = config.load_kube_config
        contexts: Callable[[str | None], tuple[list[Json], Json]] = config.list_kube_config_contexts
        configuration = client.Configuration()
        file = os.environ.get("KUBECONFIG")  # the client itself only looks when it is imported
        try:
            load(config_file=file, context=context, client_configuration=configuration, persist_config=False)
            named = _namespace(contexts(file), context)
        except config.ConfigException as error:
            if context is not None:
                raise CommandError(f"kubeconfig: {error}") from None
            named = _in_cluster(config, configuration, error)
        self.namespace = namespace or named
        self._host = configuration.host
        self._client = client.ApiClient(configuration)
        self._client.user_agent = f"{_USER_AGENT}/{__version__}"
        self._objects = client.CustomObjectsApi(self._client)

    def read(self, kind: Kind, name: str) -> Json | None:
        """None where there is none."""
        try:
            with self._answers():
                return cast(Json, self._objects.get_namespaced_custom_object(*self._path(kind), name))
        except _Missing:
            return None

    def merge(self, kind: Kind, name: str, patch: Json) -> Json:
        """The resource with this merge patch (RFC 7396) applied."""
        try:
            with self._answers():
                patched = self._objects.patch_namespaced_custom_object(
                    *self._path(kind), name, patch, field_manager=_FIELD_MANAGER, _content_type=_MERGE_PATCH
                )
        except _Missing:
            raise CommandError(f"{kind} {name} is gone from namespace {self.namespace}") from None
        return cast(Json, patched)

    def annotate(self, kind: Kind, name: str, annotations: Mapping[str, str | None]) -> Json:
        """None removes one."""
        return self.merge(kind, name, {"metadata": {"annotations": dict(annotations)}})

    def watch(self, kind: Kind, name: str, resource_version: str, seconds: int) -> Iterator[Json | None]:
        """The resource whenever it changes, None when it is deleted; ends after so many seconds, or before.

        Raises:
            Expired: nobody knows any more what has changed since that version.
        """
        from kubernetes import watch

        watching: Callable[[], Any] = watch.Watch
        with self._answers():
            for event in watching().stream(
                self._objects.list_namespaced_custom_object,
                *self._path(kind),
                field_selector=f"metadata.name={name}",
                resource_version=resource_version,
                timeout_seconds=seconds,
            ):
                yield None if event["type"] == "DELETED" else event["object"]

    def me(self) -> str:
        """The user that the API server takes the kubeconfig for."""
        from kubernetes import client

        try:
            with self._answers():
                asked = client.V1SelfSubjectReview()
                review = client.AuthenticationV1Api(self._client).create_self_subject_review(asked)
        except _Missing:
            raise CommandError("this API server does not say who you are: give --as-decider NAME") from None
        user = None if review.status is None else review.status.user_info
        if user is None:
            raise CommandError("this API server does not say who you are: give --as-decider NAME")
        return str(user.username)

    def _path(self, kind: Kind) -> tuple[str, str, str, str]:
        return names.GROUP, names.VERSION, self.namespace, kind.plural

    @contextmanager
    def _answers(self) -> Iterator[None]:
        import urllib3
        from kubernetes.client import ApiException

        try:
            yield
        except ApiException as error:
            if error.status == _NOT_FOUND:
                raise _Missing from None
            if error.status == _GONE:
                raise Expired from None
            raise CommandError(_said(error.body, f"{error.status} {error.reason}")) from None
        except urllib3.exceptions.HTTPError as error:
            raise CommandError(f"the cluster at {self._host} does not answer: {error}") from None


class _Missing(Exception):
    pass


def _namespace(contexts: tuple[list[Json], Json], wanted: str | None) -> str:
    """The one that the kubeconfig gives the context; ``contexts``: all of them, and the current one."""
    known, current = contexts
    chosen = current if wanted is None else next(one for one in known if one["name"] == wanted)
    return str(chosen["context"].get("namespace") or "default")


def _in_cluster(config: Any, configuration: Any, why_not: Exception) -> str:
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        raise CommandError(f"kubeconfig: {why_not}") from None
    return "default"


def _said(body: str | bytes | None, otherwise: str) -> str:
    try:
        return str(json.loads(body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return otherwise
