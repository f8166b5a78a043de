"""What `--each VAR=ITEMS` says: names and values of the notebook, looked up and never evaluated."""

from __future__ import annotations

import ast
import builtins
import difflib
import itertools
import keyword
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # items are the user's own values

from IPython.core.error import UsageError

from hail_batch_jupyter.jupyter.cells.braces import Insert, fill, to_piece

_FORM = re.compile(r"\s*([^\W\d]\w*)\s*=\s*(.+)", re.DOTALL)


@dataclass(frozen=True)
class Each:
    """The items of a stage: for each of its jobs the value of each variable."""

    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def items(self) -> list[Any]:
        """What the jobs are for: the value, or a dict of the values where there are several variables."""
        return [row[0] if len(self.names) == 1 else dict(zip(self.names, row, strict=True)) for row in self.rows]


def read_each(words: Sequence[str], cross: bool, name: str, namespace: Mapping[str, Any]) -> Each | None:
    """The items that the options name, None without `--each`; several are taken side by side, or multiplied with `cross`.

    Raises UsageError for a variable or items that cannot be, and for lengths that differ.
    """
    if not words:
        if cross:
            raise UsageError("--cross multiplies several --each; write --each VAR=ITEMS --each OTHER=ITEMS --cross")
        return None
    found: dict[str, list[Any]] = {}
    for word in words:
        variable, text = _split(word, name)
        if variable in found:
            raise UsageError(f"--each {variable}=…: it is there twice; give each variable one list of items")
        found[variable] = _items(variable, text, namespace)
    if cross:
        return Each(tuple(found), tuple(itertools.product(*found.values())))
    lengths = {variable: len(items) for variable, items in found.items()}
    if len(set(lengths.values())) > 1:
        told = " and ".join(f"{variable} has {count}" for variable, count in lengths.items())
        product = math.prod(lengths.values())
        raise UsageError(f"--each: {told} items; make the lists equally long, or add --cross for all {product} combinations")
    return Each(tuple(found), tuple(zip(*found.values(), strict=True)))


def _split(word: str, name: str) -> tuple[str, str]:
    match = _FORM.fullmatch(word)
    if match is None:
        raise UsageError(f"--each {word!r}: it takes VAR=ITEMS, such as --each alpha=alphas or --each 'alpha=[0.1, 1]'")
    variable, text = match.groups()
    if variable == name:
        raise UsageError(f"--each {variable}=…: {variable!r} is the stage itself; give the item a name of its own")
    if keyword.iskeyword(variable) or hasattr(builtins, variable) or variable.startswith("_"):
        raise UsageError(f"--each {variable}=…: {variable!r} is a name of Python itself; give the item another name, such as {variable.strip('_')}_item")
    return variable, text.strip()


def _items(variable: str, text: str, namespace: Mapping[str, Any]) -> list[Any]:
    for wrapped in (re.fullmatch(r"\{(.*)\}", text), re.fullmatch(r"\$(\w+)", text)):
        text = wrapped.group(1) if wrapped else text
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise UsageError(f"--each {variable}={text}: {_FORMS}") from None
    return listed(f"--each {variable}={text}", _value(tree, f"--each {variable}={text}", namespace))


_FORMS = "the items are a variable (alphas, study.samples, config['samples']), range(…) or a list such as [0.1, 1]; put anything else into a variable first"


def _value(node: ast.expr, asked: str, namespace: Mapping[str, Any]) -> Any:
    """A variable, its attributes and items, a range, or a literal."""
    if isinstance(node, ast.Name):
        if node.id in namespace:
            return namespace[node.id]
        close = difflib.get_close_matches(node.id, [name for name in namespace if not name.startswith("_")], 3)
        hint = f"did you mean {' or '.join(close)}?" if close else "make it in an earlier cell"
        raise UsageError(f"{asked}: the notebook has no variable {node.id!r}; {hint}")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords:
        return _read(asked, lambda: range(*[_value(part, asked, namespace) for part in node.args]))
    if isinstance(node, ast.Attribute):
        return _read(asked, lambda: getattr(_value(node.value, asked, namespace), node.attr))
    if isinstance(node, ast.Subscript):
        return _read(asked, lambda: _value(node.value, asked, namespace)[_literal(node.slice, asked)])
    return _literal(node, asked)


def _read(asked: str, look: Any) -> Any:
    try:
        return look()
    except UsageError:
        raise
    except Exception as error:  # a property or item of a user's object may raise anything
        raise UsageError(f"{asked}: it cannot be read, {type(error).__name__}: {error}; correct it, or put the items into a variable first") from error


def _literal(node: ast.expr, asked: str) -> Any:
    if isinstance(node, ast.Slice):
        parts = [None if part is None else _literal(part, asked) for part in (node.lower, node.upper, node.step)]
        return slice(*parts)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise UsageError(f"{asked}: {_FORMS}") from None


def listed(asked: str, value: Any) -> list[Any]:
    """The items as a list: rows of a DataFrame as dicts, keys of a dict.

    Raises UsageError with a remedy for what has no items in a certain order, and for nothing at all.
    """
    kind = type(value).__name__
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        remedy = f"range({value})" if isinstance(value, int) else "a list"
        raise UsageError(f"{asked}: it is one {kind}, not a list of items; use {remedy}")
    if isinstance(value, (set, frozenset)):
        raise UsageError(f"{asked}: it is a {kind}, which has no order; use sorted(…) in an earlier cell, so that each job keeps its item")
    if hasattr(value, "__next__"):
        raise UsageError(f"{asked}: it is a {kind}, which is used up when the cell runs again; use list(…) in an earlier cell")
    items = value.to_dict("records") if hasattr(value, "columns") and hasattr(value, "to_dict") else list(value)
    if not items:
        raise UsageError(f"{asked}: it holds no items, and a stage needs one at least; look at the cell that makes it")
    return items


def filled_text(text: str, values: Mapping[str, Any], namespace: Mapping[str, Any]) -> str:
    """An option's value with the braces of the items' variables filled in, for one item."""
    if not any(re.search(rf"\{{{name}\b", text) for name in values):
        return text
    return inserted(text, namespace)


def inserted(text: str, namespace: Mapping[str, Any]) -> str:
    """The text with the variables of the notebook in the places of their braces, as they are written.

    Raises TemplateError for an unknown name.
    """
    made = [piece if isinstance(piece, str) else to_piece(_raw(piece), lambda _: None) for piece in fill(text, namespace)]
    return "".join(map(str, made))


def _raw(piece: Insert) -> Insert:
    return piece._replace(raw=True)
