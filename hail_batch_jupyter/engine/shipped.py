"""What the runner's zipapp does on the machine that it was sent to: it looks at files there, begins runs, and tends those whose runner is gone.

Each call reads what it is asked from a private file, which it removes, and gives its answer in one line of its own, for login shells print what they like.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hail_batch_jupyter.core.spec import Upload, from_json
from hail_batch_jupyter.engine import fingerprint, runner
from hail_batch_jupyter.engine.contents import digest
from hail_batch_jupyter.engine.far_stores import stores
from hail_batch_jupyter.engine.localize import write_uploads
from hail_batch_jupyter.engine.settled import settle
from hail_batch_jupyter.errors import BatchException, SubmitError
from hail_batch_jupyter.observe import owner, rundir, uploads
from hail_batch_jupyter.observe.attach import open_run, read_spec
from hail_batch_jupyter.observe.room import told
from hail_batch_jupyter.observe.slurm_jobs import Client

MARK = "hail-batch-jupyter-answer:"
JOB_NAME = "hbj-runner-"
"""Begins the name of the Slurm job of a runner; a run's own jobs are cancelled by theirs."""
_ORDERS = "orders"
_JOB = "runner-job"
_FOR_US = 0o077
_FOR_JOBS: list[int] = []
"""The umask of the login shell, which is what jobs and their outputs get."""
_DAY_S = 86_400.0
_NEVER = ".never"
"""Ends the name of the mark that a run was given up before it began, and so never does."""
_KEY = "key.json"
_OF_THE_LOGIN = (
    *(f"SSH_{name}" for name in ("CLIENT", "CONNECTION", "TTY", "ORIGINAL_COMMAND")),
    *(f"SUDO_{name}" for name in ("COMMAND", "USER", "UID", "GID")),
)
"""Where the first are, bash takes itself for a login by ssh and reads the user's start file; by the others programs believe to work for somebody else."""


def main() -> None:
    """Entry of the zipapp: COMMAND FILE-OR-FOLDER."""
    for name in _OF_THE_LOGIN:
        os.environ.pop(name, None)
    command, argument = sys.argv[1:3]
    if command == "run":
        _run(Path(argument))
        return
    _FOR_JOBS.append(os.umask(_FOR_US))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a connection that is cut must not leave half of it
    if command == "pool":
        from hail_batch_jupyter.executors.pool import hub

        os.umask(_FOR_JOBS[-1])  # what others may not see lies in a folder of its own
        hub.main()
        return
    try:
        answer = _COMMANDS[command](_parcel(argument) if command in _WITH_PARCEL else Path(argument))
    except BatchException as error:
        answer = {"error": str(error)}
    except OSError as error:
        answer = {"error": told(error, os.path.dirname(os.path.dirname(sys.argv[0])))}
    sys.stdout.write(f"\n{MARK}{json.dumps(answer)}\n")


def _parcel(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    finally:
        os.unlink(path)


def facts(asked: dict[str, list[str]]) -> dict[str, Any]:
    """Of each of `paths` [size, time of change in ns, inode, whether it is a folder], None where there is none; of each of `above` its deepest folder."""
    return {"paths": [facts_of(path) for path in asked.get("paths", ())], "above": [deepest(path) for path in asked.get("above", ())]}


def facts_of(path: str) -> list[Any] | None:
    """What tells whether two machines see the same file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino, os.path.isdir(path)]


def deepest(path: str) -> list[Any]:
    """The folder above that is there, as (how many names its path has, inode, time of change in ns)."""
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    found = os.stat(folder)
    return [len([name for name in folder.split("/") if name]), found.st_ino, found.st_mtime_ns]


def keep(asked: dict[str, Any]) -> dict[str, Any]:
    """Take what was uploaded into `folder` under its digest; what does not have the content that it should is left out."""
    folder, parts, broken = Path(asked["folder"]), Path(asked["parts"]), []
    uploads.say_used(folder.parent, asked["digests"].values())
    for name, wanted in asked["digests"].items():
        part = parts / name
        if (folder / wanted).exists():
            continue
        if not part.exists() or digest(str(part)) != wanted:
            broken.append(name)
            continue
        with contextlib.suppress(OSError):  # another one was quicker with a folder
            os.replace(part, folder / wanted)
    shutil.rmtree(parts, ignore_errors=True)
    return {"broken": broken}


def begin(asked: dict[str, Any]) -> dict[str, Any]:
    """Make the run directory and start the runner; asked again for the same run it does nothing more."""
    place, run_id = Path(asked["place"]), asked["description"]["run_id"]
    os.environ[rundir.RUNS_VARIABLE] = str(place)
    directory = place / run_id
    _sweep(place / uploads.OWN)
    with _alone(place / uploads.OWN / f"{run_id}.lock"):
        if _never(directory).exists():
            raise SubmitError(f"run {run_id} was given up before it began")
        if not _has_begun(directory):
            shutil.rmtree(directory, ignore_errors=True)
            try:
                _make(directory, asked)
                (_start_job if asked["job"] is not None else _start)(directory, asked)
            except BaseException:
                shutil.rmtree(directory, ignore_errors=True)
                raise
    return {"directory": str(directory)}


def _has_begun(directory: Path) -> bool:
    return (directory / "owner").exists() or (directory / _JOB).exists() or any(directory.glob("owner.dead.*")) or (directory / "ended").exists()


def _never(directory: Path) -> Path:
    return directory.parent / uploads.OWN / f"{directory.name}{_NEVER}"


def _sweep(folder: Path) -> None:
    """Remove what connections that were cut have left; what is on its way now is younger than a day."""
    oldest = time.time() - _DAY_S
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another one does the same
            if path.name not in (uploads.FILES, uploads.USED) and path.suffix != ".pyz" and path.stat().st_mtime < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Only one process at a time is here; the file goes with the last."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _make(directory: Path, asked: dict[str, Any]) -> None:
    spec = from_json(asked["spec"])
    scratch = directory / "scratch"
    rundir.create(spec.name, {**asked["description"], "scratch": str(scratch)}, run_id=directory.name)
    scratch.mkdir(mode=0o700)
    write_uploads(str(scratch), [Upload(dest, base64.b64decode(data), mode) for dest, data, mode in asked["uploads"]])
    rundir.write_private(directory / "spec.json", json.dumps(asked["spec"], separators=(",", ":")))
    fingerprint.save(directory, spec, asked["versions"])
    if asked.get("key"):
        rundir.write_private(directory / _KEY, asked["key"])


def _start(directory: Path, asked: dict[str, Any]) -> None:
    """On this machine, in a session of its own; its orders go through a pipe."""
    (directory / "runner.log").write_text("what the runner itself has to say\n")
    argv = [sys.executable, "-I", "-S", sys.argv[0], "run", str(directory)]
    with _umask_of_the_login():
        process = subprocess.Popen(argv, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    owner.write_owner(directory, process.pid)
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(json.dumps(_orders(directory, asked)).encode() + b"\n")
    process.returncode = 0  # it lives longer than this


def _orders(directory: Path, asked: dict[str, Any]) -> dict[str, Any]:
    key = {"key_file": str(directory / _KEY)} if asked.get("key") else {}
    return {**asked["orders"], **key, "directory": str(directory), "tied": False}


@contextlib.contextmanager
def _umask_of_the_login() -> Iterator[None]:
    os.umask(_FOR_JOBS[-1])
    try:
        yield
    finally:
        os.umask(_FOR_US)


def _start_job(directory: Path, asked: dict[str, Any]) -> None:
    """As a Slurm job; its orders wait in a private file."""
    (directory / "runner.log").write_text("what the runner itself has to say\n")
    (directory / _JOB).write_text("")  # whatever happens now, it is not submitted again: its name tells whether it was
    owner.write_owner(directory, os.getpid())
    rundir.write_private(directory / _ORDERS, json.dumps(_orders(directory, asked)) + "\n")
    fixed = ["--parsable", "--no-requeue", "--nodes=1", "--ntasks=1", "--chdir=/", "--export=ALL", "--open-mode=append"]
    named = [f"--output={str(directory).replace('%', '%%')}/runner.log", f"--job-name={JOB_NAME}{directory.name}"]
    script = directory / "runner.sh"
    script.write_text('#!/bin/bash\nexec "$@"\n')
    argv = ["sbatch", *fixed, *asked["job"], *named, str(script), sys.executable, "-I", "-S", os.path.abspath(sys.argv[0]), "run", str(directory)]
    with _umask_of_the_login():
        answer = Client(os.environ).ask(argv, 120.0)
    number = answer.out.strip().partition(";")[0]
    if answer.code == 0 and number.isdigit():
        (directory / _JOB).write_text(number)
        return
    if answer.code is not None:
        raise OSError(f"sbatch refused the job of the runner: {answer.err.strip() or answer.out.strip()}")


def _run(directory: Path) -> None:
    """Be the runner of a run."""
    os.environ[rundir.RUNS_VARIABLE] = str(directory.parent)
    orders = directory / _ORDERS
    if orders.exists():
        owner.write_owner(directory, os.getpid(), guard=os.getpid())  # it is that of the guard
        fd = os.open(orders, os.O_RDONLY)
        orders.unlink()
        os.dup2(fd, 0)
    try:
        runner.main()
    finally:
        (directory / _KEY).unlink(missing_ok=True)


def tend(directory: Path) -> dict[str, Any]:
    """'live', 'ended' or 'gone'; a run whose runner is gone is closed first, and none of its jobs stays. One that has not begun never does from now on."""
    os.environ[rundir.RUNS_VARIABLE] = str(directory.parent)
    with _alone(directory.parent / uploads.OWN / f"{directory.name}.lock"):
        if not _has_begun(directory):
            _never(directory).touch()
            shutil.rmtree(directory, ignore_errors=True)
            return {"state": "gone"}
    if not (directory / "ended").exists() and not _waits(directory):
        run = open_run(directory, read_spec(directory))
        if run.close_if_dead():
            (directory / _KEY).unlink(missing_ok=True)
    return {"state": "ended" if (directory / "ended").exists() else "live"}


def _waits(directory: Path) -> bool:
    """Whether the job of the runner has still to begin, as far as Slurm says."""
    if not (directory / _JOB).exists() or not (directory / _ORDERS).exists():
        return False
    answer = Client(os.environ).ask(["squeue", "--noheader", f"--user={os.getuid()}", f"--name={JOB_NAME}{directory.name}", "--format=%i"])
    return answer.code != 0 or bool(answer.out.strip())


def remove(directory: Path) -> dict[str, Any]:
    """Remove a run that has ended."""
    os.environ[rundir.RUNS_VARIABLE] = str(directory.parent)
    if (directory / "run.json").exists():
        rundir.remove(directory)
    return {}


_COMMANDS: dict[str, Any] = {"facts": facts, "stores": stores, "keep": keep, "begin": begin, "tend": tend, "remove": remove, "settle": settle}
_WITH_PARCEL = ("facts", "stores", "keep", "begin")
