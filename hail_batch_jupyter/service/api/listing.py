"""Batches for their list: what many of them would be asked for is looked at only where it is needed, and remembered of those that have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from threading import Lock
from typing import Any

from hail_batch_jupyter.service.api.answers import batch_answer, time_text
from hail_batch_jupyter.service.api.queries import Item
from hail_batch_jupyter.service.pricing import Pricing
from hail_batch_jupyter.service.running.runs import Runs
from hail_batch_jupyter.service.store.rows import BatchRow
from hail_batch_jupyter.service.store.tables import Store

_REMEMBERED = 10_000
"""Batches, of which each takes a kilobyte or two."""


class Listing:
    """Every method may be called from any thread; nobody else waits longer than one batch takes to be read."""

    def __init__(self, store: Store, runs: Runs, pricing: Pricing) -> None:
        self._store = store
        self._runs = runs
        self._pricing = pricing
        self._lock = Lock()
        self._ended: dict[int, tuple[tuple[BatchRow, int], dict[str, Any]]] = {}

    def item(self, batch: BatchRow) -> Item:
        """A batch as queries test it."""
        return Item(_Lazy(batch, partial(self.entry, batch)), batch.attributes, batch.cancelled)

    def entry(self, batch: BatchRow) -> dict[str, Any]:
        """A batch as it is told."""
        key = batch, self._store.n_committed(batch.batch_id)
        with self._lock:
            known = self._ended.get(batch.batch_id)
        if known is not None and known[0] == key:
            return known[1]
        over = all(ended for _, ended in self._store.runs(batch.batch_id))  # asked first: what has not ended then may be told differently later
        with self._runs.lock:
            entry = batch_answer(self._runs.known(batch.batch_id), self._pricing)
        if over and entry["complete"] and entry["n_jobs"] == key[1]:
            with self._lock:
                self._ended[batch.batch_id] = key, entry
                if len(self._ended) > _REMEMBERED:
                    del self._ended[next(iter(self._ended))]
        return entry


class _Lazy(Mapping[str, Any]):
    """The entry of a batch, which is made when something is asked for that is not in its row."""

    def __init__(self, batch: BatchRow, whole: Callable[[], Mapping[str, Any]]) -> None:
        self._own = {"id": batch.batch_id, "user": batch.user, "billing_project": batch.project, "time_created": time_text(batch.created_ms)}
        self._whole = whole

    def __getitem__(self, key: str) -> Any:
        return self._own[key] if key in self._own else self._whole()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())
