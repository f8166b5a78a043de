"""The jobs of one cell: a single one, or with `--each` one for each item; what differs between them and what they have in common."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.core.error import UsageError

from hail_batch_jupyter.batch.stage import JobStage, jobs_among, stage_names
from hail_batch_jupyter.jupyter.cells import options
from hail_batch_jupyter.jupyter.cells.chains import PythonCell, Surroundings
from hail_batch_jupyter.jupyter.cells.each import Each, filled_text
from hail_batch_jupyter.jupyter.cells.functions import Call, argument_of, build_call, check_function

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.batch.job import Job
    from hail_batch_jupyter.core.files import FileRef


class Copy(NamedTuple):
    """One job of a cell.

    name        the job's                      replaces  the job that it takes the place of
    attributes  say which stage it belongs to  values    the items' variables
    """

    name: str
    replaces: Job | None
    attributes: dict[str, str]
    values: dict[str, Any]


def copies_of(name: str, each: Each | None, old: Job | JobStage[Any] | None) -> list[Copy]:
    """The jobs that a cell makes, each in the place of the old one of its index."""
    before: list[Any] = [] if old is None else jobs_among([old])
    if each is None:
        return [Copy(name, before[0] if before else None, {}, {})]
    return [
        Copy(job_name, before[index] if index < len(before) else None, {"stage": name}, dict(zip(each.names, row, strict=True)))
        for index, (job_name, row) in enumerate(zip(stage_names(name, len(each.rows)), each.rows, strict=True))
    ]


def calls_of(cell: PythonCell, outputs: Sequence[str], arounds: Sequence[Surroundings], varying: Sequence[str]) -> list[Call]:
    """The call of each job; one function serves all whose items are of one kind, so that a thousand jobs compile it once."""
    calls: list[Call] = []
    for around in arounds:
        again = call_again(calls[-1], cell, around, varying) if calls else None
        calls.append(again or build_call(cell, outputs, around))
    return calls


def call_again(call: Call, cell: PythonCell, around: Surroundings, varying: Iterable[str]) -> Call | None:
    """The call of the same function with other values of some names; None where they are of another kind, so that it must be built anew."""
    arguments = dict(call.arguments)
    for name in varying:
        value = around.namespace[name]
        if name in cell.names.read and (around.is_job(value) or name not in arguments):
            return None
        if name in arguments:
            check_function(cell, name, value, around)
            arguments[name], text = argument_of(name, value, cell, around)
            if text != call.restored[name]:
                return None
    for argument, (root, steps) in call.chains.items():
        value = around.namespace[root]
        for is_attribute, key in steps:
            value = getattr(value, key) if is_attribute else value[key]
        if not around.is_file(value):
            return None
        arguments[argument] = value
    return Call(call.function, arguments, call.outputs, call.chains, call.restored)


def filled(pairs: Mapping[str, str], copy: Copy, namespace: Mapping[str, Any], option: str) -> dict[str, str]:
    """Values of `--output` or `--env` for one job, with the braces of its items filled in."""
    if not copy.values:
        return dict(pairs)
    names: Mapping[str, Any] = ChainMap(copy.values, namespace)  # type: ignore[arg-type]  # only the first map is written to, and nobody writes
    made = {}
    for name, text in pairs.items():
        done = filled_text(text, copy.values, names)
        made[name] = done if done != text else str(options.looked_up(f"{name}={text}", namespace, option)).partition("=")[2]
    return made


def check_destinations(outputs: Sequence[Mapping[str, str]], each: Each | None) -> None:
    """Raise UsageError when two items write the same destination."""
    seen: dict[str, int] = {}
    for index, mine in enumerate(outputs):
        for name, dest in mine.items():
            if each is not None and seen.setdefault(dest, index) != index:
                hint = f"{{{each.names[0]}}}"
                raise UsageError(f"--output {name}={dest}: items {seen[dest]} and {index} would both write it; put the item into it, such as {hint}")
            seen[dest] = index


def unused(each: Each, used: Sequence[bool]) -> str:
    """A remark about variables that make no difference, '' when all do."""
    names = [name for name, one in zip(each.names, used, strict=True) if not one]
    return f"; the cell does not use {' and '.join(names)}" if names else ""


def read_names(reads: Sequence[FileRef], batch: Batch) -> list[tuple[str | None, str]]:
    """What jobs read as (job, file), None for an input; files of a stage are as people say them, 'fit.model' for all and 'fit[3].model' for one."""
    stages = batch.stage_of_uid() if batch.stages else {}
    names: list[tuple[str | None, str]] = []
    grouped: dict[tuple[str, str], list[int]] = {}
    for ref in reads:
        stage = stages.get(ref.owner) if ref.made_by_job else None
        if stage is not None:
            grouped.setdefault((stage.name, ref.name), []).append(ref.owner)
        else:
            names.append((batch.job_of(ref.owner).name, ref.name) if ref.made_by_job else (None, short_name(ref, batch)))
    for (stage_name, file), uids in grouped.items():
        inside = [job.job_draft.uid for job in batch.stages[stage_name]]
        index = f"[{inside.index(uids[0])}]" if len(set(uids)) == 1 < len(inside) else ""
        names.append((None, f"{stage_name}{index}.{file}"))
    return names


def owners(uids: Sequence[int], batch: Batch) -> list[str]:
    """Names of jobs, of a stage once."""
    stages = batch.stage_of_uid() if batch.stages else {}
    return list(dict.fromkeys([stages[uid].name if uid in stages else str(batch.job_of(uid).name) for uid in uids]))


def short_name(ref: FileRef, batch: Batch) -> str:
    """'data.csv' for an input, 'fit.model' for a file of a job."""
    if not ref.made_by_job:
        return os.path.basename(batch.draft.inputs[ref.owner].path) or "a group of files"
    return f"{batch.job_of(ref.owner).name}.{ref.name}"
