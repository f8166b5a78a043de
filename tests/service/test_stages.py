from __future__ import annotations

from hail_batch_jupyter.core.events import JobView, Usage
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.service.api.stages import stages_of
from hail_batch_jupyter.service.store.rows import JobFacts

MIB = 1 << 20


def job(name: str | None, cores: float = 1, memory_bytes: int = 0, **attributes: str) -> JobFacts:
    return JobFacts(name, False, 1, (), attributes, cores_mcpu=int(cores * 1000), memory_bytes=memory_bytes)


def ended(cpu_s: float, peak_bytes: int, state: JobState = JobState.SUCCESS) -> JobView:
    return JobView(1, state, 1, started_ms=0, ended_ms=20_000, usage=Usage(peak_bytes, cpu_s))


def test_stages_have_the_most_of_what_their_jobs_asked_for_and_used() -> None:
    jobs = [
        (job("split"), JobView(1, JobState.RUNNING, 1, started_ms=0)),
        (job("align-HG001", 4, 8 << 30), ended(20.0, 200 * MIB)),
        (job("align-HG002", 2), ended(60.0, 900 * MIB, JobState.FAILED)),
        (job("odd", stage="align"), JobView(4)),
        (job(None), JobView(5, JobState.CANCELLED)),
    ]

    split, align, unnamed = stages_of(jobs)

    assert (split.name, split.jobs, split.ended, split.measured, split.asked_mcpu) == ("split", 1, 0, 0, 1000)
    assert (align.name, align.jobs, align.ended, align.broken, align.measured) == ("align", 3, 2, 1, 2)
    assert (align.asked_mcpu, align.asked_bytes, align.cores_used, align.peak, align.cpu_s) == (4000, 8 << 30, 3.0, (900 * MIB, False), 80.0)
    assert align.hinted == 1
    assert (unnamed.name, unnamed.ended, unnamed.broken) == ("job", 1, 0)
