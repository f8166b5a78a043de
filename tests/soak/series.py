"""One random moment after the other: a run of 200 jobs is killed, looked at, and run again; what was lost or done twice is counted.

A job's last act is one line in a file, so the file says, whatever the run itself says, which jobs had finished, and how often. One whose process is
still there has not; a Python job has finished only when its result is there too. Who ends what is left is stopped while this is looked at.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.core.retry import Retry
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe import procfs
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.running import RunningBatch
from tests.conftest import wait_until
from tests.engine.jobs import bash, gone, processes
from tests.engine.killing import LEFT_S, guard_pid, runner_pid
from tests.engine.python_jobs import Made, mixed, python
from tests.requirements import ROOT

JOBS = 200
AT_ONCE = 4
END_S = 120
"""Longer than 200 jobs take on any machine."""
PYTHON_EVERY = 10
FLAKY_EVERY = 7
WORK = """
def work(path, job_id, seconds):
    import os, time
    time.sleep(seconds)
    with open(path, "ab", 0) as file:
        file.write(b"%d\\n" % job_id)
    return job_id
"""


class Moment(NamedTuple):
    """What one kill did.

    finished   jobs that had ended after their last act    known   of these, those that the closed run calls a success
    twice      jobs that did their last act again     lost     jobs that never did it, or that the second run does not call a success
    left       processes of the run that were still there
    """

    target: str
    killed_at_s: float
    finished: int
    known: int
    twice: int
    lost: int
    left: int

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, left behind or done twice."""
        return not (self.twice or self.lost or self.left)


def work(folder: Path, seed: int) -> BatchSpec:
    """200 jobs of 5 to 60 ms in a random graph; every tenth is a Python job, every seventh fails at first and is tried again after up to 0.1 s."""
    chance = random.Random(seed)
    done = folder / "finished"
    made: list[Made] = []
    for job_id in range(1, JOBS + 1):
        parents = sorted(chance.sample(range(max(1, job_id - 40), job_id), min(job_id - 1, chance.choice([0, 0, 1, 2]))))
        seconds = chance.uniform(0.005, 0.06)
        if job_id % PYTHON_EVERY == 0:
            made.append(python(job_id, WORK, str(done), job_id, seconds, after=parents))
        else:
            script = f"sleep {seconds:.3f}; echo {job_id} > made; exec /bin/echo {job_id} >> '{done}'"
            settings: dict[str, Any] = {"promises": (f"d{job_id}/made",)}
            if job_id % FLAKY_EVERY == 0:
                script = f"[ -e '{folder}/tried-{job_id}' ] || {{ : > '{folder}/tried-{job_id}'; echo half > made; exit 3; }}; {script}"
                settings["retry"] = Retry(3, delay_s=chance.uniform(0, 0.1))
            made.append(Made(bash(job_id, script, parents, **settings), ()))
    return mixed(*made, name="soak")


def submit(spec: BatchSpec) -> RunningBatch:
    """Begin a detached run that keeps its files."""
    running = LocalBackend(cores=AT_ONCE).submit(spec, SubmitOptions(keep_files=True, detach=True))
    assert isinstance(running, RunningBatch)
    return running


def acts(folder: Path) -> Counter[int]:
    """How often each job did its last act."""
    path = folder / "finished"
    return Counter(int(line) for line in path.read_text().split()) if path.exists() else Counter()


def finished(folder: Path, running: RunningBatch) -> set[int]:
    """Jobs that have done their last act, by what they left."""
    assert running.scratch is not None
    results = {job.job_id: [running.scratch / path for path in job.results] for job in running.spec.jobs}
    return {job_id for job_id in acts(folder) if all(path.exists() for path in results[job_id])}


def living(running: RunningBatch) -> set[int]:
    """Jobs of which a process has not ended."""
    attempts = (procfs.environment(pid).get(procfs.ATTEMPT_VARIABLE.encode(), b"") for pid in processes(running))
    return {int(attempt.partition(b".")[0]) for attempt in attempts if attempt}


def succeeded(running: RunningBatch) -> set[int]:
    """Jobs that the run calls a success."""
    return {view.job_id for view in running.snapshot().jobs if view.state is JobState.SUCCESS}


def left_behind(running: RunningBatch) -> int:
    """Processes of the run that do not go away in the time that a guard has."""
    deadline = time.monotonic() + LEFT_S
    while (count := len(processes(running))) and time.monotonic() < deadline:
        time.sleep(0.01)
    return count


def kill_the_runner(folder: Path, seed: int) -> Moment:
    """SIGKILL the runner at a random moment of a run, then run the rest."""
    chance = random.Random(seed)
    spec = work(folder, seed)
    running = submit(spec)
    runner, guard = runner_pid(running), guard_pid(running)
    began = time.monotonic()
    _random_moment(running, chance)
    os.kill(guard, signal.SIGSTOP)
    os.kill(runner, signal.SIGKILL)
    killed_at_s = time.monotonic() - began
    wait_until(lambda: gone(runner))
    had_ended = finished(folder, running) - living(running)
    os.kill(guard, signal.SIGCONT)
    left = left_behind(running)
    before = acts(folder)
    closed = attach(str(running.id))
    known = succeeded(closed)
    again = submit(spec._replace(previous_run=str(running.id)))
    again.wait(END_S)
    after = acts(folder)
    twice = sum(after[job_id] > before[job_id] for job_id in had_ended)
    lost = sum(not after[job_id] for job_id in range(1, JOBS + 1)) + JOBS - len(succeeded(again))
    left += left_behind(again)
    again.delete()
    closed.delete()
    return Moment("runner", killed_at_s, len(had_ended), len(known & had_ended), twice, lost, left)


def kill_the_maker(folder: Path, seed: int) -> Moment:
    """SIGKILL the process that submitted, at a random moment; the run must end by itself."""
    chance = random.Random(seed)
    made = f"submit(work(Path({str(folder)!r}), {seed}))"
    script = f"import sys; from pathlib import Path; from tests.soak.series import submit, work; print({made}.id, flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        running = attach(maker.stdout.readline().strip())
        began = time.monotonic()
        _random_moment(running, chance)
        maker.kill()
        killed_at_s = time.monotonic() - began
    before = acts(folder)
    running.wait(END_S)
    after = acts(folder)
    twice = sum(count > 1 for count in after.values())
    lost = JOBS - len(after) + JOBS - len(succeeded(running))
    left = left_behind(running)
    running.delete()
    return Moment("maker", killed_at_s, len(before), len(before), twice, lost, left)


def _random_moment(running: RunningBatch, chance: random.Random) -> None:
    """Wait until a random number of jobs has ended, then a few random milliseconds more."""
    wanted = chance.randrange(JOBS - 20)
    wait_until(lambda: len(succeeded(running)) >= wanted, END_S, story=running.status)
    time.sleep(chance.uniform(0, 0.04))


KILLS: dict[str, Callable[[Path, int], Moment]] = {"runner": kill_the_runner, "maker": kill_the_maker}


def series(folder: Path, moments: int, seed: int) -> Iterator[Moment]:
    """So many moments for the runner, and a fifth of them for the maker."""
    plan = [("runner", number) for number in range(moments)] + [("maker", number) for number in range(-(-moments // 5))]
    for target, number in plan:
        place = folder / f"{target}-{number}"
        place.mkdir(parents=True)
        yield KILLS[target](place, seed + number)


def table(moments: list[Moment]) -> str:
    """The moments as lines of a table, and their sums."""
    head = f"{'killed':8} {'after s':>8} {'finished':>9} {'known':>6} {'twice':>6} {'lost':>5} {'left':>5}"
    rows = [f"{m.target:8} {m.killed_at_s:8.2f} {m.finished:9} {m.known:6} {m.twice:6} {m.lost:5} {m.left:5}" for m in moments]
    sums = [sum(column) for column in zip(*(m[2:] for m in moments), strict=True)] if moments else [0] * 5
    total = f"{len(moments):3} kills {'':7} {sums[0]:9} {sums[1]:6} {sums[2]:6} {sums[3]:5} {sums[4]:5}"
    return "\n".join([head, *rows, total])
