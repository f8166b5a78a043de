"""How many jobs of a run are in each state, and what they cost: folded from its journal while it goes on, noted with its end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.state import BatchState, JobState, roll_up
from hail_batch_jupyter.observe.journal import JournalReader


class Totals(NamedTuple):
    """Jobs in each state that occurs, reused ones not among the successful, and dollars of all attempts that have ended."""

    counts: Mapping[JobState, int]
    reused: int = 0
    cost_usd: float = 0.0

    def state(self, cancelled: bool) -> BatchState:
        """Of the whole run; `cancelled` when somebody ended it."""
        done = self.counts.get(JobState.SUCCESS, 0) + self.reused
        return roll_up({**self.counts, JobState.SUCCESS: done}, cancelled)


def totals_of(counts: Counter[JobState], reused: int, cost_usd: float) -> Totals:
    """Of so many jobs in each state, `reused` of which are successes taken over from an earlier run."""
    return Totals(counts - Counter({JobState.SUCCESS: reused}), reused, cost_usd)


def totals_text(totals: Totals) -> str:
    """On one line, what is 0 left out."""
    facts = {"counts": {state.value: count for state, count in totals.counts.items() if count}, "reused": totals.reused, "cost_usd": totals.cost_usd}
    return json.dumps({name: value for name, value in facts.items() if value or name == "counts"}, separators=(",", ":"))


def read_totals(text: str) -> Optional[Totals]:
    """Of such a line, None for anything else."""
    try:
        facts = json.loads(text)
        counts = {JobState(word): int(count) for word, count in facts["counts"].items()}
        return Totals(counts, int(facts.get("reused", 0)), float(facts.get("cost_usd", 0.0)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


class Tally:
    """The totals of a run as its journal tells them; every call reads what that has got since."""

    def __init__(self, directory: Path, n_jobs: int) -> None:
        self.n_jobs = n_jobs
        self.cancelled = False
        self._cost_usd = 0.0
        self._reader = JournalReader(directory / "events.jsonl")
        self._states: dict[int, JobState] = {}
        self._reused: set[int] = set()

    def read(self) -> Totals:
        """As of now; a job of which nothing was heard is pending."""
        for event in self._reader.read():
            self.take(event)
        counts = Counter(self._states.values())
        counts[JobState.PENDING] += self.n_jobs - len(self._states)
        return totals_of(counts, len(self._reused), self._cost_usd)

    def take(self, event: JobEvent) -> None:
        """Fold one event in."""
        self._cost_usd += event.cost_usd
        if event.job_id and event.state is not None:
            self._states[event.job_id] = event.state
            if event.reused:
                self._reused.add(event.job_id)
        elif event.phase == "lost" or (event.phase == "cancel" and not event.group):
            self.cancelled = True
