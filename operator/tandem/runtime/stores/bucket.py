"""Objects of S3, Google Cloud Storage and Azure (and of everything that speaks S3), by obstore.

Without a Secret requests are not signed: the identity of the node is nobody's to use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from obstore.store import AzureStore, GCSStore, S3Store

from tandem.runtime.credentials import Credentials
from tandem.runtime.failure import AccessDenied, NotFetched, StoreFailed
from tandem.runtime.location import Location
from tandem.runtime.manifest import MANIFEST_LIMIT
from tandem.runtime.stores import version
from tandem.runtime.stores.entry import CHUNK, Entry

_CLIENT: Final[dict[str, Any]] = {
    "connect_timeout": timedelta(seconds=20),
    "read_timeout": timedelta(seconds=60),
    "timeout": timedelta(days=7),  # its default, 30 s, ends every large download; the Job's deadline is the limit
}
# Its defaults go on for three minutes: the Job tries again by itself, and tells a person in the meantime.
_RETRIES: Final[dict[str, Any]] = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}

_LISTED: Final = 2 * MANIFEST_LIMIT  # files, and the markers of their folders


def entries(location: Location, credentials: Credentials) -> Iterator[Entry]:
    store = _store(location, credentials)
    if not location.is_folder:
        yield Entry(location.filename, partial(_read, store, location.path, None))
        return
    for path, found in _members(store, location.path):
        yield Entry(path, partial(_read, store, found["path"], found["e_tag"]), size=found["size"])


def version_of(location: Location, credentials: Credentials) -> str:
    """Of one object one request; of a folder one for each thousand objects in it."""
    store = _store(location, credentials)
    if not location.is_folder:
        return _version(store.head(location.path))
    return version.of_members((path, _version(found)) for path, found in _members(store, location.path))


def _version(found: Mapping[str, Any]) -> str:
    return version.of_object(found["e_tag"], found["version"], found["last_modified"], found["size"])


def _members(store: Any, folder: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    listed: list[Mapping[str, Any]] = []
    for batch in store.list(prefix=folder or None, chunk_size=1000):
        listed += batch
        if len(listed) > _LISTED:
            raise NotFetched(f"it has more than {_LISTED} objects: pack them, or name a smaller folder")
    for found in files_of(listed, folder):
        if found["size"] or _is_there(store, found["path"]):
            yield found["path"].removeprefix(folder), found


def files_of(listed: Sequence[Mapping[str, Any]], folder: str) -> Iterator[Mapping[str, Any]]:
    """What of a listing are files, and not what the consoles of the stores call a folder: an empty object ``a/``.

    Its slash is not in the listing (arrow-rs-object-store#511), so it is known by what is below it.
    """
    folders = {folder.removesuffix("/")}
    for found in listed:
        above = found["path"].rpartition("/")[0]
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition("/")[0]
    return (found for found in listed if found["size"] or found["path"] not in folders)


def _is_there(store: Any, path: str) -> bool:
    """Whether an empty object is a file; the marker of a folder in which nothing is has another name, with a slash."""
    try:
        store.head(path)
    except FileNotFoundError:
        return False
    return True


def _read(store: Any, path: str, e_tag: str | None) -> Iterator[bytes]:
    answer = store.get(path, options={"if_match": e_tag} if e_tag else None)
    size, told = 0, answer.meta["size"]
    for chunk in answer.stream(min_chunk_size=CHUNK):
        size += len(chunk)
        yield bytes(chunk)
    if size != told:
        raise StoreFailed(f"{path} broke off after {size} of {told} bytes")


def _store(location: Location, credentials: Credentials) -> Any:
    if location.scheme == "s3":
        return _s3(location.place, credentials)
    if location.scheme == "gs":
        return _gs(location.place, credentials)
    return _azure(location.place, credentials)


def _gs(bucket: str, credentials: Credentials) -> Any:
    key = credentials["gcloud-application-credentials.json"]
    config: dict[str, Any] = {"service_account_key": key} if key else {"skip_signature": True}
    # What object_store reads of such a file, for servers that speak the same: gcs_base_url, disable_oauth.
    return _made(GCSStore, bucket, config, allow_http='"http://' in "".join(key.split()))


def _azure(place: str, credentials: Credentials) -> Any:
    """``place``: CONTAINER@ACCOUNT.dfs.core.windows.net."""
    endpoint = credentials["AZURE_STORAGE_ENDPOINT"]
    named = {
        "endpoint": endpoint,
        "account_key": credentials["AZURE_STORAGE_ACCOUNT_KEY"],
        "sas_token": credentials["AZURE_STORAGE_SAS_TOKEN"],
        "client_id": credentials["AZURE_CLIENT_ID"],
        "client_secret": credentials["AZURE_CLIENT_SECRET"],
        "tenant_id": credentials["AZURE_TENANT_ID"],
    }
    config: dict[str, Any] = {name: value for name, value in named.items() if value}
    if not config.keys() - {"endpoint"}:
        config["skip_signature"] = True
    return _made(AzureStore.from_url, f"abfss://{place}", config, allow_http=endpoint.startswith("http://"))


def _s3(bucket: str, credentials: Credentials) -> Any:
    key, secret = credentials["AWS_ACCESS_KEY_ID"], credentials["AWS_SECRET_ACCESS_KEY"]
    if bool(key) != bool(secret):
        raise AccessDenied("the Secret of secretRef needs both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    endpoint = credentials["AWS_ENDPOINT_URL"]
    config: dict[str, Any] = {"region": credentials["AWS_REGION"] or "us-east-1", "skip_signature": not key}
    config |= {"endpoint": endpoint} if endpoint else {}
    config |= {"access_key_id": key, "secret_access_key": secret} if key else {}
    config |= {"session_token": credentials["AWS_SESSION_TOKEN"]} if key and credentials["AWS_SESSION_TOKEN"] else {}
    return _made(S3Store, bucket, config, allow_http=endpoint.startswith("http://"))


def _made(store: Callable[..., Any], place: str, config: Mapping[str, Any], allow_http: bool = False) -> Any:
    return store(place, config=config, client_options={**_CLIENT, "allow_http": allow_http}, retry_config=_RETRIES)
