"""Calls of Python jobs as text of a script, with the definitions of what they call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.jupyter.cells.functions import RECIPES
from hail_batch_jupyter.jupyter.script.functions import function_text, needs_path, parameter_names
from hail_batch_jupyter.jupyter.script.references import References
from hail_batch_jupyter.jupyter.script.values import Names, Values

if TYPE_CHECKING:
    from hail_batch_jupyter.core.draft import CallDraft, JobDraft


class Calls:
    """Writes calls; each function is defined once."""

    def __init__(self, names: Names, values: Values, references: References) -> None:
        self._names = names
        self._values = values
        self._references = references
        self._functions: dict[int, str] = {}

    def text(self, call: CallDraft, what: str) -> str:
        """`call_named(…)` or `call(…)`; `what` begins the names of values that go into the file beside the script."""
        return self._written(call, self._arguments(call, what), what)

    def loop(self, drafts: Sequence[JobDraft], stage: str, items: Sequence[Any]) -> list[str] | None:
        """The lines that describe all jobs of a stage in one loop; None where they differ in more than the values of one call."""
        calls = [draft.calls[0] for draft in drafts if len(draft.calls) == 1]
        first = calls[0] if len(calls) == len(drafts) else None
        if first is None or any(call.function is not first.function or call.args or call.results != first.results for call in calls):
            return None
        rows = []
        for draft, call in zip(drafts, calls, strict=True):
            with self._references.loop_over(draft.uid):
                rows.append(self._arguments(call, stage))
        if any(row.keys() != rows[0].keys() for row in rows):
            return None
        varying = [name for name in rows[0] if len({row[name] for row in rows}) > 1]
        variables = {name: self._parameters(first, list(rows[0]))[name] for name in varying}
        if any(not self._names.is_free(variable) for variable in variables.values()):
            variables = {name: f"{variable}_of_job" for name, variable in variables.items()}
        text = self._written(first, {**rows[0], **variables}, stage)
        if len(varying) == 1 and [row[varying[0]] for row in rows] == [self._values.plain(item) for item in items]:
            return [f"for job, {variables[varying[0]]} in zip({stage}, {stage}.items):", f"    job.{text}"]
        return [_loop_head(stage, [[row[name] for name in varying] for row in rows], list(variables.values())), f"    job.{text}"]

    def _arguments(self, call: CallDraft, what: str) -> dict[str, str]:
        """Expressions of the keyword arguments, without those that the script has as names of its own: modules, functions and classes."""
        recipe, found = RECIPES.get(call.function), {}
        for name, value in call.kwargs.items():
            if recipe is not None and name not in recipe.cell.names.assigned and self._values.bind(name, value):
                continue
            found[name] = self._values.text(value, f"{what}.{name}")
        return found

    def _parameters(self, call: CallDraft, arguments: Sequence[str]) -> dict[str, str]:
        recipe = RECIPES.get(call.function)
        return dict(zip(arguments, arguments, strict=True)) if recipe is None else parameter_names(recipe, arguments)

    def _written(self, call: CallDraft, arguments: Mapping[str, str], what: str) -> str:
        parameters = self._parameters(call, list(arguments))
        words = [self._function(call, parameters, what)]
        words += [repr(list(call.results))] if call.named else []
        words += [self._values.text(value, f"{what}.{number}") for number, value in enumerate(call.args, 1)]
        words += [f"{parameters[name]}={text}" for name, text in arguments.items()]
        return f"{'call_named' if call.named else 'call'}({', '.join(words)})"

    def _function(self, call: CallDraft, parameters: Mapping[str, str], what: str) -> str:
        recipe = RECIPES.get(call.function)
        if recipe is None:
            name = getattr(call.function, "__name__", "")
            return name if name.isidentifier() and self._values.bind(name, call.function) else self._values.text(call.function, f"{what}.function")
        known = self._functions.get(id(call.function))
        if known is None:
            known = self._functions[id(call.function)] = self._names.new(f"{recipe.cell.name}_work")
            if needs_path(recipe, parameters):
                self._values.imports["from pathlib import Path"] = None
            self._values.definitions.append(function_text(known, recipe, parameters, call.results))
        return known


def _loop_head(stage: str, rows: Sequence[Sequence[str]], variables: Sequence[str]) -> str:
    if not variables:
        return f"for job in {stage}:"
    alone = len(variables) == 1
    items = ", ".join([row[0] if alone else f"({', '.join(row)})" for row in rows])
    target = variables[0] if alone else f"({', '.join(variables)})"
    return f"for job, {target} in zip({stage}, [{items}]):"
