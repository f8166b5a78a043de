"""What the standard library does: a loop of thirty lines that starts processes and does nothing else, and its pool of processes."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.bounded import own_python, run_script
from benchmarks.case import Case, NotAvailable, Scale, Values

NOTE = "the loop only"


def cases(scale: Scale) -> list[Case]:
    """Two wide for independent work, one wide for the chain."""
    bash = ["bash", "-c", "true"]
    return [
        _pool_case(scale),
        _case("spawn-bash", "posix_spawn `bash -c true`, 2 wide", "bash", scale.jobs, 2, bash),
        _case("spawn-true", "posix_spawn `/bin/true`, 2 wide", "bash", scale.jobs, 2, ["true"]),
        _case("spawn-chain", "posix_spawn `bash -c true`, 1 wide", "chain", scale.chain, 1, bash),
    ]


def _pool_case(scale: Scale) -> Case:
    def measure(directory: Path) -> Values:
        arguments = ("concurrent.futures:ProcessPoolExecutor", scale.pool_calls, "named")
        return run_script(own_python(), "pool_calls.py", directory, *arguments, timeout_s=120)

    return Case("process-pool", "ProcessPoolExecutor, 2 wide, a named function", "pool", measure, "list(pool.map(f, …))")


def _case(name: str, tool: str, group: str, count: int, width: int, command: list[str]) -> Case:
    def measure(directory: Path) -> Values:
        program = shutil.which(command[0])
        if program is None:
            raise NotAvailable(f"not available: no {command[0]!r} on PATH")
        argv = [program, *command[1:]]
        return run_script(own_python(), "spawn_loop.py", directory, count, width, *argv, timeout_s=120)

    return Case(name, tool, group, measure, NOTE)
