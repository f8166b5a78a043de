"""Wall time of an interpreter that runs one statement."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bounded import MISSING, run
from benchmarks.case import MeasurementFailed, NotAvailable, Values


def timed_import(python: str | Path, statement: str, directory: Path) -> Values:
    """Milliseconds from the start of `python -c STATEMENT` to its end, in an empty directory."""
    finished = run([str(python), "-W", "ignore", "-c", statement], directory, timeout_s=60)
    if finished.exit_code == 0:
        return {"process_ms": finished.elapsed_s * 1000}
    if finished.last_line().startswith(MISSING):
        raise NotAvailable(f"not available yet: {finished.last_line()}")
    raise MeasurementFailed(f"exit code {finished.exit_code}: {finished.last_line()}")
