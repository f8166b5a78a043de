"""The part of Batch that tells what a run will cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hail_batch_jupyter.batch.stages import BatchStages

if TYPE_CHECKING:
    from os import PathLike

    from hail_batch_jupyter.cost.estimate import Estimate
    from hail_batch_jupyter.cost.rates import Card


class BatchCosts(BatchStages):
    """A batch whose cost can be estimated."""

    def estimate_cost(self, card: str | PathLike[str] | Card | None = None) -> Estimate:
        """What the next run will probably cost, before it begins: low, expected and high, by part and by stage.

        card   name of a rate card, 'core-hours:RATE', or the path of your own; default: the setting batch/rate_card, else that of the backend

        Durations are those of jobs of the same name in earlier runs of this batch, else of the same stage, else the timeout.

        >>> b = Batch()
        >>> j = b.new_job(name='align').cpu(1).memory('7G').timeout('1h').command('true')
        >>> b.estimate_cost('hail-classic')
        1 job: $0.0434 expected, $0 to $0.0434, by rate card hail-classic (undated); 1 job at most, from the timeout
        expected: compute $0.0200, disk $0.002909, network fee $0.000500, service fee $0.0200
        stage  jobs  cores  expected  low  high     duration
        align  1     2      $0.0434   $0   $0.0434  at most, from the timeout

        Raises ConfigError for a card that is not there or malformed.
        """
        from hail_batch_jupyter.batch.estimate import estimate_batch

        return estimate_batch(self._as_batch(), card)
