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
from typing import Any

from hail_batch_jupyter.errors import TemplateError
from hail_batch_jupyter.jupyter.names import Names, names_of, own_names

NOTEBOOK_ONLY = frozenset({"display", "get_ipython", "In", "Out"})
_BUILTINS = frozenset(dir(builtins)) - NOTEBOOK_ONLY


@dataclass(frozen=True)
class PythonCell:
    """A cell that was read; line 1 is the line of the magic, so that numbers are those which the notebook shows."""

    name: str
    source: str
    body: tuple[ast.stmt, ...]
    names: Names

    @property
    def filename(self) -> str:
        """What stands for the file in tracebacks."""
        return f"<batch_python {self.name}>"


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


class Surroundings:
    """What the notebook has for a cell.

    namespace    the user's names               hidden  names that IPython put there itself
    is_job       whether a value is a job       is_file whether it is a file, a group or a result of a batch
    stage        the resource for a `pathlib.Path` of the notebook
    """

    def __init__(
        self,
        namespace: Mapping[str, Any],
        hidden: Mapping[str, Any],
        is_job: Callable[[object], bool],
        is_file: Callable[[object], bool],
        stage: Callable[[PurePath], object],
    ) -> None:
        self.namespace = namespace
        self.hidden = hidden
        self.is_job = is_job
        self.is_file = is_file
        self.stage = stage

    def holds(self, name: str) -> bool:
        """Whether the user has a value of that name."""
        return name in self.namespace and not (name in self.hidden and self.hidden[name] is self.namespace[name])


def build_call(cell: PythonCell, outputs: Sequence[str], around: Surroundings) -> Call:
    """The cell as a function of what it reads.

    Data, functions, classes and modules of the notebook become arguments of their own names; `fit.model` and `qc['score']`
    become arguments, too, for which the job gets a path or a value.
    Raises TemplateError for a name that is nowhere defined and for what cannot travel.
    """
    check_outputs(cell, outputs)
    values = _values(cell, around)
    jobs = {name for name, value in values.items() if around.is_job(value)}
    finder = _ResourceFinder(cell, {name: values[name] for name in jobs}, around)
    body = [finder.visit(node) for node in _copied(cell)]
    arguments: dict[str, Any] = dict(finder.found)
    restored: dict[str, str] = {}
    for name, value in values.items():
        if name not in jobs:
            arguments[name], restored[name] = argument_of(name, value, cell, around)
    restore = ast.parse("".join(f"import pathlib as _batch_pathlib\n{name} = {text}\n" for name, text in restored.items() if text)).body
    return Call(_function(cell, list(arguments), restore, body, outputs), arguments, tuple(outputs), finder.chains, restored)


def _values(cell: PythonCell, around: Surroundings) -> dict[str, Any]:
    values = {}
    for name, line in cell.names.read.items():
        if around.holds(name):
            values[name] = around.namespace[name]
        elif name not in _BUILTINS and name not in cell.names.assigned:
            raise _undefined(cell, name, line, around)
    for name, value in values.items():
        if around.is_job(value) and name in cell.names.assigned:
            raise TemplateError(f"{_where(cell, cell.names.assigned[name])}: {name!r} is a job of the batch and the cell assigns it; use another name")
        check_function(cell, name, value, around)
    return values


def _where(cell: PythonCell, line: int) -> str:
    text = ("\n" + cell.source).split("\n")[line - 1].strip()
    return f"line {line}, {text if len(text) <= 100 else text[:99] + '…'!r}"


def _undefined(cell: PythonCell, name: str, line: int, around: Surroundings) -> TemplateError:
    if name in NOTEBOOK_ONLY or name in around.hidden:
        return TemplateError(f"{_where(cell, line)}: {name!r} belongs to the notebook, a job has none; print text, or give values back with -o NAME")

    def own(other: str) -> bool:  # the very job that the cell makes
        return other == cell.name and around.is_job(around.namespace.get(other))

    known = [other for other in (*around.namespace, *cell.names.assigned, *_BUILTINS) if not other.startswith("_") and not own(other)]
    close = difflib.get_close_matches(name, known, 3)
    hint = f"did you mean {', '.join(close)}?" if close else "define it in an earlier cell, or import it in this one"
    return TemplateError(f"{_where(cell, line)}: {name!r} is neither defined in the notebook nor in this cell; {hint}")


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
                    f"{_where(cell, line)}: the function {called!r} reads {inner!r} of the batch from the notebook; "
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


class _ResourceFinder(ast.NodeTransformer):
    """Puts a variable in the place of `fit.model`, `qc['score']` and members of groups."""

    def __init__(self, cell: PythonCell, jobs: Mapping[str, Any], around: Surroundings) -> None:
        self.found: dict[str, Any] = {}
        self.chains: dict[str, tuple[str, tuple[tuple[bool, Any], ...]]] = {}
        self._names: dict[str, str] = {}
        self._cell = cell
        self._jobs = dict(jobs)
        self._around = around

    def visit(self, node: ast.AST) -> Any:
        """The node with resources replaced; names that a function or comprehension binds itself are left alone."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            outer = self._jobs
            self._jobs = {name: job for name, job in outer.items() if name not in own_names(node)}
            changed = self.generic_visit(node)
            self._jobs = outer
            return changed
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Name)):
            return self._chain(node)
        return self.generic_visit(node)

    def _chain(self, node: ast.Attribute | ast.Subscript | ast.Name) -> ast.AST:
        steps: list[ast.Attribute | ast.Subscript] = []
        root: ast.expr = node
        while isinstance(root, (ast.Attribute, ast.Subscript)):
            steps.append(root)
            root = root.value
        if not isinstance(root, ast.Name) or root.id not in self._jobs:
            return self.generic_visit(node)
        if not isinstance(root.ctx, ast.Load):
            return node
        return self._resolved(root, steps[::-1])

    def _resolved(self, root: ast.Name, steps: list[ast.Attribute | ast.Subscript]) -> ast.AST:
        value: Any = self._jobs[root.id]
        text = root.id
        for index, step in enumerate(steps):
            text, value = self._step(step, text, value)
            if self._around.is_file(value) and not self._is_group_step(value, steps[index + 1 :]):
                self._refuse_handle(text, steps[index + 1 :], step.lineno)
                found = self._variable(text, value, step)
                self.chains[found.id] = (root.id, tuple([_key(one) for one in steps[: index + 1]]))
                return self._rest(found, steps[index + 1 :])
        if isinstance(value, (str, int, float)) and steps:
            return self._variable(text, value, root)
        raise TemplateError(
            f"{_where(self._cell, root.lineno)}: {text!r} {'is a job' if not steps else 'belongs to a job'}, which cannot travel into another; "
            f"name one of its files or results, such as {root.id}.model or {root.id}['score']"
        )

    def _step(self, step: ast.Attribute | ast.Subscript, text: str, value: Any) -> tuple[str, Any]:
        """The value one attribute or item further on; reading it is all that happens."""
        if isinstance(step, ast.Attribute):
            return f"{text}.{step.attr}", getattr(value, step.attr)
        key = _key(step)[1]
        if isinstance(key, (str, int)):
            return f"{text}[{key!r}]", value[key]
        raise TemplateError(
            f"{_where(self._cell, step.lineno)}: {text}[{ast.unparse(step.slice)}] is looked up when the cell is defined, not in the job; "
            f"put the files into a list in an earlier cell and read that"
        )

    def _is_group_step(self, value: Any, rest: Sequence[ast.AST]) -> bool:
        """Whether `value` is a group and the chain goes on to a member of it."""
        return bool(rest) and not isinstance(value, (str, list))

    def _refuse_handle(self, text: str, rest: Sequence[ast.Attribute | ast.Subscript], line: int) -> None:
        if rest and isinstance(rest[0], ast.Attribute) and rest[0].attr in ("path", "result"):
            raise TemplateError(f"{_where(self._cell, line)}: in the job {text!r} already is the path or value; leave .{rest[0].attr}() out")

    def _variable(self, text: str, value: Any, place: ast.expr) -> ast.Name:
        name = self._names.setdefault(text, f"_batch_{len(self._names)}")
        self.found[name] = value
        return ast.copy_location(ast.Name(name, ast.Load()), place)

    def _rest(self, start: ast.expr, rest: Sequence[ast.Attribute | ast.Subscript]) -> ast.expr:
        node = start
        for step in rest:
            step.value = node
            if isinstance(step, ast.Subscript):
                step.slice = self.visit(step.slice)
            node = step
        return node


def _key(step: ast.Attribute | ast.Subscript) -> tuple[bool, Any]:
    """Whether the step is an attribute, and its name; for an item its literal index, None where that is no literal."""
    if isinstance(step, ast.Attribute):
        return True, step.attr
    try:
        return False, ast.literal_eval(step.slice)
    except (ValueError, TypeError):
        return False, None


def argument_of(name: str, value: Any, cell: PythonCell, around: Surroundings) -> tuple[Any, str]:
    """The value to send, and the expression that makes a `Path` of what arrives as text where the notebook has one, '' otherwise."""
    sent, has_path = _staged(value, around)
    if isinstance(value, ModuleType) and value.__name__ == "__main__":
        raise TemplateError(f"{_where(cell, cell.names.read[name])}: {name!r} is the notebook itself; read its variables by name")
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
    text = "\n" + cell.source
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
            node.lineno = node.end_lineno = text.rstrip("\n").count("\n") + 1
            node.col_offset = node.end_col_offset = 0
    definition.body = [*prologue, *restore, *[node for node in body if node not in future], ending]
    module = ast.fix_missing_locations(ast.Module([*future, definition], []))
    namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
    exec(compile(module, cell.filename, "exec", dont_inherit=True), namespace)
    function: Callable[..., dict[str, Any]] = namespace[cell.name]
    return function
