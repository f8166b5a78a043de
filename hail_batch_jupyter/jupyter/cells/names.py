"""Which names a piece of Python reads from outside and which it assigns: read from its syntax tree, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Names(NamedTuple):
    """Names of a cell, each with the number of the line where it first occurs.

    read      may be read before the cell itself gives them a value
    assigned  the cell gives them a value on its top level
    """

    read: dict[str, int]
    assigned: dict[str, int]


def names_of(body: Sequence[ast.stmt]) -> Names:
    """The names of statements that stand on the top level.

    What is assigned on one branch only counts as read, too, when it is read afterwards. A function that is defined in the
    cell may read every name that the cell assigns anywhere.
    """
    assigned = _assigned(body)
    reader = _Reader(assigned)
    reader.block(body, set())
    return Names(reader.read, assigned)


def _assigned(body: Sequence[ast.stmt]) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in _same_scope(body):
        for name in _bindings(node):
            found.setdefault(name, getattr(node, "lineno", 1))
    return found


def _same_scope(nodes: Iterable[ast.AST]) -> Iterable[ast.AST]:
    """All nodes below that belong to the same scope, in order; of a function or class only the node itself."""
    for node in nodes:
        yield node
        if isinstance(node, _COMPREHENSIONS):
            yield from [part.target for part in ast.walk(node) if isinstance(part, ast.NamedExpr)]
        elif isinstance(node, _SCOPES):
            yield from _same_scope(_outside_parts(node))
            yield from _declared_global(node)
        else:
            yield from _same_scope(ast.iter_child_nodes(node))


def _outside_parts(node: ast.AST) -> list[ast.AST]:
    """What of a function or class is evaluated where it stands: decorators, defaults, annotations, bases."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    arguments = node.args
    parts: list[ast.AST | None] = [*arguments.defaults, *arguments.kw_defaults]
    if not isinstance(node, ast.Lambda):
        parts += [*node.decorator_list, node.returns, *[one.annotation for one in _parameters(node)]]
    return [part for part in parts if part is not None]


def _declared_global(node: ast.AST) -> Iterable[ast.Global]:
    return [inner for inner in ast.walk(node) if isinstance(inner, ast.Global)]


def _bindings(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    if isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)):
        return [node.name] if node.name else []
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    return list(node.names) if isinstance(node, ast.Global) else []


class _Reader:
    """Walks statements in order and keeps which names surely have a value."""

    def __init__(self, assigned: dict[str, int]) -> None:
        self.read: dict[str, int] = {}
        self._assigned = assigned

    def block(self, body: Sequence[ast.AST], known: set[str]) -> set[str]:
        """Walk statements; gives the names known afterwards."""
        for node in body:
            known = self._statement(node, known)
        return known

    def _statement(self, node: ast.AST, known: set[str]) -> set[str]:
        if isinstance(node, ast.If):
            known = self._expression(node.test, known)
            return self.block(node.body, known) & self.block(node.orelse, known)
        if isinstance(node, (ast.For, ast.AsyncFor)):
            known = self._target(node.target, self._expression(node.iter, known))
            self.block(node.orelse, self.block(node.body, known))
            return known
        if isinstance(node, ast.While):
            known = self._expression(node.test, known)
            self.block(node.orelse, self.block(node.body, known))
            return known
        if isinstance(node, (ast.Try, ast.TryStar)):
            return self._try(node, known)
        if isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                known = self._expression(item.context_expr, known)
                known = self._target(item.optional_vars, known) if item.optional_vars else known
            return self.block(node.body, known)
        if isinstance(node, ast.Match):
            return self._match(node, known)
        return self._simple(node, known)

    def _simple(self, node: ast.AST, known: set[str]) -> set[str]:
        if isinstance(node, ast.Assign):
            known = self._expression(node.value, known)
            for target in node.targets:
                known = self._target(target, known)
            return known
        if isinstance(node, ast.AnnAssign):
            known = self._expression(node.annotation, known)
            return self._target(node.target, self._expression(node.value, known)) if node.value else known
        if isinstance(node, ast.AugAssign):
            if isinstance(node.target, ast.Name):
                self._note(node.target.id, node.lineno, known)
            return self._target(node.target, self._expression(node.value, known))
        if isinstance(node, ast.Delete):
            return known - {target.id for target in node.targets if isinstance(target, ast.Name)}
        return self._expression(node, known)

    def _try(self, node: ast.Try | ast.TryStar, known: set[str]) -> set[str]:
        after = self.block(node.orelse, self.block(node.body, known))
        for handler in node.handlers:
            inner = self._expression(handler.type, known) if handler.type else known
            after = after & self.block(handler.body, inner | ({handler.name} if handler.name else set()))
        return after | (self.block(node.finalbody, known) if node.finalbody else set())

    def _match(self, node: ast.Match, known: set[str]) -> set[str]:
        known = self._expression(node.subject, known)
        for case in node.cases:
            bound = {name for part in ast.walk(case.pattern) for name in _bindings(part)}
            inner = self._expression(case.pattern, known) | bound
            self.block(case.body, self._expression(case.guard, inner) if case.guard else inner)
        return known

    def _target(self, node: ast.AST, known: set[str]) -> set[str]:
        """An assignment's target: its names become known, the object of `a.b = 1` and `a[i] = 1` is read."""
        return self._expression(node, known) | {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}

    def _expression(self, node: ast.AST, known: set[str]) -> set[str]:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self._note(node.id, node.lineno, known)
            return known
        if isinstance(node, ast.NamedExpr):
            return self._expression(node.value, known) | {node.target.id}
        if isinstance(node, _SCOPES):
            for part in _outside_parts(node):
                self._expression(part, known)
            self._inner(node, known)
            return known | set(_bindings(node))
        if isinstance(node, _COMPREHENSIONS):
            return self._comprehension(node, known)
        for child in ast.iter_child_nodes(node):
            known = self._expression(child, known)
        return known | set(_bindings(node))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, known: set[str]) -> set[str]:
        inner = known
        for generator in node.generators:
            inner = self._target(generator.target, self._expression(generator.iter, inner))
            for condition in generator.ifs:
                inner = self._expression(condition, inner)
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for result in results:
            inner = self._expression(result, inner)
        walrus = {part.target.id for part in ast.walk(node) if isinstance(part, ast.NamedExpr)}
        return known | walrus

    def _inner(self, node: ast.AST, known: set[str]) -> None:
        """What a function or class reads from around it; a function runs later, when the cell's own names have values."""
        if isinstance(node, ast.ClassDef):
            self.block(node.body, set(known))
            return
        for name, line in _free_in_function(node).items():
            if name not in self._assigned:
                self._note(name, line, known)

    def _note(self, name: str, line: int, known: set[str]) -> None:
        if name not in known:
            self.read.setdefault(name, line)


def _free_in_function(node: ast.AST) -> dict[str, int]:
    """Names that a function or lambda reads and does not bind itself."""
    body = _body(node)
    reader = _Reader(_assigned(body))
    reader.block(body, own_names(node))
    return reader.read


def own_names(node: ast.AST) -> set[str]:
    """Names that a function, lambda or comprehension binds for itself."""
    if isinstance(node, _COMPREHENSIONS):
        return {part.id for generator in node.generators for part in ast.walk(generator.target) if isinstance(part, ast.Name)}
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    body = _body(node)
    borrowed = {name for part in _same_scope(body) if isinstance(part, ast.Global) for name in part.names}
    return {one.arg for one in _parameters(node)} | {name for name in _assigned(body) if name not in borrowed}


def _body(node: ast.AST) -> list[ast.stmt]:
    if isinstance(node, ast.Lambda):
        return [ast.copy_location(ast.Expr(node.body), node.body)]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    return node.body


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.arg]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [one for one in every if one is not None]
