"""The process that copies files for a runner: a JSON line in for each copy, a JSON line out for each that has ended."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.storage.access import Access, of_key
from hail_batch_jupyter.storage.copy import copy_all

_COPIES = 12
_WORKERS = 8


def main() -> None:
    """Read what to copy from the standard input until it ends, or is given up."""
    settings = json.loads(sys.stdin.buffer.readline())
    access = of_key(settings["key_file"], settings["project"])
    serve(sys.stdin.buffer, sys.stdout.buffer, access)


def serve(asked: BinaryIO, told: BinaryIO, access: Access) -> None:
    """Copy several at once, each (number, source, destination, who pays instead of the project of the access, or '')."""
    lock = threading.Lock()

    def work(number: int, source: str, dest: str, payer: str) -> None:
        why = _copied(source, dest, access.paid_by(payer) if payer else access)
        with lock:
            told.write(json.dumps([number, why]).encode() + b"\n")
            told.flush()

    with ThreadPoolExecutor(_COPIES) as pool:
        for line in asked:
            pool.submit(work, *json.loads(line))


def _copied(source: str, dest: str, access: Access) -> str:
    """'' or why it failed."""
    try:
        copy_all([(source, dest)], access, workers=_WORKERS)
    except (BatchException, OSError) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - told to the user as the reason why the job failed
        return f"{type(error).__name__}: {error}"
    return ""
