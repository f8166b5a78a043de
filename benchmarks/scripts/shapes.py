"""Batches of several shapes, described with a hailtop-like batch module."""

from __future__ import annotations

from typing import Any


def bash(b: Any, count: int) -> None:
    """Independent jobs of one command."""
    for number in range(count):
        b.new_job(f"j{number}").command("true")


def files(b: Any, count: int) -> None:
    """Independent jobs that make a file each."""
    for number in range(count):
        job = b.new_job(f"j{number}")
        job.command(f"echo {number} > {job.ofile}")


def chain(b: Any, count: int) -> None:
    """Each job reads the file of the one before."""
    before = b.new_job("j0")
    before.command(f"echo 0 > {before.ofile}")
    for number in range(1, count):
        job = b.new_job(f"j{number}")
        job.command(f"cat {before.ofile} > {job.ofile}")
        before = job


def scatter(b: Any, count: int) -> None:
    """Jobs that make a file each, and one that reads all."""
    jobs = []
    for number in range(count - 1):
        job = b.new_job(f"j{number}")
        job.command(f"echo {number} > {job.ofile}")
        jobs.append(job)
    gather = b.new_job("gather")
    gather.command(f"cat {' '.join([job.ofile for job in jobs])} > {gather.ofile}")


def increment(number: int) -> int:
    """What every Python job calls."""
    return number + 1


def python(b: Any, count: int) -> None:
    """Python jobs of one call."""
    for number in range(count):
        b.new_python_job(f"j{number}").call(increment, number)


SHAPES = {"bash": bash, "files": files, "chain": chain, "scatter": scatter, "python": python}
