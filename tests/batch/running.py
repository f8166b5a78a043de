"""Runs specs in the plainest way, one job after the other: real shells and real Python, no engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, JobSpec


class Ended(NamedTuple):
    """How a job ended, and what it printed."""

    exit_code: int
    text: str


def run_spec(spec: BatchSpec, scratch: Path) -> dict[str, Ended]:
    """Run the jobs in order below `scratch`; gives what became of those that ran, by name."""
    scratch.mkdir(parents=True, exist_ok=True)

    def real(path: str) -> str:
        return path.replace(SCRATCH, str(scratch), 1) if path.startswith(SCRATCH) else path

    for upload in spec.uploads:
        place = Path(real(upload.dest))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(upload.data)
    ended: dict[int, Ended] = {}
    for job in spec.jobs:
        if not job.always_run and any(ended.get(edge.job_id, Ended(1, "")).exit_code for edge in job.parents):
            continue
        for copy in job.inputs:
            place = Path(real(copy.dest))
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.is_symlink():
                place.symlink_to(real(copy.source))
        ended[job.job_id] = _run(job, scratch, [real(word) for word in job.command])
        if not ended[job.job_id].exit_code:
            for path in (*job.promises, *job.results):
                assert (scratch / path).exists(), f"{job.display_name} did not make {path}"
            for copy in job.outputs:
                Path(copy.dest).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(real(copy.source), copy.dest)
    return {job.display_name: ended[job.job_id] for job in spec.jobs if job.job_id in ended}


def _run(job: JobSpec, scratch: Path, argv: list[str]) -> Ended:
    directory = scratch / job.directory
    directory.mkdir()
    if job.kind == "python":
        argv[0] = sys.executable
    env = {**os.environ, **job.env, "BATCH_TMPDIR": str(scratch), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(argv, cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return Ended(done.returncode, done.stdout)
