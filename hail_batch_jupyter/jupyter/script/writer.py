"""Writes a batch as a script: inputs, jobs in the order in which they could run, stages as one piece each, outputs, and the run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.batch.batch import configured_backend
from hail_batch_jupyter.batch.stage import JobStage
from hail_batch_jupyter.compile.compiler import link
from hail_batch_jupyter.core.dag import topological_order
from hail_batch_jupyter.jupyter.script.calls import Calls
from hail_batch_jupyter.jupyter.script.commands import Expressions, command_text
from hail_batch_jupyter.jupyter.script.references import References
from hail_batch_jupyter.jupyter.script.settings import batch_arguments, group_arguments, setters
from hail_batch_jupyter.jupyter.script.stages import Stages
from hail_batch_jupyter.jupyter.script.values import Names, Values

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.draft import InputDraft, JobDraft, OutputDraft


_WIDTH = 120


class Writer:
    """One batch on its way to a script.

    known  the notebook's variables: inputs are called as there
    """

    def __init__(self, batch: Batch, known: Mapping[str, Any]) -> None:
        self._batch = batch
        self._known = known
        self._names = Names()
        self._references = References(batch.draft)
        self.values = Values(self._names, self._references.file, self._references.stage_files)
        self._calls = Calls(self._names, self.values, self._references)
        self._stages = Stages(self.values, self._references)
        self._groups: dict[int, str] = {}
        self._lines: list[str] = []

    def body(self) -> list[str]:
        """The lines from the batch to its last output; what they need beside is then in `values`."""
        draft = self._batch.draft
        self._batch_lines()
        pieces = self._pieces()
        used = {ref.owner for one in draft.jobs.values() for ref in one.reads if not ref.made_by_job}
        used |= {output.ref.owner for output in draft.outputs if not output.ref.made_by_job}
        known: dict[str, str] = {}
        for one in [draft.inputs[uid] for uid in draft.inputs if uid in used]:
            if one.members is None and _absolute(one.path) in known:
                self._references.inputs[one.uid] = known[_absolute(one.path)]
            else:
                self._lines.append(self._input(one))
                known[_absolute(one.path)] = self._references.inputs[one.uid]
        for stage, uids in pieces:
            self._lines.append("")
            self._describe(stage, [draft.jobs[uid] for uid in uids])
        outputs = [*[output for _, uids in pieces for uid in uids for output in draft.jobs[uid].outputs], *draft.outputs]
        self._lines += [""] if outputs else []
        self._outputs(outputs)
        return self._lines

    def _batch_lines(self) -> None:
        draft, backend = self._batch.draft, self._batch.backend
        arguments, made_with = batch_arguments(draft), backend.made_with()
        if type(backend) is not type(configured_backend()) or made_with:
            kind = "hb.LocalBackend" if backend.name == "local" else self.values.text(type(backend), "backend")
            given = ", ".join([f"{name}={self.values.text(value, f'backend.{name}')}" for name, value in made_with.items()])
            arguments.append(f"backend={kind}({given})")
        self._lines.append(f"b = hb.Batch({', '.join(arguments)})")
        if draft.at_most is not None:
            self._lines.append(f"b.at_most({draft.at_most})")
        for group in draft.groups:
            name = self._groups[group.group_id] = self._names.new(f"group_{group.name}")
            self._lines.append(f"{name} = {self._groups.get(group.parent, 'b')}.new_group({', '.join(group_arguments(group))})")

    def _input(self, one: InputDraft) -> str:
        path = _absolute(one.path)
        held = [name for name, value in self._known.items() if not name.startswith("_") and _is_path(value, path)]
        name = self._references.inputs[one.uid] = self._names.new(held[0] if held else PurePath(path).name or "files")
        if one.members is None:
            return f"{name} = b.read_input({path!r})"
        return f"{name} = b.read_input_group({', '.join(f'{member}={_absolute(path)!r}' for member, path in one.members.items())})"

    def _pieces(self) -> list[tuple[JobStage[Any] | None, list[int]]]:
        """Single jobs and whole stages, those before that others use.

        Raises CycleError where a job of a stage uses, over others, one of the same stage.
        """
        draft, stage_of = self._batch.draft, self._batch.stage_of_uid()
        parents = link(draft).parents
        whole = {uid: tuple([job.job_draft.uid for job in stage_of[uid]]) if uid in stage_of else (uid,) for uid in draft.jobs}
        pieces = list(dict.fromkeys(whole.values()))
        place = {uid: number for number, uids in enumerate(pieces) for uid in uids}

        def parents_of(number: int) -> list[int]:
            return [place[parent] for uid in pieces[number] for parent in parents[uid] if place[parent] != number]

        order = topological_order(len(pieces), parents_of, lambda number: str(draft.jobs[pieces[number][0]]))
        return [(stage_of.get(pieces[number][0]), list(pieces[number])) for number in order]

    def _describe(self, stage: JobStage[Any] | None, drafts: Sequence[JobDraft]) -> None:
        first = drafts[0]
        name = self._names.new(stage.name if stage is not None else first.name or f"job_{first.uid}")
        if stage is None:
            self._references.jobs[first.uid] = name
            self._lines.append(f"{name} = b.new_{first.kind}_job({', '.join(_job_words(first))})")
            self._work(name, first)
        else:
            self._references.jobs.update({draft.uid: f"{name}[{number}]" for number, draft in enumerate(drafts)})
            self._references.stages[tuple([draft.uid for draft in drafts])] = name
            self._stage(name, stage, drafts)
        self._settings(name, drafts)

    def _stage(self, name: str, stage: JobStage[Any], drafts: Sequence[JobDraft]) -> None:
        mapped = self._stages.mapped(name, stage, drafts)
        if mapped is not None:
            self._lines.append(mapped)
            return
        self._lines.append(self._stages.listed(name, stage, drafts))
        loop = self._calls.loop(drafts, name, stage.items)
        if loop is not None:
            self._lines += loop
            return
        for number, draft in enumerate(drafts):
            self._work(f"{name}[{number}]", draft)

    def _work(self, name: str, draft: JobDraft) -> None:
        expressions = Expressions(self._references.file, self._references.files)
        for group in draft.groups.values():
            self._lines.append(f"{name}.declare_resource_group({group.name}={group.members!r})")
        self._lines += [f"{name}.command({command_text(template, expressions)})" for template in draft.commands]
        self._lines += [f"{name}.{self._calls.text(call, name)}" for call in draft.calls]

    def _settings(self, name: str, drafts: Sequence[JobDraft]) -> None:
        """Setters and groups, once for a stage whose jobs have the same; extensions of files each."""

        def env_text(variable: str, value: str) -> str:
            known = [key for key, stored in self.values.stored.items() if key.startswith(f"{name}.env.{variable}") and stored == value]
            return f"values[{known[0]!r}]" if known else self.values.store(value, f"{name}.env.{variable}")

        said = [(*setters(draft, self._references.jobs_text, env_text), *[f"take {draft.group}"][: draft.group]) for draft in drafts]
        alike = len(drafts) > 1 and len(set(said)) == 1
        for draft, lines in [(drafts[0], said[0])] if alike else list(zip(drafts, said, strict=True)):
            target = name if alike else self._references.jobs[draft.uid]
            self._lines += _chained(target, [line for line in lines if not line.startswith("take ")])
            self._lines += [self._taken(draft, target, alike) for line in lines if line.startswith("take ")]
        for draft in drafts:
            self._extensions(draft)

    def _taken(self, draft: JobDraft, target: str, alike: bool) -> str:
        group = self._groups[draft.group]
        return f"for job in {target}:\n    {group}.take(job)" if alike else f"{group}.take({target})"

    def _extensions(self, draft: JobDraft) -> None:
        job = self._references.jobs[draft.uid]
        results = {f"{name}-{form}" for call in draft.calls for name, forms in call.forms.items() for form in forms}
        for file in draft.files.values():
            if file.extension and file.name not in results:
                self._lines.append(f"{job}[{file.name!r}].add_extension({file.extension!r})")
        for group in draft.groups.values():
            self._lines += [f"{job}[{group.name!r}][{member!r}].add_extension({text!r})" for member, text in group.extensions.items()]

    def _outputs(self, outputs: Sequence[OutputDraft]) -> None:
        """Each file to its place; those of a stage in one loop."""
        waiting = list(dict.fromkeys([(output.ref, output.dest) for output in outputs]))
        while waiting:
            ref, dest = waiting[0]
            uids = next((uids for uids in self._references.stages if ref.owner == uids[0] and ref.made_by_job), ())
            mine = [one for one in waiting if one[0]._replace(owner=0) == ref._replace(owner=0) and one[0].owner in uids]
            if len(mine) > 1 and tuple([one.owner for one, _ in mine]) == uids:
                files = self._references.files(tuple([one for one, _ in mine]))[0]
                places = self.values.text([place for _, place in mine], f"{self._references.stages[uids]}.places")
                self._lines.append(f"for file, place in zip({files}, {places}):\n    b.write_output(file, place)")
                waiting = [one for one in waiting if one not in mine]
            else:
                self._lines.append(f"b.write_output({self._references.file(ref)}, {dest!r})")
                waiting = waiting[1:]


def _chained(target: str, calls: Sequence[str]) -> list[str]:
    """Calls of setters one behind the other, on lines that can be read."""
    lines: list[str] = []
    for call in calls:
        if lines and len(lines[-1]) + len(call) < _WIDTH:
            lines[-1] += f".{call}"
        else:
            lines.append(f"{target}.{call}")
    return lines


def _absolute(path: str) -> str:
    """A path of this machine whole, so that the script runs in any folder; an address as it is."""
    return path if "://" in path or not path else os.path.abspath(os.path.expanduser(path))


def _is_path(value: object, path: str) -> bool:
    return isinstance(value, PurePath) and str(Path(value).expanduser().absolute()) == path


def _job_words(draft: JobDraft) -> list[str]:
    given = {"name": draft.name, "attributes": dict(draft.attributes) or None, "shell": draft.shell}
    return [f"{name}={value!r}" for name, value in given.items() if value is not None]
