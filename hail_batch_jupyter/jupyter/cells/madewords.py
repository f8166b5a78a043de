"""What a cell says when it has become a job: what it waits for, reads and makes, in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hail_batch_jupyter.core.stems import stem

_SHOWN = 6
_OWN_RESULT = re.compile(r"result\d+")
"""What a result is called that nobody gave a name."""


def made_line(name: str, batch: str | None, after: Sequence[str], reads: Sequence[tuple[str | None, str]], makes: Sequence[str], over: str = "") -> str:
    """'fit: 24 jobs over alpha; after check; reads data.csv, load.table; makes model'.

    reads   (job, file) each, None for the job where the file is an input
    over    what the jobs of a stage are for
    """
    parts = [
        over,
        f"after {_listed(after)}" if after else "",
        f"reads {_listed(_grouped(reads))}" if reads else "",
        f"makes {_listed(makes)}" if makes else "",
    ]
    return f"{name}: {'; '.join(filter(None, parts)) or f'a job of {batch!r}'}"


def _grouped(reads: Sequence[tuple[str | None, str]]) -> list[str]:
    """The same file of three or more jobs of one stem as one: 'model of fit-1 … fit-24 (24 jobs)'."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    words: list[str] = []
    for job, file in dict.fromkeys(reads):
        if job is None:
            words.append(file)
        else:
            groups.setdefault((stem(job), "result" if _OWN_RESULT.fullmatch(file) else file), []).append((job, file))
    for (_, file), members in groups.items():
        jobs = list(dict.fromkeys([job for job, _ in members]))
        if len(jobs) < 3:
            words += [f"{job}.{name}" for job, name in members]
        else:
            words.append(f"{'results' if file == 'result' else file} of {jobs[0]} … {jobs[-1]} ({len(jobs)} jobs)")
    return words


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else "")
