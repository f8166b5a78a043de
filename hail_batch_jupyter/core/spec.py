"""What is to run: frozen values, plain enough for JSON, all that a backend needs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Optional

from hail_batch_jupyter.core.retry import Retry

SPEC_VERSION = 1
NOTHING: Mapping[Any, str] = MappingProxyType({})
SCRATCH = "${BATCH_TMPDIR}"
"""Begins every path below the run's scratch folder; whoever runs the job puts the folder in its place."""


class Edge(NamedTuple):
    """Waits for `job_id`: for its success, or with on='end' for its end only."""

    job_id: int
    on: str = "success"


class Transfer(NamedTuple):
    """One file or folder to copy; `source` and `dest` are URIs or begin with ${BATCH_TMPDIR}.

    payer   Google project that pays for reading, '' for that of the batch
    """

    source: str
    dest: str
    label: str = ""
    payer: str = ""


class Upload(NamedTuple):
    """Bytes that must lie at `dest` before the first job starts."""

    dest: str
    data: bytes
    mode: int = 0o600


class Request(NamedTuple):
    """Resources asked for; None means that the user said nothing.

    gpu_kind  a part of a model's name, such as 'T4'
    asked     (cpu | memory | storage, text) of what the user wrote, for services that read the same units
    """

    cpu_mcpu: int | None = None
    memory_bytes: int | None = None
    storage_bytes: int | None = None
    machine_type: str | None = None
    spot: bool | None = None
    gpus: int = 0
    gpu_kind: str | None = None
    asked: tuple[tuple[str, str], ...] = ()


class GroupSpec(NamedTuple):
    """Jobs that are counted and cancelled together; `parent` is 0 for a group of the batch itself.

    at_most  no more of its jobs, those of its groups included, run at once
    """

    group_id: int
    name: str
    parent: int = 0
    attributes: Mapping[str, str] = NOTHING
    cancel_after_n_failures: int | None = None
    at_most: int | None = None


class JobSpec(NamedTuple):
    """One job.

    job_id      1-based, parents before children
    key         fingerprint of what the job does, without where its files lie
    kind        'bash' or 'python'
    command     argv; for a Python job what to run where no warm interpreter is at hand
    env         name -> value; the values never reach a disk, a table or a log
    inputs      transfers into scratch before it runs     outputs   transfers out of scratch after it
    directory   its folder, relative to scratch
    needs       files of other jobs that it reads, relative to scratch
    promises    its own files, relative to scratch, that must be there after success (others read them, or they are written out)
    results     for a Python job: paths of its results, relative to scratch
    calls       for a Python job: path of its pickled calls, relative to scratch
    code        files of its own among the uploads: the script, the functions and arguments; relative to scratch
    user_code   the command as the user wrote it, for people to read
    retry       when it is tried again by itself; None for hailtop's rule, only if its worker is lost
    group       number of its group, 0 for the batch itself
    """

    job_id: int
    key: str
    name: str | None
    kind: str
    command: tuple[str, ...]
    directory: str
    env: Mapping[str, str] = NOTHING
    image: str | None = None
    inputs: tuple[Transfer, ...] = ()
    outputs: tuple[Transfer, ...] = ()
    needs: tuple[str, ...] = ()
    promises: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    calls: str | None = None
    parents: tuple[Edge, ...] = ()
    request: Request = Request()
    always_run: bool = False
    always_copy_output: bool = False
    n_max_attempts: int = 20
    timeout_s: float | None = None
    regions: tuple[str, ...] | None = None
    cloudfuse: tuple[tuple[str, str, bool], ...] = ()
    attributes: Mapping[str, str] = NOTHING
    user_code: str = ""
    uid: int = 0
    code: tuple[str, ...] = ()
    retry: Retry | None = None
    group: int = 0

    @property
    def display_name(self) -> str:
        """The name, or 'job 7' where there is none."""
        return self.name or f"job {self.job_id}"


class Budget(NamedTuple):
    """What a run may cost.

    max_usd      no job is started once what was spent, and what runs will probably cost, is more
    expected_ms  billed milliseconds of each job in the order of the jobs, 0 where nothing is known
    """

    max_usd: float
    expected_ms: tuple[int, ...] = ()


class BatchSpec(NamedTuple):
    """A whole run: jobs in topological order, numbered from `first_job_id`.

    uploads        bytes placed before the first job; kept out of JSON
    external       copies from an input straight to an output, made when the run starts
    token          idempotency token; also the identity of the batch between runs, see `lineage`
    lineage        what runs of one batch have in common, '' if they have nothing to do with one another
    previous_run   id of the run that this one follows
    groups         numbered from 1, parents first          at_most  no more jobs of the run at once
    left_out       jobs that do not run, unless their results are taken over; they end as cancelled
    card           the rate card by which its attempts are priced, as `cost.card.card_data` gives it; None where nothing is charged
    """

    name: str | None
    jobs: tuple[JobSpec, ...]
    attributes: Mapping[str, str] = NOTHING
    uploads: tuple[Upload, ...] = ()
    external: tuple[Transfer, ...] = ()
    previous_run: str | None = None
    lineage: str = ""
    cancel_after_n_failures: int | None = None
    callback: str | None = None
    token: str | None = None
    billing_project: str | None = None
    requester_pays_project: str | None = None
    done: Mapping[int, str] = NOTHING
    groups: tuple[GroupSpec, ...] = ()
    at_most: int | None = None
    left_out: tuple[int, ...] = ()
    card: Optional[Mapping[str, Any]] = None
    budget: Optional[Budget] = None

    def job(self, job_id: int) -> JobSpec:
        """The job of that number; KeyError if there is none."""
        index = job_id - self.jobs[0].job_id if self.jobs else -1
        if 0 <= index < len(self.jobs) and self.jobs[index].job_id == job_id:
            return self.jobs[index]
        raise KeyError(job_id)

    def groups_of(self, group_id: int) -> list[int]:
        """The group and those around it, from the inside out, without the batch itself."""
        chain = []
        while group_id:
            chain.append(group_id)
            group_id = self.groups[group_id - 1].parent
        return chain


def to_json(spec: BatchSpec) -> dict[str, Any]:
    """The spec as plain JSON values; values of `env` and the bytes of uploads are left out."""
    head = {key: value for key, value in spec._asdict().items() if key not in ("jobs", "uploads", "groups", "left_out")}
    head["attributes"] = dict(spec.attributes)
    head["done"] = {str(job_id): state for job_id, state in spec.done.items()}
    if spec.groups:
        head["groups"] = [{**group._asdict(), "attributes": dict(group.attributes)} for group in spec.groups]
    if spec.left_out:
        head["left_out"] = list(spec.left_out)
    return {"version": SPEC_VERSION, **head, "jobs": [_job_json(job) for job in spec.jobs]}


def _job_json(job: JobSpec) -> dict[str, Any]:
    defaults = JobSpec._field_defaults
    values = {key: value for key, value in zip(JobSpec._fields, job) if key not in defaults or value != defaults[key]}
    if job.env:
        values["env"] = dict.fromkeys(job.env, "")
    if job.attributes:
        values["attributes"] = dict(job.attributes)
    if "request" in values:
        values["request"] = job.request._asdict()
    if job.retry is not None:
        values["retry"] = job.retry._asdict()
    return values


def from_json(data: Mapping[str, Any]) -> BatchSpec:
    """The spec that `to_json` wrote; `env` holds names with empty values, `uploads` is empty."""
    head = {key: value for key, value in data.items() if key not in ("version", "jobs", "external", "done", "groups", "left_out")}
    jobs = tuple(_job_from_json(job) for job in data["jobs"])
    external = tuple(Transfer(*item) for item in data.get("external", ()))
    groups = tuple(GroupSpec(**group) for group in data.get("groups", ()))
    if head.get("budget") is not None:
        max_usd, expected_ms = head["budget"]
        head["budget"] = Budget(max_usd, tuple(expected_ms))
    done = {int(key): value for key, value in data.get("done", {}).items()}
    left_out = tuple(data.get("left_out", ()))
    return BatchSpec(jobs=jobs, external=external, groups=groups, done=done, left_out=left_out, **head)


def _job_from_json(data: Mapping[str, Any]) -> JobSpec:
    values = dict(data)
    for key in ("command", "needs", "promises", "results", "code"):
        values[key] = tuple(values.get(key, ()))
    for key in ("inputs", "outputs"):
        values[key] = tuple(Transfer(*item) for item in values.get(key, ()))
    values["parents"] = tuple(Edge(*item) for item in values.get("parents", ()))
    request = values.get("request", {})
    values["request"] = Request(**{**request, "asked": tuple((name, text) for name, text in request.get("asked", ()))})
    if values.get("regions") is not None:
        values["regions"] = tuple(values["regions"])
    if values.get("retry") is not None:
        retry = values["retry"]
        values["retry"] = Retry(**{**retry, "on": tuple(retry["on"]), "exit_codes": tuple(retry["exit_codes"])})
    values["cloudfuse"] = tuple((a, b, c) for a, b, c in values.get("cloudfuse", ()))
    return JobSpec(**values)
