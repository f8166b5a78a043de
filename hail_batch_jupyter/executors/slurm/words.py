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
OUT_OF_MEMORY = "out of memory"
_OVER = ("TIMEOUT", "DEADLINE")
_SIGTERM_CODE, _KILLED = 143, 137


class SlurmSettings(NamedTuple):
    """What is the same for all jobs of a run; plain enough for JSON.

    options  words put before ours on every sbatch      python  the interpreter of Python jobs, None for the python3 of PATH
    setup    lines of shell before the command of each job, such as 'module load samtools'
    pack     at most so many jobs, one after the other, in a task of an array; None: several where they are short
    engine   of the containers on the nodes, see `slurm_container`; None where no job has an image
    spot_options  more words for jobs that may be on nodes that other jobs take; they win over `options`
    own, folders  what these have beside scratch and inputs, see `executors.container.command.Containers`
    """

    partition: Optional[str] = None
    account: Optional[str] = None
    qos: Optional[str] = None
    options: Sequence[str] = ()
    python: Optional[str] = None
    setup: Sequence[str] = ()
    pack: Optional[int] = None
    engine: Optional[str] = None
    own: Optional[str] = None
    folders: Sequence[str] = ()
    spot_options: Sequence[str] = ()


class Shape(NamedTuple):
    """What jobs of one array have in common; 0 and '' where nothing was asked for. `minutes` are those of one job."""

    cpus: int
    memory_mib: int
    minutes: int
    gpus: str
    storage_mib: int = 0
    spot: bool = False


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
    cpus, memory_mib, storage_mib = _up(request.cpu_mcpu or 0, 1000), _up(request.memory_bytes or 0, 1 << 20), _up(request.storage_bytes or 0, 1 << 20)
    return Shape(max(1, cpus), memory_mib, minutes, gpus, storage_mib, bool(request.spot))


def _up(amount: int, unit: int) -> int:
    return -(-amount // unit)


class Order(NamedTuple):
    """One call of sbatch: an array of `n_tasks`, each of which has `n_packed` jobs at most; `excluded` are nodes that it must not go to."""

    shape: Shape
    n_tasks: int
    n_packed: int
    name: str
    comment: str
    excluded: Sequence[str] = ()


def sbatch_command(settings: SlurmSettings, order: Order, words: Sequence[str]) -> list[str]:
    """The command that submits an array, whose script and its arguments are `words`.

    What the user adds wins over what a job asks for, but not over what the array is known by.
    """
    shape = order.shape
    argv = ["sbatch", "--export=ALL", "--no-requeue", "--nodes=1", "--ntasks=1", f"--cpus-per-task={shape.cpus}"]
    if shape.memory_mib:
        argv.append(f"--mem={shape.memory_mib}M")
    if shape.minutes:
        argv.append(f"--time={shape.minutes * order.n_packed}")
    if shape.gpus:
        argv.append(f"--gres={shape.gpus}")
    if shape.storage_mib:
        argv.append(f"--tmp={shape.storage_mib}M")
    if order.excluded:
        argv.append(f"--exclude={','.join(order.excluded)}")
    for option in ("partition", "account", "qos"):
        value = getattr(settings, option)
        if value is not None:
            argv.append(f"--{option}={value}")
    argv += settings.options
    if shape.spot:
        argv += settings.spot_options
    fixed = ["--parsable", "--chdir=/", "--output=/dev/null", "--error=/dev/null"]
    return [*argv, *fixed, f"--job-name={order.name}", f"--comment={order.comment}", f"--array=0-{order.n_tasks - 1}", *words]


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


class Site(NamedTuple):
    """What the site allows, as `scontrol show config` tells.

    array_size    tasks of an array: the limit is one above the largest index
    min_job_age_s how long the controller knows a job that has ended
    accounting    whether sacct answers
    storage_mib   of the node that has most of it for jobs; 0 where the nodes do not say
    """

    array_size: int = ARRAY_SIZE
    min_job_age_s: int = 300
    accounting: bool = False
    storage_mib: int = 0


def site_of(config: str, disks: str = "") -> Site:
    """From the answers of `scontrol show config` and `sinfo --format=%d`."""
    size, age = _setting(config, "MaxArraySize", r"\d+"), _setting(config, "MinJobAge", r"\d+")
    storage = max((int(word) for word in disks.split() if word.isdigit()), default=0)
    accounting = _setting(config, "AccountingStorageType", r"\S+") not in ("", "accounting_storage/none", "(null)")
    return Site(max(1, int(size or ARRAY_SIZE)), max(1, int(age or 300)), accounting, storage)


def _setting(config: str, name: str, form: str) -> str:
    found = re.search(rf"^{name}\s*=\s*({form})", config, re.MULTILINE)
    return found[1] if found else ""


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
    return not word.signalled and (word.full or word.exit_code not in (_KILLED, _SIGTERM_CODE))


def said_by(word: Word) -> End:
    """The end that a word tells of, where Slurm has nothing to add."""
    if word.failure:
        return End("lost", None, f"could not start on {word.node}: {word.failure}")
    if word.full:
        return End("ended", _KILLED, OUT_OF_MEMORY)  # even where the command made little of it: a part of its work is missing
    return End("ended", word.exit_code)


def end_of(word: Word | None, line: Line, stopped: bool, began: bool = True) -> End | None:
    """How an attempt ended whose task is in that state; None while that cannot be said.

    What never began in a task that has ended, because others before it took its time or its node, is lost, and so is tried again.
    """
    if line.state in LIVE:
        return None
    if line.state == "OUT_OF_MEMORY" and (word is None or word.exit_code == _KILLED):
        return End("ended", _KILLED, OUT_OF_MEMORY)
    if word is not None and not word.signalled:
        return said_by(word)
    if stopped:
        return End("ended", word.exit_code if word and word.exit_code else _SIGTERM_CODE)
    if line.state in _LOST:
        return End("lost", None, _LOST[line.state])
    if line.state in _OVER:
        return End("ended", None, "timed out") if began else End("lost", None, "the time of its task was over before it began")
    if line.state == "CANCELLED":
        return End("ended", None, "cancelled in Slurm, not by this run")
    return None if word is None else End("ended", word.exit_code)
