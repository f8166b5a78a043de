"""URIs of files taken apart and put together; the secret in an Azure address stays in the address."""

from __future__ import annotations

import os

from hail_batch_jupyter.errors import StorageError


def shown(uri: str) -> str:
    """The URI as people may read it: without the token behind the '?' of an https address."""
    return uri.partition("?")[0] if uri.startswith("https://") else uri


def kept_by_service(uri: str) -> bool:
    """Whether it is in the storage of a batch service of our own: hbj://USER/FILE."""
    return uri.startswith("hbj://")


def is_local(uri: str) -> bool:
    """Whether it is a path or a file:// URI."""
    return "://" not in uri or uri.startswith("file://")


def path_of(uri: str) -> str:
    """The path in a file:// URI; a path is made absolute from the current folder."""
    return uri[len("file://") :] if uri.startswith("file://") else os.path.abspath(os.path.expanduser(uri))


def joined(uri: str, name: str) -> str:
    """The address of `name` below a folder; '' is the address itself. The token of an https address stays at its end."""
    if not name:
        return uri
    address, mark, token = uri.partition("?") if uri.startswith("https://") else (uri, "", "")
    return f"{address.rstrip('/')}/{name}{mark}{token}"


def base_name(uri: str) -> str:
    """The last part of the path, '' for a bucket, a container or the root."""
    rest = shown(uri).partition("://")[2] or uri
    inside = rest.rstrip("/").split("/")
    return inside[-1] if len(inside) > (2 if uri.startswith("https://") else 1) or is_local(uri) else ""


def bucket_and_name(uri: str) -> tuple[str, str]:
    """'bucket' and 'folder/file' of gs://bucket/folder/file, without slashes at the end.

    Raises StorageError for an address without bucket.
    """
    bucket, _, name = uri[len("gs://") :].partition("/")
    if not bucket:
        raise StorageError(f"{uri!r} names no bucket; write gs://BUCKET/FILE", uri)
    return bucket, name.rstrip("/")


def safe_below(name: str, uri: str) -> str:
    """The name of a file below a folder of a store, as a path below a folder here.

    Raises StorageError for a name such as '../x', which would lead out of the folder.
    """
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise StorageError(
            f"{shown(uri)!r} holds a file named {name!r}, which is no path below a folder here; copy that file alone, under a name of your own",
            shown(uri),
        )
    return name
