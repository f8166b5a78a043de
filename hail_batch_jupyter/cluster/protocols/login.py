"""A connection that the user opens by hand, with a password or a code, for all that is done by ssh after it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hail_batch_jupyter.errors import ClusterError

HOUR_S = 3600


def login_socket() -> str:
    """Where the sockets of such connections are, as ssh's ControlPath takes it: a short path, and the user's own folder."""
    return str(Path.home() / ".ssh" / "hbj-%C")


def logged_in(options: Sequence[str], target: Sequence[str]) -> bool:
    """Whether such a connection is open; `options` and `target` are those of ssh."""
    if not any((Path.home() / ".ssh").glob("hbj-*")):
        return False
    return _control("check", options, target).returncode == 0


def log_in(options: Sequence[str], target: Sequence[str], hours: float) -> bool:
    """Open a connection on the user's terminal, which stays for so many hours after it was used last; False where one is open already.

    Raises ClusterError when it could not be opened; ssh has said why.
    """
    if logged_in(options, target):
        return False
    folder = Path.home() / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = ["-o", "ControlMaster=yes", "-o", f"ControlPath={login_socket()}", "-o", f"ControlPersist={int(hours * HOUR_S)}", "-o", "ServerAliveInterval=15"]
    argv = ["ssh", *options, *kept, "-N", "-f", *target]
    # It goes on in the background, and must not hold the pipes of whoever called this.
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, check=False, env=os.environ)
    if done.returncode:
        raise ClusterError(f"no connection to {target[-1]} was opened; look at what ssh said, or try `ssh {target[-1]}`", argv, done.returncode)
    return True


def log_out(options: Sequence[str], target: Sequence[str]) -> bool:
    """End such a connection; False where none is open."""
    return logged_in(options, target) and _control("exit", options, target).returncode == 0


def _control(word: str, options: Sequence[str], target: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    argv = ["ssh", *options, "-o", f"ControlPath={login_socket()}", "-O", word, *target]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
