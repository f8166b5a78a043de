"""What an attempt needs before it can start: its number, its folder with its inputs, its log and its variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

from hail_batch_jupyter.core.ports import VISIBLE_GPUS, Attempt
from hail_batch_jupyter.core.spec import JobSpec
from hail_batch_jupyter.engine.localize import Localizer


class Preparer:
    """Makes attempts, also one ahead of its turn while others run.

    env        variables of single jobs              logs        the folder of all logs
    devices    numbers of the GPUs that a job holds
    """

    def __init__(self, localizer: Localizer, logs: str, env: Mapping[int, Mapping[str, str]], devices: Callable[[int], tuple[str, ...]]) -> None:
        self._localizer = localizer
        self._logs = logs
        self._env = env
        self._devices = devices
        self._ahead: dict[int, Attempt | str] = {}
        self._numbers: dict[int, int] = {}

    def refuse(self, reasons: Mapping[int, str]) -> None:
        """The first attempts of these jobs cannot start."""
        self._ahead.update(reasons)
        self._numbers.update(dict.fromkeys(reasons, 1))

    def number(self, job_id: int) -> int:
        """How many attempts a job has had, the one that is ready or runs included."""
        return self._numbers.get(job_id, 0)

    def ahead(self, job: JobSpec) -> None:
        """Prepare an attempt that is likely to come next."""
        if job.job_id not in self._ahead:
            self._ahead[job.job_id] = self._prepare(job)

    def take(self, job: JobSpec) -> Attempt | str:
        """The next attempt of a job, or why there cannot be one."""
        return self._ahead.pop(job.job_id, None) or self._prepare(job)

    def _prepare(self, job: JobSpec) -> Attempt | str:
        number = self._numbers[job.job_id] = self._numbers.get(job.job_id, 0) + 1
        log = f"{self._logs}/{job.job_id}.{number}.main.log"
        try:
            self._localizer.stage(job.inputs)
            directory = self._localizer.make_directory(job, number)
            self._localizer.recycler.log(log)
        except OSError as error:
            return f"input copy failed: {f'{error.strerror}: {error.filename}' if error.strerror else error}"
        env = {"BATCH_TMPDIR": self._localizer.scratch, **self._env.get(job.job_id, {})}
        if devices := self._devices(job.job_id):
            env[VISIBLE_GPUS] = ",".join(devices)
        return Attempt(job, number, 0, job.command, env, directory, log)
