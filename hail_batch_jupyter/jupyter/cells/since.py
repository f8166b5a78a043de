"""What the cells say now beside what they said when the batch ran last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hail_batch_jupyter.compile.compiler import job_keys
from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.jupyter.words import word_of

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.batch.job import Job

_MOST = 3000
"""In larger batches a cell does not look back at once: it takes a tenth of a millisecond a job."""


def last_words(batch: Batch, uids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Of each job its word in the last run, '' where it was not in it, and '', 'changed' or 'new'; nothing before the first run."""
    last = batch.last_run
    if last is None:
        return {}
    ran = {job.name: (job, view) for job, view in zip(last.spec.jobs, last.snapshot().jobs, strict=True)}
    keys, found = job_keys(batch.draft), {}
    for uid in uids:
        job, view = ran.get(batch.draft.jobs[uid].name, (None, None))
        found[uid] = ("", "new") if job is None or view is None else (word_of(view), "" if job.key == keys[uid] else "changed")
    return found


def since_text(said: Sequence[tuple[str, str]]) -> str:
    """'cell changed since the run', '3 of 24 new since the run'."""
    parts = []
    for what in ("changed", "new"):
        count = sum(1 for _, one in said if one == what)
        if count:
            parts.append(f"{'cell' if count == len(said) else f'{count} of {len(said)}'} {what} since the run")
    return "; ".join(parts)


def cell_remark(batch: Batch, jobs: Sequence[Job]) -> str:
    """What a cell adds to its line when its jobs are no longer those of the last run; '' where they are, or where nothing ran."""
    try:
        words = last_words(batch, [job.job_draft.uid for job in jobs]) if len(batch.draft.jobs) <= _MOST else {}
    except BatchException:  # a graph that cannot run is told when it is to run
        return ""
    changed = sum(1 for _, what in words.values() if what == "changed")
    if not changed:
        return ""
    return f"; {'' if changed == len(jobs) else f'{changed} of {len(jobs)} '}changed since the last run, %batch_run brings the results up to date"


def older_line(batch: Batch) -> str:
    """One line about jobs of the last run whose cells say something else now; '' where there are none."""
    inside = batch.stage_of_uid()
    try:
        words = last_words(batch, list(batch.draft.jobs))
    except BatchException:
        return ""
    changed = [uid for uid, (_, what) in words.items() if what == "changed"]
    names = list(dict.fromkeys([inside[uid].name if uid in inside else str(batch.draft.jobs[uid].name) for uid in changed]))
    if not names:
        return ""
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"{shown} changed since this run, which is of the older text; %batch_run brings it up to date"
