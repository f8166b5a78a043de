"""The scripts of bash jobs."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import lru_cache

from hail_batch_jupyter.compile.paths import Paths
from hail_batch_jupyter.compile.shellplaces import Place
from hail_batch_jupyter.compile.shelltext import quote_path, render
from hail_batch_jupyter.core.draft import JobDraft
from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.core.spec import SCRATCH, Upload
from hail_batch_jupyter.core.template import Files, Template, Value, Values
from hail_batch_jupyter.errors import BatchException, TemplateError

INLINE_BYTES = 10_240
"""A longer script is a file that the shell reads, because one argument of a process has a limit."""
_DEFAULT_SHELL = "/bin/bash"


def script(job: JobDraft, path_of: Callable[[FileRef], str], verbose: bool = False) -> str:
    """The whole text for the shell: it ends at the first command that fails, and each command stands on lines of its own."""
    lines = ["set -ex" if verbose else "set -e"]
    for template in job.commands:
        try:
            text = render(template, path_of)
        except TemplateError as error:
            raise TemplateError(f"job {job}: {error}") from error
        lines.append(f"{{\n{':' + chr(10) if _only_comments(text) else ''}{text}\n}}")
    return "\n".join(lines) + "\n"


def _only_comments(text: str) -> bool:
    """A group of commands without a command is an error of syntax."""
    return text.startswith("#") and all(line.lstrip().startswith("#") or not line.strip() for line in text.split("\n"))


def shell_words(job: JobDraft) -> tuple[str, ...]:
    """The shell and its own arguments."""
    try:
        return _words(job.shell or _DEFAULT_SHELL) or (_DEFAULT_SHELL,)
    except ValueError as error:
        raise BatchException(f"job {job}: shell {job.shell!r} cannot be split into words ({error}); write it as '/bin/bash -euo pipefail'") from error


@lru_cache(maxsize=16)
def _words(shell: str) -> tuple[str, ...]:
    return tuple(shlex.split(shell))


def bash_command(job: JobDraft, paths: Paths, verbose: bool = False) -> tuple[tuple[str, ...], Upload | None]:
    """The argument list of the job, and the file that it reads when its script is long."""
    text = script(job, paths.of, verbose)
    words = shell_words(job)
    if len(text) < INLINE_BYTES // 4 or len(text.encode()) <= INLINE_BYTES:
        return (*words, "-c", text), None
    relative = f"code/{paths.directory(job.uid)}.sh"
    return (*words, "-c", f". {quote_path(relative, Place.BARE)}"), Upload(f"{SCRATCH}/{relative}", text.encode())


def readable(template: Template, name_of: Callable[[FileRef], str]) -> str:
    """A command for people: values as they are, files by name in braces."""
    words = []
    for piece in template:
        if isinstance(piece, str):
            words.append(piece)
        elif isinstance(piece, Value):
            words.append(piece.text)
        elif isinstance(piece, Values):
            words.append(" ".join(piece.texts))
        else:
            refs = piece.refs if isinstance(piece, Files) else (piece,)
            words.append(" ".join([f"{{{name_of(ref)}}}" for ref in refs]))
    return "".join(words)
