"""The batches that are in memory: those that go on, and the last ones that were asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import open_run
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.service.pricing import Pricing
from hail_batch_jupyter.service.running.known import Known
from hail_batch_jupyter.service.store.database import OuterLock
from hail_batch_jupyter.service.store.tables import Store

_KEPT = 64
"""So many batches without a live run stay in memory."""


class KnownBatches:
    """Reads batches from the store when they are first asked for; every method may be called from any thread.

    lock        is held while what is known changes; who reads more than one thing holds it too
    unsettled   batches for which something may still be done; changed only while the lock is held
    waits       gives what runs wait for whose jobs could begin
    """

    def __init__(self, store: Store, pricing: Pricing, waits: Callable[[], Mapping[str, str]]) -> None:
        self._store = store
        self._waits = waits
        self._pricing = pricing
        self._known: OrderedDict[int, Known] = OrderedDict()
        self.lock = OuterLock(store.in_transaction)
        self.unsettled = set(store.unsettled())

    def known(self, batch_id: int) -> Known:
        """The batch as it is known now."""
        with self.lock:
            known = self.loaded(batch_id)
            known.refresh(self._waits())
            return known

    def loaded(self, batch_id: int) -> Known:
        """As `known`, without a look for news of its runs; what changes a batch in the store says so by `forget`."""
        with self.lock:
            known = self._known.get(batch_id)
            if known is None:
                known = self._known[batch_id] = self._load(batch_id)
                settled = next((other for other in self._known if other not in self.unsettled and other != batch_id), None)
                if len(self._known) > _KEPT and settled is not None:
                    del self._known[settled]
            self._known.move_to_end(batch_id)
            return known

    def in_memory(self, batch_id: int) -> Known | None:
        """The batch if it need not be read."""
        return self._known.get(batch_id)

    def forget(self, batch_id: int) -> None:
        """Read it again when it is asked for next: the store knows something new about it."""
        with self.lock:
            self._known.pop(batch_id, None)

    def unsettled_now(self) -> list[int]:
        """What is unsettled, in the order of numbers."""
        with self.lock:
            return sorted(self.unsettled)

    def _load(self, batch_id: int) -> Known:
        batch = self._store.batch(batch_id)
        assert batch is not None
        runs: dict[str, RunningBatch] = {}
        for run_id, _ in self._store.runs(batch_id):
            with suppress(RunLostError):
                runs[run_id] = opened(rundir.find(run_id))
        return Known(batch, self._store.jobs(batch_id), runs, self._store.groups.committed(batch), self._pricing.card_of(batch.card_id))


def opened(directory: Path) -> RunningBatch:
    """The handle on a run, without what its jobs do: that is in the database, and large."""
    facts = rundir.info(directory)
    return open_run(directory, BatchSpec(facts.name, _numbered(facts.n_jobs), lineage=facts.lineage))


@lru_cache(maxsize=16)
def _numbered(n_jobs: int) -> tuple[JobSpec, ...]:
    return tuple(JobSpec(number, "", None, "bash", (), "") for number in range(1, n_jobs + 1))
