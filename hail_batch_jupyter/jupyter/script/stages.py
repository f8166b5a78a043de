"""Stages as text of a script: by `Batch.map` where the jobs run one command with other values, else as a list of jobs and a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.batch.stage import JobStage, stage_names
from hail_batch_jupyter.core import template
from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.jupyter.script.commands import Expressions, stage_command
from hail_batch_jupyter.jupyter.script.references import References
from hail_batch_jupyter.jupyter.script.values import Values

if TYPE_CHECKING:
    from hail_batch_jupyter.core.draft import JobDraft


class Stages:
    """Writes stages."""

    def __init__(self, values: Values, references: References) -> None:
        self._values = values
        self._references = references

    def mapped(self, name: str, stage: JobStage[Any], drafts: Sequence[JobDraft]) -> str | None:
        """`fit = b.map(…)`; None where a map would not make just these jobs."""
        regular = [draft.name for draft in drafts] == stage_names(stage.name, len(drafts)) and drafts[0].shell is None
        if not regular or any(len(draft.commands) != 1 or draft.groups or dict(draft.attributes) != {"stage": stage.name} for draft in drafts):
            return None
        expressions = Expressions(self._references.file, self._references.files)
        made = stage_command([draft.commands[0] for draft in drafts], [draft.uid for draft in drafts], expressions)
        return None if made is None else f"{name} = b.map({stage.name!r}, {self._items(stage, made[1])}, {made[0]})"

    def listed(self, name: str, stage: JobStage[Any], drafts: Sequence[JobDraft]) -> str:
        """`fit = hb.JobStage(…)` of jobs that are yet to be described."""
        count, first = len(drafts), drafts[0]
        shell = "" if first.shell is None else f", shell={first.shell!r}"
        width = len(str(max(count - 1, 0)))
        number = "{i}" if width == 1 else f"{{i:0{width}d}}"
        regular = [draft.name for draft in drafts] == stage_names(stage.name, count)
        each, over = (f'f"{stage.name}-{number}"', f"range({count})") if regular else ("i", repr([draft.name for draft in drafts]))
        jobs = f'[b.new_{first.kind}_job({each}, {{"stage": {stage.name!r}}}{shell}) for i in {over}]'
        return f"{name} = hb.JobStage(b, {stage.name!r}, {jobs}, {self._values.text(stage.items, f'{stage.name}.items')})"

    def _items(self, stage: JobStage[Any], columns: Sequence[tuple[template.Piece, ...]]) -> str:
        """The items of a command: those of the notebook where their texts are those in it."""
        if not columns:
            return f"range({len(stage)})"
        rows = list(zip(*columns, strict=True))
        if len(columns) == 1 and all(_is_text_of(item, row[0]) for item, row in zip(stage.items, rows, strict=True)):
            return self._values.text(stage.items, f"{stage.name}.items")
        texts = [[self._part(piece) for piece in row] for row in rows]
        return "[" + ", ".join([row[0] if len(columns) == 1 else f"({', '.join(row)})" for row in texts]) + "]"

    def _part(self, piece: template.Piece) -> str:
        if isinstance(piece, FileRef):
            return self._references.file(piece)
        if isinstance(piece, template.Files):
            return f"[{', '.join(map(self._references.file, piece.refs))}]"
        return repr(list(piece.texts) if isinstance(piece, template.Values) else piece.text if isinstance(piece, template.Value) else piece)


def _is_text_of(item: object, piece: template.Piece) -> bool:
    return type(item) in (int, float, str) and isinstance(piece, template.Value) and str(item) == piece.text
