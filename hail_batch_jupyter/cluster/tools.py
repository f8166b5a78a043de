"""Paths, times, quoting and commands, under pybatch's names."""

from __future__ import annotations

import ntpath
import posixpath
import shlex
import subprocess
from typing import Any

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.walltime import slurm_time_to_seconds
from hail_batch_jupyter.errors import ClusterError

__all__ = ["escape_str", "is_absolute", "path_join", "remote_mkdir", "run_check", "slurm_time_to_seconds"]


def path_join(base: str, *paths: str, is_posix: bool) -> str:
    """The parts joined by the server's rules: an absolute part replaces those before it, '..' is kept, trailing separators drop."""
    rules: Any = posixpath if is_posix else ntpath  # two modules of one interface
    joined = rules.join(base, *paths)
    drive, rest = rules.splitdrive(joined)
    if not is_posix:
        rest = rest.replace("/", "\\")
    parts = [part for part in rest.split(rules.sep) if part not in ("", ".")]
    root = rules.sep if rest[:1] == rules.sep else ""
    return str(drive + root + rules.sep.join(parts)) or "."


def is_absolute(path: str, is_posix: bool) -> bool:
    """Whether the path needs no directory before it; on Windows that takes a drive and a root, or a server's name."""
    if is_posix:
        return path.startswith("/")
    drive, rest = ntpath.splitdrive(path)
    return bool(drive) and (rest[:1] in ("\\", "/") or drive[:2] in ("\\\\", "//"))


def run_check(command: list[str], **extra: Any) -> subprocess.CompletedProcess[str]:
    """The completed command, with its output as text.

    Raises ClusterError when there is no such program, and when it fails.
    """
    if not command:
        raise ClusterError("Empty command.")
    try:
        done = subprocess.run(command, check=False, **{"capture_output": True, "encoding": "utf-8", "errors": "replace", **extra})
    except (OSError, ValueError) as error:
        raise ClusterError(f"The command could not be started.\n  command: {command}\n  {error}", command, 127, str(error)) from error
    if done.returncode:
        raise failed(command, done.returncode, done.stderr or "")
    return done


def failed(command: list[str], exit_code: int, stderr: str, server: str = "") -> ClusterError:
    """What to raise for a command that ended badly."""
    where = f"\n  server: {server}" if server else ""
    return ClusterError(f"Error {exit_code}.{where}\n  command: {command}\n  stderr: {stderr}", command, exit_code, stderr)


def escape_str(val: str) -> str:
    """The word, quoted for a POSIX shell where it has to be."""
    return shlex.quote(val)


def remote_mkdir(protocol: GenericProtocol, dir: str, python_exe: str) -> None:  # noqa: A002 - pybatch's name
    """Make a directory and its parents by the server's Python, whatever its system; no error where it is there."""
    protocol.run([python_exe, "-c", f"import os; os.makedirs({dir!r}, exist_ok=True)"])
