"""The six forms of a time limit; source: https://slurm.schedmd.com/sbatch.html#OPT_time."""

from __future__ import annotations

import re

from hail_batch_jupyter.errors import ClusterError

_FORMS = (
    (r"(\d+)", (60,)),
    (r"(\d+):(\d+)", (60, 1)),
    (r"(\d+):(\d+):(\d+)", (3600, 60, 1)),
    (r"(\d+)-(\d+)", (86400, 3600)),
    (r"(\d+)-(\d+):(\d+)", (86400, 3600, 60)),
    (r"(\d+)-(\d+):(\d+):(\d+)", (86400, 3600, 60, 1)),
)


def slurm_time_to_seconds(val: str) -> str:
    """Seconds of a time limit as decimal digits, '' of a blank one; '0' means no limit.

    >>> from hail_batch_jupyter.cluster.tools import slurm_time_to_seconds
    >>> slurm_time_to_seconds('90'), slurm_time_to_seconds('0-5:30')
    ('5400', '19800')

    Raises ClusterError for anything but `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours`, `days-hours:minutes`,
    `days-hours:minutes:seconds`.
    """
    text = val.strip()
    if not text:
        return ""
    for form, units in _FORMS:
        found = re.fullmatch(form, text, re.ASCII)
        if found:
            return str(sum(int(part) * unit for part, unit in zip(found.groups(), units)))
    raise ClusterError(
        f"Invalid time format: {val}. Use '90' (minutes), '1:30' (minutes:seconds), '2:0:0', '1-12' (days-hours), '0-5:30' or '1-2:3:4'."
    ) from ValueError(val)
