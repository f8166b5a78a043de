"""Login shells as they are: with greetings, another umask and locale, and a home whose name is hard to quote; and what others may see of a run."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from hail_batch_jupyter import SlurmBackend
from hail_batch_jupyter.batch.batch_pool_executor import BatchPoolExecutor
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.core.spec import Transfer
from tests.engine.jobs import bash, main_log, output, run, states
from tests.executors import pools
from tests.requirements import ROOT
from tests.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.requires("slurm", "sshd")
PROFILE = """\
echo 'hail-batch-jupyter-found:work=/nowhere; hail-batch-jupyter-answer:{"error": "a greeting"}'
printf 'no end of line'
echo >&2 "a warning"
umask 002
export LC_ALL=C LANG=de_DE IFS=/ CDPATH=/ POSIXLY_CORRECT=1
cd /
"""
SECRET = "known-to-nobody-7391"
SEEN = f"""\
umask; echo "$TOKEN"
for word in {SECRET[:-1]}[1]; do
    cat /proc/[0-9]*/cmdline 2>/dev/null | grep -ac "$word" || :
    {{ squeue -a -o %all; scontrol -d show job; scontrol write batch_script $SLURM_JOB_ID -; }} | grep -c "$word" || :
done
cp ../inputs/x/in made
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "ho me's ; $(touch x) \u00fc"
    folder.mkdir()
    (folder / ".bash_profile").write_text(PROFILE)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return folder


@pytest.mark.parametrize("runner", ["login", "job"])
def test_a_run_is_private_whatever_the_login_shell_does_and_its_outputs_are_as_it_says(home: Path, slurm: SlurmCluster, tmp_path: Path, runner: str) -> None:
    backend = SlurmBackend(LocalProtocol(), runner=runner, login_setup=slurm.login)
    source, dest = tmp_path / "\u00f6in 'x'", tmp_path / "\u00f6ut ; 'x'"
    source.write_text("made")
    reading = (Transfer(str(source), "${BATCH_TMPDIR}/inputs/x/in"),)

    running = run(bash(1, SEEN, env={"TOKEN": SECRET}, name='a "b"\n;c', inputs=reading, **output(1, "made", dest)), backend=backend)

    assert (states(running), main_log(running)) == ("S", f"0002\n{SECRET}\n0\n0\n")
    assert (dest.read_text(), stat.filemode(dest.stat().st_mode)) == ("made", "-rw-r--r--")
    work = home / ".local" / "state" / "hail_batch_jupyter" / "cluster"
    assert {stat.filemode(path.stat().st_mode) for path in (work, *work.iterdir())} == {"drwx------"}


def test_calls_are_made_behind_such_a_login_shell_in_a_private_folder(home: Path, slurm: SlurmCluster) -> None:
    setup = f"{slurm.login} PYTHONPATH={ROOT}"
    backend = SlurmBackend(LocalProtocol(), runner="login", login_setup=setup, python=sys.executable, pool_workers=1)
    with BatchPoolExecutor(name='a "b"\n;c', backend=backend, cpus_per_job=3) as executor:
        found = executor.submit(pools.facts).result(90)
        folder = Path(found["cwd"])

        assert found["env"]["OMP_NUM_THREADS"] == "3"
        assert folder.parent == home / ".local" / "state" / "hail_batch_jupyter" / "cluster"
        assert stat.filemode(folder.stat().st_mode) == "drwx------"
