"""Snakemake with two cores, one wildcard rule."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bounded import run
from benchmarks.case import Case, MeasurementFailed, Scale, Values
from benchmarks.environments import Environment

SNAKEMAKE = Environment("snakemake-9.27.1", (("snakemake==9.27.1",),))
SNAKEFILE = """\
rule all:
    input: expand("out/{{i}}.txt", i=range({count}))

rule job:
    output: touch("out/{{i}}.txt")
    shell: "true"
"""


def cases(scale: Scale) -> list[Case]:
    """Independent no-op bash jobs; each touches its output, which Snakemake needs to know that it ran."""

    def measure(directory: Path) -> Values:
        return _run(directory, scale.snakemake_jobs)

    note = "the whole program, with its start of 1-2 s"
    return [Case("snakemake", "Snakemake 9.27.1 --cores 2", "bash", measure, note, SNAKEMAKE.ensure)]


def _run(directory: Path, count: int) -> Values:
    directory.joinpath("Snakefile").write_text(SNAKEFILE.format(count=count))
    home = {"HOME": str(directory), "XDG_CACHE_HOME": str(directory / "cache")}
    argv = [str(SNAKEMAKE.program("snakemake")), "--cores", "2", "--quiet", "all"]
    finished = run(argv, directory, timeout_s=240, environment=home)
    made = len(list(directory.glob("out/*.txt")))
    if finished.exit_code != 0 or made != count:
        raise MeasurementFailed(f"exit code {finished.exit_code}, {made} of {count} jobs: {finished.last_line()}")
    return {"jobs_per_s": count / finished.elapsed_s, "jobs": count}
