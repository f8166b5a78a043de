"""GNU make and ninja, two wide: what a program made for starting processes achieves."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.bounded import run
from benchmarks.case import Case, MeasurementFailed, NotAvailable, Scale, Values
from benchmarks.environments import Environment

NINJA = Environment("ninja", (("ninja==1.13.2",),))
LIMIT_S = 120
NOTE = "the whole program; its shell is `sh` unless said"


def cases(scale: Scale) -> list[Case]:
    """Independent and chained no-op recipes, each through a shell."""
    return [
        _make_case("make", "GNU make -j2", "bash", scale.jobs, "/bin/sh"),
        _make_case("make-bash", "GNU make -j2, SHELL=bash", "bash", scale.jobs, "bash"),
        _ninja_case("ninja", "ninja -j2", "bash", scale.jobs),
        _make_case("make-chain", "GNU make -j2", "chain", scale.chain, "/bin/sh"),
        _ninja_case("ninja-chain", "ninja -j2", "chain", scale.chain),
    ]


def _make_case(name: str, tool: str, group: str, count: int, shell: str) -> Case:
    def measure(directory: Path) -> Values:
        make, shell_path = shutil.which("make"), shutil.which(shell)
        if make is None or shell_path is None:
            raise NotAvailable(f"not available: no 'make' or no {shell!r} on PATH")
        directory.joinpath("Makefile").write_text(makefile(count, group == "chain", shell_path))
        return _timed([make, "-j2", "--no-print-directory"], directory, count)

    return Case(name, tool, group, measure, NOTE)


def _ninja_case(name: str, tool: str, group: str, count: int) -> Case:
    def measure(directory: Path) -> Values:
        directory.joinpath("build.ninja").write_text(ninja_file(count, group == "chain"))
        return _timed([str(NINJA.program("ninja")), "-j2", "--quiet"], directory, count)

    return Case(name, tool, group, measure, NOTE, NINJA.ensure)


def _timed(argv: list[str], directory: Path, count: int) -> Values:
    finished = run(argv, directory, timeout_s=LIMIT_S)
    if finished.exit_code != 0:
        raise MeasurementFailed(f"exit code {finished.exit_code}: {finished.last_line()}")
    return {"jobs_per_s": count / finished.elapsed_s, "jobs": count}


def makefile(count: int, chain: bool, shell: str) -> str:
    """Phony targets; the semicolon keeps make from starting `true` itself without a shell."""
    names = [f"job{number}" for number in range(count)]
    lines = [f"SHELL := {shell}", f"all: {' '.join(names)}", f".PHONY: all {' '.join(names)}"]
    for number, name in enumerate(names):
        parent = f" {names[number - 1]}" if chain and number else ""
        lines += [f"{name}:{parent}", "\t@true;"]
    return "\n".join(lines) + "\n"


def ninja_file(count: int, chain: bool) -> str:
    """Edges whose outputs are never made, so that each one runs; ninja starts every command with `sh -c`."""
    lines = ["rule noop", "  command = true"]
    for number in range(count):
        parent = f" job{number - 1}" if chain and number else ""
        lines.append(f"build job{number}: noop{parent}")
    return "\n".join(lines) + "\n"
