"""Slurm jobs of a run: how they are named, how Slurm's commands are asked, and ending what a dead runner has left in the queue.

A Slurm job is no child of the run's processes and survives all of them: it is found by its name, and does not begin where the run is closed.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional

if TYPE_CHECKING:
    import subprocess

FOLDER = "slurm"
"""In the run directory: what the jobs read, and the words that they leave."""
WORDS = "words"
"""In that folder: `12.1.began` and `12.1.ended`, written by the jobs themselves."""
STOPS = "stops"
"""In that folder: orders to end one attempt of a task that has others, 'TERM' or 'KILL'."""
CLOSED = "closed"
"""In that folder: a job that begins where this is ends at once."""
_NOTE = "slurm.json"
_SCRUBBED = ("SBATCH_", "SLURM_", "SRUN_", "SQUEUE_", "SCANCEL_", "SALLOC_", "PMI")
_KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")
_ALSO = ("PATH", "HOME")
_ANSWER_S = 20.0
_PATIENCE_S = 60.0
_PAUSE_S = 0.1


class Answer(NamedTuple):
    """What a command said; `code` is None when it gave no answer in time."""

    code: Optional[int]
    out: str
    err: str


class Word(NamedTuple):
    """What a job wrote when its command had ended.

    exit_code      0-255, or 128 + signal          signalled   the job had been told to end before
    restart        which start of it that was: Slurm may put a job back into the queue
    began_ms, ended_ms   by the clock of the node, since the epoch; both 0 when it never began
    max_rss_bytes  of its largest process          cpu_s       of all its processes          at_most     the memory may have been less
    full           the kernel killed for want of memory meanwhile
    failure        why it could not even start there, '' if it did
    """

    exit_code: int
    signalled: bool
    restart: int
    began_ms: int = 0
    ended_ms: int = 0
    max_rss_bytes: int = 0
    cpu_s: float = 0.0
    full: bool = False
    node: str = ""
    failure: str = ""
    at_most: bool = False


class Began(NamedTuple):
    """What a job wrote when it began."""

    restart: int
    time_ms: int
    node: str


class Client:
    """Asks Slurm's commands, one at a time; `kill`, from another thread, ends the waiting for an answer."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = scrubbed(env)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._killed = False

    def ask(self, argv: Sequence[str], timeout_s: float = _ANSWER_S) -> Answer:
        """Run a command; a controller that is away lets it hang, so it is killed after the time."""
        import subprocess  # most runs have no Slurm

        with self._lock:
            if self._killed:
                return Answer(None, "", "")
            try:
                process = self._process = subprocess.Popen(
                    argv,
                    env=dict(self._env),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                )
            except OSError as error:
                return Answer(127, "", f"{argv[0]}: {error.strerror}")
        with process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                return Answer(None, "", f"{argv[0]} gave no answer in {timeout_s:g} s")
        return Answer(None if self._killed else process.returncode, out, err)

    def kill(self) -> None:
        """End the command that runs, and begin no other."""
        with self._lock:
            self._killed = True
            if self._process is not None and self._process.returncode is None:
                self._process.kill()


def scrubbed(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would change the meaning of our commands, such as SBATCH_PARTITION or what a surrounding job has set."""
    return {name: value for name, value in env.items() if name in _KEPT or not name.startswith(_SCRUBBED)}


def job_name(run_id: str) -> str:
    """What all Slurm jobs of a run are called."""
    return f"hbj-{run_id}"


def prepare(directory: Path, env: Mapping[str, str]) -> Path:
    """Make the folder for a run's jobs, and write down, before the first of them, how Slurm must be asked about them."""
    folder = directory / FOLDER
    for path in (folder, folder / WORDS, folder / "tasks", folder / STOPS):
        path.mkdir(mode=0o700)
    fd = os.open(directory / _NOTE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump({"env": {name: value for name, value in env.items() if name in (*_ALSO, *_KEPT)}}, file)
    return folder


def close_queue(directory: Path) -> None:
    """Let no more jobs of a run begin, and note those that had ended well; does nothing for a run without Slurm."""
    folder = directory / FOLDER
    if not folder.is_dir():
        return
    (folder / CLOSED).touch()
    with open(directory / "done", "a") as done:
        done.writelines(f"{attempt_id}\n" for attempt_id, word in words(folder) if word.exit_code == 0 and not (word.signalled or word.full))


def words(folder: Path) -> Iterator[tuple[str, Word]]:
    """The attempts that have ended, as their jobs say."""
    for name in os.listdir(folder / WORDS):
        attempt_id, _, kind = name.rpartition(".")
        word = read_word(folder, attempt_id) if kind == "ended" else None
        if word is not None:
            yield attempt_id, word


def began(directory: Path) -> Iterator[tuple[str, Began]]:
    """The attempts of a run that have begun, as far as the words of their jobs are still there; none of a run without Slurm."""
    folder = directory / FOLDER
    for name in os.listdir(folder / WORDS) if (folder / WORDS).is_dir() else ():
        attempt_id, _, kind = name.rpartition(".")
        word = read_began(folder, attempt_id) if kind == "began" else None
        if word is not None:
            yield attempt_id, word


def read_word(folder: Path, attempt_id: str) -> Word | None:
    """What the job of an attempt said at its end, None while it has said nothing."""
    try:
        facts, _, failure = (folder / WORDS / f"{attempt_id}.ended").read_text().partition("\n")
        code, signalled, restart, began_ms, ended_ms, peak, cpu_s, full, *node = facts.split(" ")
        times = int(began_ms), int(ended_ms), int(peak.lstrip("<")), float(cpu_s)
        return Word(int(code), signalled == "1", int(restart), *times, full == "1", " ".join(node), failure.strip(), peak.startswith("<"))
    except (OSError, ValueError):
        return None


def read_began(folder: Path, attempt_id: str) -> Began | None:
    """What the job of an attempt said when it began, None if that cannot be read."""
    try:
        restart, time_ms, *node = (folder / WORDS / f"{attempt_id}.began").read_text().strip().split(" ")
        return Began(int(restart), int(time_ms), " ".join(node))
    except (OSError, ValueError):
        return None


def cancel_jobs(directory: Path, patience_s: float = _PATIENCE_S) -> bool:
    """Cancel every Slurm job of a run, and see that none is left; True for a run without Slurm, False if Slurm did not say so within the time."""
    try:
        facts = json.loads((directory / _NOTE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return True
    client = Client({**os.environ, **facts["env"]})
    name, deadline = job_name(directory.name), time.monotonic() + patience_s
    while time.monotonic() < deadline:
        client.ask(["scancel", "--full", "--name", name, "--user", str(os.getuid())])
        left = client.ask(["squeue", "--noheader", "--name", name, "--user", str(os.getuid()), "--format", "%i"])
        if left.code == 127:
            return False
        if left.code == 0 and not left.out.strip():
            return True
        time.sleep(_PAUSE_S)
    return False
