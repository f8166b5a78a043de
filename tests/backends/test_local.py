from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.spec import Request, Transfer, Upload
from hail_batch_jupyter.errors import CapabilityError, SubmitError, UnitError
from hail_batch_jupyter.observe import procfs, rundir
from tests.conftest import wait_until
from tests.engine.jobs import SCRATCH, bash, batch, main_log, output, run, states, submit


def nothing_was_started(runs: Path) -> bool:
    return not list(runs.glob("*"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cores": "two"}, "invalid value for cpu: 'two'"),
        ({"memory": "3Gb"}, "memory '3Gb': unknown suffix 'Gb'"),
        ({"cores": 0}, "invalid value for cpu: '0'"),
    ],
)
def test_a_bad_quantity_is_refused_when_the_backend_is_made(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UnitError, match=message):
        LocalBackend(**settings)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("parallelism", [0, -2])
def test_parallelism_must_be_a_number_of_jobs(parallelism: int) -> None:
    with pytest.raises(ValueError, match=f"parallelism {parallelism} is not a number of jobs; use 1 or more, or None"):
        LocalBackend(parallelism=parallelism)


def test_what_is_given_counts_instead_of_the_machine() -> None:
    given = LocalBackend(cores=3, memory="5Gi", parallelism=7).capacity()

    assert tuple(given) == (3000, 5 << 30, 7)


def test_jobs_beyond_the_machine_warn_once_and_run() -> None:
    large = Request(cpu_mcpu=64_000)

    with pytest.warns(UserWarning, match=r"job 'job1' asks for 64 cores where there are 2 \(and 1 more jobs\): it runs alone on this machine") as caught:
        running = run(bash(1, ":", request=large), bash(2, ":", request=large), bash(3, ":"), backend=LocalBackend(cores=2))

    assert len(caught) == 1
    assert states(running) == "SSS"


def test_strict_refuses_a_job_beyond_the_machine_at_submit(runs: Path) -> None:
    with pytest.raises(SubmitError, match=r"job 'job2' asks for 2.0 GiB of memory where there are 1.0 GiB; ask for less, or use LocalBackend\(strict=False\)"):
        submit(bash(1, ":"), bash(2, ":", request=Request(memory_bytes=2 << 30)), backend=LocalBackend(memory="1Gi", strict=True))

    assert nothing_was_started(runs)


def test_a_missing_input_is_refused_at_submit(runs: Path, tmp_path: Path) -> None:
    job = bash(1, ":", inputs=(Transfer(f"{tmp_path}/none.txt", f"{SCRATCH}/inputs/x/none.txt"),))

    with pytest.raises(SubmitError, match=r"job 'job1' reads '.*/none.txt', which does not exist; make the file or mend the path, nothing was started"):
        submit(job)

    assert nothing_was_started(runs)


def test_a_missing_input_that_is_only_written_out_is_refused_at_submit(runs: Path, tmp_path: Path) -> None:
    spec = batch(bash(1, ":"), external=(Transfer(f"{tmp_path}/none.txt", f"{tmp_path}/out.txt"),))

    with pytest.raises(SubmitError, match=r"none\.txt', which does not exist"):
        submit(spec)

    assert nothing_was_started(runs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": (Transfer("s3://b/x", f"{SCRATCH}/x"),)}, "reads 's3://b/x', and S3 is not reached from here; download"),
        ({"outputs": (Transfer(f"{SCRATCH}/d1/x", "s3://b/x"),)}, "writes 's3://b/x', and S3 is not reached from here; name a place at gs://"),
    ],
)
def test_what_needs_another_backend_is_refused_at_submit(runs: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(CapabilityError, match=message):
        submit(bash(1, ":", **settings))

    assert nothing_was_started(runs)


@pytest.mark.parametrize("bad", ["below a file", "read only"])
def test_a_runs_folder_that_cannot_be_written_is_refused_with_a_remedy(bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if bad == "below a file":
        (tmp_path / "file").write_text("")
        folder = tmp_path / "file" / "runs"
    else:
        folder = Path("/proc/runs") if os.geteuid() == 0 else tmp_path / "closed"
        if os.geteuid():
            folder.mkdir(0o500)
    monkeypatch.setenv(rundir.RUNS_VARIABLE, str(folder))

    with pytest.raises(
        SubmitError, match=rf"the run directory '{folder}/.*' cannot be written \(.*\); free space or set HAIL_BATCH_JUPYTER_RUNS to a folder that can"
    ):
        submit(bash(1, ":"))


def test_a_scratch_folder_that_cannot_be_made_is_refused_and_leaves_no_run(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SubmitError, match=rf"the scratch folder '{tmp_path}/file/batch-.*' cannot be written \(.*\); free space or choose another tmp_dir"):
        submit(bash(1, ":"), backend=LocalBackend(tmp_dir=f"{tmp_path}/file"))

    assert nothing_was_started(runs)


@pytest.mark.parametrize("script", ["echo x > made", "echo x > made; exit 1"], ids=["success", "failure"])
def test_scratch_is_removed_after_the_run(tmp_path: Path, script: str) -> None:
    running = run(bash(1, script), backend=LocalBackend(tmp_dir=str(tmp_path)))

    wait_until(lambda: not list((tmp_path / f"batch-{os.getuid()}").iterdir()), story=lambda: list((tmp_path / "batch").iterdir()))
    assert running.scratch is not None
    assert not running.scratch.exists()


def test_scratch_is_removed_after_a_cancelled_run(tmp_path: Path) -> None:
    running = submit(bash(1, "echo x > made; mkfifo hold; read -r _ < hold"), backend=LocalBackend(tmp_dir=str(tmp_path)))
    assert running.scratch is not None
    made = running.scratch / "d1" / "hold"
    wait_until(made.exists)
    running.cancel()
    running.wait(90)

    wait_until(lambda: not list((tmp_path / f"batch-{os.getuid()}").iterdir()))


def test_kept_files_stay_in_the_run_directory(tmp_path: Path) -> None:
    running = run(bash(1, "echo kept > made", promises=("d1/made",)), backend=LocalBackend(tmp_dir=str(tmp_path)), keep_files=True)

    assert running.file("d1/made").read_text() == "kept\n"
    assert running.directory is not None
    assert running.scratch == running.directory / "scratch"
    assert not (tmp_path / "batch").exists()


def test_each_job_has_an_empty_working_directory_of_its_own() -> None:
    jobs = [bash(number, "ls -A | wc -l; echo x > same; pwd") for number in range(1, 6)]

    running = run(*jobs)

    logs = [main_log(running, number).split() for number in range(1, 6)]
    assert [count for count, _ in logs] == ["0"] * 5
    assert len({folder for _, folder in logs}) == 5


def test_a_working_directory_that_was_used_before_is_empty_again_and_has_the_new_name(tmp_path: Path) -> None:
    jobs = [bash(number, '[ -z "$(ls -A)" ]; [ ${PWD##*/} = d' + str(number) + " ]; read -r -t 0.02 _ <> <(:) || :") for number in range(1, 60)]

    running = run(*jobs, backend=LocalBackend(tmp_dir=str(tmp_path), cores=2))

    assert states(running) == "S" * 59


def test_with_a_shared_directory_all_jobs_work_in_scratch() -> None:
    jobs = [bash(1, "echo from one > file; pwd"), bash(2, "cat file; pwd; echo $BATCH_TMPDIR")]

    running = run(*jobs, backend=LocalBackend(parallelism=1, shared_directory=True))

    assert main_log(running, 2).splitlines() == ["from one", *[str(running.scratch)] * 2]
    assert main_log(running, 1) == f"{running.scratch}\n"


def test_everything_of_a_run_is_closed_to_others() -> None:
    running = run(batch(bash(1, "echo x > f"), uploads=(Upload(f"{SCRATCH}/code/x.sh", b"#"),)), keep_files=True)

    assert running.directory is not None
    assert stat.S_IMODE(running.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((running.directory / "scratch").stat().st_mode) == 0o700
    assert stat.S_IMODE((running.directory / "scratch/code/x.sh").stat().st_mode) == 0o600
    assert stat.S_IMODE((running.directory / "events.jsonl").stat().st_mode) == 0o600


def test_a_run_notes_what_its_backend_was_made_with_also_what_overrides_a_variable_with_nothing() -> None:
    running = run(bash(1, ":"), backend=LocalBackend("/tmp", cores=2, extra_docker_run_flags=""))

    assert running.directory is not None
    assert rundir.settings_of(running.directory)["settings"] == {"tmp_dir": "/tmp", "cores": "2", "extra_docker_run_flags": ""}


def test_uploads_lie_in_scratch_before_the_first_job() -> None:
    spec = batch(bash(1, 'cat "$BATCH_TMPDIR/code/deep/x.txt"'), uploads=(Upload(f"{SCRATCH}/code/deep/x.txt", b"bytes\xff", 0o644),))

    assert run(spec).log(1) == b"bytes\xff"


def test_many_runs_leave_no_descriptors_and_no_zombies_behind() -> None:
    backend = LocalBackend()
    run(bash(1, ":"), backend=backend)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        run(bash(1, ":"), backend=backend)

    def settled() -> bool:
        run(bash(1, ":"), backend=backend)
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        zombies = [pid for pid in children if (facts := procfs.stat(int(pid))) is not None and facts.zombie]
        return len(os.listdir("/proc/self/fd")) <= before + 2 and len(zombies) <= 2

    wait_until(settled)


def test_outputs_can_be_written_to_file_uris(tmp_path: Path) -> None:
    run(bash(1, "echo x > made", **output(1, "made", f"file://{tmp_path}/out")))

    assert (tmp_path / "out").read_text() == "x\n"
