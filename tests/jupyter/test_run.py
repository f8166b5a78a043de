from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, JobFailedError, RunLiveError, RunLostError, SubmitError
from hail_batch_jupyter.jupyter.desk import place_of
from hail_batch_jupyter.jupyter.live.jobdetail import job_detail
from hail_batch_jupyter.jupyter.live.joblog import part
from hail_batch_jupyter.jupyter.news import news
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.local_port import LocalPort
from tests.at_once import two as two_processes
from tests.conftest import wait_until
from tests.engine.jobs import LONG_S


@pytest.fixture
def gate(work: Path) -> Iterator[Path]:
    """A file that `held` jobs wait for; at the end no run goes on."""
    yield work / "gate"
    (work / "gate").touch()
    wait_until(lambda: all(run.state != "live" for run in rundir.list_runs()))


@pytest.fixture
def two(cells: Any) -> Any:
    """A shell with the jobs `fit` (bash) and `qc` (Python), which reads the model of `fit`."""
    Path("data.csv").write_text("2\n1\n")
    cells.run("from pathlib import Path\ndata = Path('data.csv')\nb = %batch b")
    cells.run("%%batch_job fit\nsort {data} > {fit.model}")
    cells.run("%%batch_python qc -o score total\nrows = open(fit.model).read().split()\nscore = rows\nprint('counted', len(rows))\ntotal = sum(map(int, rows))")
    return cells


@pytest.fixture
def held(cells: Any, gate: Path) -> Any:
    """A shell whose batch `b` runs a job that waits for the gate."""
    cells.run(f"gate = {str(gate)!r}\nb = %batch b")
    cells.run("%%batch_job held\necho begun\nuntil [ -e {gate} ]; do sleep 0.02; done\necho ended")
    cells.run("%batch_run")
    return cells


def states(cells: Any) -> list[tuple[str, str, bool]]:
    frame = cells.run("%batch_jobs")
    return [tuple(row) for row in frame[["name", "state", "reused"]].itertuples(index=False)]


def test_a_run_gives_files_values_and_a_table(two: Any) -> None:
    two.run("%batch_run")
    two.run("%batch_wait")

    assert two.run("fit.model.path().read_text()") == "1\n2\n"
    assert two.run("qc['score'].result(), qc['total'].result()") == (["1", "2"], 3)
    assert states(two) == [("fit", "Success", False), ("qc", "Success", False)]


def test_outputs_are_written(two: Any) -> None:
    two.run("%batch_output fit.model out/model.txt")

    two.run("%batch_run --wait")

    assert Path("out/model.txt").read_text() == "1\n2\n"


def test_what_has_not_changed_is_taken_over_and_what_has_runs(two: Any) -> None:
    two.run("%batch_run --wait")
    two.run("%batch_run --wait")
    assert states(two) == [("fit", "Success", True), ("qc", "Success", True)]

    two.run("%%batch_python qc -o score\nscore = open(fit.model).read()[::-1]")
    two.run("%batch_run --wait")

    assert states(two) == [("fit", "Success", True), ("qc", "Success", False)]
    assert two.run("qc['score'].result()") == "\n2\n1"


def test_fresh_runs_everything(two: Any) -> None:
    two.run("%batch_run --wait")

    two.run("%batch_run --wait --fresh")

    assert states(two) == [("fit", "Success", False), ("qc", "Success", False)]


def test_only_runs_the_jobs_named_and_what_they_need(two: Any) -> None:
    two.run("%%batch_job other\ntrue")

    two.run("%batch_run --wait --only qc")

    assert [name for name, _, _ in states(two)] == ["fit", "qc"]


def test_a_cell_with_run_runs_its_job(two: Any) -> None:
    two.run("%%batch_job late --run\ncat {fit.model}")
    two.run("%batch_wait")

    assert [name for name, _, _ in states(two)] == ["fit", "late"]


def test_runs_name_their_predecessor(two: Any) -> None:
    two.run("%batch_run --wait")
    two.run("%batch_run --wait")

    newest, before = rundir.list_runs()
    assert newest.previous == before.run_id
    assert newest.lineage == before.lineage == f"{place_of(two.shell)}::b"


def test_dry_run_shows_commands_and_runs_nothing(two: Any, capsys: pytest.CaptureFixture[str]) -> None:
    two.run("%%batch_job secret --env TOKEN=hush\necho $TOKEN")

    two.run("%batch_run --dry-run")

    shown = capsys.readouterr().out
    assert "3 jobs would run" in shown
    assert "# 2: qc (after fit)" in shown
    assert "hush" not in shown
    assert rundir.list_runs() == []


def test_a_dry_run_shows_the_first_job_of_a_stage(cells: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells.run("%batch many")
    cells.run("%%batch_job part --each x=range(2000)\necho {x} > {part.out}")
    cells.run("%%batch_job all_parts\ncat {part.out}")

    cells.run("%batch_run --dry-run")

    shown = capsys.readouterr().out
    assert "2001 jobs would run\n\n# 1: part-0000\nset -e" in shown
    assert "# … and 1999 more like it, to part-1999\n" in shown
    assert "# 2001: all_parts (after part-0000, part-0001, part-0002, part-0003, part-0004, part-0005 and 1994 more)" in shown
    assert len(shown) < 2000


def test_a_cell_that_is_newer_than_the_run_is_not_called_unknown(two: Any) -> None:
    two.run("%batch_run --wait")
    two.run("%%batch_job late\ntrue")

    for magic in ("%batch_wait late", "%batch_log late", "%batch_retry late"):
        with pytest.raises(UsageError, match="'late' is not part of run .*: its cell is newer than the run, or it was left out; %batch_run runs it"):
            two.run(magic)
    with pytest.raises(UsageError, match="--tail 0: it is a number of lines, 1 or more"):
        two.run("%batch_log fit --tail 0")


@pytest.mark.filterwarnings("default:job 'wide' asks for")
def test_what_a_job_asks_for_beyond_the_machine_is_one_line(cells: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells.run("%batch big")
    cells.run("%%batch_job wide --memory 999Ti\ntrue")

    cells.run("%batch_run --wait")

    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"Warning: job 'wide' asks for 999.0 TiB of memory where there are .*: it runs alone on this machine", line)


def test_the_traceback_of_an_error_ends_at_the_users_line(two: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BatchException, match="batch 'b' has not run yet"):
        two.run("def look():\n    return fit.model.path()\nlook()")

    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "return fit.model.path()" in shown
    assert "fetch_path" not in shown


def test_sys_exit_in_a_job_does_not_end_who_asks_for_its_result(cells: Any) -> None:
    cells.run("%batch b")
    cells.run("%%batch_python p -o x\nimport sys\nx = 1\nsys.exit(3)")
    cells.run("%batch_run")

    with pytest.raises(JobFailedError, match="job 'p' failed with exit code 3"):
        cells.run("p['x'].result()")


def test_a_result_that_cannot_be_pickled_is_one_sentence(cells: Any) -> None:
    cells.run("%batch b")
    cells.run("%%batch_python p -o x\nx = (i for i in range(3))")
    cells.run("%batch_run")

    with pytest.raises(TypeError, match="result 'x' is a generator, which cannot be pickled"):
        cells.run("p['x'].result()")
    assert cells["p"].job_batch.last_run.log_tail(1) == (
        "TypeError: result 'x' is a generator, which cannot be pickled (cannot pickle 'generator' object); give plain data back"
    )


def test_waiting_raises_when_a_job_failed_and_shows_its_log(two: Any, capsys: pytest.CaptureFixture[str]) -> None:
    two.run("%%batch_job bad\necho before; exit 3")
    two.run("%batch_run")

    with pytest.raises(JobFailedError) as caught:
        two.run("%batch_wait")

    assert caught.value.returncode == 3
    shown = capsys.readouterr().out
    assert "job 'bad' failed with exit code 3 in run" in shown
    assert "; %batch_log bad, or get_job_log(3), gives all that it printed\n    | before" in shown
    assert "Traceback" not in shown


def test_waiting_for_jobs_that_succeeded_does_not_raise(two: Any) -> None:
    two.run("%%batch_job bad\nexit 3")
    two.run("%batch_run")

    two.run("%batch_wait fit {qc}")

    with pytest.raises(JobFailedError):
        two.run("%batch_wait fit bad")
    with pytest.raises(UsageError, match=r"there is no job 'fitt' in run .*; did you mean fit"):
        two.run("%batch_wait fitt")


def test_the_traceback_of_a_python_cell_shows_its_text(two: Any) -> None:
    two.run("%%batch_python qc -o score\nscore = 1\n\nraise ValueError(f'odd {score}')")

    with pytest.raises(JobFailedError, match=r"File \"<batch_python qc>\", line 4, in qc\n    \|     raise ValueError"):
        two.run("%batch_run --wait")
    with pytest.raises(ValueError, match="odd 1"):
        two.run("qc['score'].result()")


def test_functions_and_classes_of_the_notebook_run_in_the_job(cells: Any) -> None:
    cells.run("import math\nscale = 10\nclass P:\n    def __init__(self, x): self.x = x\ndef grow(p): return P(p.x * scale + math.floor(1.5))\np = P(2)")
    cells.run("%%batch_python big -o q same\nq = grow(p)\nsame = type(q) is P and isinstance(p, P)")

    cells.run("%batch_run --wait")

    assert cells.run("big['q'].result().x, big['same'].result()") == (21, True)


def test_a_live_run_that_does_the_same_is_attached_to(held: Any, capsys: pytest.CaptureFixture[str]) -> None:
    held.run("%batch_run")

    assert len(rundir.list_runs()) == 1
    assert "the same jobs are running already; this is that run" in capsys.readouterr().out


def test_beside_a_live_run_other_jobs_are_refused_until_again_is_said(held: Any, gate: Path) -> None:
    held.run("%%batch_job more\ntrue")
    with pytest.raises(RunLiveError, match=r"%batch_attach .* shows that run, %batch_cancel ends it, and %batch_run --again runs"):
        held.run("%batch_run")
    assert len(rundir.list_runs()) == 1

    held.run("%batch_run --again")

    assert len(rundir.list_runs()) == 2
    gate.touch()
    held.run("%batch_wait")
    held.run(f"%batch_attach {rundir.list_runs()[1].run_id}\n%batch_wait")


def test_cancelling_ends_the_run_and_waiting_says_so(held: Any, capsys: pytest.CaptureFixture[str]) -> None:
    held.run("%batch_cancel")

    with pytest.raises(JobFailedError, match="job 'held' was cancelled"):
        held.run("%batch_wait")
    held.run("%batch_cancel")
    assert capsys.readouterr().out.splitlines()[-1].endswith("has ended already")


def test_retry_runs_again_what_failed_as_it_was_then(cells: Any, work: Path) -> None:
    cells.run(f"fixed = {str(work / 'fixed')!r}\nb = %batch b")
    cells.run("%%batch_job good\necho 1 > {good.out}")
    cells.run("%%batch_job bad\n[ -e {fixed} ] && cat {good.out} > {bad.out}")
    with pytest.raises(JobFailedError, match="job 'bad' failed"):
        cells.run("%batch_run --wait")
    first = cells.run("b.last_run")
    (work / "fixed").touch()

    cells.run("%batch_retry")
    cells.run("%batch_wait")

    assert states(cells) == [("good", "Success", True), ("bad", "Success", False)]
    assert cells.run("bad.out.path().read_text()") == "1\n"
    assert cells.run("b.last_run.previous") == first.id
    attempts = cells.run("%batch_jobs --attempts")
    assert attempts[["name", "attempt", "exit_code"]].values.tolist() == [["bad", 1, 0]]
    with pytest.raises(BatchException, match="nothing to retry"):
        cells.run("%batch_retry")


def test_an_interrupt_stops_the_waiting_and_not_the_run(held: Any, gate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = held.run("b.last_run")
    wait_until(lambda: run.snapshot().jobs[0].state is JobState.RUNNING)
    interrupt = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()

    with pytest.raises(KeyboardInterrupt):
        held.run("%batch_wait")

    interrupt.join()
    assert "stopped waiting; the run goes on: b: running, 0 of 1 job done after" in (shown := capsys.readouterr().out)
    assert "%batch_cancel ends the run" in shown
    assert run.alive()
    gate.touch()
    held.run("%batch_wait")


def test_waiting_ends_when_the_runner_was_killed_and_the_next_run_does_the_rest(held: Any, gate: Path) -> None:
    run = held.run("b.last_run")
    wait_until(lambda: run.snapshot().jobs[0].state is JobState.RUNNING)
    owner = json.loads((run.directory / "owner").read_text())
    os.kill(owner["pid"], signal.SIGKILL)

    with pytest.raises(RunLostError, match=r"the runner of .* is gone.*; 0 of 1 jobs had finished: run the batch again"):
        held.run("%batch_wait")

    gate.touch()
    held.run("%batch_run --wait")
    assert states(held) == [("held", "Success", False)]


def test_logs_are_printed_whole_or_in_part(two: Any, capsys: pytest.CaptureFixture[str]) -> None:
    two.run("%%batch_job lines\nseq 1 20; printf 'no end'")
    two.run("%batch_run --wait")
    capsys.readouterr()

    two.run("%batch_log lines")
    assert capsys.readouterr().out.splitlines() == [*map(str, range(1, 21)), "no end"]
    two.run("%batch_log 3 --tail 2")
    assert capsys.readouterr().out.splitlines() == ["20", "no end"]
    two.run("%batch_log fit")
    assert capsys.readouterr().out == "job 'fit' (succeeded) has printed nothing\n"
    two.run("%batch_log {qc}")
    assert capsys.readouterr().out == "counted 2\n"


def test_a_log_is_followed_to_the_end_of_its_job(held: Any, gate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opener = threading.Timer(0.5, gate.touch)
    opener.start()

    held.run("%batch_log held -f")

    opener.join()
    assert capsys.readouterr().out.endswith("begun\nended\n")


def test_the_last_lines_of_a_log_are_followed_and_all_attempts_of_its_job(cells: Any, gate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells.run(f"gate = {str(gate)!r}\n%batch b")
    cells.run("%%batch_job held --each i=[0] --retry 2\nseq 1 5\nuntil [ -e {gate} ]; do sleep 0.02; done\nmkdir {gate}.d && exit 3\necho ended {i}")
    cells.run("%batch_run")
    run = cells.run("%batch").last_run
    wait_until(lambda: run.log_size(1) == len("1\n2\n3\n4\n5\n"))
    capsys.readouterr()
    opener = threading.Timer(0.5, gate.touch)
    opener.start()

    cells.run("%batch_log held[0] --tail 2 -f")

    opener.join()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["4", "5", "--- attempt 2 ---"]
    assert lines[-1] == "ended 0"


def test_attaching_comes_back_to_a_run_and_names_close_ones(two: Any) -> None:
    two.run("%batch_run --wait")
    (run,) = rundir.list_runs()
    two.run("%batch --reset")

    two.run(f"%batch_attach {run.run_id}")

    assert [name for name, _, _ in states(two)] == ["fit", "qc"]
    with pytest.raises(RunLostError, match=run.run_id):
        two.run(f"%batch_attach {run.run_id[:-2]}")


def test_attaching_by_the_name_of_a_batch_comes_back_to_its_newest_run(two: Any, capsys: pytest.CaptureFixture[str]) -> None:
    two.run("%batch_run --wait")
    two.run("%batch_attach b")
    assert "runs of" not in capsys.readouterr().out
    two.run("%batch_run --wait --again")
    newest, first = rundir.list_runs()

    two.run("%batch --reset\n%batch_attach b")

    assert f"2 runs of 'b': this is the newest, {newest.run_id}; the others are {first.run_id}\n" in capsys.readouterr().out
    assert two.run("%batch_jobs") is not None
    with pytest.raises(RunLostError, match=r"there is neither a run nor a batch 'bb'; did you mean b\?"):
        two.run("%batch_attach bb")


def test_the_log_of_what_was_taken_over_is_that_of_the_run_in_which_it_ran(two: Any, capsys: pytest.CaptureFixture[str]) -> None:
    two.run("%batch_run --wait\n%batch_run --wait --again\n%batch_run --wait --again")
    newest, _, first = rundir.list_runs()
    capsys.readouterr()

    two.run("%batch_log qc")

    said, *log = capsys.readouterr().out.splitlines()
    assert said == f"taken over from run {first.run_id}; its log is:"
    assert log == LocalPort(first.directory).log(2).decode().splitlines()
    assert log
    running = attach(newest.run_id)
    detail = job_detail(running, 1)
    assert (detail["log_of"]["run"], detail["logs"]) == (first.run_id, [[1, ["main"]]])
    assert part(running, {"job": 1, "attempt": 1, "container": "main", "start": 0, "length": 100})[1].decode().splitlines() == log
    rundir.remove(first.directory)
    two.run("%batch_log qc")
    assert capsys.readouterr().out == f"taken over from run {first.run_id}, which is no longer here, nor is its log\n"
    assert job_detail(running, 1)["log_of"] == {
        "run": "",
        "text": f"The result was taken over from run {first.run_id}, which is no longer here, nor is its log.",
    }


def test_runs_of_this_notebook_are_a_table(two: Any, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two.run("%batch_run --wait")
    frame = two.run("%batch_runs")
    assert frame[["name", "state", "jobs"]].values.tolist() == [["b", "succeeded", 2]]

    monkeypatch.setenv("JPY_SESSION_NAME", str(work / "another.ipynb"))

    assert len(two.run("%batch_runs")) == 0
    assert len(two.run("%batch_runs --all")) == 1


def test_old_runs_are_removed_when_asked_and_the_last_one_stays(two: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        two.run("%batch_run --wait --fresh")
    last = rundir.list_runs()[0].run_id
    two.run("%batch_runs --clean")
    assert "\n0 runs removed\n" in capsys.readouterr().out

    frame = two.run("%batch_runs --clean --older 0")

    assert frame["run"].tolist() == [last]
    assert re.search(r"^1 run removed, .* KiB freed$", capsys.readouterr().out, re.MULTILINE)
    with pytest.raises(UsageError, match="--older 3: it is a number of days, 0 or more, for --clean"):
        two.run("%batch_runs --older 3")


def test_the_batch_says_which_cells_changed_since_the_run(two: Any) -> None:
    two.run("%batch_run --wait")
    two.run("%%batch_job fit\nsort -r {data} > {fit.model}")

    data, _ = two.shell.display_formatter.format(two["b"])
    assert data["text/plain"].splitlines()[1:] == [
        "  fit → qc: bash, 1 succeeded, cell changed since the run",
        "  qc: python, 1 succeeded, cell changed since the run",
    ]


def test_a_new_kernel_hears_of_runs_that_go_on_or_ended_unseen_and_of_each_end_once(held: Any, gate: Path) -> None:
    place = place_of(held.shell)
    (run,) = rundir.list_runs()
    assert news(place) == f"b is still running: %batch_attach {run.run_id}"

    gate.touch()
    wait_until(lambda: rundir.list_runs()[0].state == "ended")
    assert news(place) == f"b has succeeded: %batch_attach {run.run_id}"

    held.run("%batch_wait")
    assert news(place) == ""
    assert news("/another/notebook.ipynb") == ""


def test_a_job_that_asks_for_more_than_there_is_is_refused_with_strict(two: Any) -> None:
    two.run("%%batch_job big --cpu 4000\ntrue")

    with pytest.raises(SubmitError, match="job 'big' asks for"):
        two.run("%batch_run --strict")


def test_values_of_the_environment_reach_the_job_and_nothing_else(two: Any, runs: Path) -> None:
    two.run("token = 'hush-hush'")
    two.run('%%batch_job secret --env TOKEN=$token\nprintf %s "$TOKEN" | wc -c')
    two.run("%batch_run --wait")

    shown = [str(two.run("%batch_jobs").to_html()), *[repr(value) for value in two.shell.display_formatter.format(two["b"])[0].values()]]
    written = [path for path in runs.rglob("*") if path.is_file() and b"hush-hush" in path.read_bytes()]
    assert two.run("b.last_run.get_job_log(3)['main'].strip()") == "9"
    assert not [text for text in shown if "hush" in text]
    assert written == []


MAGICS = """
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
from hail_batch_jupyter.jupyter.extension import load_ipython_extension
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
load_ipython_extension(shell)
def cell(text):
    result = shell.run_cell(text)
    result.raise_error()
    return result.result
def act(line):
    name, gate = line.split()
    shell.user_ns["gate"] = gate
    cell(f"b = %batch {name}")
    cell("%%batch_job held\\nuntil [ -e {gate} ]; do sleep 0.02; done")
    cell("%batch_run")
    return shell.user_ns["b"].last_run.id
"""


def test_two_kernels_that_run_a_batch_at_the_same_moment_have_the_same_run(work: Path) -> None:
    with two_processes(MAGICS) as both:
        for number in range(3):
            gate = work / f"gate{number}"
            ids = both.act(f"batch{number} {gate}")
            made = [run.run_id for run in rundir.list_runs() if run.name == f"batch{number}"]
            gate.touch()

            assert ids == [made[0], made[0]]
            assert len(made) == 1
            attach(made[0]).wait(LONG_S)
