"""Job graphs without work in them, by hand and at random."""

from __future__ import annotations

from hypothesis import strategies as st

from hail_batch_jupyter.core.spec import Edge, JobSpec


def node(job_id: int, *parents: int | Edge, always_run: bool = False) -> JobSpec:
    """A job with these parents; a number means its success."""
    edges = tuple(Edge(parent) if isinstance(parent, int) else parent for parent in parents)
    return JobSpec(job_id, f"key{job_id}", f"job{job_id}", "bash", ("true",), f"d{job_id}", parents=edges, always_run=always_run)


@st.composite
def graphs(draw: st.DrawFn, max_jobs: int = 12) -> list[JobSpec]:
    """Jobs in topological order with any edges to earlier ones."""
    jobs = []
    for job_id in range(1, draw(st.integers(1, max_jobs)) + 1):
        earlier = st.tuples(st.integers(1, job_id - 1), st.sampled_from(["success", "end"])) if job_id > 1 else st.nothing()
        edges = draw(st.lists(earlier, max_size=4)) if job_id > 1 else []
        jobs.append(node(job_id, *(Edge(parent, on) for parent, on in edges), always_run=draw(st.booleans())))
    return jobs
