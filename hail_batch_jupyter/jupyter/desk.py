"""What one notebook works on: its batches by name, which of them is current, its cells and its runs."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from hail_batch_jupyter.backends.origin import cell_id
from hail_batch_jupyter.core import registry

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
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
        self._current: str | None = None
        self._cells: dict[tuple[str, str], CellNote] = {}
        self._saved: tuple[str, float, set[object]] = ("", 0.0, set())

    # batches

    def batch(self) -> Batch:
        """The current batch; made with the notebook's name if there is none."""
        return self.select(self.current_name())

    def current_name(self) -> str:
        """The name of the current batch, or of the one that would be made."""
        return self._current or self.default_name()

    def job_names(self) -> list[str]:
        """Names of the stages and jobs of the current batch, without making one."""
        batch = self.batches.get(self._current or "")
        return [] if batch is None else [*batch.stages, *[job.name for job in batch.select_jobs("") if job.name]]

    def backend_names(self) -> list[str]:
        """Names that `--backend` takes."""
        return sorted(registry.BACKENDS)

    def has_batch(self) -> bool:
        """Whether there is a current batch."""
        return self._current is not None

    def default_name(self) -> str:
        """The notebook's name without its ending, 'batch' where that is not known."""
        place = notebook_path(self.shell)
        return Path(place).stem if place else "batch"

    def select(self, name: str, **settings: Any) -> Batch:
        """Make or come back to the batch of that name; settings count for a new one."""
        if name not in self.batches:
            self.batches[name] = self._make(name, **settings)
        self._current = name
        return self.batches[name]

    def _make(self, name: str, backend: str | None = None, strict: bool = False, **defaults: Any) -> Batch:
        from hail_batch_jupyter.batch.batch import Batch

        made_backend = None
        if backend is not None or strict:
            made_backend = registry.backend_class(backend or "local")(**({"strict": True} if strict else {}))
        batch = Batch(name=name, backend=made_backend, **defaults)
        batch.lineage = f"{place_of(self.shell)}::{name}"
        return batch

    def reset(self, name: str, **settings: Any) -> Batch:
        """An empty batch in the place of the one of that name; variables that hold its jobs are taken away."""
        from hail_batch_jupyter.batch.job import Job
        from hail_batch_jupyter.batch.stage import JobStage

        old = self.batches.pop(name, None)
        for variable, value in list(self.shell.user_ns.items()):
            if isinstance(value, (Job, JobStage)) and value.job_batch is old:
                del self.shell.user_ns[variable]
        self._cells = {key: note for key, note in self._cells.items() if key[0] != name}
        return self.select(name, **settings)

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


def notebook_path(shell: Shell) -> str:
    """The notebook's file, '' where there is none: in a terminal, or where the host does not say."""
    path = os.environ.get("JPY_SESSION_NAME") or shell.user_ns.get("__vsc_ipynb_file__") or ""
    return str(path) if str(path).endswith(".ipynb") else ""


def place_of(shell: Shell) -> str:
    """The notebook's file, or the current folder: what runs of one notebook have in common."""
    return notebook_path(shell) or os.getcwd()
