from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hail_batch_jupyter.observe.recover import finished
from tests.requirements import ROOT

KILLED_AFTER_THE_START = """
import os, signal, sys
from pathlib import Path
from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.core.spec import JobSpec
from hail_batch_jupyter.executors.process.guard import guard
from hail_batch_jupyter.executors.process.executor import ProcessExecutor
from hail_batch_jupyter.executors.process.subreaper import become_subreaper

directory, script, then = sys.argv[1:]
become_subreaper()
runner = os.fork()
if runner:
    sys.exit(guard(Path(directory), runner))
become_subreaper()
executor = ProcessExecutor(directory, directory, os.environ, sys.executable, [])
argv = ("/bin/sh", "-c", script)
job = JobSpec(job_id=12, key="", name="job", kind="bash", command=argv, directory=".")
(begun,) = executor.start([Attempt(job, 1, 0, argv, {}, directory, directory + "/log")])
exec(then)
os.kill(os.getpid(), signal.SIGKILL)
"""
ENDED = "os.waitid(os.P_PID, begun.pid, os.WEXITED | os.WNOWAIT)"
WRITTEN_DOWN = f"""{ENDED}
from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe.journal import JournalWriter
journal = JournalWriter(Path(directory) / "events.jsonl")
journal.write(JobEvent(0, 1, 12, JobState.RUNNING, 1, phase="main", pid=begun.pid))
journal.write(JobEvent(0, 2, 12, JobState.FAILED, 1, exit_code=1))
journal.close()
"""


def known_as_finished(folder: Path, script: str, then: str) -> set[str]:
    """Attempts that a guard knows as finished when the runner started one of job 12 and was killed after `then`."""
    command = [sys.executable, "-c", KILLED_AFTER_THE_START, str(folder), script, then]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (128 + 9, "the runner was killed by signal 9\n")
    return finished(folder)


def test_a_job_that_ended_well_before_its_start_was_written_down_is_known_as_finished(tmp_path: Path) -> None:
    assert known_as_finished(tmp_path, "exit 0", ENDED) == {"12.1"}


@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$"])
def test_a_job_that_ended_badly_before_its_start_was_written_down_is_not(tmp_path: Path, script: str) -> None:
    assert known_as_finished(tmp_path, script, ENDED) == set()


def test_a_job_that_runs_while_its_start_is_not_written_down_is_not(tmp_path: Path) -> None:
    assert known_as_finished(tmp_path, "sleep 1000", "") == set()


def test_what_is_written_down_as_ended_is_not_noted_again(tmp_path: Path) -> None:
    assert known_as_finished(tmp_path, "exit 0", WRITTEN_DOWN) == set()
