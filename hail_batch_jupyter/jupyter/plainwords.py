"""How errors and warnings of this package are shown where IPython runs: without frames and file names of ours, which say nothing to the user."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from hail_batch_jupyter.errors import BatchException, MissingPackageError

_PACKAGE = str(Path(__file__).parents[1])
_HOOK = "_render_traceback_"
"""IPython asks an exception for its traceback by this name."""
_PACKAGES = {name: name for name in ("anywidget", "dill", "ipywidgets", "pandas", "requests", "tornado")} | {"google": "google-cloud-storage"}
"""What is imported -> the package that it comes with."""


@contextmanager
def plain_words() -> Iterator[None]:
    """In a magic an error is its sentence, and a warning of ours too."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def say(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None) -> None:
            if filename.startswith(_PACKAGE):
                print(f"Warning: {message}", file=sys.stderr)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = say
        try:
            yield
        except ModuleNotFoundError as error:
            package = _PACKAGES.get((error.name or "").partition(".")[0])
            if package is None:
                raise
            missing = MissingPackageError(f"this needs the package {package}, which is not installed for {sys.executable}; %pip install {package}")
            raise _as_sentence(missing) from error
        except BatchException as error:
            _as_sentence(error)
            raise


def _as_sentence(error: BatchException) -> BatchException:
    sentence = f"{type(error).__name__}: {error}"
    setattr(error, _HOOK, lambda: [sentence])
    return error


def show_user_frames() -> None:
    """From now on the traceback of an error of ours ends at the line of the user that led to it."""
    setattr(BatchException, _HOOK, _traceback_of)


def _traceback_of(error: BatchException) -> Any:
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    cause, place = error.__cause__, error.__cause__.__traceback__ if error.__cause__ else None
    try:
        if place is not None and _is_ours(place):
            error.__cause__ = None  # what was caught within this package: the sentence says it
        return shell.InteractiveTB.structured_traceback(type(error), error, without_ours(error.__traceback__))
    finally:
        error.__cause__ = cause


def show_all_frames() -> None:
    """Take back what `show_user_frames` did."""
    if hasattr(BatchException, _HOOK):
        delattr(BatchException, _HOOK)


def _is_ours(entry: TracebackType) -> bool:
    return entry.tb_frame.f_code.co_filename.startswith(_PACKAGE)


def without_ours(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of this package at its end."""
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    while entries and _is_ours(entries[-1]):
        entries.pop()
    kept = None
    for entry in reversed(entries):
        kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept
