"""The names that completion offers: jobs, files, batches, runs, backends and regions; found without a network, and without making anything."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.core import registry
from hail_batch_jupyter.core.retry import CAUSES
from hail_batch_jupyter.jupyter.words import WORDS

if TYPE_CHECKING:
    from hail_batch_jupyter.jupyter.desk import Desk

_MOST = 200
_STEP = re.compile(r"\[\d+\]|\.\w+")


class Offers:
    """What there is in a notebook to be named, by kind."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._regions: list[str] | None = None
        self._kinds: dict[str, Callable[[str], Sequence[str]]] = {
            "job": self._jobs,
            "filter": lambda typed: [*WORDS, *self._jobs(typed)],
            "file": self._files,
            "variable": self._variables,
            "batch": lambda _: list(desk.batches),
            "run": self._runs,
            "attachable": lambda typed: [*desk.batches, *self._runs(typed)],
            "backend": lambda _: registry.backend_names(),
            "region": lambda _: self._known_regions(),
            "group": lambda _: [group.name for group in desk.groups()],
            "cause": lambda _: [cause.replace(" ", "-") for cause in CAUSES],
        }

    def __call__(self, kind: str, typed: str) -> Sequence[str]:
        """The names of a kind; at most a page of those that begin with what is typed."""
        return [name for name in self._kinds[kind](typed) if name.startswith(typed)][:_MOST]

    def _jobs(self, typed: str) -> Sequence[str]:
        """Stages, and jobs that belong to none; those of a stage once its name is typed."""
        from hail_batch_jupyter.jupyter.cells.namespace import cell_names

        batch = self._desk.current()
        if batch is None:
            return []
        stage = re.split(r"[-\[]", typed)[0]
        inside: list[str] = []
        if stage != typed and stage in batch.stages:
            jobs = batch.stages[stage].jobs
            inside = [f"{stage}[{index}]" for index in range(len(jobs))] if "[" in typed else [job.name or "" for job in jobs]
        return [*cell_names(batch), *inside]

    def _files(self, typed: str) -> Sequence[str]:
        """'fit.' of each job, and behind the dot the files that it makes."""
        from hail_batch_jupyter.batch.base_job import made_by

        root, dot, _ = typed.rpartition(".")
        if not dot:
            return [f"{name}.{file}" for name in self._jobs(typed) for file in made_by(self._desk.shell.user_ns.get(name))]
        return [f"{root}.{file}" for file in made_by(self._value(root)) if file.isidentifier()]

    def _value(self, text: str) -> Any:
        """The job, stage or group of 'fit', 'fit[3]' or 'fit.bfile'; None for anything else."""
        name = re.match(r"\w*", text)
        value = self._desk.shell.user_ns.get(name[0] if name else "")
        for step in _STEP.findall(text):
            with suppress(Exception):  # an unknown file or index is nothing to be offered
                value = value[step[1:]] if step.startswith(".") else value[int(step[1:-1])]
        return value

    def _variables(self, typed: str) -> Sequence[str]:
        hidden = self._desk.shell.user_ns_hidden
        return sorted(name for name in self._desk.shell.user_ns if not name.startswith("_") and name not in hidden and typed)

    def _runs(self, typed: str) -> Sequence[str]:
        from hail_batch_jupyter.observe import rundir

        return rundir.run_ids()

    def _known_regions(self) -> Sequence[str]:
        """Those of the settings, and of the service when it has answered: it is asked once, beside."""
        from hail_batch_jupyter.config import configured_list

        batch = self._desk.current()
        if self._regions is None and batch is not None and hasattr(batch.backend, "supported_regions"):
            self._regions = []
            threading.Thread(target=self._ask, args=(batch.backend,), name="hail-batch-jupyter-regions", daemon=True).start()
        mine = [] if batch is None else batch.backend.regions or []
        return list(dict.fromkeys([*mine, *(configured_list("batch", "regions", None) or []), *(self._regions or [])]))

    def _ask(self, backend: Any) -> None:
        with suppress(Exception):  # without an answer there is less to offer, that is all
            self._regions = backend.supported_regions()
