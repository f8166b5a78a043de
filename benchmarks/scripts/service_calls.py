"""Time a batch service of our own, on loopback, as a client of ours and a browser see it.

Arguments: RESULT submit|noop|news COUNT FOLDER; FOLDER is empty.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

_SAMPLES = 20
_LONG_S = 240.0
_PAUSE_S = 0.005
_AT_ONCE = 4
"""So many jobs that ask for a quarter of a core run at once on every machine."""


@contextmanager
def service(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A service with its data in the folder, which this process is pointed at: its address and its process."""
    data, said = folder / "data", folder / "said"
    argv = [sys.executable, "-m", "hail_batch_jupyter", "serve", "--port", "0", "--data", str(data), "--no-images"]
    with said.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output)
    try:
        while "HAIL_TOKENS_FILE" not in said.read_text():
            assert process.poll() is None, said.read_text()
            time.sleep(_PAUSE_S)
        os.environ.update(dict(re.findall(r"(HAIL_\w+)=(\S+)", said.read_text())))
        yield f"http://{os.environ['HAIL_DOMAIN']}", process
    finally:
        process.terminate()
        process.wait()


def by_submit(count: int, folder: Path) -> dict[str, float]:
    """Submitting no-op jobs until they are committed, and what is then told of them; they are cancelled before, so that they leave the machine alone."""
    import hail_batch_jupyter.batch as hb

    with service(folder) as (address, process):
        batch = hb.Batch(name="many", backend=hb.ServiceBackend())
        for number in range(count):
            batch.new_bash_job(name=f"job{number}").command("true")
        before_s, before_kb = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        running = batch.run(wait=False)
        submit_s, after_kb = time.perf_counter() - before_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        server_kb = _peak_kb(process.pid)
        running.cancel()
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {(folder / 'data' / 'token').read_text().strip()}"
        place = f"{address}/api/v1alpha/batches/{running.id}"
        _until(lambda: bool(session.get(place).json()["complete"]))
        pages = [f"{place}/jobs?last_job_id={last}" for last in (0, count // 2, count - 60)]
        return {
            "submit_s": submit_s,
            "client_more_mb": (after_kb - before_kb) / 1024,
            "server_mb": server_kb / 1024,
            "status_ms": _median_ms(session, place),
            "page_ms": max(_median_ms(session, page) for page in pages),
            "ui_page_ms": _median_ms(session, f"{address}/batches/{running.id}"),
        }


def _peak_kb(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def _median_ms(session: requests.Session, address: str) -> float:
    """The time of an answer, the median of many."""
    taken: list[float] = []
    for _ in range(_SAMPLES):
        began_s = time.perf_counter()
        answer = session.get(address, allow_redirects=False)
        taken.append(1000 * (time.perf_counter() - began_s))
        assert answer.status_code == 200, (address, answer.status_code, answer.text)
    return sorted(taken)[_SAMPLES // 2]


def _until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _LONG_S
    while not condition():
        assert time.monotonic() < deadline_s, "it takes too long"
        time.sleep(_PAUSE_S)


def by_noop(count: int, folder: Path) -> dict[str, float]:
    """A batch of no-op jobs, from `run` until it is known that all have ended."""
    import hail_batch_jupyter.batch as hb

    with service(folder):
        batch = hb.Batch(name="noop", backend=hb.ServiceBackend())
        for number in range(count):
            batch.new_bash_job(name=f"job{number}").command("true")
        began_s = time.perf_counter()
        running = batch.run(disable_progress_bar=True)
        elapsed_s = time.perf_counter() - began_s
        assert running.status()["n_succeeded"] == count, running.status()
        return {"jobs_per_s": count / elapsed_s}


def by_news(count: int, folder: Path) -> dict[str, float]:
    """From the moment at which a job may end until a client that waits has seen that it has, one job after the other."""
    import hail_batch_jupyter.batch as hb

    taken: list[float] = []
    with service(folder):
        backend = hb.ServiceBackend()
        for start in range(0, count, _AT_ONCE):
            gates = [folder / f"gate{number}" for number in range(start, start + _AT_ONCE)]
            batch = hb.Batch(name="news", backend=backend)
            for gate in gates:
                os.mkfifo(gate)
                batch.new_bash_job().cpu("0.25").command(f"read -r _ < {gate}")
            running = batch.run(wait=False)
            for place, gate in enumerate(gates):
                with gate.open("w") as words:  # opens when the job reads
                    began_s = time.perf_counter()
                    words.write("go\n")
                while not (seen := running.snapshot()).jobs[place].state.complete:
                    running.snapshot(newer_than=seen.seq, timeout_s=_LONG_S)
                taken.append(1000 * (time.perf_counter() - began_s))
            running.wait(_LONG_S)
    taken.sort()
    return {"news_ms": taken[len(taken) // 2], "slowest_news_ms": taken[-1]}


HOWS: dict[str, Callable[[int, Path], dict[str, float]]] = {"submit": by_submit, "noop": by_noop, "news": by_news}


def main() -> None:
    """Write the sample."""
    result, how, count, folder = sys.argv[1:]
    Path(result).write_text(json.dumps(HOWS[how](int(count), Path(folder))))


if __name__ == "__main__":
    main()
