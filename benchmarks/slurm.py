"""This project, submitit and pybatch on the same private Slurm of four emulated nodes, which each sample has for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bounded import own_python, run_script
from benchmarks.case import Case, NotAvailable, Scale, Values
from benchmarks.environments import Environment

SUBMITIT = Environment("submitit-1.5.4", (("submitit==1.5.4",),))
PYBATCH = Environment("salome-pybatch-1.0", (("salome-pybatch==1.0",),))
TOOL = "hail_batch_jupyter SlurmBackend"
LIMIT_S = 300


@contextmanager
def private_slurm() -> Iterator[None]:
    """A Slurm with accounting, which pybatch needs, and $SLURM_CONF pointing to it; raises NotAvailable where its programs are not installed."""
    from tests.requirements import COMPONENTS
    from tests.slurm_accounting import accounted

    component = COMPONENTS["slurm accounting"]
    if component.find() is None:
        raise NotAvailable(f"not available: Slurm with accounting is not installed, {component.remedy}")
    with accounted(4):
        yield


def cases(scale: Scale) -> list[Case]:
    """The same number of jobs, each `true` or as little as the tool can run."""
    return [
        _case("submitit-slurm", "submitit 1.5.4, map_array", "submitit", scale.slurm_jobs, "abs(i) in an interpreter each, the results read", SUBMITIT),
        _case("pybatch-slurm", "pybatch 1.0, total_jobs", "pybatch", scale.slurm_jobs, "one log for all", PYBATCH),
        _case("ours-slurm-unpacked", f"{TOOL}, pack=1", "ours-unpacked", scale.slurm_jobs, "a task each"),
        _case("ours-slurm", TOOL, "ours", scale.slurm_jobs, "packed as they turn out short"),
        _submit_case(scale.slurm_submitted),
    ]


def _submit_case(count: int) -> Case:
    def measure(directory: Path) -> Values:
        (directory / "work").mkdir()
        with private_slurm():
            return run_script(own_python(), "slurm_submit.py", directory, count, directory / "work", timeout_s=LIMIT_S)

    return Case("ours-slurm-submit", f"{TOOL}, pack=1", "slurm-submit", measure, "from the first call to sbatch's last answer, without what sbatch took")


def _case(name: str, tool: str, how: str, count: int, note: str, environment: Environment | None = None) -> Case:
    def measure(directory: Path) -> Values:
        python = own_python() if environment is None else environment.python
        (directory / "work").mkdir()
        with private_slurm():
            return run_script(python, "slurm_jobs.py", directory, how, count, directory / "work", timeout_s=LIMIT_S)

    case = Case(name, tool, "slurm", measure, note)
    return case if environment is None else Case(name, tool, "slurm", measure, note, environment.ensure)
