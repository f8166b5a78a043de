"""The pickled functions and arguments of Python jobs."""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import pickle
import re
import reprlib
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hail_batch_jupyter.compile.code_digest import global_names
from hail_batch_jupyter.compile.paths import Paths
from hail_batch_jupyter.core.draft import BatchDraft, CallDraft, JobDraft, Reference
from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.core.spec import SCRATCH, Upload
from hail_batch_jupyter.errors import BatchException, MissingPackageError

RUNNER = "functions/call_runner.py"
_PROTOCOL = 5
_READABLE_PROTOCOL = 4
"""An older Python must be able to read the list of calls, to say that it is too old for them."""
_SHOWN_CHARACTERS = 20_000
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class CallPacker:
    """Packs the calls of one batch; a function is stored once, however many jobs call it."""

    def __init__(self, draft: BatchDraft, paths: Paths) -> None:
        self._draft = draft
        self._paths = paths
        self._stored: dict[int, str] = {}
        self._written: set[str] = set()
        self._uploads: list[Upload] = []

    def pack(self, job: JobDraft) -> tuple[tuple[str, ...], tuple[str, ...], list[Upload]]:
        """The command of a job where no warm interpreter is at hand, its files (that of its calls first), and which of them are new.

        Raises BatchException naming what cannot be pickled.
        """
        self._uploads = []
        self._upload(RUNNER, _runner_source)
        calls = [self._call(job, call) for call in job.calls]
        relative = f"args/{self._paths.directory(job.uid)}.calls"
        self._upload(relative, lambda: pickle.dumps(calls, _READABLE_PROTOCOL))
        code = (relative, RUNNER, *dict.fromkeys([call["function"] for call in calls]))
        return ("python3", f"{SCRATCH}/{RUNNER}", f"{SCRATCH}/{relative}"), code, self._uploads

    def _upload(self, relative: str, data: Callable[[], bytes]) -> None:
        if relative not in self._written:
            self._written.add(relative)
            self._uploads.append(Upload(f"{SCRATCH}/{relative}", data()))

    def _call(self, job: JobDraft, call: CallDraft) -> dict[str, Any]:
        directory = self._paths.directory(job.uid)
        forms = [
            (index, form, self._paths.of(FileRef(FileKind.FILE, job.uid, f"{name}-{form}")))
            for index, name in enumerate(call.results)
            for form in call.forms.get(name, ())
        ]
        return {
            "function": self._function(job, call),
            "arguments": self._arguments(job, call),
            "results": [f"{directory}/{name}" for name in call.results],
            "named": call.named,
            "names": list(call.results),
            "forms": forms,
            "title": name_of(call.function),
            "made_with": _versions(),
        }

    def _function(self, job: JobDraft, call: CallDraft) -> str:
        known = self._stored.get(id(call.function))
        if known is None:
            try:
                data = dumps(call.function, refuse_files)
            except Exception as error:
                raise unserialisable(f"job {job}: function {name_of(call.function)!r} cannot be sent to a job", call, error) from error
            known = self._stored[id(call.function)] = f"functions/{hashlib.sha256(data).hexdigest()[:16]}"
            self._upload(known, lambda: data)
        return known

    def _arguments(self, job: JobDraft, call: CallDraft) -> bytes:
        try:
            return dumps((call.args, call.kwargs), self._replaced)
        except Exception as error:
            raise unserialisable(f"job {job}: function {name_of(call.function)!r} cannot be sent to a job", call, error) from error

    def _replaced(self, value: Any) -> tuple[str, Any] | None:
        """What stands for a file in the pickle; see `call_runner`."""
        if not isinstance(value, Reference):
            return None
        ref = value.file_ref
        if ref.kind is FileKind.RESULT:
            return ("result", self._paths.of(ref))
        if ref.kind in (FileKind.GROUP, FileKind.INPUT_GROUP) and not ref.member:
            return ("paths", [(member, self._paths.of(ref._replace(member=member))) for member in self._members(ref)])
        return ("path", self._paths.of(ref))

    def _members(self, ref: FileRef) -> list[str]:
        if ref.kind is FileKind.GROUP:
            return list(self._draft.jobs[ref.owner].groups[ref.name].members)
        return list(self._draft.inputs[ref.owner].members or {})


_ALONE = threading.RLock()


@functools.cache
def _versions() -> dict[str, str]:
    """What a job's interpreter must be like."""
    import dill

    return {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "dill": dill.__version__}


def dumps(value: Any, replace: Callable[[Any], Any]) -> bytes:
    """A pickle by dill: what is defined in a notebook or script goes by value, with the globals that it uses."""
    try:
        import dill
    except ImportError as error:
        raise MissingPackageError("Python jobs need the package dill; install it with: pip install dill") from error
    file = io.BytesIO()
    pickler = dill.Pickler(file, _PROTOCOL, byref=False, recurse=True)
    pickler.persistent_id = replace
    with _ALONE, warnings.catch_warnings():  # both change what belongs to the whole process, and an executor submits from several threads
        warnings.simplefilter("ignore", dill.PicklingWarning)
        pickler.dump(value)
    return file.getvalue()


def refuse_files(value: Any) -> None:
    """For `dumps` where no file of a batch may be.

    Raises BatchException for one.
    """
    if isinstance(value, Reference):
        raise BatchException(f"it uses {value.file_ref.name or 'an input'!r}, a file or result of the batch, without taking it as an argument")


def unserialisable(what: str, call: CallDraft, error: Exception) -> BatchException:
    """The error to raise when a call cannot be pickled: `what` failed, which object is to blame, and what to do."""
    if isinstance(error, MissingPackageError):
        return error
    where, culprit, reason = _culprit(call, error)
    remedy = "make it inside the function" if where.startswith(("its global", "its closure")) else "pass plain data instead"
    if isinstance(reason, BatchException):
        remedy = "pass the file or result as an argument of the call"
    found = f"{where} is a {type(culprit).__name__}, which " if where else ""
    first = (str(reason) or type(reason).__name__).split("\n")[0]
    return BatchException(f"{what}: {found}cannot be pickled ({first}); {remedy}")


def _culprit(call: CallDraft, error: Exception) -> tuple[str, Any, Exception]:
    """Which object it was, in words, by trying each alone."""
    for where, value in _suspects(call):
        try:
            dumps(value, refuse_files if where.startswith("its") else _ignore)
        except Exception as refusal:  # noqa: BLE001 - as for functions
            return where, value, refusal
    return "", None, error


def _suspects(call: CallDraft) -> list[tuple[str, Any]]:
    found = [(f"argument {number + 1}", value) for number, value in enumerate(call.args)]
    found += [(f"argument {name!r}", value) for name, value in call.kwargs.items()]
    function = inspect.unwrap(call.function) if callable(call.function) else call.function
    code = getattr(function, "__code__", None)
    if code is None:
        return found
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            found.append((f"its closure variable {name!r}", cell.cell_contents))
        except ValueError:
            continue
    known = function.__globals__
    return found + [(f"its global variable {name!r}", known[name]) for name in sorted(global_names(code)) if name in known]


def _ignore(value: Any) -> tuple[str, str] | None:
    return ("path", "") if isinstance(value, Reference) else None


def name_of(function: Any) -> str:
    """How people call the function."""
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def shown_calls(job: JobDraft, file_name: Callable[[FileRef], str]) -> str:
    """The calls of a job for people: source text where it is known, and the call."""
    shown: list[str] = []
    words = _Words(file_name)
    for call in job.calls:
        source = source_of(call.function)
        args = [words.of(value) for value in call.args]
        args += [f"{name}={words.of(value)}" for name, value in call.kwargs.items()]
        shown.append(f"{source}{name_of(call.function)}({', '.join(args)})")
    return "\n".join(shown)[:_SHOWN_CHARACTERS]


class _Words(reprlib.Repr):
    """Arguments as short text, files by name in braces, and nothing that differs from process to process."""

    def __init__(self, file_name: Callable[[FileRef], str]) -> None:
        super().__init__()
        self._file_name = file_name

    def of(self, value: Any) -> str:
        """The text of one argument."""
        try:
            return _ADDRESS.sub("", self.repr(value))
        except Exception:  # noqa: BLE001 - the repr of a user's object may raise anything, and this is for reading only
            return f"<{type(value).__name__}>"

    def repr1(self, x: Any, level: int) -> str:
        """As the base class, but for files."""
        if isinstance(x, Reference):
            return f"{{{self._file_name(x.file_ref)}}}"
        return super().repr1(x, level)


def source_of(function: Any) -> str:
    """The text of the function and a line end, '' where there is none."""
    try:
        return textwrap.dedent(inspect.getsource(function)).rstrip() + "\n"
    except (OSError, TypeError, SyntaxError, IndentationError):
        return ""


@functools.cache
def _runner_source() -> bytes:
    return Path(__file__).with_name("call_runner.py").read_bytes()
