"""Files of object stores, copied by a helper process of the user's interpreter, because the runner has the standard library only."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

if TYPE_CHECKING:
    import subprocess
    from concurrent.futures import Future

START = (
    "import json, sys; path = json.loads(sys.stdin.buffer.readline()); sys.path[:] = path if isinstance(path, list) else [path, *sys.path]; "
    "from hail_batch_jupyter.storage.{} import main; main()"
)
"""Reads the import path first: all of it, or one place that comes before those of the interpreter."""
_DIED = "the process that copies files of object stores ended; it may have run out of memory, see runner.log of the run"


def is_remote(path: str) -> bool:
    """Whether a path of a spec lies in an object store."""
    return "://" in path and not path.startswith("file://")


def bare(uri: str) -> str:
    """The address without the token that one in Azure may have, which must stay in no file and no name."""
    return uri.partition("?")[0] if uri.startswith("https://") else uri


class Stores:
    """Copies single files and folders; every method but `close` may be called from any thread.

    `key_file` is whose rights it has, those of this process without one; `service` tells how to ask the batch service for its files, where that is not
    in the settings (see `storage.of_service.service_of_run`).

    The helper is started by the first question. It reads one JSON line for each, and writes one when it is done: (number, '' or why it failed, the answer).
    """

    def __init__(
        self,
        python: str,
        sys_path: Union[str, Sequence[str]],
        project: Optional[str],
        env: Mapping[str, str],
        key_file: Optional[str] = None,
        service: Optional[Mapping[str, str]] = None,
    ) -> None:
        """`sys_path` is the import path of the helper, or the zipapp of this package for an interpreter that has what else it needs."""
        self._argv = [python, *(["-I"] if not isinstance(sys_path, str) else []), "-c", START.format("helper")]
        settings = {"project": project, "key_file": key_file, "service": service}
        self._hello = json.dumps(sys_path if isinstance(sys_path, str) else list(sys_path)) + "\n" + json.dumps(settings) + "\n"
        self._env = env
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._open: dict[int, Future[Any]] = {}
        self._number = 0
        self._listener: threading.Thread | None = None

    def copy(self, source: str, dest: str, payer: str = "") -> Future[dict[str, str]]:
        """Begin a copy, for which `payer` pays instead of the project of the run.

        The future gives name below the destination ('' for a file) -> its version, as far as the store told it, and raises OSError when the copy fails.
        """
        return self._ask(["copy", source, dest, payer])

    def found(self, uris: Sequence[str]) -> Future[list[dict[str, str]]]:
        """Begin to look at files or folders, all at once; the future gives of each what `copy` gives, nothing of one that is not there."""
        return self._ask(["found", list(uris)])

    def _ask(self, words: list[Any]) -> Future[Any]:
        from concurrent.futures import Future

        with self._lock:
            self._number += 1
            future = self._open[self._number] = Future()
            try:
                self._say([self._number, *words])
            except OSError:
                self._process = None
                self._fail([self._open.pop(self._number)])
        return future

    def close(self) -> None:
        """End the helper; what it was copying is left as it was before."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
        if self._listener is not None:
            self._listener.join()

    def _say(self, words: list[Any]) -> None:
        if self._process is None:
            self._process = self._start()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[bytes]:
        import subprocess

        process = subprocess.Popen(self._argv, env=dict(self._env), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(self._hello.encode())
        self._listener = threading.Thread(target=self._listen, args=(process,), name="stores", daemon=True)
        self._listener.start()
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            number, why, answer = json.loads(line)
            future = self._open.pop(number)
            if why:
                future.set_exception(OSError(why))
            else:
                future.set_result(answer)
        process.stdout.close()
        process.wait()
        with contextlib.suppress(OSError):  # what it did not read any more
            process.stdin.close()
        with self._lock:
            if self._process is process:
                self._process = None
            left, self._open = list(self._open.values()), {}
        self._fail(left)

    def _fail(self, futures: Sequence[Future[Any]]) -> None:
        for future in futures:
            future.set_exception(OSError(_DIED))
