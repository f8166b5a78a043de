"""Which nodes a run keeps away from: those on which jobs fail at their start, again and again, while they do well on others; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hail_batch_jupyter.observe.slurm_jobs import Word

_FAST_MS = 10_000
_TIMES = 2
_MOST = 10
"""No more nodes than this are left out."""


class Nodes:
    """Counts, node by node, the jobs that failed there for its sake since one last went well.

    These are those that could not even start, as they say themselves, and those that failed within ten seconds and went well on another node afterwards.
    A job that fails everywhere is not the fault of a node.
    """

    def __init__(self) -> None:
        self._failed: Counter[str] = Counter()
        self._well: set[str] = set()
        self._suspects: dict[int, set[str]] = {}
        self.excluded: dict[str, int] = {}

    def note(self, job_id: int, word: Word) -> bool:
        """How an attempt of a job ended on a node; whether that makes one more node to keep away from."""
        if not word.node or word.signalled:
            return False
        if word.failure:
            self._failed[word.node] += 1
        elif word.exit_code == 0:
            self._well.add(word.node)
            self._failed.pop(word.node, None)
            self._failed.update(self._suspects.pop(job_id, set()) - {word.node})
        elif word.ended_ms - word.began_ms < _FAST_MS:
            self._suspects.setdefault(job_id, set()).add(word.node)
        return self._exclude(list(self._failed))

    def _exclude(self, names: Iterable[str]) -> bool:
        before = len(self.excluded)
        for name in names:
            if self._failed[name] >= _TIMES and self._well - {name} and len(self.excluded) < _MOST:
                self.excluded[name] = self._failed[name]
        return len(self.excluded) > before

    def in_words(self) -> str:
        """', not on n3, where 2 jobs failed at their start', '' while none is excluded."""
        if not self.excluded:
            return ""
        return f", not on {', '.join(sorted(self.excluded))}, where {sum(self.excluded.values())} jobs failed at their start"
