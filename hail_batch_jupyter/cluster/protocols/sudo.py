"""Another account of this machine, by the `sudo` program without a password."""

from __future__ import annotations

import builtins
import os
import pwd
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Union

from hail_batch_jupyter.cluster.parameter import ConnectionParameters
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.cluster.protocols.ssh import PipeStream
from hail_batch_jupyter.cluster.shell import RemoteShell, path_word, quoted
from hail_batch_jupyter.cluster.tools import failed
from hail_batch_jupyter.errors import ClusterError

_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_SHELL = "/bin/sh"
"""All that sudo is asked for, so that a line for it is enough."""
_KIND = '[ -e "$1" ] || { echo "no such file" >&2; exit 1; }; [ ! -d "$1" ] || echo folder'
_UNPACK = "cd {} && tar -x -f -"
_TAKE = "if [ -d {0} ]; then cd {0} && cat > {1}; else cat > {0}; fi"


class SudoProtocol(ShelledProtocol):
    """Commands and files as the account `params.user` of this machine has them, by one shell under `sudo` that stays open.

    sudo must not ask for a password: a line such as `hail ALL=(ann) NOPASSWD: /bin/sh` in a file of /etc/sudoers.d allows it.
    Raises ClusterError for parameters that name no account.
    """

    kind = "sudo"

    def __init__(self, params: ConnectionParameters) -> None:
        if not _ACCOUNT.fullmatch(params.user or ""):
            raise ClusterError(f"{params.user!r} is no name of an account; name one of this machine, as in ConnectionParameters(user='ann').")
        super().__init__(params)

    def upload(self, local_entries: Iterable[Union[str, Path]], remote_path: str) -> None:
        """Copy files and directories, as this process reads them, to where the account may write."""
        for entry in map(os.path.abspath, local_entries):
            if os.path.isdir(entry):
                pack = ["tar", "-C", os.path.dirname(entry), "-c", "-h", "-f", "-", "--", os.path.basename(entry)]
                _pipe(pack, self._command(_UNPACK.format(path_word(remote_path))))
            elif os.path.isfile(entry):
                script = _TAKE.format(path_word(remote_path), path_word(os.path.basename(entry)))
                with builtins.open(entry, "rb") as file:
                    _run(self._command(script), stdin=file)
            else:
                raise ClusterError(f"{entry!r} is neither a file, nor a directory.")

    def download(self, remote_entries: Iterable[str], local_path: Union[str, Path]) -> None:
        """Copy files and directories that the account may read."""
        for entry in remote_entries:
            if self.run(["sh", "-c", _KIND, "sh", entry]).strip():
                folder, name = os.path.split(os.path.normpath(entry))
                pack = quoted(["tar", "-C", folder or ".", "-c", "-f", "-", "--", name])
                _pipe(self._command(pack), ["tar", "-C", str(local_path), "-x", "-f", "-"])
                continue
            dest = os.path.join(local_path, os.path.basename(entry)) if os.path.isdir(local_path) else local_path
            with builtins.open(dest, "wb") as file:
                _run(self._command(f"cat < {path_word(entry)}"), stdout=file)

    def _command(self, *script: str) -> list[str]:
        assert self.params.user is not None
        return ["sudo", "-n", "-H", "-u", self.params.user, "--", _SHELL, *(word for text in script for word in ("-c", text))]

    def _shell(self) -> RemoteShell:
        """A new shell; raises ClusterError with what sudo said, and the line that it needs."""
        try:
            return RemoteShell(PipeStream(self._command()))
        except (ClusterError, OSError) as error:
            told = getattr(error, "stderr", "") or str(error)
            raise ClusterError(self._refusal(error, " ".join(told.split())), stderr=told) from error

    def _refusal(self, error: Exception, told: str) -> str:
        account, own = self.params.user, pwd.getpwuid(os.geteuid()).pw_name
        if isinstance(error, FileNotFoundError):
            return f"account {account!r} cannot be used: sudo is not installed; install it on this machine"
        if "unknown user" in told:
            return f"there is no account {account!r} on this machine; make it, or name another one"
        line = f"{own} ALL=({account}) NOPASSWD: {_SHELL}"
        return f"account {account!r} cannot be used by {own!r}: {told}; the line `{line}` in a file of /etc/sudoers.d allows it (`visudo -f` checks it)"


def open(params: ConnectionParameters) -> SudoProtocol:  # noqa: A001 - pybatch's name
    """A protocol for another account of this machine; connects when it is used first."""
    return SudoProtocol(params)


def _run(command: list[str], **extra: Any) -> None:
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, **{"stdin": subprocess.DEVNULL, **extra})
    if done.returncode:
        raise failed(command, done.returncode, done.stderr.decode(errors="replace"))


def _pipe(first: list[str], second: list[str]) -> None:
    """The one's output into the other."""
    with subprocess.Popen(first, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            _run(second, stdin=process.stdout)
        finally:
            assert process.stdout is not None
            process.stdout.close()
        assert process.stderr is not None
        told = process.stderr.read().decode(errors="replace")
    if process.returncode:
        raise failed(first, process.returncode, told)
