"""A graph of a thousand small jobs with failures, some of which wait for one that never ends by itself."""

from __future__ import annotations

from pathlib import Path

from hail_batch_jupyter.core.spec import BatchSpec
from tests.engine.jobs import HOLD, bash, batch

EVERY = 50
"""One root of so many fails."""


def dag(folder: Path | str, n_jobs: int) -> BatchSpec:
    """Half of the jobs are roots, each other one follows a root; the first root holds, and so do those of the last tenth. Each leaves its number in `ran`."""
    half = n_jobs // 2
    say = f"echo {{}} >> {folder}/ran"
    roots = [bash(number, say.format(number) + ("; exit 3" if number % EVERY == 0 else "")) for number in range(2, half + 1)]
    after = [bash(half + number, say.format(half + number), [number, 1] if number > half - n_jobs // 10 else [number]) for number in range(1, half + 1)]
    return batch(bash(1, f"{say.format(1)}; {HOLD}"), *roots, *after)


def expected(n_jobs: int) -> str:
    """Letters of its states when it was cancelled after all that could end had ended."""
    half = n_jobs // 2
    roots = ["K", *("F" if number % EVERY == 0 else "S" for number in range(2, half + 1))]
    held = {1, *range(half - n_jobs // 10 + 1, half + 1)}
    return "".join([*roots, *("S" if roots[number - 1] == "S" and number not in held else "K" for number in range(1, half + 1))])
