"""Time no-op jobs on the Slurm that $SLURM_CONF names, from the first call to the end of the last job.

Arguments: RESULT HOW COUNT FOLDER; HOW is 'ours', 'ours-unpacked', 'submitit' or 'pybatch', whose package this interpreter must have. FOLDER is empty.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path


def by_ours(count: int, folder: Path, pack: int | None) -> float:
    """A batch of independent jobs."""
    import hail_batch_jupyter.batch as hb
    from hail_batch_jupyter import SlurmBackend

    started_s = time.perf_counter()
    batch = hb.Batch(backend=SlurmBackend(work_directory=folder, pack=pack))
    for _ in range(count):
        batch.new_bash_job().command("true")
    running = batch.run(disable_progress_bar=True)
    elapsed_s = time.perf_counter() - started_s
    assert running.status()["state"] == "success", running.status()
    return elapsed_s


def by_submitit(count: int, folder: Path) -> float:
    """One array, each element a function in an interpreter of its own: submitit runs nothing else."""
    import submitit

    started_s = time.perf_counter()
    executor = submitit.SlurmExecutor(folder=folder)
    executor.update_parameters(time=10, array_parallelism=count)
    jobs = executor.map_array(abs, range(count))
    assert [job.result() for job in jobs] == list(range(count))
    return time.perf_counter() - started_s


def by_pybatch(count: int, folder: Path) -> float:
    """One array of `true`."""
    import pybatch

    started_s = time.perf_counter()
    parameters = pybatch.LaunchParameters(["true"], str(folder / "work"), total_jobs=count)
    job = pybatch.create_job("slurm", parameters)
    job.submit()
    job.wait()
    assert job.state() == "FINISHED", job.state()
    return time.perf_counter() - started_s


HOWS: dict[str, Callable[[int, Path], float]] = {
    "ours": lambda count, folder: by_ours(count, folder, None),
    "ours-unpacked": lambda count, folder: by_ours(count, folder, 1),
    "submitit": by_submitit,
    "pybatch": by_pybatch,
}


def main() -> None:
    """Write the sample."""
    result, how, count, folder = sys.argv[1:]
    elapsed_s = HOWS[how](int(count), Path(folder))
    Path(result).write_text(json.dumps({"jobs_per_s": int(count) / elapsed_s, "elapsed_s": elapsed_s}))


if __name__ == "__main__":
    main()
