"""What jobs of one stage have in common: the stem of their names."""

from __future__ import annotations

import re

from hail_batch_jupyter.core.spec import JobSpec

_ID_TAIL = re.compile(r"(?:[-_.:#/ ]+[^-_.:#/ ]*\d[^-_.:#/ ]*|\[[^\[\]]*\]|\([^()]*\)|\d+)$")


def stem(name: str) -> str:
    """The name without numbers and ids at its end: 'fit' of 'fit12', 'fit-3', 'fit_NA12878' and 'fit[3]'; a name of digits only stays."""
    while match := _ID_TAIL.search(name):
        if match.start() == 0:
            return name
        name = name[: match.start()]
    return name


def stage_name(job: JobSpec) -> str:
    """The stage that a job says it belongs to, else the stem of its name."""
    return job.attributes.get("stage") or stem(job.name or "job")
