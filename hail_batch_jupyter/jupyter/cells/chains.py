"""Files and results of jobs in a cell of Python: found in its syntax tree, and replaced by variables."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from hail_batch_jupyter.errors import BatchException, TemplateError
from hail_batch_jupyter.jupyter.cells.names import Names, own_names


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


def where(cell: PythonCell, line: int) -> str:
    """The line of a cell as messages name it."""
    text = ("\n" + cell.source).split("\n")[line - 1].strip()
    return f"line {line}, {text if len(text) <= 100 else text[:99] + '…'!r}"


class ResourceFinder(ast.NodeTransformer):
    """Puts a variable in the place of `fit.model`, `qc['score']` and members of groups.

    found  variable -> the file        chains  variable -> the job's name, then the attributes (True) and items (False) behind it
    spans  (first line, column, last line, column) of what stood there, and what stands there now
    """

    def __init__(self, cell: PythonCell, jobs: Mapping[str, Any], around: Surroundings) -> None:
        self.found: dict[str, Any] = {}
        self.chains: dict[str, tuple[str, tuple[tuple[bool, Any], ...]]] = {}
        self.spans: list[tuple[int, int, int, int, str]] = []
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

    @property
    def texts(self) -> dict[str, str]:
        """Variable -> what the cell says."""
        return {name: text for text, name in self._names.items()}

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
        place = (node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)
        made = self._resolved(root, steps[::-1])
        if isinstance(made, ast.Name) and not isinstance(node.ctx, ast.Load):
            text = ast.unparse(node)
            raise TemplateError(
                f"{where(self._cell, node.lineno)}: {text!r} is of a job and cannot be assigned or deleted; to make a file write to its path, open({text}, 'w')"
            )
        self.spans.append((*place, ast.unparse(made)))
        return made

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
            f"{where(self._cell, root.lineno)}: {text!r} {'is a job' if not steps else 'belongs to a job'}, which cannot travel into another; "
            f"name one of its files or results, such as {root.id}.model or {root.id}['score']"
        )

    def _step(self, step: ast.Attribute | ast.Subscript, text: str, value: Any) -> tuple[str, Any]:
        """The value one attribute or item further on; reading it is all that happens."""
        key = _key(step)[1]
        try:
            if isinstance(step, ast.Attribute):
                return f"{text}.{step.attr}", getattr(value, step.attr)
            if isinstance(key, (str, int)):
                return f"{text}[{key!r}]", value[key]
        except BatchException:
            raise
        except (AttributeError, LookupError, TypeError) as error:
            raise TemplateError(f"{where(self._cell, step.lineno)}: {ast.unparse(step)!r} cannot be read, {type(error).__name__}: {error}") from error
        raise TemplateError(
            f"{where(self._cell, step.lineno)}: {text}[{ast.unparse(step.slice)}] is looked up when the cell is defined, not in the job; "
            f"put the files into a list in an earlier cell and read that"
        )

    def _is_group_step(self, value: Any, rest: Sequence[ast.AST]) -> bool:
        """Whether `value` is a group and the chain goes on to a member of it."""
        return bool(rest) and not isinstance(value, (str, list))

    def _refuse_handle(self, text: str, rest: Sequence[ast.Attribute | ast.Subscript], line: int) -> None:
        if rest and isinstance(rest[0], ast.Attribute) and rest[0].attr in ("path", "result"):
            raise TemplateError(f"{where(self._cell, line)}: in the job {text!r} already is the path or value; leave .{rest[0].attr}() out")

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
