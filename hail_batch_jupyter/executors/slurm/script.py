"""The shell text that Slurm runs: one script for all jobs of a run, and one private file for each attempt."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.executors.container.command import in_scratch
from hail_batch_jupyter.executors.container.meter import meter_path, report_path
from hail_batch_jupyter.executors.slurm.container import Contained, contained
from hail_batch_jupyter.executors.slurm.words import SlurmSettings
from hail_batch_jupyter.observe import procfs

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

JOB = r"""#!/bin/bash
# Runs a task of an array; arguments: the folder of the run's Slurm jobs, the list of the array's attempts, a Python beside the system's.
folder=$1
[ ! -e "$folder/closed" ] && [ -r "$folder/$2.list" ] || exit 0
for python in /usr/bin/python3 python3 /usr/libexec/platform-python "$3"; do
    ! command -v "$python" > /dev/null || exec "$python" -I -S "$folder/task.py" "$folder" "$2"
done
mapfile -t tasks < "$folder/$2.list"
for attempt in ${tasks[$SLURM_ARRAY_TASK_ID]}; do
    word=$folder/words/$attempt.ended
    printf '126 0 0 0 0 0 0 0 %s\n%s\n' "${SLURMD_NODENAME:-}" "found no Python 3.6 or later" > "$word.new" && mv -f "$word.new" "$word"
done
exit 126
"""
"""What every task of an array begins with: it finds a Python for `task.py`."""


def task_program() -> str:
    """The text of `task.py`, which the nodes get a copy of; this package may be in a zip file."""
    import pkgutil

    data = pkgutil.get_data(__package__ or "", "task.py")
    assert data is not None
    return data.decode()


def task_text(attempt: Attempt, run_id: str, scratch: str, settings: SlurmSettings) -> str:
    """The script of one attempt; what it holds stands on no command line, for the shell replaces itself.

    Its first four lines tell `task.py` the log, the folder, what removes the rest of a container that was killed, and where it is measured.
    Raises ValueError for a variable that no shell can have, and for a NUL.
    """
    env = {procfs.RUN_VARIABLE: run_id, procfs.ATTEMPT_VARIABLE: attempt.attempt_id}
    has_image = attempt.job.image and settings.engine
    run = _in_image(attempt, run_id, scratch, settings) if has_image else _plain(attempt, scratch, settings)
    report = report_path(scratch, attempt) if has_image else ""
    lines = [f"# {attempt.log}", f"# {attempt.directory}", f"# {run.clean}", f"# {report}"]
    lines += ['[ "${SLURM_RESTART_COUNT:-0}" = 0 ] || find . -mindepth 1 -delete']
    lines += settings.setup
    lines += [f"export {_name(name)}={shlex.quote(value)}" for name, value in {**run.env, **env}.items()]
    lines += _measured(run.argv, len(attempt.argv), scratch, report) if has_image else [f"exec {shlex.join(run.argv)}"]
    text = "\n".join([*lines, ""])
    if "\0" in text:
        raise ValueError("a command or a value has a NUL, which no program can be given; remove it")
    return text


def _measured(argv: Sequence[str], n_inside: int, scratch: str, report: str) -> list[str]:
    """The command of a container whose last `n_inside` words run in it, there behind the program that measures, where the node can start that."""
    engine, inside = shlex.join(argv[:-n_inside]), shlex.join(argv[-n_inside:])
    here = f'hbj_meter={shlex.quote(meter_path(scratch, ""))}$(uname -m); "$hbj_meter" 2> /dev/null || hbj_meter='
    return [here, f"hbj_report={shlex.quote(report)}.${{SLURM_RESTART_COUNT:-0}}", f'exec {engine} ${{hbj_meter:+"$hbj_meter" "$hbj_report"}} {inside}']


def _plain(attempt: Attempt, scratch: str, settings: SlurmSettings) -> Contained:
    argv = [in_scratch(word, scratch) for word in attempt.argv]
    if attempt.job.kind == "python" and settings.python is not None:
        argv[0] = settings.python
    return Contained(argv, attempt.env, "")


def _in_image(attempt: Attempt, run_id: str, scratch: str, settings: SlurmSettings) -> Contained:
    from hail_batch_jupyter.executors.container.executor import linked_inputs  # most runs have no images

    return contained(attempt, settings, run_id, scratch, linked_inputs(attempt, scratch))


def _name(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"the variable {name!r} has a name that no shell can have; use letters, digits and _")
    return name
