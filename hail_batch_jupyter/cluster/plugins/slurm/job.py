"""A job of Slurm: submitted by sbatch, watched by squeue and the accounting."""

from __future__ import annotations

import time
from typing import Any, Optional

from hail_batch_jupyter.cluster.job import ClusterJob, refused
from hail_batch_jupyter.cluster.slurm import query
from hail_batch_jupyter.cluster.slurm.answers import parse_submitted
from hail_batch_jupyter.cluster.slurm.script import batch_script
from hail_batch_jupyter.cluster.slurm.states import reduce_states, simplified_state
from hail_batch_jupyter.cluster.slurm.watch import pause_s, watch_of
from hail_batch_jupyter.errors import ClusterError

__all__ = ["Job", "reduce_states", "simplified_state"]


class Job(ClusterJob):
    """A job or array of Slurm; `cluster` is the name that sbatch told, '' where there is one cluster only."""

    plugin = "slurm"
    cluster = ""

    def batch_file(self) -> str:
        """The script that sbatch gets."""
        return batch_script(self.job_params)

    def check(self) -> None:
        """As for every job, and that no field breaks out of its directive."""
        super().check()
        batch_script(self.job_params)

    def start(self) -> str:
        """Write the script, copy the inputs, call sbatch."""
        folder, script = self.job_params.work_directory.rstrip("/") or "/", self.path("batch.cmd")
        logs = self.path("logs")
        self.protocol.run(["mkdir", "-p", logs])
        # A second run in a directory must not show the logs of the first while it waits.
        self.protocol.run(["find", logs, "-name", "*.log", "-type", "f", "-delete"])
        self.protocol.create(script, self.batch_file())
        self.protocol.upload(self.job_params.input_files, folder)
        answer = self.protocol.run(["sbatch", "--parsable", "--chdir", folder, script])
        jobid, self.cluster = parse_submitted(answer)
        return jobid

    def state(self) -> str:
        """The state by the queue, and by the accounting where the queue does not know."""
        if not self.jobid:
            return "CREATED"
        enquiry = query.Enquiry(self.protocol, {self.jobid: max(1, self.job_params.total_jobs)}, self.cluster)
        state = enquiry.states()[self.jobid]
        if not state:
            what = "Unknown state" if enquiry.words() else "No answer"
            raise ClusterError(f"Failed to get the state of the job.\n{what} of job {self.jobid}: {enquiry.story()}")
        return state

    def wait(self) -> None:
        """Return when the job is FINISHED or FAILED; one question at a time is asked for all jobs that wait, and again when it fails."""
        if not self.jobid:
            return
        watch = watch_of(self.protocol, self.cluster)
        watch.add(self.jobid, max(1, self.job_params.total_jobs))
        began = newer = time.monotonic()
        try:
            while not query.is_final(self._watched(watch, newer)):
                newer = time.monotonic()
                time.sleep(pause_s(newer - began))
        finally:
            watch.drop(self.jobid)

    def _watched(self, watch: Any, newer_than_s: float) -> str:
        """'' while nobody knows, also when the connection fails for a while."""
        try:
            return str(watch.state(self.protocol, self.cluster, self.jobid, newer_than_s))
        except ClusterError:
            return ""

    def exit_code(self) -> Optional[int]:
        """0 of a finished job; of a failed one its code or signal, of an array that of the first element that failed, as far as Slurm tells."""
        state = self.state()
        if state == "FINISHED":
            return 0
        return query.exit_code(self.protocol, self.jobid, self.cluster) if state == "FAILED" else None

    def cancel(self) -> None:
        """Call scancel; does nothing before submit, and an ended job is no error."""
        if not self.jobid:
            return
        try:
            self.protocol.run(["scancel", *(["-M", self.cluster] if self.cluster else []), self.jobid])
        except ClusterError as error:
            raise refused("Failed to cancel the job.", error) from error

    def record(self) -> dict[str, Any]:
        """As of every job, and its cluster."""
        return {**super().record(), "cluster": self.cluster}

    def restore(self, record: dict[str, Any]) -> None:
        """Take over id and cluster."""
        super().restore(record)
        self.cluster = str(record["cluster"])
