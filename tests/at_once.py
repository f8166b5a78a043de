"""Two processes that do the same at the same moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach
from tests.engine.jobs import LONG_S
from tests.requirements import ROOT

_BEFORE = """
import sys
answers, sys.stdout = sys.stdout, sys.stderr
"""
_AFTER = """
print("ready", file=answers, flush=True)
for line in sys.stdin:
    print(act(line.rstrip("\\n")), file=answers, flush=True)
"""


class Two:
    """Two processes, each with the same function `act`."""

    def __init__(self, both: list[subprocess.Popen[str]]) -> None:
        self.both = both

    def act(self, asked: str) -> list[str]:
        """What `act(asked)` gives in the one and in the other, let go by two writes that follow each other."""
        for process in self.both:
            assert process.stdin is not None
            process.stdin.write(f"{asked}\n")
            process.stdin.flush()
        return [_answer(process) for process in self.both]


@contextmanager
def two(script: str, *arguments: str) -> Iterator[Two]:
    """Two processes of the script, which defines `act`, a function of a line that gives a line; they stand ready, and end with the block."""
    command = [sys.executable, "-c", f"{_BEFORE}{script}{_AFTER}", *arguments]
    made = [subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        assert [_answer(process) for process in made] == ["ready", "ready"]
        yield Two(made)
    finally:
        for process in made:
            process.communicate()


def _answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


RESUMES = """
import sys
import hail_batch_jupyter as hb
from hail_batch_jupyter.batch import resume
from hail_batch_jupyter.errors import RunLiveError
resume._ENDING_S = 0.05
{setup}
def act(line):
    name, gate = line.split()
    b = hb.Batch(name=name, backend={backend})
    b.lineage = name
    b.new_job("j").command(f"echo ran >> {{gate}}.ran; until [ -e {{gate}} ]; do sleep 0.02; done")
    try:
        run = b.run(resume=True, wait=False)
    except RunLiveError as error:
        return str(error)
    return "began"
"""
"""A batch that goes on from its last run, and whose job stands at a file."""


def assert_started_once(folder: Path, rounds: int, backend: str = "None", setup: str = "") -> None:
    """Two processes start the same batch at once, several times: one does, the other says which run goes on; its job runs once."""
    with two(RESUMES.format(backend=backend, setup=setup)) as both:
        for number in range(rounds):
            gate = folder / f"gate{number}"
            words = both.act(f"batch{number} {gate}")
            made = [run for run in rundir.list_runs() if run.name == f"batch{number}"]
            gate.touch()

            live = f"run {made[0].run_id} of batch 'batch{number}' is still going on; wait for its end, or cancel it, then resume"
            assert sorted(words) == sorted(["began", live]), words
            assert len(made) == 1
            attach(made[0].run_id).wait(LONG_S)
            assert Path(f"{gate}.ran").read_text() == "ran\n"
