"""What tells whether files in object stores have changed; also as a process, for a runner that has the standard library only."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Collection
from typing import Any

from hail_batch_jupyter.errors import BatchException, MissingFileError
from hail_batch_jupyter.storage.access import Access, configured_access
from hail_batch_jupyter.storage.router import file_system

_THREADS = 16


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
