"""Runs the calls of a Python job; the file also stands alone, as `python3 call_runner.py CALLS [SCRATCH]`, where this package is not installed.

Needs nothing but the standard library (Python 3.9 or later) and dill.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

_PROTOCOL = 5
_BY_DILL = b"dill._dill"


def run_calls(calls_path: str, scratch: str) -> int:
    """Run the calls in the file one after the other, and give the exit status: 0, or that of the first that failed.

    Several calls run in a forked process each, so that every step has an interpreter of its own.
    """
    with open(os.path.join(scratch, calls_path), "rb") as file:
        calls = pickle.load(file)
    unfit = _unfit(calls[0].get("made_with", {})) if calls else ""
    if unfit:
        sys.stderr.write(unfit + "\n")
        return 1
    if len(calls) == 1:
        return _run(calls[0], scratch)
    for call in calls:
        status = _run_apart(call, scratch)
        if status:
            return status
    return 0


def _unfit(made_with: dict[str, str]) -> str:
    """Why this interpreter cannot run what another one pickled, in one sentence; '' when it can. Says if dill differs, which mostly goes well."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    there = made_with.get("python", here)
    if there != here:
        remedy = f"use an image with Python {there}, or describe the batch with Python {here}"
        return f"this job was described with Python {there} and runs with Python {here} ({sys.executable}), which cannot read its functions; {remedy}"
    try:
        import dill
    except ImportError:
        wanted = f"dill=={made_with['dill']}" if "dill" in made_with else "dill"
        return f"this job needs the package dill, which {sys.executable} does not have; install it where the job runs: pip install {wanted}"
    if dill.__version__ != made_with.get("dill", dill.__version__):
        sys.stderr.write(f"this job was described with dill {made_with['dill']} and runs with dill {dill.__version__}; if it fails, use the same in both\n")
    return ""


def _run_apart(call: dict[str, Any], scratch: str) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = _run(call, scratch)
            _join_threads()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def _join_threads() -> None:
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _run(call: dict[str, Any], scratch: str) -> int:
    paths = [os.path.join(scratch, path) for path in call["results"]]
    try:
        values = _values(call, scratch)
        for index, path in enumerate(paths):
            _write(path, _result(values[index], os.path.basename(path)))
        for index, form, path in call["forms"]:
            _write(os.path.join(scratch, path), (_FORMS[form](values[index]) + "\n").encode())
    except BaseException as error:  # noqa: BLE001 - whatever ends the function ends this job, and its maker wants to see it
        return _failed(error, paths)
    return 0


def _values(call: dict[str, Any], scratch: str) -> list[Any]:
    with open(os.path.join(scratch, call["function"]), "rb") as file:
        function = loaded(file.read())
    args, kwargs = _unpickled(call["arguments"], scratch)
    value = awaited(function(*args, **kwargs))
    if not call["named"]:
        return [value]
    missing = [name for name in call["names"] if name not in value]
    if missing:
        raise KeyError(f"{call['title']} gave no value for {', '.join(missing)}")
    return [value[name] for name in call["names"]]


def _result(value: Any, name: str) -> bytes:
    try:
        return pickled(value)
    except Exception as error:  # noqa: BLE001 - as in `pickled`
        first = (str(error) or type(error).__name__).split("\n")[0]
        raise TypeError(f"result {name!r} is a {type(value).__name__}, which cannot be pickled ({first}); give plain data back") from None


def awaited(value: Any) -> Any:
    """The value; that of a coroutine, which is run to its end."""
    if not (hasattr(value, "__await__") and hasattr(value, "send")):
        return value
    import asyncio

    return asyncio.run(value)


def _failed(error: BaseException, paths: list[str]) -> int:
    lines = traceback_lines(error)
    sys.stderr.write("".join(lines))
    data = pickled_error(error, lines)
    for path in paths:
        _write(path, data)
    code = error.code if isinstance(error, SystemExit) else 1
    return code if isinstance(code, int) and 0 < code < 256 else 1


def traceback_lines(error: BaseException, runners: tuple[str, ...] = (__file__,)) -> list[str]:
    """The traceback from the function on; what runs it, which is in the files `runners`, tells nobody anything."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename in runners:
        frame = frame.tb_next
    return traceback.format_exception(type(error), error, frame)


def pickled(value: Any) -> bytes:
    """A value as bytes: plain pickle where that can, else dill."""
    try:
        return pickle.dumps(value, _PROTOCOL)
    except Exception:  # noqa: BLE001 - objects refuse to be pickled in many ways; dill says what is wrong if it cannot either
        import dill

        data: bytes = dill.dumps(value, _PROTOCOL, recurse=True)
        return data


def pickled_error(error: BaseException, lines: list[str]) -> bytes:
    """The exception and its traceback; one that cannot travel becomes a RuntimeError with its text."""
    try:
        data = pickled((error, lines))
        loaded(data)
    except Exception:  # noqa: BLE001 - exceptions of any class may fail to be made again
        data = pickled((RuntimeError(f"{type(error).__name__}: {error}"), lines))
    return data


def _write(path: str, data: bytes) -> None:
    """Write a file in one step for its readers."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temporary = f"{path}.{os.getpid()}.part"
    with open(temporary, "wb") as file:
        file.write(data)
    os.replace(temporary, path)


def loaded(data: bytes) -> Any:
    """What `pickled` wrote."""
    if _BY_DILL not in data:
        return pickle.loads(data)
    import dill

    return dill.loads(data, ignore=True)


def _unpickled(data: bytes, scratch: str) -> Any:
    """Arguments with paths and values in the place of files and results."""
    import dill

    known: dict[str, Any] = {}

    def replaced(reference: tuple[str, Any]) -> Any:
        kind, where = reference
        if kind == "path":
            return os.path.join(scratch, where)
        if kind == "paths":
            return {name: os.path.join(scratch, path) for name, path in where}
        if where not in known:
            with open(os.path.join(scratch, where), "rb") as file:
                known[where] = loaded(file.read())
        return known[where]

    unpickler = dill.Unpickler(io.BytesIO(data), ignore=True)
    unpickler.persistent_load = replaced
    return unpickler.load()


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


_FORMS: dict[str, Callable[[Any], str]] = {"str": str, "repr": repr, "json": _json}


if __name__ == "__main__":
    sys.exit(run_calls(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.environ["BATCH_TMPDIR"]))
