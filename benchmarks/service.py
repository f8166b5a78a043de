"""A batch service of our own on loopback, with jobs as processes of this user."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bounded import own_python, run_script
from benchmarks.case import Case, Scale, Values

TOOL = "hail-batch-jupyter serve"
LIMIT_S = 600


def cases(scale: Scale) -> list[Case]:
    """Submitting and looking at a large batch, no-op jobs, and how soon a client knows."""
    return [
        _case("ours-service-submit", f"{TOOL}, {scale.submitted_jobs} jobs submitted", "submit", scale.submitted_jobs, "b.run(wait=False); answers after that"),
        _case("ours-service-noop", f"{TOOL}, no-op jobs", "noop", scale.jobs, "b.run()"),
        _case("ours-service-news", f"{TOOL}, a client that waits", "news", scale.news, "from the job's last act to a snapshot that shows its end"),
    ]


def _case(name: str, tool: str, how: str, count: int, note: str) -> Case:
    def measure(directory: Path) -> Values:
        (directory / "work").mkdir()
        return run_script(own_python(), "service_calls.py", directory, how, count, directory / "work", timeout_s=LIMIT_S)

    return Case(name, tool, "service", measure, note)
