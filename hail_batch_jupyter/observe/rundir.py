"""Run directories: where they are, what is in them, and the list of all of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

from hail_batch_jupyter.errors import RunLostError, SubmitError
from hail_batch_jupyter.observe import owner
from hail_batch_jupyter.observe.scratch import is_scratch
from hail_batch_jupyter.observe.totals import Totals, read_totals, totals_text

FORMAT = 1
RUNS_VARIABLE = "HAIL_BATCH_JUPYTER_RUNS"
_REMOVALS = 5
_LAST = ("ended", "run.json")
"""Files that are removed after all others, in this order."""
ELSEWHERE = "elsewhere.json"
"""In the directory of a run that lives on another machine: where that is."""
PAUSED = "paused"
"""In such a directory: why nothing is heard of the run now."""
_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")

RUN_WORDS = ("running", "succeeded", "failed", "cancelled", "stopped", "ended")
_WORDS = {"success": "succeeded", "failure": "failed", "cancelled": "cancelled", "lost": "stopped"}


class RunInfo(NamedTuple):
    """One run as its small description says.

    state     'live', 'ended' or 'dead' (nobody works on it and it has not ended)
    outcome   of an ended run: 'success', 'failure', 'cancelled', 'lost' (its runner ended before it); '' when it is not known
    lineage   what all runs of one batch share
    scratch   folder of its intermediate files          kept   whether they stay after the run
    notebook  the notebook that made it, and its `cell` by id; '' for a script
    totals    of an ended run, where they were noted with its end
    """

    run_id: str
    name: str
    lineage: str
    n_jobs: int
    created_ms: int
    state: str
    directory: Path
    scratch: str
    kept: bool
    previous: Optional[str]
    notebook: str
    backend: str = ""
    outcome: str = ""
    ended_ms: Optional[int] = None
    cell: str = ""
    totals: Optional[Totals] = None

    @property
    def word(self) -> str:
        """One of RUN_WORDS: 'stopped' if its runner ended before it, 'ended' where it is not known how."""
        if self.state == "ended":
            return _WORDS.get(self.outcome, "ended")
        return "running" if self.state == "live" else "stopped"


def runs_folder() -> Path:
    """$HAIL_BATCH_JUPYTER_RUNS, else `hail_batch_jupyter/runs` in the platform's folder for state of the user."""
    given = os.environ.get(RUNS_VARIABLE)
    if given:
        return Path(given).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "hail_batch_jupyter" / "runs"
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state).expanduser() / "hail_batch_jupyter" / "runs"


def create(name: str | None, description: dict[str, Any], place: Path | None = None, run_id: str = "") -> Path:
    """A new run directory with its description; readable by its owner only. It lies in `place`, with a link to it among the others, or among these.

    `run_id` is that of a run that has one already, on another machine.

    Raises SubmitError when the folder cannot be written.
    """
    stem = re.sub(r"[^A-Za-z0-9-]+", "-", name or "batch").strip("-")[:60] or "batch"
    run_id = run_id or f"{time.strftime('%Y%m%d-%H%M%S')}-{stem}-{os.urandom(3).hex()}"
    directory = (place or runs_folder()) / run_id
    try:
        runs_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, parents=True)
        if place is not None:
            os.symlink(directory, runs_folder() / run_id)
        (directory / "logs").mkdir(mode=0o700)
        describe(directory, {"format": FORMAT, "run_id": run_id, "created_ms": int(time.time() * 1000), **description})
    except OSError as error:
        remove_rest(directory)
        raise SubmitError(
            f"the run directory {str(directory)!r} cannot be written ({error.strerror}); free space or set {RUNS_VARIABLE} to a folder that can"
        ) from error
    return directory


def describe(directory: Path, facts: dict[str, Any]) -> None:
    """Write the description of a run, or another one in its place: who is killed meanwhile leaves the one or the other, never a part."""
    temporary = directory / f"run.json.{os.getpid()}"
    write_private(temporary, json.dumps(facts, indent=1))
    os.replace(temporary, directory / "run.json")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def find(run_id: str) -> Path:
    """The directory of a run.

    Raises RunLostError naming close ones when there is none.
    """
    directory = runs_folder() / run_id
    if _RUN_ID.fullmatch(run_id) and run_id not in (".", "..") and (directory / "run.json").exists():
        return directory
    raise RunLostError(_unknown(run_id))


def _unknown(run_id: str) -> str:
    import difflib

    names = [path.name for path in _directories()]
    close = [name for name in names if run_id and run_id in name] or difflib.get_close_matches(run_id, names, 3, 0.5)
    hint = f"did you mean {' or '.join(sorted(close, reverse=True)[:3])}?" if close else "list_runs() and %batch_runs list those that are there"
    return f"there is no run {run_id!r} in {str(runs_folder())!r}; {hint}"


def info(directory: Path) -> RunInfo:
    """The description of one run and whether it lives.

    Raises RunLostError when the description is gone or unreadable.
    """
    try:
        facts = json.loads(_content(f"{directory}/run.json")[0])
        if facts["format"] != FORMAT:
            raise RunLostError(f"run {directory.name!r} has format {facts['format']!r}, this version reads {FORMAT}; use the version that made it")
        own: dict[str, Any] = {**_progress(directory), "directory": directory, "backend": facts.get("backend") or "local"}
        own["cell"] = facts.get("cell") or ""
        own["scratch"] = facts.get("scratch") or str(directory / "scratch")  # a run that is just being made is described before that is chosen
        fields = {name: facts.get(name) for name in RunInfo._fields if name not in own}
        return RunInfo(**fields, **own)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunLostError(f"run {directory.name!r} cannot be read ({error}); delete {str(directory)!r} if it is of no use") from error


def _progress(directory: Path) -> dict[str, Any]:
    """State, outcome, time of the end and totals."""
    try:
        text, ended_ns = _content(f"{directory}/ended")
    except FileNotFoundError:
        lives = (directory / ELSEWHERE).exists() or owner.owner_alive(directory)  # what goes on elsewhere does not end with who follows it
        return {"state": "live" if lives else "dead", "outcome": "", "ended_ms": None, "totals": None}
    outcome, _, totals = text.decode(errors="replace").partition(" ")
    return {"state": "ended", "outcome": outcome.strip(), "ended_ms": ended_ns // 1_000_000, "totals": read_totals(totals) if totals else None}


def _content(path: str) -> tuple[bytes, int]:
    """All of a small file and when it was written, in ns: a third of the time of `read_text`, where thousands are read."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        facts = os.fstat(fd)
        data = os.read(fd, facts.st_size + 1)
        while len(data) < facts.st_size:
            more = os.read(fd, facts.st_size - len(data))
            if not more:
                break
            data += more
        return data, facts.st_mtime_ns
    finally:
        os.close(fd)


def mark_ended(directory: Path, outcome: str, totals: Optional[Totals] = None) -> None:
    """Leave the sign that the run has ended, on one line how, and its totals, so that a list of runs need not read the journal.

    Where there is no room for the words, the sign alone.
    """
    temporary = directory / f"ended.{os.getpid()}"
    try:
        write_private(temporary, outcome if totals is None else f"{outcome} {totals_text(totals)}")
        os.replace(temporary, directory / "ended")
    except OSError:
        (directory / "ended").touch(mode=0o600)


def settings_of(directory: Path) -> dict[str, Any]:
    """What was noted with the run of how it was made.

    backend   its name                         settings  what it was made with
    maker     of the process that made the run: its Python as 'python', its import path as 'sys_path', the names of variables that it had set itself as 'env'
    """
    found: dict[str, Any] = json.loads((directory / "run.json").read_text())
    return {"backend": found.get("backend", "local"), "settings": found.get("settings", {}), "maker": found.get("maker", {})}


def _directories() -> Iterator[Path]:
    try:
        names = os.listdir(runs_folder())
    except FileNotFoundError:
        return
    for name in sorted(names, reverse=True):
        if not name.startswith("."):  # what runs share
            yield runs_folder() / name


def run_ids() -> list[str]:
    """Ids of what lies among the runs, newest first, without looking into them."""
    return [directory.name for directory in _directories() if _RUN_ID.fullmatch(directory.name)]


def list_runs(limit: int | None = None) -> list[RunInfo]:
    """All runs of this user on this machine, newest first; what cannot be read is left out."""
    found: list[RunInfo] = []
    for directory in _directories():
        try:
            found.append(info(directory))
        except RunLostError:
            continue
        if limit is not None and len(found) >= limit:
            break
    return sorted(found, key=lambda run: (run.created_ms, run.run_id), reverse=True)


def last_run(lineage: str) -> RunInfo | None:
    """The newest run of a batch, None if it has none."""
    for run in list_runs():
        if run.lineage == lineage and lineage:
            return run
    return None


def request_cancel(directory: Path, reason: str) -> None:
    """Leave the word that the runner looks for; idempotent."""
    temporary = directory / f"cancel.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        write_private(temporary, reason)
        os.replace(temporary, directory / "cancel")
    except FileNotFoundError:
        raise RunLostError(f"the run directory {str(directory)!r} is gone; there is nothing left to cancel") from None


def remove(directory: Path) -> None:
    """Remove what is kept of a run: its intermediate files first and what describes it last, so that an interrupted removal can be done again.

    Raises RunLostError when the description is gone or unreadable; see `remove_rest`.
    """
    scratch = Path(info(directory).scratch)
    if is_scratch(scratch):
        _remove_tree(scratch)
    remove_rest(directory)


def remove_rest(directory: Path) -> None:
    """Remove a run directory whether or not it can be read."""
    folder = directory.resolve()
    _empty(folder)
    for name in _LAST:
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    _remove_tree(folder)
    link = runs_folder() / directory.name
    if link.is_symlink():
        link.unlink()


def _empty(folder: Path) -> None:
    """Remove all but what says that here is a run and that it has ended."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                _remove_tree(Path(entry.path))
            elif entry.name not in _LAST:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def _remove_tree(folder: Path) -> None:
    """Somebody may put a note into a folder while it is being emptied, which then stays: so it is done again."""
    import shutil

    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
