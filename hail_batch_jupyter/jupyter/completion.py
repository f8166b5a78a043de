"""Completes options and job names on the lines of the magics."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any  # IPython carries no types

JOB_MAGICS = {"batch_wait", "batch_log"}
JOB_OPTIONS = {"--after", "--only", "--drop"}
_LINE = re.compile(r"\s*%{1,2}(batch\w*)\s")
_FIRST_ONLY = {"--drop"}


class Completer:
    """A matcher for IPython's completer; it reads the draft only, and answers in well under a millisecond.

    parsers    magic name -> its argument parser
    job_names  the names of the jobs of the current batch
    backends   the names of the backends
    """

    def __init__(self, parsers: dict[str, Any], job_names: Callable[[], Sequence[str]], backends: Callable[[], Sequence[str]]) -> None:
        self._parsers = parsers
        self._job_names = job_names
        self._backends = backends

    def match(self, line: str, token: str) -> list[tuple[str, str]]:
        """(text, kind) of what may stand at the end of `line`, of which `token` is typed already."""
        head = _LINE.match(line)
        if head is None or head.group(1) not in self._parsers:
            return []
        magic, before = head.group(1), line[: len(line) - len(token)] if token else line
        words = before[head.end() :].split()
        if token.startswith("-"):
            return [(option, "option") for option in self._options(magic) if option.startswith(token)]
        option = _open_option(words)
        if option == "--backend":
            return [(name, "backend") for name in self._backends() if name.startswith(token)]
        if option in JOB_OPTIONS or (option is None and magic in JOB_MAGICS):
            return [(name, "job") for name in self._job_names() if name.startswith(token) and name not in words]
        return []

    def _options(self, magic: str) -> list[str]:
        return sorted(option for action in self._parsers[magic]._actions for option in action.option_strings)  # noqa: SLF001 - argparse tells its options in no other way


def _open_option(words: Sequence[str]) -> str | None:
    """The option that the next word belongs to: the last one, unless it takes one value and has it."""
    for back, word in enumerate(reversed(words)):
        if word.startswith("--"):
            return word if back == 0 or word in JOB_OPTIONS - _FIRST_ONLY else None
    return None


def ipython_matcher(completer: Completer) -> Any:
    """The completer as a function that IPython's list of matchers takes."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    def matcher(context: Any) -> dict[str, Any]:
        if context.cursor_line > 0:
            return {"completions": []}
        line = context.line_with_cursor[: context.cursor_position]
        word = line[max(line.rfind(" "), line.rfind("\t")) + 1 :]
        found = completer.match(line, word)
        cut = len(word) - len(context.token)
        completions = [SimpleCompletion(text=text[cut:], type=kind) for text, kind in found]
        return {"completions": completions, "suppress": bool(completions)}

    untyped: Any = context_matcher
    return untyped(identifier="hail_batch_jupyter.magics")(matcher)
