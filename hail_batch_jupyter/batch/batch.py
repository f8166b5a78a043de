"""Batch: jobs, their files and their order, as the user describes them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Self, TypeVar

from hail_batch_jupyter.batch.base_job import Job
from hail_batch_jupyter.batch.bash_job import BashJob
from hail_batch_jupyter.batch.costs import BatchCosts
from hail_batch_jupyter.batch.files import new_serial
from hail_batch_jupyter.batch.python_job import PythonJob
from hail_batch_jupyter.batch.tokens import BATCH, token_text
from hail_batch_jupyter.core.draft import BatchDraft, JobDraft
from hail_batch_jupyter.core.spec import NOTHING
from hail_batch_jupyter.errors import BatchException, UnitError

if TYPE_CHECKING:
    from pathlib import Path

    from hail_batch_jupyter.batch.backend import Backend
    from hail_batch_jupyter.batch.groups import JobGroup
    from hail_batch_jupyter.batch.runs import Run
    from hail_batch_jupyter.core.files import FileRef
    from hail_batch_jupyter.core.spec import BatchSpec
    from hail_batch_jupyter.core.units import Quantity
    from hail_batch_jupyter.observe.running import RunningBatch

_J = TypeVar("_J", bound=Job)


class Batch(BatchCosts):
    """A graph of jobs that read and make files.

    >>> b = Batch(name='hello')
    >>> j = b.new_job(name='greet')
    >>> j = j.command(f'echo hello > {j.ofile}')
    >>> b.write_output(j.ofile, 'hello.txt')

    backend                what runs it; default: HAIL_BATCH_BACKEND, then batch/backend of the configuration, then 'local'
    default_image, …       what each new job begins with; `default_image` is for bash jobs, `default_python_image` for Python jobs
    default_retry          how often each job is tried in all, or a dict of the arguments of `Job.retry`
    cancel_after_n_failures  cancel the rest of a run when so many jobs have failed
    """

    bash_job_class: type[BashJob] = BashJob
    """What `new_bash_job` makes."""

    def __init__(
        self,
        name: str | None = None,
        backend: Backend[Any] | None = None,
        attributes: dict[str, str] | None = None,
        requester_pays_project: str | None = None,
        default_image: str | None = None,
        default_memory: Quantity | None = None,
        default_cpu: Quantity | None = None,
        default_storage: Quantity | None = None,
        default_regions: list[str] | None = None,
        default_timeout: Quantity | None = None,
        default_shell: str | None = None,
        default_python_image: str | None = None,
        default_spot: bool | None = None,
        project: str | None = None,
        cancel_after_n_failures: int | None = None,
        *,
        default_retry: int | Mapping[str, Any] | None = None,
    ) -> None:
        _check_batch_arguments(attributes, project, cancel_after_n_failures)
        super().__init__(BatchDraft(new_serial(), name, dict(attributes or {}), requester_pays_project=requester_pays_project))
        self.draft.cancel_after_n_failures = cancel_after_n_failures
        self.backend: Backend[Any] = backend or configured_backend()
        self._default_shell = default_shell
        self._default_images = {"bash": default_image, "python": default_python_image}
        self._default_regions = self.backend.regions if default_regions is None else default_regions
        self._defaults: dict[str, Any] = {
            "memory": default_memory,
            "cpu": default_cpu,
            "storage": default_storage,
            "regions": self._default_regions,
            "timeout": default_timeout,
            "spot": default_spot,
        }
        self._default_retry = {"attempts": default_retry} if isinstance(default_retry, int) else default_retry
        self._defaults = {setter: value for setter, value in self._defaults.items() if value is not None}
        self._project = project
        self.runs: list[Run] = []

    @staticmethod
    def from_batch_id(batch_id: int, *args: Any, **kwargs: Any) -> Batch:
        """A Batch whose jobs are added to a batch of the service; the other arguments are those of Batch.

        >>> Batch.from_batch_id(7, backend=hb.LocalBackend())
        Traceback (most recent call last):
            ...
        hail_batch_jupyter.errors.BatchException: from_batch_id(7) needs a batch of a service; pass backend=ServiceBackend(…)

        Raises BatchException without a ServiceBackend, and ServiceError when the service has no such batch.
        """
        batch = Batch(*args, **kwargs)
        if not batch.backend.remote:
            raise BatchException(f"from_batch_id({batch_id!r}) needs a batch of a service; pass backend=ServiceBackend(…)")
        batch.last_run = batch.backend.attach(batch_id)
        return batch

    @staticmethod
    async def async_from_batch_id(batch_id: int, *args: Any, **kwargs: Any) -> Batch:
        """As `from_batch_id`, for a running loop."""
        import asyncio

        return await asyncio.to_thread(Batch.from_batch_id, batch_id, *args, **kwargs)

    _async_from_batch_id = async_from_batch_id

    # what the batch is called

    @property
    def name(self) -> str | None:
        """The name.

        >>> b = Batch()
        >>> b.name = 'nightly'
        """
        return self.draft.name

    @name.setter
    def name(self, name: str | None) -> None:
        self.draft.name = name

    @property
    def attributes(self) -> dict[str, str]:
        """Free words about the batch.

        >>> b = Batch(attributes={'study': 'height'})
        >>> b.attributes['wave'] = '2'
        """
        return self.draft.attributes

    @attributes.setter
    def attributes(self, attributes: dict[str, str]) -> None:
        self.draft.attributes = attributes

    @property
    def requester_pays_project(self) -> str | None:
        """The project that pays for reading buckets whose owner does not.

        >>> b = Batch()
        >>> b.requester_pays_project = 'my-project'
        """
        return self.draft.requester_pays_project

    @requester_pays_project.setter
    def requester_pays_project(self, project: str | None) -> None:
        self.draft.requester_pays_project = project

    @property
    def lineage(self) -> str:
        """What the runs of this batch have in common, '' when later runs take nothing over from earlier ones."""
        return self.draft.lineage

    @lineage.setter
    def lineage(self, lineage: str) -> None:
        self.draft.lineage = lineage

    def __str__(self) -> str:
        return token_text(BATCH, self.draft.serial, 0)

    def __repr__(self) -> str:
        return f"<Batch {self.draft.name or self.draft.serial}: {len(self.draft.jobs)} jobs>"

    # jobs

    def new_bash_job(self, name: str | None = None, attributes: Mapping[str, str] | None = None, shell: str | None = None) -> BashJob:
        """A new job of shell commands; `shell`, such as '/bin/sh', runs them.

        >>> j = b.new_bash_job(name='count', shell='/bin/bash -euo pipefail').command('sort names | uniq -c | head')
        """
        return self._add(self._new_job("bash", name, attributes, shell, None), BashJob)

    def new_job(self, name: str | None = None, attributes: Mapping[str, str] | None = None, shell: str | None = None) -> BashJob:
        """The same as `new_bash_job`.

        >>> j = b.new_job(name='greet').command('echo hello')
        """
        return self._add(self._new_job("bash", name, attributes, shell, None), BashJob)

    def new_python_job(self, name: str | None = None, attributes: Mapping[str, str] | None = None) -> PythonJob:
        """A new job of calls of Python functions.

        >>> b = Batch()
        >>> total = b.new_python_job(name='total').call(sum, [1, 2, 3])
        """
        return self._add(self._new_job("python", name, attributes, None, None), PythonJob)

    def _add(self, job: Job, kind: type[_J]) -> _J:
        assert isinstance(job, kind)
        draft = job.job_draft
        self.draft.jobs[draft.uid] = draft
        self._handles[draft.uid] = job
        return job

    def _new_job(self, kind: str, name: str | None, attributes: Mapping[str, str] | None, shell: str | None, replaces: Job | None) -> Job:
        uid = self.new_uid() if replaces is None else replaces.job_draft.uid
        draft = JobDraft(uid, kind, name, dict(attributes) if attributes else NOTHING)
        job = self.bash_job_class(self, draft) if kind == "bash" else PythonJob(self, draft)
        draft.image = self._default_images[kind]
        draft.shell = (shell or self._default_shell) if kind == "bash" else None
        for setter, value in self._defaults.items():
            getattr(job, setter)(value)
        if self._default_retry is not None:
            job.retry(**self._default_retry)
        return job

    def new_group(
        self, name: str, attributes: Mapping[str, str] | None = None, cancel_after_n_failures: int | None = None, at_most: int | None = None
    ) -> JobGroup:
        """A group of jobs, with its own counts, limits and cancel; its `new_job` makes jobs in it, its `new_group` groups in it.

        cancel_after_n_failures  cancel the rest of the group, but nothing else, when so many of its jobs have failed
        at_most                  no more of its jobs than this at once

        >>> b = Batch()
        >>> downloads = b.new_group('downloads', at_most=4)
        >>> j = downloads.new_job().command('curl -O https://example.org/1')

        Raises BatchException for a name that is empty or taken, UnitError for a limit that is no number of jobs.
        """
        from hail_batch_jupyter.batch.groups import make_group

        return make_group(self, name, 0, attributes, cancel_after_n_failures, at_most)

    def at_most(self, n: int | None) -> Self:
        """No more than n jobs of a run at once, however many cores there are; None for no limit.

        >>> b = Batch().at_most(3)
        """
        from hail_batch_jupyter.batch.groups import checked_count

        self.draft.at_most = checked_count(n, "at_most")
        return self

    def select_jobs(self, pattern: str) -> list[Job]:
        """The jobs whose name begins with a match of the regular expression.

        >>> b = Batch()
        >>> jobs = [b.new_job(name=name) for name in ('align-1', 'align-2', 'sort')]
        >>> b.select_jobs('align')
        [<BashJob align-1>, <BashJob align-2>]
        """
        found = re.compile(pattern)
        return [self._handles[draft.uid] for draft in self.draft.jobs.values() if draft.name is not None and found.match(draft.name)]

    @property
    def jobs(self) -> list[Job]:
        """All jobs: as they were made, after a run in the order in which they could run.

        >>> b = Batch()
        >>> j = b.new_job(name='greet')
        >>> b.jobs
        [<BashJob greet>]
        """
        return [self._handles[uid] for uid in self.draft.jobs]

    # running

    def compile(self, only_new: bool = True) -> BatchSpec:
        """What a run would run; changes nothing. With `only_new` jobs of earlier runs are left out.

        >>> b = Batch()
        >>> j = b.new_job(name='greet').command('echo hello')
        >>> [job.display_name for job in b.compile().jobs]
        ['greet']
        """
        from hail_batch_jupyter.compile.compiler import compile_batch

        return compile_batch(self.draft, only_new=only_new)

    def run(self, dry_run: bool = False, verbose: bool = False, delete_scratch_on_exit: bool = True, **backend_kwargs: Any) -> Any:
        """Run the jobs that did not run yet, and wait for their end; gives the RunningBatch.

        dry_run   print what would run, and do nothing
        verbose   the shells of bash jobs print each command
        delete_scratch_on_exit  remove intermediate files afterwards
        wait=False (where the backend has it)  return at once, the run goes on
        resume=True (where the backend has it)  run all jobs, but take over those that succeeded in an earlier run of this batch and have not
                  changed: same command, inputs, image and settings, and their files are still there; says which run and why. It keeps intermediate files.
        max_cost_usd=5 (where the backend has it)  start no more jobs once what was spent, and what runs will probably cost, is more, by the rate card

        >>> b = Batch()
        >>> j = b.new_job(name='greet').command('echo hello')
        >>> run = b.run()
        Batch completed successfully!
        >>> run.status()['state']
        'success'

        Raises JobFailedError, which is a CalledProcessError, when a job failed; ValueError for an unknown keyword.
        """
        if not self.backend.runs_specs:
            return self.backend._run(self, dry_run, verbose, delete_scratch_on_exit, **backend_kwargs)  # noqa: SLF001 - the name that hailtop's backends override
        with nullcontext() if dry_run else self.backend.begin() as begun:
            from hail_batch_jupyter.batch.run import run_batch

            return run_batch(self, dry_run, verbose, delete_scratch_on_exit, begun, **backend_kwargs)

    async def async_run(self, dry_run: bool = False, verbose: bool = False, delete_scratch_on_exit: bool = True, **backend_kwargs: Any) -> Any:
        """As `run`, for a running loop, which goes on meanwhile; cancelling the task does what an interrupt of `run` does.

        >>> import asyncio
        >>> b = Batch()
        >>> j = b.new_job(name='greet').command('echo hello')
        >>> run = asyncio.run(b.async_run())
        Batch completed successfully!
        """
        return await self._async_run(dry_run, verbose, delete_scratch_on_exit, **backend_kwargs)

    async def _async_run(self, dry_run: bool = False, verbose: bool = False, delete_scratch_on_exit: bool = True, **backend_kwargs: Any) -> Any:
        return await self.backend._async_run(self, dry_run, verbose, delete_scratch_on_exit, **backend_kwargs)  # noqa: SLF001 - as in run

    @property
    def last_run(self) -> RunningBatch | None:
        """The newest run of this batch that is known here, None before the first.

        >>> b = Batch()
        >>> print(b.last_run)
        None
        """
        return self.runs[-1].running if self.runs else None

    @last_run.setter
    def last_run(self, running: RunningBatch) -> None:
        from hail_batch_jupyter.batch.runs import Run

        self.runs.append(Run(running))

    def reorder(self, uids: list[int]) -> None:
        """Put the jobs in this order, those not named last."""
        jobs = self.draft.jobs
        self.draft.jobs = {**{uid: jobs[uid] for uid in uids if uid in jobs}, **jobs}

    def fetch_path(self, ref: FileRef, timeout_s: float | None) -> Path:
        """See `JobResourceFile.path`."""
        from hail_batch_jupyter.batch.runs import fetch_path

        return fetch_path(self, ref, timeout_s)

    def fetch_result(self, ref: FileRef, timeout_s: float | None) -> Any:
        """See `PythonResult.result`."""
        from hail_batch_jupyter.batch.runs import fetch_result

        __tracebackhide__ = True
        return fetch_result(self, ref, timeout_s)

    # names of hailtop that existing code touches

    @property
    def _jobs(self) -> list[Job]:
        return self.jobs

    @property
    def _backend(self) -> Backend[Any]:
        return self.backend

    @property
    def _unsubmitted_jobs(self) -> list[Job]:
        return [self._handles[draft.uid] for draft in self.draft.jobs.values() if not draft.submitted]


def _check_batch_arguments(attributes: Mapping[str, str] | None, project: str | None, limit: int | None) -> None:
    if attributes and "name" in attributes:
        raise BatchException("'name' is not a valid attribute; give the name as Batch(name=…)")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise UnitError(f"cancel_after_n_failures {limit!r} is not a number of jobs; use 1 or more, or None for no limit")
    if project is not None:
        warnings.warn("'project' is deprecated; use Batch(requester_pays_project=…), or the project of the backend", UserWarning, stacklevel=3)


def configured_backend() -> Backend[Any]:
    """The backend that the settings name."""
    from hail_batch_jupyter.config import configured
    from hail_batch_jupyter.core.registry import backend_class

    made: Backend[Any] = backend_class(configured("batch", "backend", fallback="local"))()
    return made
