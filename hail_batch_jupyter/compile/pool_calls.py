"""Functions and arguments of calls for a pool as bytes; a function that did not change is pickled once."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Callable
from types import BuiltinFunctionType, CellType, FunctionType, ModuleType
from typing import Any, NamedTuple

from hail_batch_jupyter.compile.code_digest import global_names
from hail_batch_jupyter.compile.python_calls import dumps, name_of, refuse_files, unserialisable
from hail_batch_jupyter.core.draft import CallDraft
from hail_batch_jupyter.core.ports import PoolFunction
from hail_batch_jupyter.errors import BatchException

_PROTOCOL = 5
_KEPT = 32
_LARGE_BYTES = 1 << 20
"""What is larger and has to be pickled for each call anyway is not kept."""
_BY_NAME_IN_MAIN = b"__main__"
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))
_NUMBERS = itertools.count(1)
_MISSING = object()


class _Packed(NamedTuple):
    """A pickled function and what must still be so for the pickle to be right: values of names, contents of cells, code and defaults.

    `lasting` is False when something that it uses may change inside, so that only a new pickle can tell.
    """

    function: PoolFunction
    lasting: bool
    names: list[tuple[dict[str, Any], str, Any]]
    cells: list[tuple[CellType, Any]]
    parts: list[tuple[FunctionType, Any, Any]]

    def holds(self) -> bool:
        return (
            self.lasting
            and all(space.get(name, _MISSING) is value for space, name, value in self.names)
            and all(_content(cell) is value for cell, value in self.cells)
            and all(function.__code__ is code and function.__defaults__ is defaults for function, code, defaults in self.parts)
        )


class PoolPacker:
    """Pickles calls; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[FunctionType, _Packed] = {}

    def function(self, function: Callable[..., Any]) -> PoolFunction:
        """The function as it is now: with the globals and closure variables that it uses, when it is defined in a notebook or script.

        Raises BatchException naming what cannot be pickled, or what is no function.
        """
        if not callable(function):
            raise BatchException(f"{function!r} cannot be called, because it is a {type(function).__name__}; pass the function itself, without calling it")
        if not isinstance(function, FunctionType):
            return PoolFunction(next(_NUMBERS), _function_bytes(function), name_of(function))
        with self._lock:
            known = self._known.get(function)
        if known is not None and known.holds():
            return known.function
        data = _function_bytes(function)
        packed = known.function if known and known.function.data == data else PoolFunction(next(_NUMBERS), data, name_of(function))
        self._keep(function, _watched(packed, function))
        return packed

    def _keep(self, function: FunctionType, packed: _Packed) -> None:
        with self._lock:
            self._known.pop(function, None)
            if packed.lasting or len(packed.function.data) < _LARGE_BYTES:
                self._known[function] = packed
            if len(self._known) > _KEPT:
                del self._known[next(iter(self._known))]

    def arguments(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """The arguments as they are now.

        Raises BatchException naming what cannot be pickled.
        """
        try:
            data = pickle.dumps((args, kwargs), _PROTOCOL)
            if _BY_NAME_IN_MAIN not in data:
                return data
        except Exception:  # noqa: BLE001 - objects refuse to be pickled in many ways; dill can do more, and says what is wrong if it cannot either
            pass
        try:
            return dumps((args, kwargs), refuse_files)
        except Exception as error:
            raise unserialisable(f"a call of {name_of(function)!r} cannot be sent", CallDraft(function, args, kwargs, ()), error) from error


def _function_bytes(function: Any) -> bytes:
    data = _by_name(function)
    if data is not None:
        return data
    try:
        return dumps(function, refuse_files)
    except Exception as error:
        raise unserialisable(f"function {name_of(function)!r} cannot be sent", CallDraft(function, (), {}, ()), error) from error


def _by_name(value: Any) -> bytes | None:
    """The plain pickle of what can be imported where the call is made, None for what has to go by value."""
    try:
        data = pickle.dumps(value, _PROTOCOL)
    except Exception:  # noqa: BLE001 - as above
        return None
    return None if _BY_NAME_IN_MAIN in data else data


def _watched(packed: PoolFunction, function: FunctionType) -> _Packed:
    made = _Packed(packed, True, [], [], [])
    lasting = _by_name(function) is not None or _watch(function, made, set())
    return made._replace(lasting=lasting)


def _watch(function: FunctionType, made: _Packed, seen: set[int]) -> bool:
    """Note what the pickle of a function that goes by value depends on; False if some of it may change inside."""
    if id(function) in seen:
        return True
    seen.add(id(function))
    if function.__dict__ or function.__kwdefaults__ or not _is_constant(function.__defaults__):
        return False
    made.parts.append((function, function.__code__, function.__defaults__))
    space = function.__globals__
    made.names.extend((space, name, space.get(name, _MISSING)) for name in global_names(function.__code__))
    made.cells.extend((cell, _content(cell)) for cell in function.__closure__ or ())
    used = [space[name] for name in global_names(function.__code__) if name in space] + [_content(cell) for cell in function.__closure__ or ()]
    return all(_is_lasting(value, made, seen) for value in used)


def _is_lasting(value: Any, made: _Packed, seen: set[int]) -> bool:
    if value is _MISSING or isinstance(value, (ModuleType, BuiltinFunctionType)) or _is_constant(value):
        return True
    if isinstance(value, FunctionType):
        return _by_name(value) is not None or _watch(value, made, seen)
    return isinstance(value, type) and _by_name(value) is not None


def _is_constant(value: Any) -> bool:
    if type(value) in (tuple, frozenset):
        return all(map(_is_constant, value))
    return type(value) in _PLAIN


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING
