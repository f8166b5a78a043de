"""Time the HTML of a table of COUNT jobs, of which a few failed, and count its bytes; and the time to make the DataFrame.

Arguments: RESULT COUNT
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from hail_batch_jupyter.core.events import JobEvent, Usage
from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe.running import RunningBatch

REPEAT = 9


class Told:
    """A port whose jobs have all ended, every 97th of them failed."""

    def __init__(self, count: int) -> None:
        self._told: list[JobEvent] = []
        for job_id in range(1, count + 1):
            failed = job_id % 97 == 0
            for step, state in enumerate((JobState.READY, JobState.RUNNING, JobState.FAILED if failed else JobState.SUCCESS)):
                seq, ended = len(self._told) + 1, step == 2
                told = JobEvent(seq, 1_700_000_000_000 + 40 * job_id + 900 * step, job_id, state, 1)
                self._told.append(told._replace(exit_code=int(failed), usage=Usage(12 << 20, 0.4)) if ended else told)

    def events(self, after: int, timeout_s: float) -> list[JobEvent]:
        return self._told[after:]

    def alive(self) -> bool:
        return False


def main(result: str, count: int) -> None:
    """The best of several: what else the machine does is no part of it."""
    specs = tuple(JobSpec(n, "k", f"align-NA{n:06}", "bash", ("true",), "d", parents=(Edge(n - 1),) if n > 1 else ()) for n in range(1, count + 1))
    port: Any = Told(count)
    running = RunningBatch("bench", BatchSpec("bench", specs), port, directory=Path("/somewhere/hail_batch_jupyter/runs/20261121-103102-bench-abc123"))
    frame_s, html_s, html = [], [], ""
    for _ in range(REPEAT):
        begun_s = time.perf_counter()
        frame = running.jobs_frame()
        made_s = time.perf_counter()
        html = str(frame._repr_html_())
        html_s.append(time.perf_counter() - made_s)
        frame_s.append(made_s - begun_s)
    values = {"jobs": count, "frame_ms": min(frame_s) * 1000, "html_ms": min(html_s) * 1000, "html_bytes": len(html.encode())}
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
