from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError

from hail_batch_jupyter.errors import BatchException


@pytest.fixture
def cells_b(cells: Any) -> Any:
    cells.run("names = ['a', 'b']\nb = %batch b")
    cells.run("%%batch_job fit --each name=names\necho {name} > {fit.model}")
    return cells


def destinations(cells: Any, work: Path) -> list[str]:
    return [str(Path(output.dest).relative_to(work)) for job in cells["b"].compile(only_new=False).jobs for output in job.outputs]


@pytest.mark.parametrize(
    ("dest", "expected"),
    [
        pytest.param("out", ["out/fit-0.model", "out/fit-1.model"], id="folder"),
        pytest.param("out/", ["out/fit-0.model", "out/fit-1.model"], id="folder with a slash"),
        pytest.param("{place}/m{i}.txt", ["there/m0.txt", "there/m1.txt"], id="number"),
        pytest.param("{item}.txt", ["a.txt", "b.txt"], id="item"),
    ],
)
def test_files_of_a_stage_are_written_each_to_its_place(cells_b: Any, work: Path, dest: str, expected: list[str]) -> None:
    cells_b.run("place = 'there'")
    cells_b.run(f"%batch_output fit.model {dest}")

    assert destinations(cells_b, work) == expected


def test_jobs_that_come_later_are_written_too_and_dropped_ones_are_not(cells_b: Any, work: Path) -> None:
    cells_b.run("%batch_output fit.model out")
    cells_b.run("names = ['a', 'b', 'c']")
    cells_b.run("%%batch_job fit --each name=names\necho {name} > {fit.model}")
    assert destinations(cells_b, work) == ["out/fit-0.model", "out/fit-1.model", "out/fit-2.model"]

    cells_b.run("names = ['a']")
    cells_b.run("%%batch_job fit --each name=names\necho {name} > {fit.model}")
    assert destinations(cells_b, work) == ["out/fit-0.model"]


def test_one_file_of_a_stage_is_written_alone(cells_b: Any, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells_b.run("%batch_output fit[1].model last.txt")

    assert destinations(cells_b, work) == ["last.txt"]
    assert capsys.readouterr().out.endswith("fit-1.model is written to last.txt when the batch runs\n")


@pytest.mark.parametrize("words", ["%batch_output fit.modle out", "%%batch_job x\ncat {fit[0].modle}"])
def test_a_file_that_nobody_makes_names_the_close_one(cells_b: Any, words: str) -> None:
    with pytest.raises(BatchException, match="undefined resource 'modle' of job 'fit-0': nothing in the job makes it; did you mean model"):
        cells_b.run(words)


def test_a_place_for_two_files_and_a_number_for_one_are_refused(cells_b: Any) -> None:
    cells_b.run("names = ['a', 'a']")
    cells_b.run("%%batch_job fit --each name=names\necho {name} > {fit.model}")

    with pytest.raises(UsageError, match="items 0 and 1 would both be written to x/a.txt; put {i} into it"):
        cells_b.run("%batch_output fit.model x/{item}.txt")
    with pytest.raises(UsageError, match="it is one file, and {i} and {item} are for those of a stage"):
        cells_b.run("%batch_output fit[0].model x{i}.txt")


def test_a_name_that_is_only_in_the_cell_is_told_what_stands_for_it(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit --each sample=['a', 'b']\necho {sample} > {fit.model}")

    with pytest.raises(UsageError, match=r"no variable 'sample'.* The item of a job is \{item\}, its number \{i\}"):
        cells_b.run("%batch_output fit.model out/{sample}.txt")
