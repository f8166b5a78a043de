"""Finding a Python for the runner where that of the machine is of long ago."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hail_batch_jupyter import SlurmBackend
from hail_batch_jupyter.backends.far import mirror
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.errors import SubmitError
from tests.engine.jobs import bash, run, states, submit
from tests.requirements import requires
from tests.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.requires("slurm", "sshd")

OLD = """\
#!/bin/sh
[ "$1" = -V ] && echo "Python 3.6.8"
exit 1
"""
PROFILE = """\
export PATH={home}/bin
module() {{ [ "$1 $2" = "load Python" ] && [ -e {home}/modules/$2/bin ] && PATH={home}/modules/$2/bin:$PATH; }}
"""
COMMANDS = ("bash", "sh", "mkdir", "cat", "head", "tail", "rm", "mv", "env", "ls", "touch", "sbatch", "squeue", "scancel", "scontrol", "sinfo")


class OldMachine(LocalProtocol):
    """This machine as one whose own Python is old: the real one is hidden from what is run."""

    def run(self, command: list[str]) -> str:
        hiding = 'for file in /usr/bin/python3 /usr/bin/python3.[0-9]*; do [ ! -x "$file" ] || mount --bind /dev/null "$file" || exit; done; exec "$@"'
        return super().run(["unshare", "--mount", "sh", "-c", hiding, "sh", *command])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its login profile has the function `module`, and `python3` on PATH is of long ago."""
    folder = tmp_path / "home"
    (folder / "bin").mkdir(parents=True)
    for name in COMMANDS:
        (folder / "bin" / name).symlink_to(str(shutil.which(name)))
    (folder / "bin" / "python3").write_text(OLD)
    (folder / "bin" / "python3").chmod(0o755)
    (folder / ".bash_profile").write_text(PROFILE.format(home=folder))
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.mark.requires("python3.9")
@pytest.mark.parametrize("how", ["module", "python="])
def test_the_oldest_python_is_found_as_a_module_or_by_its_path(slurm: SlurmCluster, home: Path, tmp_path: Path, how: str) -> None:
    place = home / "modules" / "Python" / "bin"
    place.mkdir(parents=True)
    (place / "python3").symlink_to(requires("python3.9"))
    python = None if how == "module" else requires("python3.9")

    running = run(bash(1, "echo here"), backend=SlurmBackend(OldMachine(), tmp_path / "work", runner="login", python=python))

    assert states(running) == "S"
    assert running.directory is not None
    post = mirror.read_note(running.directory).post
    assert ("module load Python" in post.call[2], post.call[4]) == ((True, str(place / "python3")) if how == "module" else (False, python))


@pytest.mark.usefixtures("slurm", "home")
def test_a_cluster_with_an_old_python_only_says_so_and_what_to_do(tmp_path: Path) -> None:
    words = r"no Python 3\.9 or later is on this machine, on PATH \(Python 3\.6\.8 is too old\) or as module python3.*python='/path/to/python3'.*'module load"

    with pytest.raises(SubmitError, match=words):
        submit(bash(1, ":"), backend=SlurmBackend(OldMachine(), tmp_path / "work", runner="login"))
