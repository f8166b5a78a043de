"""Completes options, names and files on the lines of the magics, and names and files between braces in a cell of bash."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any  # IPython carries no types

Offer = Callable[[str, str], Sequence[str]]
"""(kind, what is typed already) -> names of that kind; it may leave out those that begin otherwise, or not."""

OPTION_KINDS = {
    "--after": "job",
    "--only": "job",
    "--drop": "job",
    "--backend": "backend",
    "--region": "region",
    "--default-region": "region",
    "--retry-on": "cause",
    "--group": "group",
}
WORD_KINDS = {
    "batch": "batch",
    "batch_wait": "job",
    "batch_log": "job",
    "batch_jobs": "filter",
    "batch_output": "file",
    "batch_attach": "attachable",
    "batch_cancel": "run",
    "batch_retry": "run",
}
_LINE = re.compile(r"\s*%{1,2}(batch\w*)\s")
_BRACE = re.compile(r"(?<!\$)\{([^\W\d]\w*(?:\[\d+\])?(?:\.\w*)*)$")


class Completer:
    """A matcher for IPython's completer; it reads the draft only, and answers in a few milliseconds.

    parsers  magic name -> its argument parser        offer  the names that there are
    """

    def __init__(self, parsers: dict[str, argparse.ArgumentParser], offer: Offer) -> None:
        self._parsers = parsers
        self._offer = offer

    def match(self, line: str, token: str) -> list[tuple[str, str]]:
        """(text, kind) of what may stand at the end of `line`, of which `token` is typed already."""
        head = _LINE.match(line)
        if head is None or head.group(1) not in self._parsers:
            return []
        parser, before = self._parsers[head.group(1)], line[: len(line) - len(token)] if token else line
        words = before[head.end() :].split()
        if token.startswith("-"):
            return [(option, "option") for option in sorted(_options(parser)) if option.startswith(token)]
        kind = self._kind(head.group(1), parser, words)
        return [(name, kind) for name in self._offer(kind, token) if name.startswith(token) and name not in words] if kind else []

    def inside(self, text: str) -> list[tuple[str, str]]:
        """(text, kind) of what may stand in the brace that is open at the end of `text`, a part of a cell of bash."""
        found = _BRACE.search(text)
        if found is None:
            return []
        kind = "file" if "." in found[1] else "variable"
        return [(name, kind) for name in self._offer(kind, found[1]) if name.startswith(found[1])]

    def _kind(self, magic: str, parser: argparse.ArgumentParser, words: Sequence[str]) -> str:
        """What the next word is: a value of the option that is open, else a word of its own."""
        option, place = None, 0
        for word in words:
            known = _options(parser).get(word)
            if known is not None:
                option = known if known.nargs != 0 else None
            elif option is None or word.startswith("-"):
                place += 1
            elif option.nargs not in ("+", "*"):
                option = None
        if option is not None:
            return next((OPTION_KINDS[name] for name in option.option_strings if name in OPTION_KINDS), "")
        return WORD_KINDS.get(magic, "") if place == 0 or magic == "batch_wait" else ""


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {option: action for action in parser._actions for option in action.option_strings}  # noqa: SLF001 - argparse tells its options in no other way


def _typed(context: Any) -> str:
    """What stands before the cursor on its line."""
    line: str = context.line_with_cursor
    return line[: context.cursor_position]


def _in_bash_cell(context: Any) -> bool:
    lines: Iterator[str] = (line for line in context.full_text.splitlines() if line.strip())
    return next(lines, "").lstrip().startswith("%%batch_job")


def ipython_matcher(completer: Completer) -> Any:
    """The completer as a function that IPython's list of matchers takes."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    def matcher(context: Any) -> dict[str, Any]:
        line = _typed(context)
        if context.cursor_line > 0:
            word = line[line.rfind("{") + 1 :]
            found = completer.inside(line) if _in_bash_cell(context) else []
        else:
            word = line[max(line.rfind(" "), line.rfind("\t")) + 1 :]
            found = completer.match(line, word)
        cut = len(word) - len(context.token)
        completions = [SimpleCompletion(text=text[cut:], type=kind) for text, kind in found]
        return {"completions": completions, "suppress": bool(completions)}

    untyped: Any = context_matcher
    return untyped(identifier="hail_batch_jupyter.magics")(matcher)
