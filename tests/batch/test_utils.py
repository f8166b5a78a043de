"""concatenate and plink_merge: trees of jobs, and what real programs make of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.batch.utils import needs_tokens_mounted
from hail_batch_jupyter.errors import BatchException
from tests.requirements import requires


def text_files(b: hb.Batch, folder: Path, count: int) -> list[hb.ResourceFile]:
    paths = [folder / f"{number}.txt" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text(f"{number}\n")
    return [b.read_input(path) for path in paths]


def names(b: hb.Batch) -> list[str | None]:
    return [job.name for job in b.jobs]


def test_files_are_joined_in_their_order(tmp_path: Path) -> None:
    b = hb.Batch()
    whole = hb.concatenate(b, text_files(b, tmp_path, 7), branching_factor=3)
    b.write_output(whole, tmp_path / "whole")
    b.run()

    assert (tmp_path / "whole").read_text().split() == ["0", "1", "2", "3", "4", "5", "6"]
    assert names(b) == ["concatenate-0-0", "concatenate-0-1", "concatenate-0-2", "concatenate-1-0"]


def test_a_single_file_is_given_back_without_a_job(b: hb.Batch) -> None:
    file = b.read_input("x.txt")

    assert hb.concatenate(b, [file]) is file
    assert b.jobs == []


@pytest.mark.parametrize(("files", "factor", "jobs"), [pytest.param(125, 5, 31, id="a power of the factor"), pytest.param(10, 2, 11, id="odd levels")])
def test_no_level_is_superfluous(b: hb.Batch, tmp_path: Path, files: int, factor: int, jobs: int) -> None:
    hb.concatenate(b, text_files(b, tmp_path, files), image="ubuntu:24.04", branching_factor=factor)

    assert len(b.jobs) == jobs
    assert {job.image for job in b.compile().jobs} == {"ubuntu:24.04"}


def test_numbers_in_names_are_padded_to_the_width_of_their_count(b: hb.Batch, tmp_path: Path) -> None:
    hb.concatenate(b, text_files(b, tmp_path, 20), branching_factor=2)

    assert names(b)[:10] == [f"concatenate-0-{number:02}" for number in range(10)]
    assert names(b)[10:15] == [f"concatenate-1-{number}" for number in range(5)]


@pytest.mark.parametrize("factor", [1, 0, -3, 2.5, "2", None])
def test_a_tree_needs_branches(b: hb.Batch, factor: object) -> None:
    with pytest.raises(ValueError, match=r"branching_factor .* use 2 or more"):
        hb.concatenate(b, [b.read_input("x.txt")], branching_factor=factor)  # type: ignore[arg-type]


def test_only_files_and_groups_are_joined(b: hb.Batch) -> None:
    with pytest.raises(BatchException, match=r"at least one file"):
        hb.concatenate(b, [])
    with pytest.raises(BatchException, match=r"must be resource files, .* 'x.txt' is a str"):
        hb.concatenate(b, [b.read_input("x.txt"), "x.txt"])  # type: ignore[list-item]
    with pytest.raises(BatchException, match=r"at least one binary PLINK file"):
        hb.plink_merge(b, [])
    with pytest.raises(BatchException, match=r"must be resource groups"):
        hb.plink_merge(b, [b.read_input("x.bed")])  # type: ignore[list-item]


def test_a_lone_fileset_of_a_level_is_passed_up_without_a_job(b: hb.Batch) -> None:
    filesets = [b.read_input_group(bed=f"{n}.bed", bim=f"{n}.bim", fam=f"{n}.fam") for n in range(5)]
    merged = hb.plink_merge(b, filesets, branching_factor=2)

    assert hb.plink_merge(b, filesets[:1]) is filesets[0]
    assert names(b) == ["plink-merge-0-0", "plink-merge-0-1", "plink-merge-1-0", "plink-merge-2-0"]
    assert [merged[kind].source() for kind in ("bed", "bim", "fam")] == [b.jobs[-1]] * 3


def test_jobs_of_the_service_get_its_tokens_everywhere_but_on_terra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HAIL_TERRA", raising=False)
    assert needs_tokens_mounted()
    monkeypatch.setenv("HAIL_TERRA", "1")
    assert not needs_tokens_mounted()


GENOTYPES = ["A A", "A G", "G G"]


def filesets(plink: str, folder: Path, count: int) -> None:
    """Binary filesets of two people each, with three variants of their own and one that all have, made by plink from text."""
    folder.mkdir()
    for part in range(count):
        people = [f"family{part} person{one} 0 0 {1 + one} {1 + one}" for one in range(2)]
        calls = [" ".join(GENOTYPES[(part + one + variant) % 3] for variant in range(4)) for one in range(2)]
        (folder / f"{part}.ped").write_text("".join(f"{who} {what}\n" for who, what in zip(people, calls, strict=True)))
        variants = [f"1 shared 0 {1000}", *(f"1 rs{part}-{variant} 0 {2000 + 10 * part + variant}" for variant in range(3))]
        (folder / f"{part}.map").write_text("".join(f"{line}\n" for line in variants))
        plink_run(plink, folder, "--file", str(part), "--make-bed", "--out", f"part {part}")


def plink_run(plink: str, folder: Path, *arguments: str) -> None:
    done = subprocess.run([plink, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def plink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The real program, which jobs find as `plink` whatever the system calls it."""
    found = requires("plink")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "plink").symlink_to(found)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return found


@pytest.mark.requires("plink")
def test_plink_merges_real_filesets_in_several_levels(plink: str, tmp_path: Path) -> None:
    data = tmp_path / "some data"
    filesets(plink, data, 5)
    b = hb.Batch(backend=hb.LocalBackend(tmp_dir=str(tmp_path / "scratch with blanks")))
    groups = [b.read_input_group(**{kind: data / f"part {part}.{kind}" for kind in ("bed", "bim", "fam")}) for part in range(5)]
    b.write_output(hb.plink_merge(b, groups, branching_factor=2), tmp_path / "merged")
    b.run()

    plink_run(plink, tmp_path, "--bfile", "merged", "--recode", "--out", "back")
    lines = [line.split() for line in (tmp_path / "back.ped").read_text().splitlines()]
    people = {(words[0], words[1]): words[6:8] for words in lines}
    variants = [line.split()[1] for line in (tmp_path / "back.map").read_text().splitlines()]
    assert sorted(variants) == sorted(["shared", *(f"rs{part}-{variant}" for part in range(5) for variant in range(3))])
    assert {who: sorted(calls) for who, calls in people.items()} == {
        (f"family{part}", f"person{one}"): GENOTYPES[(part + one) % 3].split() for part in range(5) for one in range(2)
    }
