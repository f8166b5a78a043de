"""IPython's decorators for magics with types, so that what they decorate keeps its own."""

from __future__ import annotations

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


def line_magic(function: F) -> F:
    """A magic that has a line; its parser is made of the arguments declared below it, its variables are not expanded by IPython."""
    return cast(F, _untyped.no_var_expand(_untyped.line_magic(_untyped_arguments.magic_arguments()(function))))


def cell_magic(function: F) -> F:
    """A magic that has a line and a cell, otherwise as `line_magic`."""
    return cast(F, _untyped.no_var_expand(_untyped.cell_magic(_untyped_arguments.magic_arguments()(function))))


def magics_class(cls: C) -> C:
    """Registers the magics of a class."""
    return cast(C, _untyped.magics_class(cls))
