"""One question for all jobs that somebody waits for through one connection, whichever thread waits."""

from __future__ import annotations

import threading
import time
import weakref

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.slurm.query import Elements, Enquiry

FIRST_PAUSE_S = 0.3
LONGEST_PAUSE_S = 60.0


class Watch:
    """The jobs of one protocol and cluster that are waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, int] = {}
        self._states: dict[str, str] = {}
        self._seen: dict[str, Elements] = {}
        self._asked_s = float("-inf")

    def add(self, jobid: str, total: int) -> None:
        """Include a job in the questions from now on."""
        with self._lock:
            self._totals[jobid] = total

    def drop(self, jobid: str) -> None:
        """Leave a job out again."""
        with self._lock:
            self._totals.pop(jobid, None)
            self._states.pop(jobid, None)
            self._seen.pop(jobid, None)

    def state(self, protocol: GenericProtocol, cluster: str, jobid: str, newer_than_s: float) -> str:
        """The state of a job, as told after that moment of the monotonic clock; asks for all when nobody did since. '' when nobody knows."""
        with self._lock:
            if self._asked_s < newer_than_s or jobid not in self._states:
                self._states = Enquiry(protocol, self._totals, cluster, self._seen).states(tries=1)
                self._asked_s = time.monotonic()
            return self._states[jobid]


_WATCHES: weakref.WeakKeyDictionary[GenericProtocol, dict[str, Watch]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def watch_of(protocol: GenericProtocol, cluster: str) -> Watch:
    """The one watch of a connection; a protocol that cannot be remembered gets a new one each time."""
    with _LOCK:
        try:
            return _WATCHES.setdefault(protocol, {}).setdefault(cluster, Watch())
        except TypeError:
            return Watch()


def pause_s(waited_s: float) -> float:
    """How long to wait before asking again: a quarter of what was waited, so that short jobs are seen soon and long ones cost few questions."""
    return min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, waited_s / 4))
