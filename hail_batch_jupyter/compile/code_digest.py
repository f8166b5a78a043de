"""A digest of functions and values that is equal in another kernel, whatever file or line the code came from."""

from __future__ import annotations

import copyreg
import dis
import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from hail_batch_jupyter.core.draft import Reference
from hail_batch_jupyter.core.files import FileRef

_LIBRARIES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class Digest:
    """Feeds values into one hash; `of_file` gives the key of a file among them (None: there are none)."""

    def __init__(self, of_file: Callable[[FileRef], str] | None) -> None:
        self._of_file = of_file
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []
        self._hash = hashlib.sha256()

    def of(self, value: Any) -> str:
        """The digest of a value."""
        self._feed(value)
        return self._hash.hexdigest()

    def _say(self, *words: object) -> None:
        self._hash.update(repr(words).encode(errors="surrogatepass"))

    def _feed(self, value: Any) -> None:
        kind = type(value)
        if kind in _PLAIN:
            self._say(kind.__name__, value)
        elif isinstance(value, Reference):
            self._say("file", self._of_file(value.file_ref) if self._of_file else repr(value.file_ref))
        elif kind is tuple:
            self._all("tuple", value)
        elif kind is frozenset or kind is set:
            self._unordered(kind.__name__, value)
        elif not self._again(value):
            self._object(value)

    def _again(self, value: Any) -> bool:
        """Whether the object was fed before; then its number stands for it, so that what refers to itself has an end."""
        known = self._seen.get(id(value))
        if known is not None:
            self._say("again", known)
            return True
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        return False

    def _object(self, value: Any) -> None:
        if type(value) is list:
            self._all("list", value)
        elif type(value) is dict:
            self._say("dict", len(value))
            for pair in value.items():
                self._all("pair", pair)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, CodeType):
            self._code(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, ModuleType):
            self._module(value)
        elif isinstance(value, MethodType):
            self._all("method", (value.__func__, value.__self__))
        elif isinstance(value, BuiltinFunctionType):
            self._all("builtin", (value.__module__, value.__qualname__, None if isinstance(value.__self__, ModuleType) else value.__self__))
        else:
            self._reduced(value)

    def _all(self, kind: str, values: Any) -> None:
        self._say(kind, len(values))
        for value in values:
            self._feed(value)

    def _unordered(self, kind: str, values: Any) -> None:
        # The order of a set differs from process to process.
        self._say(kind, sorted(Digest(self._of_file).of(value) for value in values))

    def _function(self, function: FunctionType) -> None:
        if _is_library(function.__module__):
            self._say("function", function.__module__, function.__qualname__)
            return
        self._say("function", function.__name__)
        self._feed(function.__code__)
        self._all("defaults", (function.__defaults__, function.__kwdefaults__))
        self._all("closure", tuple(_content(cell) for cell in function.__closure__ or ()))
        known = function.__globals__
        names = sorted(name for name in global_names(function.__code__) if name in known)
        for name in names:
            self._say("global", name)
            self._feed(known[name])

    def _code(self, code: CodeType) -> None:
        self._say(code.co_name, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags, code.co_code)
        self._say(code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, getattr(code, "co_exceptiontable", b""))
        self._all("consts", code.co_consts)

    def _class(self, cls: type) -> None:
        self._say("class", cls.__name__)
        if _is_library(cls.__module__):
            self._say(cls.__module__, cls.__qualname__)
            return
        self._all("bases", cls.__bases__)
        for name, value in sorted(vars(cls).items()):
            if name not in _OF_EVERY_CLASS and not isinstance(value, _DESCRIPTORS):
                self._say("attribute", name)
                self._feed(_unwrapped(value))

    def _module(self, module: ModuleType) -> None:
        """An installed module is its name; one that the user may edit is what it defines."""
        self._say("module", module.__name__)
        if _is_library(module.__name__):
            return
        for name, value in sorted(vars(module).items()):
            if isinstance(value, (FunctionType, type)) and value.__module__ == module.__name__:
                self._say("defines", name)
                self._feed(value)

    def _reduced(self, value: Any) -> None:
        """Any other object as pickling takes it apart; one that cannot be pickled by its type only."""
        self._feed(type(value))
        try:
            reducer = copyreg.dispatch_table.get(type(value))
            reduced = reducer(value) if reducer else value.__reduce_ex__(4)
        except Exception:  # noqa: BLE001 - any object may refuse in its own way; what cannot be sent is refused when it is pickled
            self._say("opaque")
            return
        if isinstance(reduced, str):
            self._say("global", type(value).__module__, reduced)
            return
        made, args, state, items, pairs = (*reduced, None, None, None)[:5]
        self._all("reduced", (made, args, state, None if items is None else list(items), None if pairs is None else list(pairs)))


_PLAIN = frozenset({str, bytes, int, float, complex, bool, type(None), type(...)})
_OF_EVERY_CLASS = frozenset(
    {"__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__", "__annotations__", "__annotate_func__", "__slotnames__"}
)
_DESCRIPTORS = (type(type.__dict__["__doc__"]), type(FunctionType.__code__), type(FunctionType.__globals__))


def _unwrapped(value: Any) -> Any:
    if isinstance(value, (staticmethod, classmethod)):
        return (type(value).__name__, value.__func__)
    if isinstance(value, property):
        return ("property", value.fget, value.fset, value.fdel)
    return value


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "an empty cell"


def global_names(code: CodeType) -> set[str]:
    """Names that the code, or code within it, looks up among globals; not those of attributes."""
    names = {str(step.argval) for step in dis.get_instructions(code) if step.opname.endswith(("_GLOBAL", "_NAME"))}
    for const in code.co_consts:
        if isinstance(const, CodeType):
            names |= global_names(const)
    return names


def _is_library(module: str | None) -> bool:
    """Whether the module is installed, so that its name says what it does; False for what the user may edit."""
    if module is None or module == "__main__" or module not in sys.modules:
        return False
    return _is_installed(module)


@cache
def _is_installed(module: str) -> bool:
    path = getattr(sys.modules[module], "__file__", None)
    if path is None:
        return getattr(sys.modules[module], "__spec__", None) is not None
    return path.startswith(_STANDARD) or any(part in path for part in _LIBRARIES)


_STANDARD = os.path.dirname(os.__file__) + os.sep
