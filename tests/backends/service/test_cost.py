"""What a service says of its costs, in the words of every run."""

from __future__ import annotations

from hail_batch_jupyter.backends.service.cost import job_costs_told, told_by_service
from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec, Request
from hail_batch_jupyter.core.state import JobState

JOBS = tuple([JobSpec(number, "k", name, "bash", ("true",), "d", request=Request(cpu_mcpu=2000)) for number, name in enumerate(("fit-1", "fit-2", "plot"), 1)])
SPEC = BatchSpec("test", JOBS)


def snapshot() -> BatchSnapshot:
    ended = JobEvent(1, 9, 1, JobState.SUCCESS, 1, cost_usd=0.25)
    return BatchSnapshot.empty([1, 2, 3]).after([ended])


def test_ended_jobs_are_told_by_stage_and_the_whole_by_part_as_the_service_names_its_resources() -> None:
    rows = [
        {"resource": "compute/n1-preemptible/us-central1/1", "cost": 0.5},
        {"resource": "memory/n1-preemptible/us-central1/1", "cost": 0.25},
        {"resource": "disk/local-ssd/preemptible/us-central1/1", "cost": 0.125},
        {"resource": "ip-fee/preemptible/1024/1", "cost": 0.0625},
        {"resource": "service-fee/1", "cost": 1.0},
        {"resource": "gcp-support-logs-specs-and-firewall-fees/1", "cost": 2.0},
    ]

    cost = told_by_service(SPEC, snapshot(), {"cost": 3.9375, "cost_breakdown": rows}, "the batch service")

    assert cost.priced_by == "the batch service itself"
    assert [float(part) for part in cost.whole.so_far] == [0.5, 0.25, 0.125, 0.0625, 3.0]
    assert [(stage.stage, stage.jobs, float(stage.finished.total), stage.unknown) for stage in cost.stages] == [("fit", 2, 0.25, 1), ("plot", 1, 0, 1)]
    assert cost.stages[0].cores == 2


def test_without_parts_there_is_one_sum_and_never_less_than_what_jobs_told() -> None:
    assert told_by_service(SPEC, snapshot(), {"cost": 0.75, "cost_breakdown": None}, "it").whole.so_far.total == 0.75
    assert told_by_service(SPEC, snapshot(), {"cost": None}, "it").whole.so_far.total == 0.25


def test_each_job_has_the_sum_that_the_service_told_at_its_end() -> None:
    costs = job_costs_told(SPEC, snapshot())

    assert [float(cost.finished.total) for cost in costs] == [0.25, 0, 0]
    assert [cost.rest is None for cost in costs] == [False, True, True]
