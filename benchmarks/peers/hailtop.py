"""hailtop's LocalBackend, the interface that this project follows, with the very scripts that measure this project."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bounded import run_script
from benchmarks.case import BUILT, Case, Scale, Values
from benchmarks.environments import Environment
from benchmarks.imports import timed_import

MODULE = "hailtop.batch"
HAILTOP = Environment(
    "hailtop-0.2.139",
    (
        ("--no-deps", "hail==0.2.139"),
        # What `import hailtop.batch` loads; the package's own list adds Spark, pandas and bokeh, 1 GB that it does not.
        ("orjson<4,>=3.9.15", "rich<13,>=12.6.0", "aiohttp<4,>=3.11.16", "requests<3", "nest_asyncio<2",
         "azure-identity<2", "azure-mgmt-storage==20.1.0", "azure-storage-blob<13", "humanize<5",
         "sortedcontainers<3", "janus<1.1", "jproperties<3", "google-auth<3", "google-auth-oauthlib<1",
         "uvloop<0.22", "boto3<2", "dill<0.5,>=0.4"),
    ),
)  # fmt: skip
TOOL = "hailtop LocalBackend 0.2.139"
NOTE = "b.run() only; one job at a time"


def cases(scale: Scale) -> list[Case]:
    """The same work as this project's cases, in smaller numbers where it is slow."""
    small, big = scale.hailtop_ballast_jobs, scale.ballast_mb
    return [
        *[_build_case(scale, shape, words) for shape, words in BUILT.items()],
        _case("hailtop", "bash", "noop_jobs.py", scale.jobs, "independent"),
        _case("hailtop-chain", "chain", "noop_jobs.py", scale.chain, "chain"),
        _case("hailtop-python", "python", "python_jobs.py", scale.hailtop_python_jobs),
        _case("hailtop-output", "output", "written_outputs.py", scale.hailtop_outputs),
        _case("hailtop-parent-50mb", "parent", "big_parent.py", small, 50, remark=", parent of 50 MB (at least)"),
        _case("hailtop-parent-2gb", "parent", "big_parent.py", small, big, remark=", parent of 2 GB"),
        Case("hailtop-import", "import hailtop.batch", "import", _import, "wall time of the process", HAILTOP.ensure),
    ]


def _case(name: str, group: str, script: str, *arguments: str | int, remark: str = "") -> Case:
    def measure(directory: Path) -> Values:
        return run_script(HAILTOP.python, script, directory, MODULE, *arguments, timeout_s=180)

    return Case(name, TOOL + remark, group, measure, NOTE, HAILTOP.ensure)


def _build_case(scale: Scale, shape: str, words: str) -> Case:
    def measure(directory: Path) -> Values:
        return run_script(HAILTOP.python, "build_jobs.py", directory, MODULE, scale.built_jobs, shape, timeout_s=180)

    return Case(f"hailtop-build-{shape}", f"{TOOL}, {words}", "build", measure, "", HAILTOP.ensure)


def _import(directory: Path) -> Values:
    return timed_import(HAILTOP.python, f"import {MODULE}", directory)
