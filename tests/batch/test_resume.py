"""Running a batch again: what has not changed is taken over, in the same process and in another one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hail_batch_jupyter.batch import Batch, LocalBackend
from hail_batch_jupyter.errors import JobFailedError, RunLiveError
from hail_batch_jupyter.observe import rundir
from tests.at_once import assert_started_once
from tests.engine.jobs import LONG_S, Gate
from tests.requirements import ROOT


def write_script(folder: Path, middle: str = "tr a-z A-Z") -> Path:
    """A script of four jobs: a reads x.txt, b follows a, c (Python) follows b, d reads y.txt; each notes that it ran."""
    path = folder / "pipeline.py"
    path.write_text(f"""
from pathlib import Path
import hail_batch_jupyter.batch as hb

here = Path(__file__).parent

def score(path, log):
    with open(log, "a") as file:
        file.write("c ")
    return len(open(path).read())

b = hb.Batch(name="pipeline")
x, y = b.read_input(here / "x.txt"), b.read_input(here / "y.txt")
first = b.new_job("a")
first.command(f"printf 'a ' >> {{here}}/ran; sort {{x}} > {{first.out}}")
second = b.new_job("b")
second.command(f"printf 'b ' >> {{here}}/ran; {middle} < {{first.out}} > {{second.out}}")
third = b.new_python_job("c")
result = third.call(score, second.out, str(here / "ran"))
fourth = b.new_job("d")
fourth.command(f"printf 'd ' >> {{here}}/ran; cat {{y}} > {{fourth.out}}")
b.write_output(second.out, here / "result.txt")
b.run(resume=True)
print("score", result.result())
""")
    return path


def run_script(path: Path) -> tuple[set[str], list[str]]:
    """Run the script in a process of its own: which jobs ran, and what it printed."""
    ran = path.parent / "ran"
    ran.write_text("")
    done = subprocess.run([sys.executable, str(path)], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=LONG_S)
    assert done.returncode == 0, done.stderr
    return set(ran.read_text().split()), done.stdout.splitlines()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script that has run once."""
    (tmp_path / "x.txt").write_text("b\na\n")
    (tmp_path / "y.txt").write_text("y\n")
    path = write_script(tmp_path)
    ran, said = run_script(path)
    assert ran == {"a", "b", "c", "d"}
    assert said == ["No earlier run of this batch was found; all 4 jobs run", "Batch completed successfully!", "score 4"]
    return path


def test_a_script_that_runs_again_unchanged_runs_nothing(script: Path) -> None:
    ran, said = run_script(script)

    first, second = sorted(rundir.list_runs(), key=lambda run: run.created_ms)
    assert ran == set()
    assert said[0].startswith(f"Follows run {first.run_id}: 4 of 4 jobs taken over from the run of ")
    assert said[-1] == "score 4"
    assert second.previous == first.run_id
    assert second.lineage == f"{script}::pipeline"


def test_one_changed_input_runs_exactly_what_follows_from_it_and_says_why(script: Path) -> None:
    (script.parent / "x.txt").write_text("b\na\nc\n")

    ran, said = run_script(script)

    assert ran == {"a", "b", "c"}
    assert said[0].endswith("; 3 to run: a (input x.txt changed), b (follows a), c (follows b)")
    assert said[-1] == "score 6"
    assert (script.parent / "result.txt").read_text() == "A\nB\nC\n"


def test_a_changed_command_runs_with_what_follows_from_it(script: Path) -> None:
    write_script(script.parent, "tac")

    ran, said = run_script(script)

    assert ran == {"b", "c"}
    assert said[0].endswith("; 2 to run: b (its command or settings changed), c (follows b)")


def test_an_output_that_was_removed_is_there_again(script: Path) -> None:
    (script.parent / "result.txt").unlink()

    ran, _ = run_script(script)

    assert ran == set()
    assert (script.parent / "result.txt").read_text() == "A\nB\n"


def test_another_batch_of_the_same_script_is_no_predecessor(script: Path) -> None:
    script.write_text(script.read_text().replace('name="pipeline"', 'name="other"'))

    ran, _ = run_script(script)

    assert ran == {"a", "b", "c", "d"}


def failing(folder: Path, **settings: object) -> Batch:
    b = Batch(name="b", backend=LocalBackend(tmp_dir=str(folder)))
    good = b.new_job("good")
    good.command(f"echo good >> {folder}/ran; echo 1 > {good.out}")
    bad = b.new_job("bad")
    bad.command(f"echo bad >> {folder}/ran; [ -e {folder}/fixed ]; cat {good.out} > {bad.out}")
    with pytest.raises(JobFailedError):
        b.run(**settings)
    (folder / "fixed").touch()
    return b


def test_a_batch_that_failed_is_resumed_in_the_same_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b = failing(tmp_path, resume=True)

    b.run(resume=True)

    assert (tmp_path / "ran").read_text().split() == ["good", "bad", "bad"]
    assert "1 of 2 jobs taken over" in capsys.readouterr().out
    assert b.select_jobs("bad")[0].out.path().read_text() == "1\n"


def test_a_run_that_was_not_resumed_is_followed_too(tmp_path: Path) -> None:
    b = failing(tmp_path, delete_scratch_on_exit=False)

    b.run(resume=True)

    assert (tmp_path / "ran").read_text().split() == ["good", "bad", "bad"]


def test_files_of_a_batch_are_those_of_the_retried_run(tmp_path: Path) -> None:
    b = failing(tmp_path, delete_scratch_on_exit=False)
    assert b.last_run is not None

    again = b.last_run.retry()
    again.wait(LONG_S)

    assert b.last_run is again
    assert b.select_jobs("bad")[0].out.path().read_text() == "1\n"
    assert (tmp_path / "ran").read_text().split() == ["good", "bad", "bad"]
    more = b.new_job("more").depends_on(*b.select_jobs("bad")).command("true")
    b.run()
    assert b.last_run.get_job(more.job_draft.job_id or 0)["state"] == "Success"


def test_a_live_run_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hail_batch_jupyter.batch import resume

    monkeypatch.setattr(resume, "_ENDING_S", 0.05)
    gate = Gate(tmp_path / "gate")
    b = Batch(name="b")
    b.new_job("j").command(gate.shell)
    running = b.run(resume=True, wait=False)
    gate.reached()

    with pytest.raises(RunLiveError, match=r"of batch 'b' is still going on; wait for its end, or cancel it, then resume"):
        b.run(resume=True)

    gate.let_through()
    running.wait(LONG_S)


def test_two_processes_that_start_a_batch_at_the_same_moment_start_it_once(tmp_path: Path) -> None:
    assert_started_once(tmp_path, rounds=10)
