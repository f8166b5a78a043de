"""What tells whether files in object stores have changed; also as a process, for a runner that has the standard library only."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Collection, Sequence
from typing import Any

from hail_batch_jupyter.errors import BatchException, MissingFileError
from hail_batch_jupyter.storage.access import Access, configured_access
from hail_batch_jupyter.storage.router import file_system

_THREADS = 16
_LIST_FROM = 8
_OTHERS = 100
"""So many files that nobody asked for may be listed for each that was: a page of a list has a thousand."""


def versions(uris: Collection[str], access: Access) -> dict[str, str]:
    """Address -> a text that changes when the file, or one of the folder, does, '' where there is none; all are asked for at once.

    Raises StorageError for one that cannot be reached.
    """
    from concurrent.futures import ThreadPoolExecutor

    def version(uri: str) -> str:
        try:
            return hashlib.sha256(repr(sorted(file_system(uri, access).files(uri))).encode()).hexdigest()
        except MissingFileError:
            return ""

    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(uris, pool.map(version, uris)))  # noqa: B905 - Python 3.9 has no `strict`


def found(uris: Sequence[str], access: Access) -> list[dict[str, str]]:
    """Of each address name below it ('' for a file) -> version, nothing of one that is not there.

    Where many are of one folder it is listed, which is one question for a thousand of them. Raises StorageError for one that cannot be reached.
    """
    from concurrent.futures import ThreadPoolExecutor

    places = [_folder_and_name(uri) for uri in uris]
    folders: dict[str, set[str]] = {}
    for folder, name in places:
        folders.setdefault(folder, set()).add(name)
    many = [folder for folder, names in folders.items() if len(names) >= _LIST_FROM]
    with ThreadPoolExecutor(_THREADS) as pool:
        listed = dict(zip(many, pool.map(lambda folder: _listed(folder, folders[folder], access), many)))  # noqa: B905 - as above
        single = {uri for uri, (folder, _) in zip(uris, places) if listed.get(folder) is None}  # noqa: B905 - as above
        looked = dict(zip(single, pool.map(lambda uri: _looked(uri, access), single)))  # noqa: B905 - as above
    return [looked[uri] if uri in looked else (listed[folder] or {}).get(name, {}) for uri, (folder, name) in zip(uris, places)]  # noqa: B905 - as above


def _looked(uri: str, access: Access) -> dict[str, str]:
    try:
        return {name: version for name, _, version in file_system(uri, access).files(uri)}
    except MissingFileError:
        return {}


def _listed(folder: str, names: Collection[str], access: Access) -> dict[str, dict[str, str]] | None:
    """What is known of the names in the folder; None where there is so much else that it is better to ask for each."""
    below: dict[str, dict[str, str]] = {}
    files: dict[str, dict[str, str]] = {}
    others = _OTHERS * len(names)
    try:
        for path, _, version in file_system(folder, access).files(folder):
            name, _, inside = path.partition("/")
            if name not in names:
                others -= 1
                if not others:
                    return None
            elif inside:
                below.setdefault(name, {})[inside] = version
            else:
                files[name] = {"": version}
    except MissingFileError:
        return {}
    return {**below, **files}  # a file comes before a folder of its name, as where one is asked for


def _folder_and_name(uri: str) -> tuple[str, str]:
    """'gs://b/folder/' and 'file'; the token of an https address stays at the end of the first."""
    address, mark, token = uri.partition("?") if uri.startswith("https://") else (uri, "", "")
    folder, _, name = address.rstrip("/").rpartition("/")
    return f"{folder}/{mark}{token}", name


def main() -> None:
    """One JSON line in, {"uris", "project"}; one out, {"versions"}, or {"error"} with why they cannot be asked for."""
    asked = json.loads(sys.stdin.buffer.readline())
    answer: dict[str, Any]
    try:
        answer = {"versions": versions(asked["uris"], configured_access(asked["project"]))}
    except (BatchException, OSError) as error:
        answer = {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever a library raises is why
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer) + "\n")
