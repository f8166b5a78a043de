"""Python environments of the peers: one each, outside the source tree, made on demand and kept for the next run."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bounded
from benchmarks.case import MeasurementFailed, NotAvailable

INSTALL_LIMIT_S = 600


@dataclass(frozen=True)
class Environment:
    """A named virtual environment; each step is one list of arguments to `pip install`, in order."""

    name: str
    steps: tuple[tuple[str, ...], ...]

    @property
    def directory(self) -> Path:
        """Where it lives, in the user's cache."""
        return cache_directory() / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.program("python")

    def program(self, name: str) -> Path:
        """The path of a program that its packages installed."""
        return self.directory / "bin" / name

    def ensure(self) -> None:
        """Make it unless it is there with the same steps; raises NotAvailable with the installer's last line."""
        stamp = self.directory / "complete.txt"
        with _locked(cache_directory() / f"{self.name}.lock"):
            if stamp.exists() and stamp.read_text() == self._fingerprint():
                return
            shutil.rmtree(self.directory, ignore_errors=True)
            _install(["venv", "--python", sys.executable, str(self.directory)])
            for step in self.steps:
                _install(["pip", "install", "--python", str(self.python), *step])
            stamp.write_text(self._fingerprint())

    def _fingerprint(self) -> str:
        said = repr((self.steps, sys.version))
        return hashlib.sha256(said.encode()).hexdigest()


def cache_directory() -> Path:
    """`$HAIL_BATCH_JUPYTER_BENCH_CACHE`, else `hail-batch-jupyter-bench` in the user's caches; made if missing."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    named = os.environ.get("HAIL_BATCH_JUPYTER_BENCH_CACHE")
    directory = Path(named) if named else base / "hail-batch-jupyter-bench"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _install(arguments: Sequence[str]) -> None:
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise NotAvailable("not available: needs 'uv' to make its environment; install uv and run again")
    with _scratch() as scratch:
        try:
            finished = bounded.run([uv, "--color", "never", *arguments], scratch, timeout_s=INSTALL_LIMIT_S)
        except MeasurementFailed as error:
            raise NotAvailable(f"not available: {error}") from error
    if finished.exit_code != 0:
        raise NotAvailable(f"not available: `uv {' '.join(arguments[:2])}` says: {finished.last_line()}")


@contextmanager
def _scratch() -> Iterator[Path]:
    """An empty directory below the cache, so that uv can hard-link from its own cache; removed at the end."""
    scratch = cache_directory() / f"scratch-{os.getpid()}"
    scratch.mkdir(exist_ok=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's lock: two benchmarks at once would otherwise install into one directory."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
