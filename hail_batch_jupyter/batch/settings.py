"""What a job asks for, beside what it does: the setters that both kinds of jobs have."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Self, TypeVar

from hail_batch_jupyter.batch.policies import retry_policy
from hail_batch_jupyter.core.draft import with_entry, with_item
from hail_batch_jupyter.core.retry import CAUSES
from hail_batch_jupyter.core.units import Quantity, check_memory, parse_bytes, parse_cpu, parse_duration
from hail_batch_jupyter.errors import BatchException, CapabilityError, UnitError

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.draft import JobDraft

J = TypeVar("J", bound="Settings")


_TINY_BYTES = 1_000_000
"""A bare number below it was not meant as bytes."""


def _warn_if_tiny(what: str, value: Quantity) -> None:
    if str(value).isdecimal() and 0 < int(value) < _TINY_BYTES:
        warnings.warn(f"{what} {value} is {value} {'byte' if int(value) == 1 else 'bytes'}; for gibibytes write '{value}Gi'", UserWarning, stacklevel=3)


class Settings:
    """Setters; each checks its value at once, notes it in the draft and gives the job back.

    job_draft  what is said of the job        job_batch  whose job it is
    """

    job_draft: JobDraft
    job_batch: Batch

    def cpu(self, cores: Quantity | None) -> Self:
        """Cores, such as 2 or 0.5, or millicores such as '250m'; None takes the default again.

        >>> j = b.new_job().cpu('500m')

        Raises UnitError for any other text.
        """
        if cores is not None:
            parse_cpu(cores)
        self.job_draft.cpu = None if cores is None else str(cores)
        return self

    def memory(self, memory: Quantity | None) -> Self:
        """Bytes, a size such as '500Mi' or '3.75G', or 'lowmem', 'standard', 'highmem' (1, 4, 7 GiB a core).

        A bare number is bytes; one below a million gets a warning, because gibibytes were meant.

        >>> j = b.new_job().cpu(2).memory('3.5Gi')

        Raises UnitError for any other text.
        """
        if memory is not None:
            check_memory(memory)
            _warn_if_tiny("memory", memory)
        self.job_draft.memory = None if memory is None else str(memory)
        return self

    def storage(self, storage: Quantity | None) -> Self:
        """Bytes, or a size such as '10Gi', of extra disk; ignored where the disk is that of this machine.

        >>> j = b.new_job().storage('20Gi')

        Raises UnitError for any other text.
        """
        if storage is not None:
            parse_bytes(storage, "storage")
            _warn_if_tiny("storage", storage)
        self.job_draft.storage = None if storage is None else str(storage)
        return self

    def env(self, variable: str, value: object) -> Self:
        """Set an environment variable; the value arrives exactly as it is. The last value of a name counts.

        >>> j = b.new_job().env('GREETING', 'hello  world').command('echo "$GREETING"')
        """
        if not isinstance(variable, str) or not variable or "=" in variable or "\0" in variable:
            raise BatchException(f"env: {variable!r} cannot be the name of an environment variable; use letters, digits and '_', such as 'MY_VALUE'")
        text = str(value)
        if "\0" in text:
            raise BatchException(f"env: the value of {variable!r} holds a NUL character, which no environment can carry; write it to a file and read that")
        self.job_draft.env = with_entry(self.job_draft.env, variable, text)
        return self

    def image(self, image: str) -> Self:
        """The container image that the job runs in.

        >>> j = b.new_job().image('ubuntu:24.04').command('cat /etc/os-release')
        """
        self.job_draft.image = image
        return self

    def timeout(self, timeout: Quantity | None) -> Self:
        """Seconds, or '90s', '15m', '2h', after which the job is ended; None or 0 is no limit.

        >>> j = b.new_job().timeout('90m').command('./search everything')
        """
        if timeout is None:
            self.job_draft.timeout_s = None
            return self
        self._require("timeout")
        self.job_draft.timeout_s = parse_duration(timeout) or None
        return self

    def always_run(self, always_run: bool = True) -> Self:
        """Run the job even if jobs that it waits for failed or were cancelled.

        >>> work = b.new_job(name='work').command('./work')
        >>> tidy = b.new_job(name='tidy').depends_on(work).always_run().command('./tidy')
        """
        self.job_draft.always_run = always_run
        return self

    def always_copy_output(self, always_copy_output: bool = True) -> Self:
        """Copy the job's outputs even if it failed.

        >>> b = hb.Batch()
        >>> j = b.new_job()
        >>> j = j.command(f'./work > {j.log} 2>&1').always_copy_output()
        >>> b.write_output(j.log, 'work.log')
        """
        if always_copy_output:
            self._require("always_copy_output")
        self.job_draft.always_copy_output = always_copy_output
        return self

    def n_max_attempts(self, n_max_attempts: int) -> Self:
        """How often the job is tried at most, counting lost workers; a job that fails by itself is tried again only with `retry`.

        >>> j = b.new_job().n_max_attempts(3)
        """
        if not isinstance(n_max_attempts, int) or n_max_attempts < 1:
            raise UnitError(f"n_max_attempts {n_max_attempts!r} is not a number of attempts; use 1 or more")
        self.job_draft.n_max_attempts = n_max_attempts
        return self

    def retry(
        self,
        attempts: int = 3,
        on: str | int | Iterable[str | int] = CAUSES[:3],
        *,
        delay: Quantity = 0,
        growth: float = 2,
        max_delay: Quantity = "1h",
        memory_factor: float = 2,
        no_spot_after: int | None = None,
    ) -> Self:
        """Try the job again when it did not succeed.

        attempts       tries in all that end by one of these causes, the first included; 1 to try once only
        on             which ends count: 'exit' (any exit code but 0), 'out of memory', 'timeout', 'lost' (its worker), or exit codes
        delay, growth  the second try waits `delay`, each later one `growth` times as long as the one before, `max_delay` at most
        memory_factor  after running out of memory the next try asks for so many times the memory, at most what the machine has
        no_spot_after  after so many tries whose machine was taken away or failed, the next ones ask for a machine that stays, as `spot(False)` does

        Each try starts in an empty directory and has a log of its own. A lost worker is made up for without this, as often as `n_max_attempts` says.

        >>> from hail_batch_jupyter.batch import Batch
        >>> j = Batch().new_job().command('curl -sf https://example.org/data')
        >>> j = j.retry(5, on=('timeout', 7, 28), delay='10s').timeout('2m')
        >>> j = j.spot(True).retry(1, no_spot_after=2)

        Raises UnitError for an unknown cause, a number of attempts or machines below 1, or a malformed duration.
        """
        self.job_draft.retry = retry_policy(attempts, on, delay, growth, max_delay, memory_factor, no_spot_after)
        return self

    def gpu(self, n: int = 1, kind: str | None = None) -> Self:
        """GPUs that the job has for itself: it sees them in CUDA_VISIBLE_DEVICES; 0 for none.

        `kind` is a part of the model's name, in any case; None takes what there is. A machine without them refuses the run.

        >>> from hail_batch_jupyter.batch import Batch
        >>> j = Batch().new_job().command('python3 train.py').gpu(2, kind='A100')

        Raises UnitError for anything but a whole number.
        """
        if not isinstance(n, int) or isinstance(n, bool) or n < 0:
            raise UnitError(f"gpu {n!r} is not a number of GPUs; use 1 or more, or 0 for none")
        if kind is not None and (not isinstance(kind, str) or not kind.strip()):
            raise UnitError(f"gpu: kind {kind!r} is not the name of a model; write a part of it, such as 'T4', or None for any")
        self.job_draft.gpus = n
        self.job_draft.gpu_kind = kind.strip() if n and kind else None
        return self

    def spot(self, is_spot: bool) -> Self:
        """Whether the job may run on a machine that can be taken away; no effect on one's own machine.

        >>> j = b.new_job().spot(False)
        """
        self.job_draft.spot = is_spot
        return self

    def regions(self, regions: list[str] | None) -> Self:
        """The cloud regions where the job may run; None for any.

        >>> service = hb.ServiceBackend(billing_project='trial', remote_tmpdir='gs://my-bucket/tmp', regions=['us-central1'], token='my-token')
        >>> j = hb.Batch(backend=service).new_job().regions(['us-central1', 'us-east1'])
        """
        self._require("regions")
        self.job_draft.regions = None if regions is None else list(regions)
        return self

    def cloudfuse(self, bucket: str, mount_point: str, *, read_only: bool = True) -> Self:
        """Mount a bucket (for Azure 'account/container') at a folder of the job.

        >>> service = hb.ServiceBackend(billing_project='trial', remote_tmpdir='gs://my-bucket/tmp', regions=['us-central1'], token='my-token')
        >>> j = hb.Batch(backend=service).new_job().cloudfuse('my-bucket', '/data').command('ls /data')
        """
        self._require("cloudfuse")
        for name, value in (("bucket", bucket), ("mount_point", mount_point)):
            if value == "":
                raise BatchException(f"{name} cannot be the empty string; name the bucket and the folder where it is mounted")
        self.job_draft.cloudfuse = with_item(self.job_draft.cloudfuse, (bucket, mount_point, read_only))
        return self

    def gcsfuse(self, bucket: str, mount_point: str, read_only: bool = True) -> Self:
        """The former name of `cloudfuse`."""
        warnings.warn("'gcsfuse' is the former name of 'cloudfuse'; use 'cloudfuse' instead", UserWarning, stacklevel=2)
        return self.cloudfuse(bucket, mount_point, read_only=read_only)

    def _require(self, option: str) -> None:
        if option not in self.job_batch.backend.capabilities:
            raise CapabilityError(f"A ServiceBackend is required to use the {option!r} option")

    @property
    def _machine_type(self) -> str | None:
        return self.job_draft.machine_type

    @_machine_type.setter
    def _machine_type(self, machine_type: str | None) -> None:
        self.job_draft.machine_type = machine_type

    @property
    def _image(self) -> str | None:
        return self.job_draft.image

    @property
    def _cpu(self) -> str | None:
        return self.job_draft.cpu

    @property
    def _memory(self) -> str | None:
        return self.job_draft.memory

    @property
    def _storage(self) -> str | None:
        return self.job_draft.storage

    @property
    def _regions(self) -> list[str] | None:
        return self.job_draft.regions

    @property
    def _preemptible(self) -> bool | None:
        return self.job_draft.spot
