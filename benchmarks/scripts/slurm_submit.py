"""Time the submission of jobs of one shape to the Slurm that $SLURM_CONF names: from the first call to the last answer of sbatch, and what of it sbatch took.

Arguments: RESULT COUNT FOLDER. FOLDER is empty. The jobs are cancelled then.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

SBATCH = """#!/bin/bash
began=$EPOCHREALTIME
{sbatch} "$@"
code=$?
echo "$began $EPOCHREALTIME $*" >> {calls}
exit $code
"""
"""An sbatch first on PATH that notes when each call began and was answered, in seconds since the epoch, and with what words."""
LONGEST_S = 120
_ARRAY = re.compile(r"--array=0-(\d+)")


def noted_calls(folder: Path) -> Path:
    """Put such an sbatch on PATH; gives the file of its notes."""
    calls, program = folder / "calls", folder / "bin" / "sbatch"
    program.parent.mkdir()
    calls.touch()
    program.write_text(SBATCH.format(sbatch=shutil.which("sbatch"), calls=calls))
    program.chmod(0o755)
    os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return calls


def answered(calls: Path, count: int) -> list[tuple[float, float]]:
    """When each call began and was answered, as soon as all jobs are in Slurm's hands."""
    deadline_s = time.monotonic() + LONGEST_S
    while True:
        lines = calls.read_text().splitlines()
        if sum(int(found[1]) + 1 for line in lines if (found := _ARRAY.search(line))) == count:
            return [(float(began), float(ended)) for began, ended, _ in (line.split(" ", 2) for line in lines)]
        assert time.monotonic() < deadline_s, lines
        time.sleep(0.01)


def main() -> None:
    """Write the sample."""
    result, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    calls = noted_calls(folder)
    import hail_batch_jupyter.batch as hb
    from hail_batch_jupyter import SlurmBackend

    started_s = time.time()
    batch = hb.Batch(backend=SlurmBackend(work_directory=folder / "runs", pack=1))
    for _ in range(count):
        batch.new_bash_job().command("true")
    running = batch.run(wait=False, disable_progress_bar=True)
    returned_s = time.time()
    found = answered(calls, count)
    running.cancel()
    running.wait(LONGEST_S)
    slurm_s = sum(ended - began for began, ended in found)
    own_s = found[-1][1] - started_s - slurm_s
    sample = {"jobs": count, "submit_s": own_s, "slurm_s": slurm_s, "run_returns_s": returned_s - started_s, "sbatch_calls": len(found)}
    Path(result).write_text(json.dumps(sample))


if __name__ == "__main__":
    main()
