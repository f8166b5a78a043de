"""What the service counts, in the words of Prometheus."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

_BUCKETS_S = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)


class Metrics:
    """Every method may be called from any thread; `labels` tell where jobs run."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._within = [0] * len(_BUCKETS_S)
        self._n = 0
        self._sum_s = 0.0

    def note_request(self, method: str, status: int, duration_s: float) -> None:
        """Count an answered request."""
        with self._lock:
            self._requests[method, status] += 1
            self._n += 1
            self._sum_s += duration_s
            for place, bound_s in enumerate(_BUCKETS_S):
                self._within[place] += duration_s <= bound_s

    def text(self, jobs: Mapping[str, int], batches: Mapping[str, int], n_open: int) -> str:
        """All of it, with the numbers of jobs and batches by state of now, and of requests that are not answered yet."""
        with self._lock:
            requests = [f'batch_service_requests_total{{method="{method}",status="{status}"}} {n}' for (method, status), n in sorted(self._requests.items())]
            buckets = [f'batch_service_request_seconds_bucket{{le="{bound_s:g}"}} {n}' for bound_s, n in zip(_BUCKETS_S, self._within, strict=True)]
            whole = [
                f'batch_service_request_seconds_bucket{{le="+Inf"}} {self._n}',
                f"batch_service_request_seconds_sum {self._sum_s:.6f}",
                f"batch_service_request_seconds_count {self._n}",
            ]
        lines = [
            *_family("batch_service_info", "gauge", "Where jobs run.", [f"batch_service_info{{{self._labels}}} 1"]),
            *_family("batch_service_requests_total", "counter", "Requests that were answered.", requests),
            *_family("batch_service_requests_open", "gauge", "Requests that are not answered yet, this one too.", [f"batch_service_requests_open {n_open}"]),
            *_family("batch_service_request_seconds", "histogram", "How long they took.", [*buckets, *whole]),
            *_family("batch_service_jobs", "gauge", "Jobs of batches that go on, by state.", _by_state("batch_service_jobs", jobs)),
            *_family("batch_service_batches", "gauge", "Batches, by whether they go on.", _by_state("batch_service_batches", batches)),
        ]
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _family(name: str, kind: str, about: str, lines: list[str]) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *lines]


def _by_state(name: str, counts: Mapping[str, int]) -> list[str]:
    return [f'{name}{{state="{state}"}} {count}' for state, count in sorted(counts.items())]
