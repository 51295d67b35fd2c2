"""The files of an OCI artifact (``oras push``): each layer that has a title is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Final

import msgspec
import oras.container  # type: ignore[import-untyped]
import oras.provider  # type: ignore[import-untyped]
import requests
from requests.adapters import HTTPAdapter

from tandem.runtime.credentials import Credentials, of_registry
from tandem.runtime.failure import AccessDenied, NotFetched, NotFound
from tandem.runtime.location import Location
from tandem.runtime.stores import version
from tandem.runtime.stores.entry import CHUNK, Entry

_PATIENCE: Final = (20.0, 60.0)  # seconds to connect, and for each read
_TITLE: Final = "org.opencontainers.image.title"
_UNPACK: Final = "io.deis.oras.content.unpack"
_ACCEPTED: Final = "application/vnd.oci.image.manifest.v1+json"
_LIMIT: Final = 4 << 20  # bytes of a manifest, as registries bound it


class _Layer(msgspec.Struct, frozen=True):
    digest: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    size: Annotated[int, msgspec.Meta(ge=0)]
    annotations: dict[str, str] = {}


class _Manifest(msgspec.Struct, frozen=True):
    layers: tuple[_Layer, ...] = ()


class _Patient(HTTPAdapter):
    """requests waits for ever unless it is told each time."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        return super().send(request, **{**options, "timeout": _PATIENCE})


def entries(location: Location, credentials: Credentials) -> Iterator[Entry]:
    registry, container = _registry(location, credentials)
    try:
        manifest = msgspec.json.decode(_manifest(registry, container), type=_Manifest)
    except msgspec.DecodeError as error:
        raise NotFetched(f"its manifest cannot be read: {error}") from None
    titled = {layer.annotations.get(_TITLE, ""): layer for layer in manifest.layers}
    titled.pop("", None)
    if len(titled) < len(manifest.layers):
        raise NotFetched("it has layers without a title of their own: it is an image, or was not made by `oras push`")
    if not location.is_folder:
        if location.path not in titled:
            raise NotFound(
                f"the artifact has no file {location.path}; it has {', '.join(sorted(titled)[:10]) or 'none'}"
            )
        titled = {location.filename: titled[location.path]}
    elif location.path:
        titled = {
            title.removeprefix(location.path): layer
            for title, layer in titled.items()
            if title.startswith(location.path)
        }
    for title, layer in titled.items():
        if layer.annotations.get(_UNPACK) == "true":
            raise NotFetched(f"{title} is a packed folder: push its files one by one")
        read = partial(_read, registry, container, layer.digest)
        yield Entry(title, read, size=layer.size, sha256=layer.digest.removeprefix("sha256:"))


def version_of(location: Location, credentials: Credentials) -> str:
    """The digest of what the tag names: of the whole artifact, also where one file of it is wanted."""
    return version.of_content(_manifest(*_registry(location, credentials)))


def _manifest(registry: Any, container: Any) -> bytes:
    body: bytes = _ask(registry, container.manifest_url(), {"Accept": _ACCEPTED}).content
    if len(body) > _LIMIT:
        raise NotFetched("its manifest is larger than 4 MiB")
    return body


def _registry(location: Location, credentials: Credentials) -> tuple[Any, Any]:
    host = location.place.partition("/")[0]
    insecure = host.partition(":")[0] in ("localhost", "127.0.0.1")  # as every client of registries does
    container = oras.container.Container(location.place)
    session = requests.Session()
    for prefix in ("http://", "https://"):
        session.mount(prefix, _Patient())
    # oras has to be told which way of asking for a password the registry has.
    url = f"{'http' if insecure else 'https'}://{container.manifest_url()}"
    with session.get(url, headers={"Accept": _ACCEPTED}, stream=True) as answer:
        basic = answer.headers.get("WWW-Authenticate", "").lower().startswith("basic")
    backend = "basic" if basic else "token"
    registry = oras.provider.Registry(hostname=host, insecure=insecure, auth_backend=backend)
    registry.session = registry.auth.session = session
    who = of_registry(credentials, host)
    if who:
        registry.auth.set_basic_auth(*who)
    elif basic:
        raise AccessDenied("the registry wants a user name and a password: name a Secret in secretRef")
    return registry, container


def _ask(registry: Any, url: str, headers: Mapping[str, str], stream: bool = False) -> requests.Response:
    try:
        answer: requests.Response = registry.do_request(
            f"{registry.prefix}://{url}", "GET", headers=headers, stream=stream
        )
    except ValueError as error:  # oras: a 401 that it has no answer to
        if isinstance(error, requests.exceptions.RequestException):
            raise
        raise AccessDenied("the registry wants other credentials") from None
    answer.raise_for_status()
    return answer


def _read(registry: Any, container: Any, digest: str) -> Iterator[bytes]:
    with _ask(registry, container.get_blob_url(digest), {}, stream=True) as answer:
        yield from answer.iter_content(CHUNK)
