"""What one notebook works on: its batches by name, which of them is current, its cells and its runs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from hail_batch_jupyter.backends.origin import cell_id
from hail_batch_jupyter.core import registry

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.draft import JobGroupDraft
    from hail_batch_jupyter.observe.running import RunningBatch

Shell = Any  # IPython's shell carries no types


@dataclass(frozen=True)
class CellNote:
    """The cell that made a job, and when it ran (seconds since the epoch); `cell_id` is '' where the host has none."""

    cell_id: str
    ran_s: float


class Desk:
    """The batches, cells and runs of one shell; used from the thread of the cells only."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.batches: dict[str, Batch] = {}
        self.run: RunningBatch | None = None
        self.stage_outputs: dict[tuple[str, str], dict[tuple[str, str, str], None]] = {}
        """(batch, stage) -> (file, member of a group, destination) that `%batch_output` named, in order."""
        self.replaced_variables: dict[str, str | None] = {}
        """Variables of this process that `%batch_service` set -> what they were before."""
        self._current: str | None = None
        self._said: dict[str, dict[str, Any]] = {}
        self._cells: dict[tuple[str, str], CellNote] = {}
        self._saved: tuple[str, float, set[object]] = ("", 0.0, set())

    # batches

    def batch(self) -> Batch:
        """The current batch; made with the notebook's name if there is none."""
        return self.select(self.current_name())

    def current_name(self) -> str:
        """The name of the current batch, or of the one that would be made."""
        return self._current or self.default_name()

    def current(self) -> Batch | None:
        """The current batch, None before there is one."""
        return self.batches.get(self._current or "")

    def groups(self) -> Sequence[JobGroupDraft]:
        """The groups of the current batch."""
        batch = self.current()
        return [] if batch is None else batch.draft.groups

    def has_batch(self) -> bool:
        """Whether there is a current batch."""
        return self._current is not None

    def default_name(self) -> str:
        """The notebook's name without its ending, 'batch' where that is not known."""
        place = notebook_path(self.shell)
        return Path(place).stem if place else "batch"

    def said_of(self, name: str) -> dict[str, Any]:
        """The settings that the batch of that name was made with."""
        return self._said.get(name, {})

    def select(self, name: str, **settings: Any) -> Batch:
        """Make or come back to the batch of that name; settings count for a new one."""
        if name not in self.batches:
            self.batches[name] = self._make(name, **settings)
            self._said[name] = settings
        self._current = name
        return self.batches[name]

    def _make(self, name: str, backend: Any = None, strict: bool = False, at_most: int | None = None, **defaults: Any) -> Batch:
        from hail_batch_jupyter.batch.batch import Batch, configured_backend

        made = configured_backend() if backend is None else registry.backend_class(backend)() if isinstance(backend, str) else backend
        if not hasattr(made, "runs_specs"):
            raise UsageError(f"--backend: {made!r} is a {type(made).__name__}, no backend; use a name (Tab lists them) or a variable that holds a Backend")
        if strict:
            make_strict(made)
        batch = Batch(name=name, backend=made, **defaults)
        batch.at_most(at_most)
        batch.lineage = f"{place_of(self.shell)}::{name}"
        return batch

    def variables_of(self, batch: Batch) -> list[str]:
        """The variables that hold its jobs and stages."""
        from hail_batch_jupyter.batch.job import Job
        from hail_batch_jupyter.batch.stage import JobStage

        return [name for name, value in self.shell.user_ns.items() if isinstance(value, (Job, JobStage)) and value.job_batch is batch]

    def reset(self, name: str, **settings: Any) -> Batch:
        """An empty batch in the place of the one of that name; variables that hold its jobs are taken away."""
        made = self._make(name, **settings)
        old = self.batches.get(name)
        for variable in [] if old is None else self.variables_of(old):
            del self.shell.user_ns[variable]
        self.batches[name] = made
        self._said[name] = settings
        self._cells = {key: note for key, note in self._cells.items() if key[0] != name}
        self.stage_outputs = {key: kept for key, kept in self.stage_outputs.items() if key[0] != name}
        return self.select(name)

    # runs

    def last_run(self) -> RunningBatch:
        """The run that the magics speak of: the one started or attached last, else the newest of the current batch on this machine.

        Raises UsageError when there is none.
        """
        from hail_batch_jupyter.observe import rundir
        from hail_batch_jupyter.observe.attach import attach

        batch = self.batches.get(self._current or "")
        known = self.run or (batch.last_run if batch is not None else None)
        if known is not None:
            return known
        info = rundir.last_run(batch.lineage) if batch is not None else None
        if info is None:
            raise UsageError("nothing has run yet; %batch_run runs the batch, %batch_attach RUN comes back to an earlier run")
        self.run = attach(info.run_id)
        if batch is not None:
            batch.last_run = self.run
        return self.run

    # cells

    def note_cell(self, batch: Batch, job_name: str) -> None:
        """Remember which cell made the job."""
        self._cells[batch.name or "", job_name] = CellNote(cell_id(self.shell), time.time())

    def cell_is_gone(self, batch: Batch, job_name: str) -> bool:
        """Whether the notebook was saved since the job's cell ran and no longer has that cell; False where this cannot be known."""
        stage = job_name.rpartition("-")[0]
        note = self._cells.get((batch.name or "", stage if stage in batch.stages else job_name))
        place = notebook_path(self.shell)
        if note is None or not note.cell_id or not place:
            return False
        try:
            saved_s = os.stat(place).st_mtime
            return saved_s > note.ran_s and note.cell_id not in self._saved_cells(place, saved_s)
        except (OSError, ValueError, KeyError, AttributeError):
            return False

    def _saved_cells(self, place: str, saved_s: float) -> set[object]:
        """Ids of the cells in the notebook's file, read once for each time it was saved: a stage asks for each of its jobs."""
        if self._saved[:2] != (place, saved_s):
            self._saved = (place, saved_s, {cell.get("id") for cell in json.loads(Path(place).read_text())["cells"]})
        return self._saved[2]


def make_strict(backend: Any) -> None:
    """Make the backend refuse a job that asks for more than there is.

    Raises UsageError for one that does not know what there is.
    """
    if "strict" not in backend.capabilities:
        raise UsageError(
            f"--strict refuses a job that asks for more than this machine has, and the jobs of {type(backend).__name__} run on others, "
            f"which refuse what is too large by themselves; leave --strict out"
        )
    backend.strict = True


def notebook_path(shell: Shell) -> str:
    """The notebook's file, '' where there is none: in a terminal, or where the host does not say."""
    path = os.environ.get("JPY_SESSION_NAME") or shell.user_ns.get("__vsc_ipynb_file__") or ""
    return str(path) if str(path).endswith(".ipynb") else ""


def place_of(shell: Shell) -> str:
    """The notebook's file, or the current folder: what runs of one notebook have in common."""
    return notebook_path(shell) or os.getcwd()
