"""The words of Slurm: how a job is asked for, what the commands answer, and what a state means; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.observe.slurm_jobs import Answer, Word

ARRAY_SIZE = 1001
"""Slurm's own limit on the index of an array, where the site sets no other."""
SQUEUE_FORMAT = "%F|%K|%T|%r"
"""Array, index, state, why it waits; each separated by what none of them holds."""
_ID = re.compile(r"(\d+)(;\S+)?")
_FULL = re.compile(r"MaxSubmit|MaxJobCount|submit limit|temporarily unable to accept|Resource temporarily unavailable", re.IGNORECASE)
_AWAY = re.compile(
    r"Socket timed out|Unable to contact|Connection refused|Connection timed out|Connection reset|Zero Bytes|Communication|standby|Transport endpoint|"
    r"Can't find an address|Message receive failure|Message send failure|Protocol authentication|Invalid authentication|munge",
    re.IGNORECASE,
)
_SAID = re.compile(r"^sbatch: (?:error: )?(?:Batch job submission failed: )?")
LIVE = frozenset(
    {
        *("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "STOPPED", "COMPLETING", "SIGNALING", "STAGE_OUT", "RESIZING"),
        *("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
    }
)
_LOST = {
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node did not start",
    "LAUNCH_FAILED": "Slurm could not launch it",
    "RECONFIG_FAIL": "its node could not be set up",
    "PREEMPTED": "other jobs took its place (preempted)",
    "REVOKED": "another cluster took it",
}
_OVER = ("TIMEOUT", "DEADLINE")
_SIGTERM_CODE, _KILLED = 143, 137


class SlurmSettings(NamedTuple):
    """What is the same for all jobs of a run; plain enough for JSON.

    options  words put before ours on every sbatch      python  the interpreter of Python jobs, None for the python3 of PATH
    """

    partition: Optional[str] = None
    account: Optional[str] = None
    qos: Optional[str] = None
    options: Sequence[str] = ()
    python: Optional[str] = None


class Shape(NamedTuple):
    """What jobs of one array have in common."""

    cpus: int
    memory_mib: int
    minutes: int
    gpus: str


class Line(NamedTuple):
    """One task as squeue tells of it."""

    state: str
    why: str


class End(NamedTuple):
    """How an attempt ended, as an Outcome has it: 'ended' or 'lost', exit code, reason."""

    kind: str
    exit_code: Optional[int] = None
    reason: str = ""


def shape_of(attempt: Attempt) -> Shape:
    """Whole cores, MiB and minutes, rounded up; 0 where nothing was asked for.

    Slurm's limit is a minute beyond the job's own, which the engine keeps to the second.
    """
    request, timeout_s = attempt.job.request, attempt.job.timeout_s
    minutes = 0 if timeout_s is None else _up(int(timeout_s) + 1, 60) + 1
    kind = f"{request.gpu_kind.lower()}:" if request.gpu_kind else ""
    gpus = f"gpu:{kind}{request.gpus}" if request.gpus else ""
    return Shape(max(1, _up(request.cpu_mcpu or 0, 1000)), _up(request.memory_bytes or 0, 1 << 20), minutes, gpus)


def _up(amount: int, unit: int) -> int:
    return -(-amount // unit)


def sbatch_command(settings: SlurmSettings, shape: Shape, n_tasks: int, name: str, comment: str, script: str, arguments: Sequence[str]) -> list[str]:
    """The command that submits an array; what the user adds wins over what a job asks for, but not over what the array is known by."""
    argv = ["sbatch", "--export=ALL", "--no-requeue", "--nodes=1", "--ntasks=1", f"--cpus-per-task={shape.cpus}"]
    if shape.memory_mib:
        argv.append(f"--mem={shape.memory_mib}M")
    if shape.minutes:
        argv.append(f"--time={shape.minutes}")
    if shape.gpus:
        argv.append(f"--gres={shape.gpus}")
    for option in ("partition", "account", "qos"):
        value = getattr(settings, option)
        if value is not None:
            argv.append(f"--{option}={value}")
    argv += settings.options
    fixed = ["--parsable", "--chdir=/", "--output=/dev/null", "--error=/dev/null", f"--job-name={name}", f"--comment={comment}", f"--array=0-{n_tasks - 1}"]
    return [*argv, *fixed, script, *arguments]


def array_of(text: str) -> int | None:
    """The number of a submitted job in the answer of `sbatch --parsable`, which a site may surround with words of its own; None if there is none."""
    found = [match for line in text.splitlines() if (match := _ID.fullmatch(line.strip()))]
    return int(found[-1][1]) if found else None


def refusal(answer: Answer) -> str:
    """Why sbatch failed: 'full' (there may be room later), 'away' (nobody knows whether the job exists), else 'refused'."""
    if answer.code is None or _AWAY.search(answer.err):
        return "away"
    return "full" if _FULL.search(answer.err) else "refused"


def said(answer: Answer) -> str:
    """What a failed sbatch gave as its reason, in one line."""
    lines = [line.strip() for line in answer.err.splitlines() if line.strip()]
    return _SAID.sub("", lines[-1])[:300] if lines else "it gave no reason"


def array_size(config: str) -> int:
    """How many tasks an array may have, from `scontrol show config`: the limit is one above the largest index."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", config, re.MULTILINE)
    return max(1, int(found[1])) if found else ARRAY_SIZE


def lines_of(text: str) -> dict[str, Line]:
    """The tasks in an answer in SQUEUE_FORMAT: '123_4' -> state and reason; what cannot be read is left out."""
    found = {}
    for line in text.splitlines():
        fields = line.split("|", 3)
        if len(fields) == 4 and fields[1].isdigit():
            found[f"{fields[0]}_{fields[1]}"] = Line(fields[2].split(" ")[0], fields[3].strip())
    return found


def arrays_with(comment: str, text: str) -> int | None:
    """The array that carries the comment, in an answer in the format '%F|%k'."""
    for line in text.splitlines():
        array, _, found = line.partition("|")
        if found.strip() == comment and array.isdigit():
            return int(array)
    return None


def ranges(keys: Iterable[str]) -> list[str]:
    """Tasks as scancel takes them, one word an array: '7_1', '7_2', '7_5' -> '7_[1-2,5]'."""
    arrays: dict[int, list[int]] = {}
    for key in keys:
        array, _, index = key.partition("_")
        arrays.setdefault(int(array), []).append(int(index))
    return [f"{array}_[{','.join(_runs(sorted(set(indices))))}]" for array, indices in sorted(arrays.items())]


def _runs(indices: Sequence[int]) -> list[str]:
    spans: list[list[int]] = []
    for index in indices:
        if spans and spans[-1][1] == index - 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return [str(first) if first == last else f"{first}-{last}" for first, last in spans]


def certain(word: Word) -> bool:
    """Whether the job's own word says everything; what was killed, or told to end, may have been so by Slurm, and may begin again."""
    return not word.signalled and word.exit_code not in (_KILLED, _SIGTERM_CODE)


def end_of(word: Word | None, line: Line, stopped: bool) -> End | None:
    """How an attempt ended whose task is in that state; None while that cannot be said."""
    if line.state in LIVE:
        return None
    if line.state == "OUT_OF_MEMORY":
        return End("ended", _KILLED, "out of memory")
    if word is not None and not word.signalled:
        return End("ended", word.exit_code)
    if stopped:
        return End("ended", word.exit_code if word and word.exit_code else _SIGTERM_CODE)
    if line.state in _LOST:
        return End("lost", None, _LOST[line.state])
    if line.state in _OVER:
        return End("ended", None, "timed out")
    if line.state == "CANCELLED":
        return End("ended", None, "cancelled in Slurm, not by this run")
    return None if word is None else End("ended", word.exit_code)
