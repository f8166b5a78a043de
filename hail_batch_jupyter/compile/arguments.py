"""What is among the arguments of a call: files in lists, tuples and dicts, and files where nobody would find them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from hail_batch_jupyter.core.draft import CallDraft, Reference

_PLAIN = frozenset({str, bytes, int, float, complex, bool, type(None)})
_LOOKED_AT = 1000
"""So many parts of other objects are looked at; what is missed here is found when the arguments are pickled."""


def all_plain(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether the arguments are text and numbers only, so that no file can be among them."""
    return all(type(value) in _PLAIN for value in (*args, *kwargs.values()))


def references(call: CallDraft) -> list[Reference]:
    """The files among the arguments, in order, each as often as it is there."""
    return [leaf for leaf in leaves(call.args, call.kwargs) if isinstance(leaf, Reference)]


def leaves(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    """Everything in the arguments that is neither a list, tuple or dict nor plain text or a number, in order."""
    seen: set[int] = set()
    stack: list[Any] = [*args, *kwargs.values()][::-1]
    while stack:
        value = stack.pop()
        kind = type(value)
        if kind in _PLAIN:
            continue
        if not isinstance(value, (list, tuple, dict)) or isinstance(value, Reference):
            yield value
        elif id(value) not in seen:
            seen.add(id(value))
            stack.extend(list(value.values() if isinstance(value, dict) else value)[::-1])


def hidden(args: Sequence[Any], kwargs: Mapping[str, Any], wanted: Callable[[Any], bool]) -> str | None:
    """Where something wanted lies that `leaves` does not give, such as 'a set'; None when there is nothing.

    Looks at keys of dicts, sets, and the attributes of other objects, to a limit.
    """
    budget = _LOOKED_AT
    stack: list[tuple[str, Any]] = list(_unseen_parts([*args, *kwargs.values()]))
    seen: set[int] = set()
    while stack and budget:
        place, value = stack.pop()
        if wanted(value):
            return place
        if type(value) in _PLAIN or id(value) in seen:
            continue
        budget -= 1
        seen.add(id(value))
        stack.extend((place, part) for part in _parts(value))
    return None


def _unseen_parts(values: list[Any]) -> Iterator[tuple[str, Any]]:
    stack, seen = values, set()
    while stack:
        value = stack.pop()
        if type(value) in _PLAIN or id(value) in seen or isinstance(value, Reference):
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            yield from (("the keys of a dict", key) for key in value if type(key) not in _PLAIN)
            stack.extend(value.values())
        elif isinstance(value, (list, tuple)):
            stack.extend(value)
        else:
            place = f"a {type(value).__name__}"
            yield from ((place, part) for part in _parts(value))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, (set, frozenset, list, tuple)):
        return list(value)
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, (type, ModuleType, FunctionType, str, bytes, Reference)):
        return []
    named = [name for cls in type(value).__mro__ for name in _slots(cls)]
    attributes = getattr(value, "__dict__", None)
    parts = list(attributes.values()) if isinstance(attributes, dict) else []
    return parts + [getattr(value, name) for name in named if hasattr(value, name)]


def _slots(cls: type) -> Sequence[str]:
    slots = cls.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else [name for name in slots if not name.startswith("__")]
