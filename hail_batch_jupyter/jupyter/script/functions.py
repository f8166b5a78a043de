"""The function of a cell of Python as text: the cell as it was written, with variables in the places of files and results."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence

from hail_batch_jupyter.jupyter.cells.functions import Recipe

_INDENT = "    "


def parameter_names(recipe: Recipe, arguments: Sequence[str]) -> dict[str, str]:
    """Argument of the notebook's function -> parameter of the script's: `fit_model` for what the cell calls `fit.model`."""
    taken = {*recipe.cell.names.read, *recipe.cell.names.assigned, *arguments}
    found = {}
    for argument in arguments:
        text = recipe.texts.get(argument)
        if text is None:
            found[argument] = argument
            continue
        base = re.sub(r"\W+", "_", text).strip("_")
        found[argument] = next(name for name in (base, *(f"{base}_{number}" for number in range(2, 10_000))) if name not in taken)
        taken.add(found[argument])
    return found


def function_text(name: str, recipe: Recipe, parameters: Mapping[str, str], outputs: Sequence[str]) -> str:
    """The definition of the cell's function.

    parameters  argument of the notebook's function -> name here
    """
    given = ", ".join(parameters.values())
    restored = [f"{one} = {_readable(text)}" for one, text in recipe.restored.items() if text and one in parameters]
    body = _indented(_renamed(recipe, parameters))
    results = ", ".join(f"{output!r}: {output}" for output in outputs)
    lines = [f"def {name}({f'*, {given}' if given else ''}):", *[_INDENT + line for line in restored], body, f"{_INDENT}return {{{results}}}"]
    return "\n".join(line for line in lines if line.strip())


def needs_path(recipe: Recipe, parameters: Mapping[str, str]) -> bool:
    """Whether the function makes a `Path` of a text."""
    return any(text and one in parameters for one, text in recipe.restored.items())


def _readable(text: str) -> str:
    return text.replace("_batch_pathlib.Path", "Path").replace("_batch_item", "one").replace("_batch_key", "key")


def _renamed(recipe: Recipe, parameters: Mapping[str, str]) -> str:
    """The cell's text; columns count bytes, and line 1 is that of the magic."""
    lines = [line.encode() for line in ("\n" + recipe.cell.source).split("\n")]
    for first, start, last, end, text in sorted(_outermost(recipe.spans), reverse=True):
        new = re.sub(r"\b_batch_\d+\b", lambda match: parameters.get(match[0], match[0]), text)
        lines[first - 1 : last] = [lines[first - 1][:start] + new.encode() + lines[last - 1][end:]]
    return b"\n".join(lines[1:]).decode().strip("\n")


def _outermost(spans: Sequence[tuple[int, int, int, int, str]]) -> list[tuple[int, int, int, int, str]]:
    """Without those that stand in another, whose text has them already."""

    def inside(one: tuple[int, int, int, int, str], other: tuple[int, int, int, int, str]) -> bool:
        return one != other and other[:2] <= one[:2] and one[2:4] <= other[2:4]

    return [one for one in dict.fromkeys(spans) if not any(inside(one, other) for other in spans)]


def _indented(body: str) -> str:
    """The statements one step to the right; lines that begin within a text stay where they are."""
    tree = ast.parse(body)
    texts = [node for node in ast.walk(tree) if isinstance(node, (ast.JoinedStr, ast.Constant)) and isinstance(getattr(node, "value", ""), (str, bytes))]
    inside = {line for node in texts for line in range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)}
    moved = "\n".join([line if number in inside or not line.strip() else _INDENT + line for number, line in enumerate(body.split("\n"), 1)])
    shifted = ast.parse(f"def f():\n{moved}\n{_INDENT}pass").body[0]
    assert isinstance(shifted, ast.FunctionDef)
    if ast.dump(ast.Module(shifted.body[:-1], [])) == ast.dump(tree):
        return moved
    return textwrap.indent(ast.unparse(tree), _INDENT)
