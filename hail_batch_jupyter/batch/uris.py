"""Which paths and addresses a batch may read and write."""

from __future__ import annotations

import os
import re

from hail_batch_jupyter.errors import UriError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_AZURE_HOST = re.compile(r"https://[a-z0-9]+\.blob\.core\.windows\.net(/|$)")


def checked_path(path: object) -> str:
    """The path as text.

    Raises UriError unless it is a str or PathLike with no scheme, or file://, gs://, s3://, hbj:// (files of a batch service of our own) or an https
    address of Azure's blob storage.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise UriError(f"path {path!r} is neither string nor path-like; write a path such as 'data.csv' or pathlib.Path('data.csv')")
    text = str(path)
    scheme = scheme_of(text)
    if scheme not in ("", "file", "gs", "s3", "hbj") and not _AZURE_HOST.match(text):
        known = "a path of this machine, file://, gs://, s3://, hbj:// or https://ACCOUNT.blob.core.windows.net/"
        raise UriError(f"no file system found for url {text!r}; use {known}")
    if not text or "\0" in text:
        raise UriError(f"path {text!r} names no file; write a path such as 'data.csv'")
    return text


def scheme_of(text: str) -> str:
    """'gs' of 'gs://bucket/file', '' of a path."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else ""


def local_destination(text: str) -> str:
    """A destination as an absolute path if it is on this machine, resolved against the current directory now."""
    if scheme_of(text) == "file":
        text = text[len("file://") :]
    elif scheme_of(text):
        return text
    return os.path.abspath(os.path.expanduser(text))
