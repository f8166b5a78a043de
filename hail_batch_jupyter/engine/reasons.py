"""Why a job was not taken over from the run before, in a few words."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.spec import SCRATCH, JobSpec, from_json
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.engine.fingerprint import Prints, load
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.journal import read_events

_ENDS = {JobState.FAILED: "failed before", JobState.ERROR: "failed before", JobState.CANCELLED: "was cancelled before"}


class Before:
    """The run before, as far as it can still be read."""

    def __init__(self, run_id: str, prints: Prints) -> None:
        self._now = prints
        self._jobs: dict[str, tuple[JobSpec, JobView]] = {}
        self._inputs: dict[str, str] = {}
        try:
            directory = rundir.find(run_id)
            spec = from_json(json.loads((directory / "spec.json").read_text()))
            snapshot = BatchSnapshot.empty([job.job_id for job in spec.jobs]).after(read_events(directory / "events.jsonl"))
        except (RunLostError, OSError, ValueError, TypeError, KeyError):
            return
        self._jobs = {job.display_name: (job, view) for job, view in zip(spec.jobs, snapshot.jobs)}
        self._inputs = load(directory).inputs

    def why(self, job: JobSpec, parents: Sequence[str], *, spoilt: bool) -> str:
        """The first of the reasons; `parents` are those of its parents that run, `spoilt` says that its files were not there any more."""
        if parents:
            return f"follows {parents[0]}" + (f" and {len(parents) - 1} more" if len(parents) > 1 else "")
        if spoilt:
            return "its files were removed or changed"
        if job.display_name not in self._jobs:
            return "is new"
        earlier, view = self._jobs[job.display_name]
        if earlier.key != job.key:
            return "its command or settings changed"
        return self._changed_input(job) or _ENDS.get(view.state, "did not finish before")

    def _changed_input(self, job: JobSpec) -> str:
        for transfer in job.inputs:
            now, then = (inputs.get(transfer.source) for inputs in (self._now.inputs, self._inputs))
            if now != then and not transfer.source.startswith(SCRATCH):
                address = transfer.source.partition("?")[0] if transfer.source.startswith("https://") else transfer.source  # without its token
                return f"input {address.rsplit('/', 1)[-1]} changed"
        return ""
