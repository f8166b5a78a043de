"""The shell text that Slurm runs: one script for all jobs of a run, and one private file for each attempt."""

from __future__ import annotations

import re
import shlex

from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.core.spec import SCRATCH
from hail_batch_jupyter.observe import procfs

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

JOB = r"""#!/bin/bash
# Runs one attempt; arguments: the folder of the run's Slurm jobs, and the list of the attempts of this array.
folder=$1
[ ! -e "$folder/closed" ] && [ -r "$folder/$2.list" ] || exit 0
mapfile -t attempts < "$folder/$2.list"
attempt=${attempts[$SLURM_ARRAY_TASK_ID]}
restart=${SLURM_RESTART_COUNT:-0}
say() {
    printf '%s\n' "$2" > "$folder/words/$attempt.$1.new" && mv -f "$folder/words/$attempt.$1.new" "$folder/words/$attempt.$1"
}
signalled=0
child=
trap 'signalled=1; [ -z "$child" ] || kill -TERM -- "-$child" 2>/dev/null' TERM
[ "$restart" = 0 ] || rm -f "$folder/words/$attempt.ended"
say began "$restart ${SLURMD_NODENAME:-}"
set -m
bash "$folder/tasks/$attempt.sh" < /dev/null &
child=$!
set +m
[ "$signalled" = 0 ] || kill -TERM -- "-$child" 2>/dev/null
while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || break
done
kill -KILL -- "-$child" 2>/dev/null
[ "$code" = 0 ] || sleep 0.2  # what ends the command is sent to this shell as well, perhaps a moment later
say ended "$code $signalled $restart"
exit "$code"
"""
"""What every job runs: the command in a process group of its own, and words about its begin and end for the runner.

A job that was told to end says so: whether it was cancelled, ran out of time or is to begin again only Slurm knows.
"""


def task_text(attempt: Attempt, run_id: str, scratch: str, python: str | None) -> str:
    """The script of one attempt; what it holds stands on no command line, for the shell replaces itself.

    Raises ValueError for a variable that no shell can have, and for a NUL.
    """
    env = {**attempt.env, procfs.RUN_VARIABLE: run_id, procfs.ATTEMPT_VARIABLE: attempt.attempt_id}
    argv = [_in_scratch(word, scratch) for word in attempt.argv]
    if attempt.job.kind == "python" and python is not None:
        argv[0] = python
    lines = [f"exec >> {shlex.quote(attempt.log)} 2>&1"]
    lines += [f"export {_name(name)}={shlex.quote(value)}" for name, value in env.items()]
    lines += [f"cd {shlex.quote(attempt.directory)} || exit 1"]
    lines += ['[ "${SLURM_RESTART_COUNT:-0}" = 0 ] || find . -mindepth 1 -delete']
    text = "\n".join([*lines, f"exec {shlex.join(argv)}", ""])
    if "\0" in text:
        raise ValueError("a command or a value has a NUL, which no program can be given; remove it")
    return text


def _name(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"the variable {name!r} has a name that no shell can have; use letters, digits and _")
    return name


def _in_scratch(word: str, scratch: str) -> str:
    """A path that begins with the name of the scratch folder; a script has that in its variable."""
    return scratch + word[len(SCRATCH) :] if word.startswith(SCRATCH + "/") else word
