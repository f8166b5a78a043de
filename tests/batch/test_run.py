"""Batch.run on the real backend of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from hail_batch_jupyter.batch import Batch, LocalBackend
from hail_batch_jupyter.errors import BatchException, JobFailedError, RunLostError
from tests.conftest import wait_until
from tests.engine.jobs import Gate


def append(path: str, text: str) -> None:
    """What a Python job does that leaves a mark."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


@pytest.fixture
def b(tmp_path: Path) -> Batch:
    """An empty batch whose scratch is the test's own."""
    return Batch(name="b", backend=LocalBackend(tmp_dir=f"{tmp_path}/with blank/"))


def test_a_run_gives_its_handle_and_says_so(b: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    j = b.new_job("j")
    j.command(f"echo hi > {j.o}")
    b.write_output(j.o, tmp_path / "f")
    running = b.run()

    assert ("success", b.last_run) == (running.status()["state"], running)
    assert (tmp_path / "f").read_text() == "hi\n"
    assert capsys.readouterr().out == "Batch completed successfully!\n"
    assert (j.job_draft.job_id, j.job_draft.submitted) == (1, True)


def test_a_batch_without_jobs_runs(b: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    assert b.run() is None
    assert capsys.readouterr().out == "Batch completed successfully!\n"


def test_a_dry_run_has_no_effect_and_repeats_itself(b: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    j = b.new_job("j").env("SECRET", "hidden").command(f"echo x >> {tmp_path}/once")
    b.write_output(b.read_input(__file__), tmp_path / "copy")
    texts = []
    for _ in range(2):
        assert b.run(dry_run=True) is None
        texts.append(capsys.readouterr().out)

    assert texts[0] == texts[1]
    assert all(part in texts[0] for part in ("# 1: j\n", "# with SECRET set\n", f"echo x >> {tmp_path}/once", f"cp {__file__} {tmp_path}/copy"))
    assert not any(word in texts[0] for word in ("completed", "hidden"))
    assert (j.job_draft.job_id, j.job_draft.submitted) == (None, False)
    b.run()
    assert (tmp_path / "once").read_text() == "x\n"
    assert Path(__file__).read_text() == (tmp_path / "copy").read_text()


def test_an_unknown_keyword_is_named(b: Batch) -> None:
    with pytest.raises(ValueError, match=r"LocalBackend does not support any of these keywords: \{'bogus': 1\}; it has .*wait"):
        b.run(bogus=1)


def test_every_failed_job_is_in_the_exception(b: Batch) -> None:
    b.new_job("three").command("exit 3")
    b.new_job("four").command("echo why; exit 4")

    with pytest.raises(CalledProcessError, match=r"2 of 2 jobs failed") as caught:
        b.run()

    assert isinstance(caught.value, JobFailedError)
    assert (caught.value.returncode, [(name, code) for _, name, _, code in caught.value.failed]) == (3, [("three", 3), ("four", 4)])


def test_a_timeout_is_an_error_of_its_own(b: Batch) -> None:
    b.new_job("slow").command("mkfifo f; read -r _ < f").timeout("200ms")

    with pytest.raises(CalledProcessError) as caught:
        b.run()

    assert (caught.value.returncode, *caught.value.failed[0][2:]) == (124, "Error", None)  # type: ignore[attr-defined]  # it is a JobFailedError


def test_a_later_run_takes_only_what_is_new_or_was_cancelled(b: Batch, tmp_path: Path) -> None:
    log = tmp_path / "log"
    a = b.new_job("a").command(f"echo a >> {log}; exit 5")
    c = b.new_job("c").depends_on(a).command(f"echo c >> {log}")
    d = b.new_python_job("d").depends_on(c)
    d.call(append, str(log), "d\n")
    e = b.new_job("e").depends_on(c).always_run().command(f"echo e >> {log}")
    with pytest.raises(CalledProcessError):
        b.run()
    assert sorted(log.read_text().split()) == ["a", "e"]
    assert (a.job_draft.submitted, c.job_draft.submitted, d.job_draft.submitted, e.job_draft.submitted) == (True, False, False, True)

    with pytest.raises(CalledProcessError) as caught:
        b.run()

    assert [name for _, name, _, _ in caught.value.failed] == ["c", "d"]  # type: ignore[attr-defined]  # it is a JobFailedError
    assert sorted(job_id for job_id in (c.job_draft.job_id, d.job_draft.job_id) if job_id is not None) == [5, 6]


def test_a_child_of_a_job_that_failed_earlier_is_cancelled(b: Batch, tmp_path: Path) -> None:
    a = b.new_job("a")
    a.command(f"touch {a.o}; exit 1")
    with pytest.raises(CalledProcessError):
        b.run()
    b.new_job("child").command(f"cat {a.o}; touch {tmp_path}/ran")

    with pytest.raises(CalledProcessError):
        b.run()
    assert not (tmp_path / "ran").exists()


def test_a_file_of_an_earlier_run_is_gone_unless_it_was_kept(b: Batch, tmp_path: Path) -> None:
    for keep in (False, True):
        j = b.new_job(f"keep {keep}")
        j.command(f"echo {keep} > {j.o}")
        p = b.new_python_job(f"value {keep}")
        r = p.call(str, keep)
        b.run(delete_scratch_on_exit=not keep)
        k = b.new_job(f"read {keep}").command(f"cat {j.o} > {tmp_path}/read")
        q = b.new_python_job(f"take {keep}")
        q.call(append, str(tmp_path / "read"), r)
        q.depends_on(k)
        if keep:
            b.run()
            assert (tmp_path / "read").read_text() == "True\nTrue"
        else:
            with pytest.raises(
                BatchException, match=r"job 'read False' reads 'o' of job 'keep False', which ran in an earlier run whose .* files were removed"
            ):
                b.run()
            b.drop_job(q)
            b.drop_job(k)


def test_jobs_stand_in_the_order_of_the_run_afterwards(b: Batch) -> None:
    child, parent = b.new_job("child"), b.new_job("parent")
    child.depends_on(parent)
    assert [child, parent] == b.select_jobs("")
    b.run()

    assert ([parent, child], (1, 2)) == (b.select_jobs(""), (parent.job_draft.job_id, child.job_draft.job_id))


@pytest.mark.parametrize("change", ["command", "call", "depends_on", "declare_resource_group", "write_output", "add_extension", "as_json"])
def test_a_job_that_ran_does_not_change(b: Batch, tmp_path: Path, change: str) -> None:
    j, p = b.new_job("j"), b.new_python_job("j")
    j.command(f"touch {j.o}")
    r = p.call(abs, 1)
    b.run()

    with pytest.raises(BatchException, match=f"{change}: job 'j' was already submitted"):
        {
            "command": lambda: j.command("true"),
            "call": lambda: p.call(abs, 1),
            "depends_on": j.depends_on,
            "declare_resource_group": j.declare_resource_group,
            "write_output": lambda: b.write_output(j.o, tmp_path / "f"),
            "add_extension": lambda: j.o.add_extension(".x"),
            "as_json": r.as_json,
        }[change]()


def test_files_and_values_of_the_last_run_come_back(b: Batch) -> None:
    j, p = b.new_job("j"), b.new_python_job("p")
    j.command(f"printf hi > {j.o}")
    j.o.add_extension(".txt")
    values = p.call_named(lambda: {"list": [1, 2], "function": lambda x: x + 1}, ["list", "function"])
    with pytest.raises(BatchException, match=r"batch 'b' has not run yet, so there is no file 'o' of job 'j'; call run\(\) first"):
        j.o.path()
    b.run(delete_scratch_on_exit=False)

    assert (j.o.path().read_text(), j.o.path().name) == ("hi", "o.txt")
    assert (values["list"].result(), p["function"].result(timeout_s=5)(2)) == ([1, 2], 3)
    with pytest.raises(BatchException, match=r"job 'late' is newer than the last run"):
        b.new_job("late").o.path()


def test_a_file_that_was_removed_says_how_to_keep_it(b: Batch) -> None:
    j = b.new_job("j")
    j.command(f"touch {j.o}")
    b.run()

    with pytest.raises(RunLostError, match=r"delete_scratch_on_exit=False.*write_output"):
        j.o.path()


def test_a_result_raises_what_its_function_raised(b: Batch) -> None:
    class OwnError(Exception):
        pass

    def fail(own: bool) -> None:
        raise OwnError("mine") if own else KeyError("k")

    p, q = b.new_python_job("p"), b.new_python_job("q")
    first, own = p.call(fail, False), q.call(fail, True)
    other = b.new_job("other")
    other.command(f"touch {other.o}; exit 7")
    with pytest.raises(CalledProcessError):
        b.run(delete_scratch_on_exit=False)

    with pytest.raises(KeyError) as caught:
        first.result()
    assert "raise OwnError" in str(caught.value.__cause__)
    with pytest.raises(Exception, match=r"mine"):
        own.result()
    with pytest.raises(JobFailedError, match=r"exit code 7"):
        other.o.path()


def test_waiting_can_be_left_to_later(b: Batch, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    j = b.new_job("j")
    j.command(f"{gate.shell}; touch {j.o}")
    running = b.run(wait=False, delete_scratch_on_exit=False)
    k = b.new_job("k").depends_on(j)
    with pytest.raises(BatchException, match=r"job 'k' waits for job 'j' of an earlier run, which has not ended"):
        b.run()
    with pytest.raises(TimeoutError):
        j.o.path(timeout_s=0.05)
    gate.let_through()

    assert j.o.path().exists()
    running.wait()
    b.run()
    assert (j.job_draft.job_id, k.job_draft.job_id) == (1, 2)


def test_a_job_described_anew_has_no_file_yet(b: Batch) -> None:
    def put(command: str) -> None:
        staged = b.stage_bash_job("fit", b.job_named("fit"))
        staged.command(command.format(staged.o))
        b.put_job(staged)

    put("echo 1 > {}")
    fit = b.job_named("fit")
    assert fit is not None
    b.last_run = b.backend.submit(b.compile(only_new=False), keep())
    put("echo 1 > {}")
    assert fit.o.path().read_text() == "1\n"
    put("echo 2 > {}")

    with pytest.raises(BatchException, match=r"job 'fit' was described anew after the last run"):
        fit.o.path()


def keep() -> object:
    from hail_batch_jupyter.core.ports import SubmitOptions

    return SubmitOptions(keep_files=True)


SCRIPT = """
import sys
from hail_batch_jupyter.batch import Batch
b = Batch(name="b")
j = b.new_job("j").command("touch {started}; mkfifo f; read -r _ < f")
try:
    b.run()
except KeyboardInterrupt:
    print(b.last_run.status()["state"], j.job_draft.submitted)
"""


def test_an_interrupt_of_a_script_cancels_its_run(tmp_path: Path) -> None:
    started = tmp_path / "started"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    script = subprocess.Popen([sys.executable, "-c", SCRIPT.replace("{started}", str(started))], stdout=subprocess.PIPE, text=True, env=environment)
    wait_until(started.exists)
    script.send_signal(signal.SIGINT)
    out, _ = script.communicate(timeout=180)

    assert out == "Cancelling the run …\ncancelled False\n"
