"""What follows for the other jobs when a cell makes another number of jobs: who read all of a stage reads all of it again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hail_batch_jupyter.batch.resource import Resource
from hail_batch_jupyter.batch.stage import JobStage, StageFiles
from hail_batch_jupyter.core.draft import CallDraft, JobDraft, Reference
from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.core.template import Files, Piece, refs_of


class Shape(NamedTuple):
    """The jobs of a cell: one job, or the stage that it makes; `uids` are those of the jobs."""

    made: Any
    uids: tuple[int, ...]

    @property
    def many(self) -> bool:
        """Whether it is a stage."""
        return isinstance(self.made, JobStage)

    def each(self, ref: FileRef) -> tuple[FileRef, ...]:
        """The same file of each job."""
        return tuple([ref._replace(owner=uid) for uid in self.uids])

    def named(self, name: str, member: str) -> Any:
        """The file or the files of that name, for the arguments of a call."""
        found = self.made[name]
        return found[member] if member else found


def rewired(user: JobDraft, old: Shape, new: Shape) -> JobDraft:
    """The description of a job that used the cell's jobs, for the jobs that the cell makes now; the same object when nothing changes."""
    uses = set(old.uids)
    depends_on = user.depends_on
    if uses and uses <= depends_on.keys():
        kept = {uid: on for uid, on in depends_on.items() if uid not in uses}
        depends_on = {**kept, **dict.fromkeys(new.uids, depends_on[old.uids[0]])}
    commands = [tuple([_piece(piece, old, new) for piece in template]) for template in user.commands]
    calls = [_call(call, lambda value: _value(value, old, new)) for call in user.calls]
    read = [ref for template in commands for ref in refs_of(template)]
    for call in calls:
        read += [ref for value in (*call.args, *call.kwargs.values()) for ref in _refs(value, old, new)]
    reads = {ref: None for ref in read if ref.owner != user.uid}
    if reads.keys() == set(user.reads) and depends_on == user.depends_on:
        return user
    return dataclasses.replace(user, commands=commands, calls=calls, reads=reads, depends_on=depends_on, submitted=False, job_id=None, kept_in=None)


def _piece(piece: Piece, old: Shape, new: Shape) -> Piece:
    if not old.many:
        if isinstance(piece, FileRef) and _made_by(piece, old):
            return Files(new.each(piece))
        if isinstance(piece, Files):
            return Files(tuple([one for ref in piece.refs for one in (new.each(ref) if _made_by(ref, old) else (ref,))]))
    elif isinstance(piece, Files) and piece.refs and piece.refs == old.each(piece.refs[0]):
        refs = new.each(piece.refs[0])
        return Files(refs) if new.many else refs[0]
    return piece


def _made_by(ref: FileRef, shape: Shape) -> bool:
    return ref.made_by_job and ref.owner in shape.uids


def _call(call: CallDraft, change: Callable[[Any], Any]) -> CallDraft:
    args = tuple([change(value) for value in call.args])
    return dataclasses.replace(call, args=args, kwargs={name: change(value) for name, value in call.kwargs.items()})


def _value(value: Any, old: Shape, new: Shape) -> Any:
    """The value with files of the old jobs replaced, itself where there is none; a stage's own lists follow it by themselves."""
    if isinstance(value, StageFiles):
        return new.named(value.name, value.member) if value.stage is old.made and not new.many else value
    if isinstance(value, Resource):
        ref = value.file_ref
        return new.named(ref.name, ref.member) if not old.many and _made_by(ref, old) else value
    if type(value) in (list, tuple):
        changed = [_value(part, old, new) for part in value]
        return type(value)(changed) if any(one is not other for one, other in zip(changed, value, strict=True)) else value
    if type(value) is dict:
        items = {key: _value(part, old, new) for key, part in value.items()}
        return items if any(items[key] is not part for key, part in value.items()) else value
    return value


def _refs(value: Any, old: Shape, new: Shape) -> Iterator[FileRef]:
    if isinstance(value, StageFiles) and value.stage is old.made and value:
        yield from new.each(value[0].file_ref)
    elif isinstance(value, Reference):
        yield value.file_ref
    elif isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _refs(part, old, new)
