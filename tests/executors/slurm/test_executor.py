from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.core.ports import Attempt, Outcome
from hail_batch_jupyter.core.spec import JobSpec
from hail_batch_jupyter.executors.slurm import executor as module
from hail_batch_jupyter.executors.slurm.executor import SlurmExecutor
from hail_batch_jupyter.executors.slurm.words import SlurmSettings
from hail_batch_jupyter.observe import slurm_jobs
from hail_batch_jupyter.observe.slurm_jobs import Word
from tests.conftest import wait_until
from tests.engine.jobs import HOLD
from tests.slurm_cluster import SlurmCluster

pytestmark = [pytest.mark.requires("slurm"), pytest.mark.usefixtures("slurm")]

Make = Callable[..., SlurmExecutor]


@pytest.fixture
def make(tmp_path: Path, slurm: SlurmCluster) -> Iterator[Make]:
    """Makes the executor of a run in the test's folder, and closes it at the end."""
    made = []
    (tmp_path / "run").mkdir()
    (tmp_path / "logs").mkdir()

    def executor(*options: str) -> SlurmExecutor:
        made.append(SlurmExecutor(tmp_path / "run", str(tmp_path), SlurmSettings(options=options), os.environ))
        return made[-1]

    yield executor
    for one in made:
        one.close()


def attempt(folder: Path, number: int, script: str, **env: str) -> Attempt:
    job = JobSpec(number, f"k{number}", None, "bash", ("/bin/bash", "-c", script), f"d{number}")
    (folder / job.directory).mkdir()
    return Attempt(job, 1, 0, job.command, env, str(folder / job.directory), str(folder / "logs" / f"{number}.log"))


def until(executor: SlurmExecutor, enough: Callable[[list[Outcome]], bool]) -> list[Outcome]:
    """All outcomes up to the one with which there are enough."""
    found: list[Outcome] = []

    def more() -> bool:
        found.extend(executor.wait(0.1))
        return enough(found)

    wait_until(more, story=lambda: found)
    return found


def ends(outcomes: list[Outcome]) -> list[tuple[str, str, int | None, str]]:
    return sorted((one.attempt_id, one.kind, one.exit_code, one.reason) for one in outcomes if one.kind in ("ended", "lost"))


def test_each_attempt_waits_starts_and_ends_once(make: Make, tmp_path: Path) -> None:
    executor = make()
    refused = executor.start([attempt(tmp_path, number, f"exit {number}") for number in range(4)])

    outcomes = until(executor, lambda found: len(ends(found)) == 4)

    assert refused == []
    assert [[one.kind for one in outcomes if one.attempt_id == f"{number}.1"] for number in range(4)] == [["waiting", "started", "ended"]] * 4
    assert ends(outcomes) == [(f"{number}.1", "ended", number, "") for number in range(4)]
    assert all(one.pid for one in outcomes if one.kind == "ended")


def test_files_of_an_attempt_go_when_its_end_is_written_down(make: Make, tmp_path: Path) -> None:
    executor = make()
    executor.start([attempt(tmp_path, 1, ":")])
    until(executor, lambda found: bool(ends(found)))
    there = [path.name for path in (tmp_path / "run" / "slurm").glob("*/1.1.*")]

    executor.wait(0.0)

    assert sorted(there) == ["1.1.began", "1.1.ended", "1.1.sh"]
    assert list((tmp_path / "run" / "slurm").glob("*/1.1.*")) == []


def test_a_variable_that_no_shell_can_have_ends_only_its_own_attempt(make: Make, tmp_path: Path) -> None:
    executor = make()

    refused = executor.start([attempt(tmp_path, 1, ":", **{"A.B": "x"}), attempt(tmp_path, 2, ":")])

    assert ends(refused) == [("1.1", "ended", None, "could not start: the variable 'A.B' has a name that no shell can have; use letters, digits and _")]
    assert ends(until(executor, lambda found: bool(ends(found)))) == [("2.1", "ended", 0, "")]


def test_what_is_stopped_before_it_was_submitted_never_is(make: Make, tmp_path: Path, slurm: SlurmCluster) -> None:
    executor = make()
    executor.start([attempt(tmp_path, number, f"echo x > {tmp_path}/ran{number}") for number in (1, 2)])
    executor.stop("1.1", force=False)

    outcomes = until(executor, lambda found: len(ends(found)) == 2)

    assert ends(outcomes) == [("1.1", "lost", None, "was not submitted"), ("2.1", "ended", 0, "")]
    assert not (tmp_path / "ran1").exists()


def test_a_job_that_leaves_no_word_ends_with_advice(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENT_S", 0.5)
    executor = make()
    (tmp_path / "run" / "slurm" / "closed").touch()  # jobs that do not find their files end like those that find this
    executor.start([attempt(tmp_path, 1, ":")])

    ((_, kind, exit_code, reason),) = ends(until(executor, lambda found: bool(ends(found))))

    assert (kind, exit_code) == ("ended", None)
    assert reason.startswith("Slurm says COMPLETED, but it left no word in ")
    assert reason.endswith("use a work_directory that every node sees")


def test_closing_leaves_nothing_in_the_queue(tmp_path: Path, slurm: SlurmCluster) -> None:
    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    executor = SlurmExecutor(tmp_path / "run", str(tmp_path), SlurmSettings(), os.environ)
    executor.start([attempt(tmp_path, 1, HOLD), attempt(tmp_path, 2, HOLD)])
    until(executor, lambda found: sum(one.kind == "started" for one in found) == 2)

    executor.close()

    assert slurm.run("squeue", "--noheader", "--name=hbj-run").split() == []
    assert not (tmp_path / "run" / "slurm").exists()


def test_what_ended_well_is_noted_when_the_queue_of_a_dead_runner_is_closed(make: Make, tmp_path: Path) -> None:
    executor = make()
    executor.start([attempt(tmp_path, 1, ":"), attempt(tmp_path, 2, "exit 3")])
    words = tmp_path / "run" / "slurm" / "words"
    until(executor, lambda found: any(one.kind == "waiting" for one in found))
    wait_until(lambda: (words / "1.1.ended").exists() and (words / "2.1.ended").exists())

    slurm_jobs.close_queue(tmp_path / "run")

    assert (tmp_path / "run" / "done").read_text().split() == ["1.1"]
    assert slurm_jobs.cancel_jobs(tmp_path / "run")


def test_jobs_of_one_task_end_each_for_itself(tmp_path: Path, slurm: SlurmCluster) -> None:
    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    executor = SlurmExecutor(tmp_path / "run", str(tmp_path), SlurmSettings(pack=5), os.environ)
    scripts = ("exit 3", HOLD, f"touch {tmp_path}/ran3", "echo four", HOLD)
    executor.start([attempt(tmp_path, number, script) for number, script in enumerate(scripts, 1)])
    first = until(executor, lambda found: any(one.kind == "started" and one.attempt_id == "2.1" for one in found))

    executor.stop("3.1", force=False)
    executor.stop("2.1", force=False)
    then = until(executor, lambda found: any(one.kind == "started" and one.attempt_id == "5.1" for one in found))
    executor.stop("5.1", force=True)
    last = until(executor, lambda found: bool(ends(found)))
    executor.close()

    assert len({one.reason for one in first if one.kind == "waiting"}) == 1
    assert ends([*first, *then]) == [("1.1", "ended", 3, ""), ("2.1", "ended", 143, ""), ("3.1", "ended", 143, ""), ("4.1", "ended", 0, "")]
    assert [kind for _, kind, _, _ in ends(last)] == ["ended"]
    assert not (tmp_path / "ran3").exists()


def test_an_attempt_tells_where_it_ran_and_what_it_used(make: Make, tmp_path: Path) -> None:
    executor = make()
    executor.start([attempt(tmp_path, 1, "head -c 30000000 /dev/zero | tail -c 30000000 > /dev/null")])

    outcomes = until(executor, lambda found: bool(ends(found)))

    assert {one.node for one in outcomes if one.kind == "started"} <= {"n1", "n2", "n3", "n4"}
    assert outcomes[-1].usage is not None
    assert outcomes[-1].usage.max_rss_bytes > 25_000_000
    assert outcomes[-1].usage.cpu_s > 0


def test_a_node_where_jobs_cannot_start_gets_no_more(make: Make, tmp_path: Path, slurm: SlurmCluster) -> None:
    executor = make("--nodelist=n3")
    executor._nodes.note(0, Word(0, False, 0, node="n1"))  # that a job went well elsewhere says whose fault it is
    executor.start([attempt(tmp_path, number, ":")._replace(directory=f"{tmp_path}/nowhere") for number in (1, 2)])
    lost = until(executor, lambda found: len(ends(found)) == 2)

    executor._calls._settings = SlurmSettings()
    executor.start([attempt(tmp_path, 3, ":")])
    told = until(executor, lambda found: bool(ends(found)))

    assert {end[3] for end in ends(lost)} == {f"could not start on n3: No such file or directory: {tmp_path}/nowhere"}
    assert [one.reason.partition(",")[2] for one in told if one.kind == "waiting"] == [" not on n3, where 2 jobs failed at their start"]
    assert {one.node for one in told if one.kind == "started"} <= {"n1", "n2", "n4"}
