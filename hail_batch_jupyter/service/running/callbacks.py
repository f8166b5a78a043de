"""Telling the addresses that batches and groups name when all of their jobs have ended.

Source: the Batch Service's protocol, chapter 12: once for each end, without a second try.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hail_batch_jupyter.service.api.answers import batch_answer, group_answer
from hail_batch_jupyter.service.pricing import Pricing
from hail_batch_jupyter.service.running.known import Known
from hail_batch_jupyter.service.store.rows import ROOT, GroupRow
from hail_batch_jupyter.service.store.tables import Store

_TIMEOUT_S = 5.0
_THREADS = 4
_log = logging.getLogger(__name__)


class Callbacks:
    """Calls from threads of its own; what was called is noted before, so that a service that is killed calls nobody twice."""

    def __init__(self, store: Store, pricing: Pricing) -> None:
        self._store = store
        self._pricing = pricing
        self._threads = ThreadPoolExecutor(_THREADS, "callback")

    @staticmethod
    def wanted(known: Known) -> bool:
        """Whether anybody is to be called for a batch."""
        return not known.batch.deleted and any(group.callback for group in known.groups.values())

    def look(self, known: Known) -> None:
        """Call those whose jobs have all ended since they were called last."""
        if not self.wanted(known):
            return
        for group in list(known.groups.values()):
            n_jobs = sum(known.counts(group.group_id).values())
            if group.callback and n_jobs > group.told_jobs and known.complete(group.group_id):
                self._tell(known, group, n_jobs)

    def _tell(self, known: Known, group: GroupRow, n_jobs: int) -> None:
        self._store.groups.mark_told(known.batch.batch_id, group.group_id, n_jobs)
        known.groups[group.group_id] = group._replace(told_jobs=n_jobs)
        body = batch_answer(known, self._pricing) if group.group_id == ROOT else group_answer(known, group.group_id, self._pricing)
        assert group.callback is not None
        self._threads.submit(_post, group.callback, body)

    def close(self) -> None:
        """Let the calls that began come to their end."""
        self._threads.shutdown()


def _post(address: str, body: Mapping[str, Any]) -> None:
    """Without credentials."""
    import requests

    try:
        reply = requests.post(address, json=body, timeout=_TIMEOUT_S, allow_redirects=False, auth=lambda request: request)  # nor by a password in ~/.netrc
        if not reply.ok or reply.is_redirect:
            _log.warning("a callback was answered with %d", reply.status_code)
    except requests.RequestException as error:
        _log.warning("a callback failed: %s", type(error).__name__)
