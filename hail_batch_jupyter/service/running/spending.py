"""What batches and billing projects have cost until now, also while their runs go on."""

from __future__ import annotations

import time
from fractions import Fraction

from hail_batch_jupyter.service.pricing import Pricing
from hail_batch_jupyter.service.running.known_batches import KnownBatches
from hail_batch_jupyter.service.store.billing import Charge
from hail_batch_jupyter.service.store.rows import BatchRow
from hail_batch_jupyter.service.store.tables import Store


class Spending:
    """Bills of runs that have ended are in the store, those of the others follow from what is known; every method may be called from any thread."""

    def __init__(self, store: Store, pricing: Pricing, batches: KnownBatches) -> None:
        self._store = store
        self._pricing = pricing
        self._batches = batches

    def accrued(self, project: str) -> Fraction:
        """Dollars that were ever charged to a project, up to now."""
        return self._pricing.charged([*self._store.billing.charged(project), *(charge for charge in self.going_on() if charge.project == project)])

    def cost(self, batch_id: int) -> Fraction:
        """Dollars that a batch cost until now."""
        known = self._batches.known(batch_id)
        return sum(self._pricing.by_resource(known.batch.card_id, known.used(int(time.time() * 1000))).values(), Fraction(0))

    def going_on(self) -> list[Charge]:
        """What is charged for runs that have not ended, up to now."""
        now_ms, found = int(time.time() * 1000), []
        with self._batches.lock:
            for batch_id in self._batches.unsettled_now():
                live = [run_id for run_id, ended in self._store.runs(batch_id) if not ended]
                known = self._batches.known(batch_id) if live else None
                for run_id in live:
                    assert known is not None
                    batch = known.batch
                    found += [Charge(batch.project, batch.user, batch.card_id, grant, ms) for grant, ms in known.used_in_run(run_id, now_ms).items()]
        return found

    def over_the_limit(self) -> list[BatchRow]:
        """Batches that go on though their project has spent what it may."""
        with self._batches.lock:
            going = [self._batches.loaded(batch_id).batch for batch_id in self._batches.unsettled_now()]
        spent = {name for name in {batch.project for batch in going if not batch.cancelled} if self._reached(name)}
        return [batch for batch in going if batch.project in spent and not batch.cancelled]

    def _reached(self, name: str) -> bool:
        project = self._store.billing.project(name)
        return project is not None and project.limit_usd is not None and self.accrued(name) >= project.limit_usd
