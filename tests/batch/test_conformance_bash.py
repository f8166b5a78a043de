"""What a run of bash jobs does, with real shells below the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.batch import Batch
from tests.batch.ending import batch_in, failure_of, states, text_of


@pytest.fixture
def b(tmp_path: Path) -> Batch:
    return batch_in(tmp_path)


def test_commands_share_variables_and_the_current_folder(b: Batch, tmp_path: Path) -> None:
    j = b.new_job()
    j.command("X=5; cd /")
    j.command(f"echo $X $(pwd) > {j.o}")

    assert text_of(b, j.o, tmp_path) == "5 /\n"


def test_a_failing_command_ends_its_job_before_the_next(b: Batch) -> None:
    b.new_job("j").command("false").command("echo second")

    assert failure_of(b).returncode == 1
    assert b.last_run is not None
    assert "second" not in b.last_run.get_job_log(1)["main"]


def test_a_failing_line_ends_its_command_before_the_next(b: Batch) -> None:
    j = b.new_job("j")
    j.command(f"false\necho x > {j.o}")

    assert failure_of(b).returncode == 1


def test_a_pipe_ends_as_its_last_program(b: Batch) -> None:
    b.new_job("j").command("false | true")
    b.run()

    assert states(b) == {"j": "Success"}


def test_an_exit_status_reaches_the_exception(b: Batch) -> None:
    b.new_job("j").command("exit 3")

    assert failure_of(b).returncode == 3


def test_documents_and_comments_at_the_end_of_a_command_stay_whole(b: Batch, tmp_path: Path) -> None:
    j = b.new_job()
    j.command(f"echo first > {j.o} # and why")
    j.command(f"cat >> {j.o} <<'END'\n  a $HOME\tb\nEND")
    j.command(f"echo last >> {j.o}")

    assert text_of(b, j.o, tmp_path) == "first\n  a $HOME\tb\nlast\n"


def test_an_idle_job_and_an_empty_batch_succeed(b: Batch, tmp_path: Path) -> None:
    b.new_job("idle")
    b.run()

    assert states(b) == {"idle": "Success"}
    assert batch_in(tmp_path).run() is None


def test_a_variable_is_text_and_never_shell(b: Batch, tmp_path: Path) -> None:
    j = b.new_job().env("X", "a b; touch pwned")
    j.command(f'printf %s "$X" > {j.o}; ls >> {j.o}')

    assert text_of(b, j.o, tmp_path) == "a b; touch pwnedo\n"
    assert list(tmp_path.rglob("pwned")) == []


def test_a_job_sees_the_environment_the_scratch_folder_and_a_folder_of_its_own(b: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_CALLER", "seen")
    j, k = b.new_job("j"), b.new_job("k")
    j.command(f'echo "$OF_THE_CALLER" > {j.o}; pwd >> {j.o}; echo "$BATCH_TMPDIR" >> {j.o}')
    k.command(f"pwd > {k.o}")
    b.write_output(k.o, tmp_path / "of-k")
    seen, pwd, scratch = text_of(b, j.o, tmp_path).splitlines()

    assert seen == "seen"
    assert scratch.startswith(f"{tmp_path}/with blank/")
    assert Path(pwd).parent == Path(scratch)
    assert (tmp_path / "of-k").read_text().strip() not in (pwd, scratch)


@pytest.mark.parametrize(("shell", "word"), [("/bin/sh", "/bin/sh"), (None, "/bin/bash")])
def test_the_shell_of_a_job_is_its_own_or_bash(b: Batch, tmp_path: Path, shell: str | None, word: str) -> None:
    j = b.new_job(shell=shell)
    j.command(f'echo "$0" > {j.o}')

    assert text_of(b, j.o, tmp_path) == f"{word}\n"


def test_a_command_longer_than_an_argument_may_be_runs(b: Batch, tmp_path: Path) -> None:
    j = b.new_job()
    j.command(f"V={'x' * 11_000}").command(f"echo ${{#V}} > {j.o}")

    assert text_of(b, j.o, tmp_path) == "11000\n"


def test_an_input_with_a_difficult_name_is_read_bare_and_quoted(b: Batch, tmp_path: Path) -> None:
    (tmp_path / "we ird (x) 'q'.txt").write_text("content\n")
    i, j = b.read_input(tmp_path / "we ird (x) 'q'.txt"), b.new_job()
    j.command(f'cat {i} > {j.o}; cat "{i}" >> {j.o}')

    assert text_of(b, j.o, tmp_path) == "content\ncontent\n"


def test_a_long_name_in_any_script_is_a_short_folder(b: Batch, tmp_path: Path) -> None:
    j = b.new_job("名é" * 200)
    j.command(f'basename "$PWD" > {j.o}')
    folder = text_of(b, j.o, tmp_path).strip()

    assert len(folder) <= 251
    assert len(folder.encode()) <= 255
    assert folder.startswith("名")
