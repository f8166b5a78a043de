"""What a batch service says of its costs, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.core.events import BatchSnapshot
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.core.stems import stage_name

if TYPE_CHECKING:
    from hail_batch_jupyter.cost.account import JobCost, RunCost
    from hail_batch_jupyter.cost.money import Breakdown

_PARTS = {"compute": "compute", "accelerator": "compute", "core-hours": "compute", "memory": "memory", "disk": "disk", "ip": "network"}
"""How the names of the service's resources begin -> part; all others are fees of the service."""


def told_by_service(spec: BatchSpec, snapshot: BatchSnapshot, status: Mapping[str, Any], runs_on: str) -> RunCost:
    """By stage what ended jobs of this submission cost; in all what the service says of the batch, by part where it says that."""
    from hail_batch_jupyter.cost.account import RunCost, StageCost, whole_of
    from hail_batch_jupyter.cost.money import NOTHING, Breakdown

    sums: dict[str, list[float]] = {}
    for job, view in zip(spec.jobs, snapshot.jobs, strict=True):
        facts = sums.setdefault(stage_name(job), [0, 0, 0, 0.0])
        facts[0] += 1
        facts[1] = max(facts[1], job.request.cpu_mcpu or 1000)
        facts[2] += not view.state.complete
        facts[3] += view.cost_usd
    stages = []
    for name, (jobs, mcpu, still_open, usd) in sums.items():
        paid = Breakdown(compute=Fraction(usd))
        stages.append(StageCost(name, int(jobs), Fraction(mcpu) / 1000, Fraction(0), paid, paid, NOTHING, int(still_open)))
    whole = whole_of(tuple(stages))
    rows = status.get("cost_breakdown")
    said = _by_part(rows) if rows else Breakdown(compute=Fraction(status.get("cost") or 0))
    so_far = said if said.total > whole.finished.total else whole.finished
    return RunCost(f"{runs_on} itself", False, whole._replace(so_far=so_far), tuple(stages), by_part=False)


def job_costs_told(spec: BatchSpec, snapshot: BatchSnapshot) -> list[JobCost]:
    """One sum for each job that has ended, under compute."""
    from hail_batch_jupyter.cost.account import JobCost
    from hail_batch_jupyter.cost.money import NOTHING, Breakdown

    found = []
    for job, view in zip(spec.jobs, snapshot.jobs, strict=True):
        paid = Breakdown(compute=Fraction(view.cost_usd))
        request = job.request
        found.append(JobCost(Fraction(request.cpu_mcpu or 1000, 1000), request.memory_bytes, paid, paid, NOTHING if view.state.complete else None))
    return found


def _by_part(rows: Any) -> Breakdown:
    from hail_batch_jupyter.cost.money import Breakdown

    parts: dict[str, Fraction] = {}
    for row in rows:
        first = str(row["resource"]).partition("/")[0]
        part = _PARTS.get(first) or _PARTS.get(first.partition("-")[0]) or "service"
        parts[part] = parts.get(part, Fraction(0)) + Fraction(row["cost"])
    return Breakdown(**parts)
