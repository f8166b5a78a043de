"""A cell of Python as a function that runs in a job: its syntax tree, what it takes from the notebook and what it gives back."""

from __future__ import annotations

import ast
import builtins
import difflib
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from hail_batch_jupyter.errors import TemplateError
from hail_batch_jupyter.jupyter.cells.chains import PythonCell, ResourceFinder, Surroundings, where
from hail_batch_jupyter.jupyter.cells.names import names_of

NOTEBOOK_ONLY = frozenset({"display", "get_ipython", "In", "Out"})
_BUILTINS = frozenset(dir(builtins)) - NOTEBOOK_ONLY
_BUILTIN_CUTOFF = 0.8
"""A name of Python itself is meant only where a letter or two differ: 'pirnt', 'lenght'."""


def read_cell(name: str, source: str) -> PythonCell:
    """The cell as a syntax tree.

    Raises TemplateError that shows the line as Python does for a SyntaxError; also for what only a notebook or only a function can do.
    """
    try:
        return _read(name, source)
    except SyntaxError as error:
        raise TemplateError("\n" + "".join(traceback.format_exception_only(error)).rstrip()) from None


def _read(name: str, source: str) -> PythonCell:
    filename, text = f"<batch_python {name}>", "\n" + source
    _refuse_notebook_syntax(text, filename)
    tree = ast.parse(text, filename)
    _refuse(tree, text, filename)
    compile(text, filename, "exec", dont_inherit=True)
    return PythonCell(name, source, tuple(tree.body), names_of(tree.body))


def _refuse_notebook_syntax(text: str, filename: str) -> None:
    try:
        ast.parse(text, filename)
    except SyntaxError as error:
        line = text.split("\n")[(error.lineno or 1) - 1]
        if line.lstrip().startswith(("!", "%")):
            words = f"{line.strip()!r} works in the notebook only; %%batch_python takes plain Python, for a command use %%batch_job or subprocess.run"
            raise SyntaxError(words, (filename, error.lineno, error.offset, line)) from None
        raise


_AWAITING = "a job has no running event loop; put it into an async function and call asyncio.run(…)"
_TOP_LEVEL = {
    ast.Await: f"'await' at the top level of the cell: {_AWAITING}",
    ast.AsyncFor: f"'async for' at the top level of the cell: {_AWAITING}",
    ast.AsyncWith: f"'async with' at the top level of the cell: {_AWAITING}",
    ast.Yield: "'yield' at the top level of the cell: a job gives its results back with -o NAME; collect the values in a list",
    ast.YieldFrom: "'yield from' at the top level of the cell: a job gives its results back with -o NAME; collect the values in a list",
    ast.Return: "'return' at the top level of the cell: a job gives its results back with -o NAME",
}


def _refuse(tree: ast.Module, text: str, filename: str) -> None:
    for node in _top_level(tree.body):
        words = _TOP_LEVEL.get(type(node))
        place = node
        if isinstance(node, ast.comprehension) and node.is_async:
            words, place = _TOP_LEVEL[ast.AsyncFor], node.target
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            words = f"'from {node.module} import *' hides which names the cell reads; import them by name"
        if words is not None:
            line = getattr(place, "lineno", 1)
            raise SyntaxError(words, (filename, line, getattr(place, "col_offset", 0) + 1, text.split("\n")[line - 1]))


def _top_level(nodes: Iterable[ast.AST]) -> Iterable[ast.AST]:
    for node in nodes:
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield from _top_level(ast.iter_child_nodes(node))


def check_outputs(cell: PythonCell, outputs: Sequence[str]) -> None:
    """Raise TemplateError naming close ones unless the cell assigns every output."""
    for output in outputs:
        if output not in cell.names.assigned:
            close = difflib.get_close_matches(output, cell.names.assigned, 3)
            known = ", ".join(close or list(cell.names.assigned)[:8])
            hint = f"{'did you mean' if close else 'it assigns'} {known}{'?' if close else ''}" if known else "it assigns nothing"
            raise TemplateError(f"-o {output}: the cell does not assign {output!r}; {hint}")


class Recipe(NamedTuple):
    """What the function of a cell was made of, for a script that defines it again.

    spans     (first line, column, last line, column) of what stands in the cell for a file or value of a job, and what stands there in the function
    texts     argument -> the text of the cell that it stands for
    restored  as of the Call
    """

    cell: PythonCell
    spans: tuple[tuple[int, int, int, int, str], ...]
    texts: Mapping[str, str]
    restored: Mapping[str, str]


RECIPES: WeakKeyDictionary[Callable[..., Any], Recipe] = WeakKeyDictionary()
"""Function of a cell -> what it was made of."""


@dataclass(frozen=True)
class Call:
    """A function, by keyword the values that it is called with, and the names of what it gives.

    chains    argument -> the job's name, then the attributes (True) and items (False) behind it
    restored  variable -> the expression that makes its paths of texts again
    """

    function: Callable[..., dict[str, Any]]
    arguments: dict[str, Any]
    outputs: tuple[str, ...]
    chains: Mapping[str, tuple[str, tuple[tuple[bool, Any], ...]]]
    restored: Mapping[str, str]


def build_call(cell: PythonCell, outputs: Sequence[str], around: Surroundings) -> Call:
    """The cell as a function of what it reads.

    Data, functions, classes and modules of the notebook become arguments of their own names; `fit.model` and `qc['score']`
    become arguments, too, for which the job gets a path or a value.
    Raises TemplateError for a name that is nowhere defined and for what cannot travel.
    """
    check_outputs(cell, outputs)
    values = _values(cell, around)
    jobs = {name for name, value in values.items() if around.is_job(value)}
    finder = ResourceFinder(cell, {name: values[name] for name in jobs}, around)
    body = [finder.visit(node) for node in _copied(cell)]
    arguments: dict[str, Any] = dict(finder.found)
    restored: dict[str, str] = {}
    for name, value in values.items():
        if name not in jobs:
            arguments[name], restored[name] = argument_of(name, value, cell, around)
    restore = ast.parse("".join(f"import pathlib as _batch_pathlib\n{name} = {text}\n" for name, text in restored.items() if text)).body
    function = _function(cell, list(arguments), restore, body, outputs)
    RECIPES[function] = Recipe(cell, tuple(finder.spans), finder.texts, restored)
    return Call(function, arguments, tuple(outputs), finder.chains, restored)


def _values(cell: PythonCell, around: Surroundings) -> dict[str, Any]:
    values = {}
    for name, line in cell.names.read.items():
        if around.holds(name):
            values[name] = around.namespace[name]
        elif name == "input":
            raise TemplateError(f"{where(cell, line)}: nobody can answer 'input' in a job; ask in an earlier cell, answer = input(…), and read 'answer' here")
        elif name not in _BUILTINS and name not in cell.names.assigned:
            raise _undefined(cell, name, line, around)
    for name, value in values.items():
        if around.is_job(value) and name in cell.names.assigned:
            raise TemplateError(f"{where(cell, cell.names.assigned[name])}: {name!r} is a job of the batch and the cell assigns it; use another name")
        check_function(cell, name, value, around)
    return values


def _undefined(cell: PythonCell, name: str, line: int, around: Surroundings) -> TemplateError:
    if name in NOTEBOOK_ONLY or name in around.hidden:
        return TemplateError(f"{where(cell, line)}: {name!r} belongs to the notebook, a job has none; print text, or give values back with -o NAME")

    def own(other: str) -> bool:  # the very job that the cell makes
        return other == cell.name and around.is_job(around.namespace.get(other))

    known = [other for other in (*around.namespace, *cell.names.assigned) if not other.startswith("_") and not own(other)]
    close = difflib.get_close_matches(name, known, 3) or difflib.get_close_matches(name, _BUILTINS, 1, _BUILTIN_CUTOFF)
    hint = f"did you mean {', '.join(close)}?" if close else "define it in an earlier cell, or import it in this one"
    return TemplateError(f"{where(cell, line)}: {name!r} is neither defined in the notebook nor in this cell; {hint}")


def check_function(cell: PythonCell, name: str, value: object, around: Surroundings) -> None:
    """A function of the notebook travels with what it reads, which must not be a job."""
    seen: set[int] = set()
    waiting = [(name, value)]
    while waiting:
        called, function = waiting.pop()
        if not isinstance(function, FunctionType) or id(function) in seen or function.__module__ != "__main__":
            continue
        seen.add(id(function))
        for inner in _global_names(function.__code__):
            found = function.__globals__.get(inner)
            if around.is_job(found) or around.is_file(found):
                line = cell.names.read[name]
                raise TemplateError(
                    f"{where(cell, line)}: the function {called!r} reads {inner!r} of the batch from the notebook; "
                    f"give it the file or result as an argument, then the job waits for it"
                )
            waiting.append((inner, found))


def _global_names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names


def _copied(cell: PythonCell) -> list[ast.stmt]:
    """A tree of its own, which may be changed."""
    return ast.parse("\n" + cell.source, cell.filename).body


def argument_of(name: str, value: Any, cell: PythonCell, around: Surroundings) -> tuple[Any, str]:
    """The value to send, and the expression that makes a `Path` of what arrives as text where the notebook has one, '' otherwise."""
    sent, has_path = _staged(value, around)
    if isinstance(value, ModuleType) and value.__name__ == "__main__":
        raise TemplateError(f"{where(cell, cell.names.read[name])}: {name!r} is the notebook itself; read its variables by name")
    if not has_path:
        return value, ""
    return sent, _path_expression(value, name)


def _staged(value: Any, around: Surroundings) -> tuple[Any, bool]:
    """The value with a resource for each path in lists, tuples and dicts; whether there was one."""
    if isinstance(value, PurePath):
        return around.stage(value), True
    if type(value) in (list, tuple):
        pairs = [_staged(item, around) for item in value] if any(isinstance(item, PurePath) for item in value) else []
        return (type(value)([sent for sent, _ in pairs]), True) if pairs else (value, False)
    if type(value) is dict and any(isinstance(item, PurePath) for item in value.values()):
        return {key: _staged(item, around)[0] for key, item in value.items()}, True
    return value, False


def _path_expression(value: Any, text: str) -> str:
    one = "_batch_pathlib.Path({})".format
    if isinstance(value, PurePath):
        return one(text)
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    keys = {key for key, item in pairs if isinstance(item, PurePath)}
    made = f"{one('_batch_item')} if _batch_key in {sorted(keys, key=repr)!r} else _batch_item"
    if len(keys) == len(value):
        made = one("_batch_item")
    if isinstance(value, dict):
        return f"{{_batch_key: {made} for _batch_key, _batch_item in {text}.items()}}"
    listed = f"[{made} for _batch_key, _batch_item in enumerate({text})]"
    return f"tuple({listed})" if isinstance(value, tuple) else listed


_PROLOGUE = """\
import linecache as _batch_lines
_batch_lines.cache[{filename!r}] = ({size}, None, {text!r}.splitlines(True), {filename!r})
"""
"""So that a traceback in the job shows the text of the cell."""


def _function(
    cell: PythonCell, parameters: Sequence[str], restore: list[ast.stmt], body: list[ast.stmt], outputs: Sequence[str]
) -> Callable[..., dict[str, Any]]:
    magic = f"%%batch_python {cell.name} -o {' '.join(outputs)}"
    text = f"{magic}\n{cell.source}"
    future = [node for node in body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    signature = f"*, {', '.join(parameters)}" if parameters else ""
    results = ", ".join(f"{output!r}: {output}" for output in outputs)
    prologue = ast.parse(_PROLOGUE.format(filename=cell.filename, size=len(text), text=text)).body
    shell = ast.parse(f"def {cell.name}({signature}):\n    return {{{results}}}")
    definition = shell.body[0]
    assert isinstance(definition, ast.FunctionDef)
    ending = definition.body[0]
    for node in ast.walk(ending):
        if isinstance(node, (ast.stmt, ast.expr)):
            node.lineno = node.end_lineno = 1
            node.col_offset, node.end_col_offset = 0, len(magic.encode())
    definition.body = [*prologue, *restore, *[node for node in body if node not in future], ending]
    module = ast.fix_missing_locations(ast.Module([*future, definition], []))
    namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
    exec(compile(module, cell.filename, "exec", dont_inherit=True), namespace)
    function: Callable[..., dict[str, Any]] = namespace[cell.name]
    return function
