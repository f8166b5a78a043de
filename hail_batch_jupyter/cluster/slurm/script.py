"""The script that sbatch gets."""

from __future__ import annotations

import re
import shlex

from hail_batch_jupyter.cluster.parameter import LaunchParameters
from hail_batch_jupyter.errors import ClusterError

_NODEFILE = """\
LIBBATCH_NODEFILE=`pwd`/batch_nodefile.txt
srun hostname > "$LIBBATCH_NODEFILE"
export LIBBATCH_NODEFILE
"""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def batch_script(params: LaunchParameters) -> str:
    """The whole script: directives, the user's lines, the command.

    Raises ClusterError naming a field with a control character, which would begin a line of its own.
    """
    lines = ["#!/bin/bash -l", *(f"#SBATCH {directive}" for directive in directives(params))]
    extra = params.extra_as_string
    end = [_NODEFILE] if params.create_nodefile else []
    return "".join([*(f"{line}\n" for line in lines), extra, "\n" if extra and not extra.endswith("\n") else "", *end, "\n", command_line(params), "\n"])


def directives(params: LaunchParameters) -> list[str]:
    """What follows `#SBATCH`, only for what is set."""
    array = params.total_jobs > 1
    element = "_%a" if array else ""
    at_once = f"%{params.max_simul_jobs}" if params.max_simul_jobs > 1 else ""
    options = [
        ("job-name", params.name),
        ("array", f"0-{params.total_jobs - 1}{at_once}" if array else ""),
        ("ntasks", str(params.ntasks or "")),
        ("nodes", str(params.nodes or "")),
        ("exclusive", params.exclusive),
        ("time", params.wall_time.strip()),
        ("mem", params.mem_per_node),
        ("mem-per-cpu", params.mem_per_cpu),
        ("qos", params.queue),
        ("partition", params.partition),
        ("wckey", params.wckey),
    ]
    told = [f"--{name}" if value is True else f"--{name}={shlex.quote(checked(name, str(value)))}" for name, value in options if value]
    extra = [checked("extra_as_list", line) for line in params.extra_as_list]
    return [f"--output=logs/output{element}.log", f"--error=logs/error{element}.log", *told, *extra]


def checked(name: str, value: str) -> str:
    """The value of a directive, which has to stay on its line."""
    if _CONTROL.search(value):
        raise ClusterError(f"{name} {value!r}: a control character (a newline, say) cannot stand in a directive of Slurm; leave it out.")
    return value


def command_line(params: LaunchParameters) -> str:
    """The command, each word as it is; the index of an array comes last."""
    index = " $SLURM_ARRAY_TASK_ID" if params.total_jobs > 1 else ""
    return " ".join(map(shlex.quote, params.command)) + index
