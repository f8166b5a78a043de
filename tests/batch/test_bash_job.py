from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.core.template import Value
from hail_batch_jupyter.errors import BatchException
from tests.batch.running import Ended

Run = Callable[[], dict[str, Ended]]


def test_a_command_writes_its_file_and_the_file_is_written_out(b: Batch, run: Run, tmp_path: Path) -> None:
    j = b.new_job()
    j.command(f"echo hi > {j.o}")
    b.write_output(j.o, tmp_path / "out" / "f")
    run()

    assert (tmp_path / "out" / "f").read_text() == "hi\n"


def test_a_blank_command_is_ignored_with_a_warning(b: Batch) -> None:
    j = b.new_job()

    with pytest.warns(UserWarning, match=r"Ignoring empty command"):
        assert j.command("  \n") is j
    assert not j.job_draft.commands


@pytest.mark.parametrize("wrong", [5, None, ["echo"]])
def test_a_command_is_text(b: Batch, wrong: str) -> None:
    with pytest.raises(TypeError, match=r"command takes shell text"):
        b.new_job().command(wrong)


@pytest.mark.parametrize("wrong", ["echo \0", "echo \udc80"])
def test_what_no_script_can_carry_is_refused_at_once(b: Batch, wrong: str) -> None:
    with pytest.raises(BatchException, match=r"no script can carry"):
        b.new_job().command(wrong)


def test_jobs_batches_and_results_cannot_stand_in_a_command(b: Batch) -> None:
    j, p = b.new_job("j"), b.new_python_job()
    result = p.call(abs, -1)

    with pytest.raises(BatchException, match=r"found a reference to a Job object"):
        j.command(f"{p}")
    with pytest.raises(BatchException, match=r"found a reference to a Batch object"):
        j.command(f"{b}")
    with pytest.raises(BatchException, match=r"found a reference to a PythonResult object.*as_str"):
        j.command(f"echo {result}")
    assert not j.job_draft.commands


def test_a_file_that_nobody_makes_cannot_be_read(b: Batch) -> None:
    j, k = b.new_job("j"), b.new_job("k")

    with pytest.raises(BatchException, match=r"undefined resource 'typo' of job 'j'.*'command' or 'declare_resource_group'"):
        k.command(f"cat {j.typo}")


def test_a_file_of_another_batch_cannot_be_read(b: Batch) -> None:
    other = Batch().new_job()
    other.command(f"touch {other.o}")

    with pytest.raises(BatchException, match=r"undefined resource.*must be from the same batch"):
        b.new_job().command(f"cat {other.o}")


def test_any_text_may_follow_a_file(b: Batch, run: Run) -> None:
    j = b.new_job("j")
    j.command(f"touch {j.o}5 {j.o}_x {j.o}__y; basename -a {j.o}*")

    assert run()["j"].text == "o5\no__y\no_x\n"
    assert list(j.job_draft.files) == ["o"]


def test_tokens_survive_the_methods_of_strings(b: Batch, run: Run) -> None:
    j = b.new_job("j")
    j.command("touch " + " ".join(sorted([j.a, j.b])) + f" {j.c.upper()} {j.d[:]}")
    j.command("ls -1")

    assert run()["j"].text == "a\nb\nc\nd\n"


def test_commands_share_one_shell(b: Batch, run: Run) -> None:
    j = b.new_job("j")
    j.command("X=5; cd /")
    j.command('echo "$X $(pwd)"')

    assert run()["j"].text == "5 /\n"


@pytest.mark.parametrize("commands", [["false", "echo second"], ["false\necho second"]])
def test_the_first_failing_command_ends_the_job(b: Batch, run: Run, commands: list[str]) -> None:
    j = b.new_job("j")
    for command in commands:
        j.command(command)

    assert Ended(1, "") == run()["j"]


def test_a_failing_start_of_a_pipe_is_no_failure_and_exit_keeps_its_status(b: Batch, run: Run) -> None:
    b.new_job("pipe").command("false | true")
    b.new_job("exit").command("exit 3")
    b.new_job("early").command("exit 0").command("echo never")

    assert {"pipe": Ended(0, ""), "exit": Ended(3, ""), "early": Ended(0, "")} == run()


def test_comments_and_here_documents_may_end_a_command(b: Batch, run: Run) -> None:
    j = b.new_job("j")
    j.command("echo one # and a comment")
    j.command("cat <<EOF\ntwo $((1 + 1))\nEOF")
    j.command("# only a comment\n\n  # and another")
    j.command("echo three")

    assert Ended(0, "one\ntwo 2\nthree\n") == run()["j"]


def test_a_job_without_commands_succeeds(b: Batch, run: Run) -> None:
    b.new_job("idle")

    assert {"idle": Ended(0, "")} == run()


def test_the_shell_can_be_chosen_with_its_own_options(b: Batch, run: Run) -> None:
    for name, shell in {"default": None, "sh": "/bin/sh", "strict": "/bin/bash -euo pipefail"}.items():
        b.new_job(name, shell=shell).command('echo "$0"; false | true; echo $UNSET')
    ended = run()

    assert [ended["default"], ended["sh"]] == [(0, "/bin/bash\n\n"), (0, "/bin/sh\n\n")]
    assert ended["strict"] == (1, "/bin/bash\n")


def test_values_of_variables_arrive_literally(b: Batch, run: Run) -> None:
    b.new_job("j").env("X", "a b; touch pwned $HOME").command('printf %s "$X"; ls')

    assert run()["j"].text == "a b; touch pwned $HOME"


def test_a_long_script_is_read_from_a_file(b: Batch, run: Run) -> None:
    j = b.new_job("ganz lang é")
    j.command(f"V={'x' * 11_000}").command('echo ${#V} "$0"')
    spec = b.compile()

    assert [f"${{BATCH_TMPDIR}}/code/{spec.jobs[0].directory}.sh"] == [upload.dest for upload in spec.uploads]
    assert len(spec.jobs[0].command[-1]) < 200
    assert {"ganz lang é": Ended(0, "11000 /bin/bash\n")} == run()


def test_inputs_with_odd_names_are_read_bare_and_quoted(b: Batch, run: Run, tmp_path: Path) -> None:
    source = tmp_path / "we ird (x) 'q'.txt"
    source.write_text("content\n")
    i = b.read_input(source)
    b.new_job("j").command(f'cat {i} "{i}"; basename {i}')

    assert f"content\ncontent\n{source.name}\n" == run()["j"].text


def test_a_relative_input_starts_from_the_folder_that_is_current_at_the_run(b: Batch, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "h.txt").write_text("h")
    i, h = b.read_input("a.txt"), b.read_input("~/h.txt")
    b.new_job("j").command(f"cat {i} {h}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert run()["j"].text == "ah"


def test_a_folder_can_be_an_input(b: Batch, run: Run, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.txt").write_text("a")
    d = b.read_input(f"{tmp_path}/d/")
    b.new_job("j").command(f"cat {d}/a.txt; basename {d}")

    assert run()["j"].text == "ad\n"


def test_members_of_an_input_group_never_collide(b: Batch, run: Run, tmp_path: Path) -> None:
    for folder in "xy":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "d.txt").write_text(folder)
    g = b.read_input_group(a=tmp_path / "x/d.txt", b=tmp_path / "y/d.txt")
    b.new_job("j").command(f"cat {g.a} {g['b']} {g}.a {g}.b; basename -a {g.a} {g.b}")

    assert run()["j"].text == "xyxyd.txt\nd.txt\n"


def test_a_declared_group_names_its_files_by_its_keyword(b: Batch, run: Run) -> None:
    j = b.new_job("j")
    j.declare_resource_group(g={"x": "{root}.x", "w": "p_{root}.txt"})
    j.command(f"touch {j.g}.x {j.g.w}; ls; echo --x={j.g['x']}")
    text = run()["j"].text

    assert text[: text.index("--x=")] == "g.x\np_g.txt\n"
    assert text.endswith("/g.x\n")


@pytest.mark.parametrize(
    ("group", "message"),
    [
        pytest.param({"x": "{root}{1+1}"}, "only {root} may stand in braces", id="code"),
        pytest.param({"x": "../{root}"}, "below the job's folder", id="outside"),
        pytest.param({"x": 5}, "is not a string", id="entry"),
        pytest.param(["x"], "is not a dict", id="list"),
    ],
)
def test_a_group_that_cannot_be_is_refused(b: Batch, group: dict[str, str], message: str) -> None:
    with pytest.raises(BatchException, match=message):
        b.new_job().declare_resource_group(g=group)


def test_a_name_is_declared_once(b: Batch) -> None:
    j = b.new_job().declare_resource_group(g={}, h={"a": "{root}.a"})
    j.command(f"touch {j.o}")

    for name in ("g", "o"):
        with pytest.raises(BatchException, match=f"already has a file or group '{name}'"):
            j.declare_resource_group(**{name: {}})


def test_a_member_counts_as_made_when_only_the_root_was_written(b: Batch, run: Run, tmp_path: Path) -> None:
    j = b.new_job()
    j.declare_resource_group(g={"x": "{root}.x"})
    j.command(f"echo x > {j.g}.x")
    b.write_output(j.g.x, tmp_path / "f")
    run()

    assert (tmp_path / "f").read_text() == "x\n"


def test_a_group_is_written_out_by_its_identifiers(b: Batch, run: Run, tmp_path: Path) -> None:
    j = b.new_job()
    j.declare_resource_group(g={"vcf.gz": "{root}.data", "idx": "{root}.i"})
    j.command(f"echo 1 > {j.g['vcf.gz']}; echo 2 > {j.g.idx}")
    b.write_output(j.g, tmp_path / "base")
    run()

    assert ((tmp_path / "base.vcf.gz").read_text(), (tmp_path / "base.idx").read_text()) == ("1\n", "2\n")


def test_an_extension_counts_before_and_after_its_use(b: Batch, run: Run, tmp_path: Path) -> None:
    j, k = b.new_job("j"), b.new_job("k")
    j.command(f"echo hi > {j.o}")
    j.o.add_extension(".txt")
    k.command(f"basename {j.o}")
    b.write_output(j.o, tmp_path / "f")

    with pytest.raises(BatchException, match=r"already has a file extension, '.txt'"):
        j.o.add_extension(".txt")
    assert run()["k"].text == "o.txt\n"
    assert (tmp_path / "f").read_text() == "hi\n"


def test_an_extension_of_a_group_member_is_given_once(b: Batch, run: Run) -> None:
    j = b.new_job("j").declare_resource_group(g={"a": "{root}.a"})
    j.command(f"basename {j.g.a}")
    j.g.a.add_extension(".gz")

    with pytest.raises(BatchException, match=r"already has a file extension"):
        j.g.a.add_extension(".gz")
    assert run()["j"].text == "g.a.gz\n"


def test_a_long_foreign_name_is_a_folder(b: Batch, run: Run) -> None:
    b.new_job("名" * 300).command('basename "$PWD"')
    (folder,) = [ended.text.strip() for ended in run().values()]

    assert len(folder.encode()) <= 251
    assert folder.startswith("名")


def test_a_reader_that_always_runs_is_warned_of_missing_files(b: Batch) -> None:
    j, k = b.new_job("j"), b.new_job("k").always_run()
    j.command(f"touch {j.o}")

    with pytest.warns(UserWarning, match=r"'k' always runs and reads 'o' of job 'j'"):
        k.command(f"cat {j.o}")


def test_a_template_is_quoted_for_its_places(b: Batch, run: Run) -> None:
    j = b.new_job("j")
    j.command(("  printf '%s\\n' ", Value("it's $HOME"), ' > "', j.o.file_ref, '"; cat ', j.o.file_ref, "\n"))

    assert run()["j"].text == "it's $HOME\n"
    assert list(j.job_draft.files) == ["o"]


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../b", "..", "a\0"])
def test_a_file_lies_in_its_jobs_folder(b: Batch, name: str) -> None:
    with pytest.raises(BatchException, match=r"cannot be a file of a job"):
        b.new_job()[name]


def test_a_file_may_lie_in_a_folder_that_the_job_makes(b: Batch, run: Run) -> None:
    j, k = b.new_job("j"), b.new_job("k")
    j.command(f"mkdir sub; echo deep > {j['sub/a b']}")
    k.command(f"cat {j['sub/a b']}")

    assert run()["k"].text == "deep\n"


def test_what_a_failed_job_makes_nobody_reads(b: Batch, run: Run) -> None:
    j, k = b.new_job("j"), b.new_job("k")
    j.command(f"touch {j.o}; exit 4")
    k.command(f"cat {j.o}")

    assert {"j": Ended(4, "")} == run()
