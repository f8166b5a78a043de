"""IPython's decorators for magics with types, so that what they decorate keeps its own."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from IPython.core import magic, magic_arguments

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

_untyped: Any = magic
_untyped_arguments: Any = magic_arguments


def argument(*names: str, **words: Any) -> Callable[[F], F]:
    """An option or a word of a magic's line, in argparse's words."""
    return cast(Callable[[F], F], _untyped_arguments.argument(*names, **words))


_WIDTH = 110


class _Help(argparse.RawDescriptionHelpFormatter):
    """The list of words and options, without brackets."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=_WIDTH)

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        one = str(self._metavar_formatter(action, default_metavar)(1)[0])
        return f"{one} …" if action.nargs in ("+", "*") else one


def _explained(function: F, signs: str) -> F:
    """Writes what `?` shows: how the line is written, as people write it, with its words first; then all words and options."""
    parser: Any = cast(Any, function).parser  # argparse tells its arguments in attributes that it does not document
    words = [_in_line(action) for action in parser._actions if not action.option_strings]  # noqa: SLF001 - as above
    options = ["[options]"] if any(action.option_strings for action in parser._actions) else []  # noqa: SLF001 - as above
    parser.usage, parser.formatter_class = argparse.SUPPRESS, _Help
    parser._positionals.title = "words"  # noqa: SLF001 - as above
    parser.description = inspect.cleandoc(parser.description or "")
    function.__doc__ = f"{signs}{' '.join([parser.prog, *words, *options])}\n\n{parser.format_help()}"
    return function


def _in_line(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest)
    return {None: name, "?": f"[{name}]", "*": f"[{name} …]"}.get(cast(Any, action.nargs), f"{name} …")


def line_magic(function: F) -> F:
    """A magic that has a line; its parser is made of the arguments declared below it, its variables are not expanded by IPython."""
    return cast(F, _untyped.no_var_expand(_untyped.line_magic(_explained(_untyped_arguments.magic_arguments()(function), "%"))))


def cell_magic(function: F) -> F:
    """A magic that has a line and a cell, otherwise as `line_magic`."""
    return cast(F, _untyped.no_var_expand(_untyped.cell_magic(_explained(_untyped_arguments.magic_arguments()(function), "%%"))))


def magics_class(cls: C) -> C:
    """Registers the magics of a class."""
    return cast(C, _untyped.magics_class(cls))
