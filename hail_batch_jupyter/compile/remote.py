"""A run for machines that share nothing but a folder of a bucket: what each job copies there and back, and what must lie there first."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hail_batch_jupyter.compile.shellplaces import Place
from hail_batch_jupyter.compile.shelltext import quote_path
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, Edge, JobSpec, Request, Transfer
from hail_batch_jupyter.errors import CapabilityError

_SHELL = "/bin/bash"
EXTERNAL, CLEANUP = "write_external_inputs", "remove_tmpdir"
_DEEPEST = 2
REMOVE = "hbj-remove"
"""The command that a service of our own does itself: remove a folder of its storage, which its jobs cannot reach."""
_CLEANUP_CPU = Request(cpu_mcpu=250, asked=(("cpu", "0.25"),))


class Scratch(NamedTuple):
    """Where the files of a run are: in a folder of each job's machine, and between jobs in a folder that all reach."""

    inside: str
    remote: str

    @property
    def on_this_machine(self) -> bool:
        """Whether the shared folder is one of this machine."""
        return self.remote.startswith("file://")

    @property
    def of_service(self) -> bool:
        """Whether the shared folder is in the service's own storage."""
        return self.remote.startswith("hbj://")


class Images(NamedTuple):
    """Container images for jobs without one: of shell commands, of Python calls, and of copying and removing."""

    bash: str
    python: str
    tools: str


class Sending(NamedTuple):
    """What must lie at `uri` before the run: bytes, or a copy of the file or folder at a path of this machine."""

    uri: str
    content: str | bytes


class RemoteRun(NamedTuple):
    """What is posted, and what is sent before."""

    spec: BatchSpec
    sendings: tuple[Sending, ...]


def remote_run(spec: BatchSpec, scratch: Scratch, images: Images, *, keep_files: bool) -> RemoteRun:
    """The run as jobs that copy their files: with a first job for inputs that are written out, and a last one that clears the shared folder.

    Raises CapabilityError for a file of this machine that a job elsewhere cannot write, and for what only an engine of ours does.
    """
    _check_limits(spec)
    making = _Making(scratch, images, keep_files, frozenset(path for job in spec.jobs for path in job.needs))
    helpers = [making.external(spec.external)] if spec.external else []
    first = spec.jobs[0].job_id if spec.jobs else 1
    jobs = [*helpers, *(making.job(job) for job in renumbered(spec.jobs, first, first + len(helpers)))]
    sendings = [Sending(making.remote(upload.dest), upload.data) for upload in spec.uploads] + making.sendings
    jobs = [job if job.job_id == number else job._replace(job_id=number) for number, job in enumerate(jobs, first)]
    if not keep_files and (sendings or making.shares):
        jobs.append(making.cleanup(jobs))
    return RemoteRun(spec._replace(jobs=tuple(jobs), uploads=(), external=()), tuple(sendings))


def _check_limits(spec: BatchSpec) -> None:
    limited = next((f"group {group.name!r}" for group in spec.groups if group.at_most is not None), None if spec.at_most is None else "the batch")
    if limited is not None:
        raise CapabilityError(f"{limited} has at_most, which ServiceBackend cannot tell a batch service; leave it out, or use LocalBackend")
    for group in spec.groups:
        if len(spec.groups_of(group.group_id)) > _DEEPEST:
            raise CapabilityError(f"group {group.name!r} is in a group of a group, and a batch service has {_DEEPEST} levels of them; put it one level up")


def _check_known(job: JobSpec) -> None:
    """Refuse what only an engine of ours does."""
    who = f"job {job.display_name!r}"
    if job.parents and any(edge.on != "success" for edge in job.parents):
        raise CapabilityError(f"{who} waits for the end of another job, and a batch service knows waiting for success only; use always_run")
    if job.retry is not None:
        raise CapabilityError(f"{who} has a retry policy, and a batch service tries a job again only when its worker is lost; use n_max_attempts")
    if job.request.gpus:
        raise CapabilityError(f"{who} asks for GPUs, which ServiceBackend cannot tell a batch service; leave them out, or use LocalBackend")


def renumbered(jobs: Sequence[JobSpec], first: int, new_first: int) -> Iterator[JobSpec]:
    """The jobs with other numbers; edges to jobs of earlier runs, below `first`, stay."""
    shift = new_first - first
    if not shift:
        yield from jobs
        return
    for job in jobs:
        parents = tuple([edge._replace(job_id=edge.job_id + shift) if edge.job_id >= first else edge for edge in job.parents])
        yield job._replace(job_id=job.job_id + shift, parents=parents)


class _Making:
    """Makes the jobs of one run.

    needed    paths that jobs of this run read of others        shares   whether any file goes through the shared folder
    sendings  local inputs, each once
    """

    def __init__(self, scratch: Scratch, images: Images, keep_files: bool, needed: frozenset[str]) -> None:
        self._scratch = scratch
        self._images = images
        self._keep_files = keep_files
        self._needed = needed
        self._sent: dict[str, str] = {}
        self.shares = False

    @property
    def sendings(self) -> list[Sending]:
        """Copies of local inputs."""
        return [Sending(uri, path) for path, uri in self._sent.items()]

    def inside(self, path: str) -> str:
        """Where a path below scratch is on the job's machine."""
        return _below(self._scratch.inside, path)

    def remote(self, path: str) -> str:
        """Where a path below scratch is in the shared folder."""
        return _below(self._scratch.remote, path)

    def job(self, job: JobSpec) -> JobSpec:
        """The job with its copying."""
        _check_known(job)
        inputs, links = self._inputs(job)
        return job._replace(
            command=self._command(job, links),
            env={**job.env, "BATCH_TMPDIR": self._scratch.inside},
            image=job.image or (self._images.python if job.kind == "python" else self._images.bash),
            inputs=tuple(inputs),
            outputs=tuple(self._outputs(job)),
        )

    def _inputs(self, job: JobSpec) -> tuple[list[Transfer], list[tuple[str, str]]]:
        """What is copied before the job, and which of it is known by a second path."""
        found: dict[str, str] = {}
        links = []
        for copy in job.inputs:
            source = self._reachable(copy.source, copy.dest)
            if source in found:
                links.append((found[source], copy.dest))
            else:
                found[source] = copy.dest
        own = [*job.code, *job.needs]
        self.shares = self.shares or bool(own)
        transfers = [Transfer(source, self.inside(dest)) for source, dest in found.items()]
        return transfers + [Transfer(self.remote(path), self.inside(path)) for path in own], links

    def _reachable(self, source: str, dest: str) -> str:
        """The URI that jobs read an input at: its own, or that of a copy of the local file."""
        if "://" in source:
            return source
        if source not in self._sent:
            self._sent[source] = self.remote(dest)
        return self._sent[source]

    def _outputs(self, job: JobSpec) -> Iterator[Transfer]:
        for path in (*job.promises, *job.results):
            if self._keep_files or path in self._needed:
                self.shares = True
                yield Transfer(self.inside(path), self.remote(path))
        for copy in job.outputs:
            yield Transfer(self.inside(copy.source), self._destination(copy.dest, f"job {job.display_name!r}"))

    def _destination(self, dest: str, who: str) -> str:
        if "://" in dest:
            return dest
        if self._scratch.on_this_machine:
            return f"file://{dest}"
        place = f"{self._scratch.remote.rsplit('/', 2)[0]}/results/file, and copy it from there" if self._scratch.of_service else "gs://bucket/file"
        raise CapabilityError(f"{who} writes {dest!r}, and jobs of a batch service cannot write files of this machine; name a place such as {place}")

    def _command(self, job: JobSpec, links: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        lines = ["set -e"] if self._is_made(job) else ["set -e", f"mkdir -p {_quoted(job.directory)}"]
        lines += [f"ln -sfn {_quoted(source)} {_quoted(link)}" for source, link in links]
        if job.kind == "bash":
            return (*job.command[:-1], "\n".join([*lines, job.command[-1]]))
        words = [_quoted(word) if word.startswith(SCRATCH) else shlex.quote(word) for word in job.command]
        return (_SHELL, "-c", "\n".join([*lines, f"exec {' '.join(words)}\n"]))

    def _is_made(self, job: JobSpec) -> bool:
        """Whether a job needs no folder but that of all its files, which is there; a process that makes one would double what a small job takes."""
        name = job.directory.rsplit("/", 1)[-1]
        return self._scratch.of_service and job.kind == "bash" and name.isascii() and name not in job.command[-1] and not job.promises

    def external(self, copies: Sequence[Transfer]) -> JobSpec:
        """The job that copies inputs straight to outputs."""
        pairs = []
        for number, copy in enumerate(copies):
            source = self._reachable(copy.source, f"external/{number}/{copy.source.rstrip('/').rsplit('/', 1)[-1]}")
            pairs.append((source, self._destination(copy.dest, "the batch")))
        if self._scratch.of_service:
            inside = [f"{self._scratch.inside}/{number}" for number in range(len(pairs))]
            copies_in = tuple(Transfer(source, path) for (source, _), path in zip(pairs, inside, strict=True))
            return self._helper(EXTERNAL, ("true",))._replace(
                inputs=copies_in, outputs=tuple(Transfer(path, dest) for (_, dest), path in zip(pairs, inside, strict=True))
            )
        if not self._scratch.on_this_machine:
            text = json.dumps([{"from": source, "to": dest} for source, dest in pairs])
            return self._helper(EXTERNAL, ("python3", "-m", "hailtop.aiotools.copy", "null", text))
        lines = ["set -e", *(f"mkdir -p {_parent(dest)}\ncp -RT {_path(source)} {_path(dest)}" for source, dest in pairs)]
        return self._helper(EXTERNAL, (_SHELL, "-c", "\n".join(lines) + "\n"))

    def cleanup(self, jobs: Sequence[JobSpec]) -> JobSpec:
        """The job that clears the shared folder, after all others: the last of each line of jobs end after the rest."""
        command: tuple[str, ...] = ("python3", "-m", "hailtop.aiotools.delete", self._scratch.remote)
        if self._scratch.on_this_machine:
            command = ("rm", "-rf", "--", _bare(self._scratch.remote))
        elif self._scratch.of_service:
            command = (REMOVE, self._scratch.remote)
        parents = {edge.job_id for job in jobs for edge in job.parents}
        last = tuple([Edge(job.job_id) for job in jobs if job.job_id not in parents])
        return self._helper(CLEANUP, command)._replace(job_id=jobs[0].job_id + len(jobs), parents=last, always_run=True, request=_CLEANUP_CPU)

    def _helper(self, name: str, command: tuple[str, ...]) -> JobSpec:
        image = self._images.bash if self._scratch.on_this_machine or self._scratch.of_service else self._images.tools
        return JobSpec(1, "", name, "bash", command, "", image=image)


def _below(folder: str, path: str) -> str:
    return f"{folder}/{path.removeprefix(SCRATCH + '/')}"


def _quoted(path: str) -> str:
    return quote_path(path.removeprefix(SCRATCH + "/"), Place.BARE)


def _bare(uri: str) -> str:
    return uri.removeprefix("file://")


def _path(uri: str) -> str:
    return shlex.quote(_bare(uri))


def _parent(uri: str) -> str:
    return shlex.quote(_bare(uri).rsplit("/", 1)[0] or "/")
