"""What happens to files in a run: inputs found, outputs written, groups kept together."""

from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.errors import SubmitError
from tests.batch.ending import batch_in, failure_of, states, text_of


@pytest.fixture
def b(tmp_path: Path) -> Batch:
    return batch_in(tmp_path)


def folder_of(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / f"{name}.txt").write_text(text)
    return path


def test_home_and_relative_inputs_are_found_from_where_the_batch_runs(b: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, work = folder_of(tmp_path / "home", h="h"), folder_of(tmp_path / "work", r="r")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    h, r, j = b.read_input("~/h.txt"), b.read_input("r.txt"), b.new_job()
    j.command(f"cat {h} {r} > {j.o}")
    monkeypatch.chdir(work)

    assert text_of(b, j.o, tmp_path) == "hr"


def test_a_folder_is_read_and_copied_whole(b: Batch, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "d", a="a")
    folder_of(folder / "deep", b="b")
    d, j = b.read_input(folder), b.new_job()
    j.command(f"cat {d}/a.txt > {j.o}")
    b.write_output(d, tmp_path / "copy")

    assert text_of(b, j.o, tmp_path) == "a"
    assert sorted(str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*.txt")) == ["a.txt", "deep/b.txt"]


def test_a_folder_that_a_job_makes_is_written_out_whole(b: Batch, tmp_path: Path) -> None:
    j = b.new_job()
    j.command(f"mkdir -p {j.d}/deep; echo a > {j.d}/a; echo b > {j.d}/deep/b")
    b.write_output(j.d, tmp_path / "out")
    b.run()

    assert [(tmp_path / "out" / name).read_text() for name in ("a", "deep/b")] == ["a\n", "b\n"]


def test_a_file_goes_to_every_destination(b: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder_of(tmp_path / "here"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    j = b.new_job()
    j.command(f"echo x > {j.o}")
    for dest in ("new/relative", "~/new/of-home", tmp_path / "new/like"):
        b.write_output(j.o, dest)
    monkeypatch.chdir("/")
    b.run()

    assert [(tmp_path / place).read_text() for place in ("here/new/relative", "home/new/of-home", "new/like")] == ["x\n"] * 3


def test_an_input_that_is_missing_matters_only_when_it_is_used(b: Batch, tmp_path: Path) -> None:
    b.read_input(tmp_path / "missing")
    b.new_job("j").command("true")
    b.run()
    assert states(b) == {"j": "Success"}

    b.new_job("reader").command(f"cat {b.read_input(tmp_path / 'missing')}")
    with pytest.raises(SubmitError, match=r"missing"):
        b.run()


def test_an_input_that_is_missing_cannot_be_written_out(b: Batch, tmp_path: Path) -> None:
    b.write_output(b.read_input(tmp_path / "missing"), tmp_path / "f")

    with pytest.raises(SubmitError, match=r"missing"):
        b.run()


def test_a_promised_file_that_is_not_made_fails_its_job_and_cancels_readers(b: Batch, tmp_path: Path) -> None:
    j, k = b.new_job("j"), b.new_job("k")
    j.command(f": {j.o}")
    k.command(f"cat {j.o}")
    b.write_output(j.o, tmp_path / "f")

    assert [name for _, name, _, _ in failure_of(b).failed] == ["j"]
    assert states(b)["k"] == "Cancelled"
    assert not (tmp_path / "f").exists()


def test_members_with_one_base_name_stay_apart(b: Batch, tmp_path: Path) -> None:
    for name in "xy":
        folder_of(tmp_path / name, d=f"{name}\n")
    g = b.read_input_group(a=tmp_path / "x/d.txt", b=tmp_path / "y/d.txt")
    j = b.new_job()
    j.command(f"cat {g.a} {g.b} {g}.a {g}.b > {j.o}; basename {g.a} >> {j.o}")

    assert text_of(b, j.o, tmp_path).split() == ["x", "y", "x", "y", "d.txt"]


def test_files_of_a_declared_group_are_named_by_its_keyword(b: Batch, tmp_path: Path) -> None:
    j = b.new_job().declare_resource_group(g={"x": "{root}.x", "w": "p_{root}.txt"})
    j.command(f"touch {j.g.x} {j.g.w}; ls > {j.o}")

    assert text_of(b, j.o, tmp_path).split() == ["g.x", "o", "p_g.txt"]


def test_a_reader_of_one_member_needs_the_whole_group(b: Batch, tmp_path: Path) -> None:
    j, k = b.new_job().declare_resource_group(g={"x": "{root}.x", "y": "{root}.y"}), b.new_job()
    j.command(f"echo x > {j.g.x}; echo y > {j.g.y}")
    k.command(f'cat {j.g.x} > {k.o}; cat "$(dirname {j.g.x})/g.y" >> {k.o}')
    made, read = b.compile().jobs

    assert [path.rsplit("/", 1)[1] for path in made.promises] == ["g.x", "g.y"]
    assert read.needs == made.promises
    assert text_of(b, k.o, tmp_path) == "x\ny\n"


def test_a_member_is_written_out_when_only_its_root_was_mentioned(b: Batch, tmp_path: Path) -> None:
    j = b.new_job().declare_resource_group(g={"x": "{root}.x"})
    j.command(f"echo x > {j.g}.x")

    assert text_of(b, j.g.x, tmp_path) == "x\n"


def test_a_group_goes_to_a_base_and_its_identifiers(b: Batch, tmp_path: Path) -> None:
    j = b.new_job().declare_resource_group(g={"vcf.gz": "{root}.data", "idx": "{root}.i"})
    j.command(f"echo 1 > {j.g['vcf.gz']}; echo 2 > {j.g.idx}")
    b.write_output(j.g, tmp_path / "base")
    b.run()

    assert [(tmp_path / name).read_text() for name in ("base.vcf.gz", "base.idx")] == ["1\n", "2\n"]


def test_an_extension_after_the_command_counts_for_readers_and_outputs(b: Batch, tmp_path: Path) -> None:
    j, k = b.new_job("j"), b.new_job("k")
    j.command(f"echo hi > {j.o}")
    j.o.add_extension(".txt")
    k.command(f"ls {j.o} > {k.o}")
    b.write_output(j.o, tmp_path / "of-j")

    assert text_of(b, k.o, tmp_path).endswith("/o.txt\n")
    assert (tmp_path / "of-j").read_text() == "hi\n"


def test_groups_join_with_text_and_keep_the_order_of_jobs(b: Batch, tmp_path: Path) -> None:
    j, k = b.new_job("j").declare_resource_group(g={"bed": "{root}.bed"}), b.new_job("k")
    j.command("echo x > " + (j.g + ".bed"))
    k.command(f"echo {'--x=' + j.g} > {k.o}; cat {j.g + '.bed'} >> {k.o}")
    option, content = text_of(b, k.o, tmp_path).splitlines()

    assert (option.startswith("--x=/"), option.endswith("/g"), content) == (True, True, "x")
    assert [edge.job_id for edge in b.compile(only_new=False).jobs[1].parents] == [1]
