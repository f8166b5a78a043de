from __future__ import annotations

from typing import Any

import pytest
from IPython.core.error import UsageError

from hail_batch_jupyter.errors import CapabilityError, UnitError


def test_every_default_counts_for_the_jobs_of_a_batch(cells: Any) -> None:
    bash = "--default-image img --default-shell '/bin/sh -u' --default-cpu 2 --default-memory 1Gi --default-storage 5Gi --default-timeout 2h"
    cells.run(f"b = %batch b {bash} --default-python-image py --default-no-spot --default-retry 4 --cancel-after-n-failures 3 --at-most 2")
    cells.run("%%batch_job one\ntrue")
    cells.run("%%batch_python two -o x\nx = 1")

    one, two = cells["one"].job_draft, cells["two"].job_draft
    assert (one.image, one.shell, one.cpu, one.memory, one.storage, one.timeout_s) == ("img", "/bin/sh -u", "2", "1Gi", "5Gi", 7200.0)
    assert (one.spot, one.retry.attempts, two.image, two.shell) == (False, 4, "py", None)
    spec = cells["b"].compile()
    assert (spec.cancel_after_n_failures, spec.at_most) == (3, 2)


@pytest.mark.parametrize("words", ["--default-timeout soon", "--default-storage 3Gb", "--default-retry 0", "--at-most 0", "--cancel-after-n-failures -1"])
def test_defaults_are_checked_at_once(cells: Any, words: str) -> None:
    with pytest.raises(UnitError):
        cells.run(f"%batch b {words}")


def test_a_variable_may_hold_the_backend(cells: Any) -> None:
    cells.run("from hail_batch_jupyter.batch import LocalBackend\nmine = LocalBackend(cores=1)")

    assert cells.run("%batch b --backend {mine}").backend is cells["mine"]
    with pytest.raises(UsageError, match="--backend: 5 is a int, no backend; use a name"):
        cells.run("five = 5\n%batch c --backend $five")


@pytest.mark.parametrize("line", ["%batch b --backend slurm --strict", "%batch b --backend slurm\n%batch_run --strict"])
def test_strict_with_slurm_says_why_not(cells: Any, line: str) -> None:
    cells.run("%batch b --backend slurm --reset") if "\n" in line else None

    with pytest.raises(UsageError, match="--strict refuses a job that asks for more than this machine has, and the jobs of SlurmBackend run on others"):
        cells.run(line.splitlines()[-1])


def test_reset_says_what_goes_and_what_stays(cells: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells.run("%batch b --reset")
    cells.run("%%batch_job one\ntrue > {one.x}")
    cells.run("%%batch_job two\ncat {one.x}")
    cells.run("_12 = one")
    capsys.readouterr()

    cells.run("c = %batch b --reset")

    said = capsys.readouterr().out
    assert said.startswith("batch 'b' begins anew: 2 jobs and 2 variables (one, two) are gone; run their cells to describe them again.")
    assert "Runs and written files stay" in said
    assert cells["c"].jobs == []


def test_a_reset_that_fails_changes_nothing(cells: Any) -> None:
    cells.run("b = %batch b")
    cells.run("%%batch_job one\ntrue")

    with pytest.raises(UsageError):
        cells.run("%batch b --reset --backend slurm --strict")

    assert cells.run("%batch b") is cells["b"]
    assert cells["one"].job_batch is cells["b"]


def test_a_group_counts_and_limits_the_jobs_of_its_cells(cells: Any) -> None:
    cells.run("b = %batch b")
    cells.run("%%batch_job get --each i=range(3) --group loads --at-most 2\necho {i}")
    cells.run("%%batch_job other --group loads\ntrue")

    spec = cells["b"].compile()
    assert [(group.name, group.at_most) for group in spec.groups] == [("loads", 2)]
    assert [job.group for job in spec.jobs] == [1, 1, 1, 1]
    cells.run("%%batch_job other\ntrue")
    assert [job.group for job in cells["b"].compile().jobs] == [1, 1, 1, 0]


def test_retries_of_a_cell_are_those_of_the_library(cells: Any) -> None:
    cells.run("b = %batch b")
    cells.run("%%batch_job get --retry 2 --retry-on 3 --retry-delay 0.01\n[ -e $BATCH_TMPDIR/once ] || { touch $BATCH_TMPDIR/once; exit 3; }")

    cells.run("%batch_run --wait")

    assert list(cells.run("%batch_jobs --attempts")["exit_code"]) == [3, 0]


def test_regions_need_a_backend_that_has_them(cells: Any) -> None:
    cells.run("%batch b")

    with pytest.raises(CapabilityError, match="regions"):
        cells.run("%%batch_job one --region us-east1\ntrue")
