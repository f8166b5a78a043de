"""What the stages of a batch asked for and used: its jobs by the stem of their names."""

from __future__ import annotations

from collections.abc import Iterable

from hail_batch_jupyter.core.events import AttemptView, JobView
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.core.state import BROKEN
from hail_batch_jupyter.core.stems import stem
from hail_batch_jupyter.observe.usage import figures, hint
from hail_batch_jupyter.service.store.rows import JobFacts


class Stage:
    """Jobs of one stage; of what they asked for and used the most that any job did, 0 where nothing is known.

    cpu_s    processor time of all of them, of the last attempts      hinted   jobs that asked for far more than they used
    peak     bytes of the largest process, and whether these are at most so many
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.jobs = self.ended = self.broken = self.measured = self.hinted = 0
        self.asked_mcpu = self.asked_bytes = 0
        self.peak = (0, False)
        self.cores_used = self.cpu_s = 0.0

    def add(self, facts: JobFacts, view: JobView) -> None:
        """Count a job."""
        self.jobs += 1
        self.ended += view.state.complete
        self.broken += view.state in BROKEN
        self.asked_mcpu = max(self.asked_mcpu, facts.cores_mcpu)
        self.asked_bytes = max(self.asked_bytes, facts.memory_bytes)
        if view.usage is not None:
            self._measure(facts.request, view, view.attempts[-1])

    def _measure(self, request: Request, view: JobView, attempt: AttemptView) -> None:
        used = attempt.usage
        if used is not None:
            self.measured += 1
            self.peak = max(self.peak, (used.max_rss_bytes, used.at_most))
            self.cores_used = max(self.cores_used, figures(request, attempt).cores_used or 0.0)
            self.cpu_s += used.cpu_s
            self.hinted += bool(hint(request, view))


def stages_of(jobs: Iterable[tuple[JobFacts, JobView]]) -> list[Stage]:
    """The stages in the order of their first jobs."""
    found: dict[str, Stage] = {}
    for facts, view in jobs:
        name = facts.attributes.get("stage") or stem(facts.name or "job")
        stage = found.get(name)
        if stage is None:
            stage = found[name] = Stage(name)
        stage.add(facts, view)
    return list(found.values())
