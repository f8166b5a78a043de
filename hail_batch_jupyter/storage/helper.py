"""The process that copies files for a runner: a JSON line in for each copy or question, a JSON line out for each that has ended."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.storage.access import Access, of_key
from hail_batch_jupyter.storage.copy import copy_all
from hail_batch_jupyter.storage.of_service import service_of_run
from hail_batch_jupyter.storage.versions import found

_COPIES = 12
_WORKERS = 8


def main() -> None:
    """Read what to copy from the standard input until it ends, or is given up."""
    settings = json.loads(sys.stdin.buffer.readline())
    access = of_key(settings["key_file"], settings["project"])
    if settings["service"] is not None:
        access = access._replace(service=service_of_run(settings["service"]))
    serve(sys.stdin.buffer, sys.stdout.buffer, access)


def serve(asked: BinaryIO, told: BinaryIO, access: Access) -> None:
    """Do several at once, each (number, 'copy', source, destination, who pays instead of the project of the access, or '') or (number, 'found', addresses)."""
    lock = threading.Lock()

    def work(number: int, what: str, *words: Any) -> None:
        why, answer = _done(what, words, access)
        with lock:
            told.write(json.dumps([number, why, answer]).encode() + b"\n")
            told.flush()

    with ThreadPoolExecutor(_COPIES) as pool:
        for line in asked:
            pool.submit(work, *json.loads(line))


def _done(what: str, words: Sequence[Any], access: Access) -> tuple[str, Any]:
    """('', the answer) or (why there is none, None)."""
    try:
        return "", found(words[0], access) if what == "found" else _copied(access, *words)
    except (BatchException, OSError) as error:
        return str(error), None
    except Exception as error:  # noqa: BLE001 - told to the user as the reason why the job failed
        return f"{type(error).__name__}: {error}", None


def _copied(access: Access, source: str, dest: str, payer: str) -> dict[str, str]:
    written: dict[str, str] = {}
    copy_all([(source, dest)], access.paid_by(payer) if payer else access, workers=_WORKERS, written=written)
    return written
