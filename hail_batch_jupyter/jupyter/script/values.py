"""Values of the notebook as text of a script: literals, imports, definitions, and for all else a file of pickled values beside it."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import keyword
import pprint
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import PurePath
from types import FunctionType, ModuleType
from typing import Any

from hail_batch_jupyter.batch.resource import Resource
from hail_batch_jupyter.batch.stage import StageFiles
from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.jupyter.cells.names import names_of

_LONGEST = 4000
"""Characters of a literal; longer ones would hide what the script does."""
_WIDTH = 150
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


class Names:
    """Variables of a script, each once."""

    def __init__(self) -> None:
        self._taken = {"b", "hb", "dill", "values", "job", "Path", *keyword.kwlist, *dir(builtins)}

    def new(self, wanted: str) -> str:
        """A variable like this one that is free, and is taken from now on."""
        base = re.sub(r"\W+", "_", wanted).strip("_") or "it"
        base = f"_{base}" if base[0].isdigit() else base
        found = next(name for name in (base, *(f"{base}_{number}" for number in range(2, 1_000_000))) if name not in self._taken)
        self._taken.add(found)
        return found

    def is_free(self, name: str) -> bool:
        """Whether the script has no such variable yet."""
        return name not in self._taken


class Values:
    """What a script needs beside its jobs.

    imports      lines, in the order of need       definitions  texts at the top level, in the order of need
    stored       name -> value of the file beside the script
    """

    def __init__(self, names: Names, file: Callable[[FileRef], str], files: Callable[[StageFiles], str]) -> None:
        self.imports: dict[str, None] = {}
        self.definitions: list[str] = []
        self.stored: dict[str, Any] = {}
        self._names = names
        self._file = file
        self._files = files
        self._bound: dict[str, Any] = {}

    def text(self, value: Any, what: str) -> str:
        """An expression for the value; `what` is its name in the file beside the script, should it go there."""
        return self._known(value) or self.store(value, what)

    def plain(self, value: Any) -> str:
        """An expression for the value, '' where only the file beside the script can have it."""
        return self._known(value)

    def store(self, value: Any, what: str) -> str:
        """An expression for a value that goes into the file beside the script."""
        name = next(one for one in (what, *(f"{what} {number}" for number in range(2, 1_000_000))) if one not in self.stored)
        self.stored[name] = value
        return f"values[{name!r}]"

    def _known(self, value: Any) -> str:
        if isinstance(value, StageFiles):
            return self._files(value)
        if isinstance(value, Resource):
            return self._file(value.file_ref)
        if isinstance(value, PurePath) and type(value).__module__.startswith("pathlib"):
            self.imports["from pathlib import Path"] = None
            return f"Path({str(value)!r})"
        if type(value) in (list, tuple, dict, set, range, *_PLAIN):
            return self._literal(value)
        return self._imported(value)

    def _literal(self, value: Any) -> str:
        if _is_literal(value):
            text = repr(value) if len(repr(value)) <= _WIDTH else pprint.pformat(value, width=_WIDTH, compact=True, sort_dicts=False)
            return text if len(text) <= _LONGEST else ""
        if type(value) is dict:
            parts = [(self._known(key), self._known(part)) for key, part in value.items()]
            return "{" + ", ".join([f"{key}: {part}" for key, part in parts]) + "}" if all(key and part for key, part in parts) else ""
        if type(value) in (list, tuple):
            texts = [self._known(part) for part in value]
            inner = ", ".join(texts) + ("," if type(value) is tuple and len(texts) == 1 else "")
            return (f"({inner})" if type(value) is tuple else f"[{inner}]") if all(texts) else ""
        return ""

    def _imported(self, value: Any) -> str:
        """The name of a module, or of a function or class of one; '' where there is none."""
        if isinstance(value, ModuleType):
            return value.__name__ if self._import(f"import {value.__name__}", value.__name__, value) else ""
        module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str) or module == "__main__" or "." in name or not _is_of(module, name, value):
            return ""
        if module == "builtins":
            return name
        return name if self._import(f"from {module} import {name}", name, value) else ""

    def _import(self, line: str, name: str, value: Any) -> bool:
        if name.split(".", maxsplit=1)[0] == "__main__" or not self._binds(name, value):
            return False
        self.imports[line] = None
        return True

    def _binds(self, name: str, value: Any) -> bool:
        """Take the name for the value, which may have it already."""
        if name in self._bound:
            return self._bound[name] is value
        if not self._names.is_free(name):
            return False
        self._names.new(name)
        self._bound[name] = value
        return True

    def bind(self, name: str, value: Any) -> bool:
        """Give the script a top-level name for a module, function or class of the notebook; False where that cannot be."""
        if name in self._bound:
            return self._bound[name] is value
        if isinstance(value, ModuleType):
            line = f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}")
            return self._import(line, name, value)
        if isinstance(value, FunctionType) and value.__module__ == "__main__":
            return self._define(name, value)
        module, own = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
        if not isinstance(module, str) or module == "__main__" or "." in own or not _is_of(module, own, value):
            return False
        return self._import(f"from {module} import {own}" + ("" if own == name else f" as {name}"), name, value)

    def _define(self, name: str, function: FunctionType) -> bool:
        """The function's own text, after the definitions of what it reads."""
        text = _source(function)
        if not text or function.__name__ != name or function.__closure__ or not self._binds(name, function):
            return False
        for needed in names_of(ast.parse(text).body).read:
            value = function.__globals__.get(needed, _NOTHING)
            if value is not _NOTHING and value is not function and not self.bind(needed, value) and not self._assign(needed, value):
                del self._bound[name]
                return False
        self.definitions.append(text)
        return True

    def _assign(self, name: str, value: Any) -> bool:
        if not self._binds(name, value):
            return False
        self.definitions.append(f"{name} = {self.text(value, name)}")
        return True


_NOTHING = object()


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value) and _round_trips(value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return type(value) is range


def _round_trips(value: Any) -> bool:
    """Whether nothing in it is of a kind that only looks like a literal: numpy's float64, or an enumeration that is an int."""
    if type(value) in (list, tuple, set):
        return all(map(_round_trips, value))
    if type(value) is dict:
        return all(_round_trips(key) and _round_trips(part) for key, part in value.items())
    return type(value) in _PLAIN


def _is_of(module: str, name: str, value: Any) -> bool:
    """Whether a fresh process finds the value there."""
    try:
        return getattr(sys.modules.get(module) or importlib.import_module(module), name, None) is value
    except Exception:  # noqa: BLE001 - importing somebody's module may raise anything
        return False


def _source(function: FunctionType) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError):
        return ""
