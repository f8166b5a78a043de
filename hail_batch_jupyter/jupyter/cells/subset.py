"""A part of a spec: some jobs and all that they need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hail_batch_jupyter.core.spec import BatchSpec, JobSpec


def with_ancestors(spec: BatchSpec, names: Iterable[str]) -> BatchSpec:
    """The spec of the jobs of these names and of every job that they wait for, numbered anew from 1."""
    wanted = set(names)
    kept: set[int] = set()
    for job in reversed(spec.jobs):
        if job.name in wanted or job.job_id in kept:
            kept.add(job.job_id)
            kept.update(edge.job_id for edge in job.parents)
    chosen = [job for job in spec.jobs if job.job_id in kept]
    number = {job.job_id: index for index, job in enumerate(chosen, 1)}
    return spec._replace(jobs=tuple([_renumbered(job, number) for job in chosen]))


def _renumbered(job: JobSpec, number: Mapping[int, int]) -> JobSpec:
    parents = tuple([edge._replace(job_id=number.get(edge.job_id, edge.job_id)) for edge in job.parents])
    return job._replace(job_id=number[job.job_id], parents=parents)


def same_work(one: BatchSpec, other: BatchSpec) -> bool:
    """Whether two specs run the same jobs: equal names, fingerprints and destinations."""
    return _work(one) == _work(other)


def _work(spec: BatchSpec) -> list[tuple[str, str, tuple[tuple[str, str], ...]]]:
    return sorted((job.name or "", job.key, tuple((out.source, out.dest) for out in job.outputs)) for job in spec.jobs)
