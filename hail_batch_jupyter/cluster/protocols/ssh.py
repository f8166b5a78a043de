"""A machine behind the `ssh` program, with all that its configuration says: keys, agents, Kerberos, jump hosts."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Union

from hail_batch_jupyter.cluster.parameter import ConnectionParameters
from hail_batch_jupyter.cluster.protocols.login import logged_in, login_socket
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.cluster.shell import LAST_WORDS_S, RemoteShell
from hail_batch_jupyter.cluster.tools import run_check
from hail_batch_jupyter.errors import ClusterError

BLOCK = 1 << 16


class SshProtocol(ShelledProtocol):
    """One connection by `ssh`, opened by the first command and shared by all; `scp` goes through it too.

    accept_unknown_hosts  believe a host that is not in known_hosts, and remember it; one whose key changed is refused all the same
    config_file           instead of ~/.ssh/config

    Raises ClusterError for parameters with a password: `ssh` takes none from a program.
    """

    kind = "ssh"

    def __init__(self, params: ConnectionParameters, *, accept_unknown_hosts: bool = False, config_file: str | None = None) -> None:
        if params.password is not None:
            raise ClusterError("the ssh protocol cannot use a password; use ParamikoProtocol, or a key or an agent (`ssh-copy-id HOST`).")
        super().__init__(params, accept_unknown_hosts=accept_unknown_hosts, config_file=config_file)

    def _begin(self) -> None:
        super()._begin()
        self._sockets = ""
        self._logged_in = False
        self._finalizer: weakref.finalize[[str], SshProtocol] | None = None

    def upload(self, local_entries: Iterable[Union[str, Path]], remote_path: str) -> None:
        """Copy files and directories there by one call of scp."""
        entries = [plain(str(entry)) for entry in local_entries]
        missing = [entry for entry in entries if not os.path.exists(entry)]
        if missing:
            raise ClusterError(f"{missing[0]!r} is neither a file, nor a directory.")
        if entries:
            self._copy([*entries, self._at(remote_path)])

    def download(self, remote_entries: Iterable[str], local_path: Union[str, Path]) -> None:
        """Copy files and directories from there by one call of scp."""
        entries = [self._at(entry, pattern=True) for entry in remote_entries]
        if entries:
            self._copy([*entries, plain(str(local_path))])

    def _copy(self, operands: list[str]) -> None:
        run_check([*scp(), "-q", "-r", *self._options(), "--", *operands], stdin=subprocess.DEVNULL)

    def _at(self, path: str, pattern: bool = False) -> str:
        user = f"{self.params.user}@" if self.params.user else ""
        host = f"[{self.params.host}]" if ":" in self.params.host else self.params.host
        return f"{user}{host}:{remote_operand(path, pattern)}"

    def _options(self) -> list[str]:
        """For ssh and scp alike."""
        options = self._config()
        if self.params.gss_auth:
            options += ["-o", "GSSAPIAuthentication=yes", "-o", "GSSAPIDelegateCredentials=yes"]
        if self.accept_unknown_hosts:
            options += ["-o", "StrictHostKeyChecking=accept-new"]
        if not sys.stdin or not sys.stdin.isatty():
            options += ["-o", "BatchMode=yes"]
        return [*options, "-o", "ServerAliveInterval=15", *self._sharing()]

    def _sharing(self) -> list[str]:
        """How later calls use the first connection; that of the user's own configuration, or one that the user opened, is left as it is."""
        if not self._sockets:
            self._sockets = self._users_sockets() or self._own_sockets()
        if self._sockets == "configured":
            return []
        if self._logged_in:
            return ["-o", "ControlMaster=no", "-o", f"ControlPath={login_socket()}"]
        return ["-o", "ControlMaster=auto", "-o", f"ControlPath={self._sockets}/%C", "-o", "ControlPersist=60"]

    def _config(self) -> list[str]:
        return ["-F", self.config_file] if self.config_file else []

    def _users_sockets(self) -> str:
        told = run_check(["ssh", "-G", *self._config(), *self._target()]).stdout
        return "configured" if re.search(r"^controlpath (?!none$)", told, re.MULTILINE) else ""

    def _own_sockets(self) -> str:
        """A folder of ours; a socket's path may have about 100 characters, so it stands right below /tmp."""
        folder = tempfile.mkdtemp(prefix="hbj-")
        self._finalizer = weakref.finalize(self, hang_up, folder)
        return folder

    def _target(self) -> list[str]:
        if not self.params.host or self.params.host.startswith("-"):
            raise ClusterError(f"host {self.params.host!r}: a name or address is needed, or an alias of ~/.ssh/config.")
        return [*(["-l", self.params.user] if self.params.user else []), self.params.host]

    def _shell(self) -> RemoteShell:
        """A new shell; raises ClusterError with what ssh said."""
        self._logged_in = logged_in(self._config(), self._target())  # since the last time the user may have done so, or it may have expired
        try:
            stream = PipeStream(["ssh", "-T", *self._options(), *self._target(), "exec /bin/sh"])
            return RemoteShell(stream)
        except (ClusterError, OSError) as error:
            told = getattr(error, "stderr", "") or str(error)
            raise ClusterError(f"Failed to open ssh connection to {self.params.host}.\n  {told}{advice(told)}", stderr=told) from error

    def close(self) -> None:
        """End the shells and the connection; the next command opens it again."""
        super().close()
        if self._finalizer is not None:
            self._finalizer()
        self._begin()


def open(params: ConnectionParameters, *, accept_unknown_hosts: bool = False, config_file: str | None = None) -> SshProtocol:  # noqa: A001 - pybatch's name
    """A protocol by the ssh program; connects when it is used first."""
    return SshProtocol(params, accept_unknown_hosts=accept_unknown_hosts, config_file=config_file)


class PipeStream:
    """A process with pipes; the process ends with it."""

    def __init__(self, command: list[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True)
        self._selector = selectors.DefaultSelector()
        self._ended = False
        for number, file in enumerate((self._process.stdout, self._process.stderr)):
            assert file is not None
            self._selector.register(file, selectors.EVENT_READ, number)
        self.close = weakref.finalize(self, _end, self._process, self._selector)

    def write(self, data: bytes) -> None:
        """All of it, although the pipe takes a part at a time."""
        assert self._process.stdin is not None
        rest = memoryview(data)
        while rest:
            rest = rest[self._process.stdin.write(rest) or 0 :]

    def receive(self, timeout_s: float | None) -> tuple[bytes, bytes]:
        """What came on (stdout, stderr); the end of stdout is the end, as others may hold stderr open."""
        if self._ended:
            raise EOFError("the program ended")
        got = self._ready(timeout_s)
        if got is None:
            raise TimeoutError(f"nothing came for {timeout_s} s")
        if not self._selector.get_map() or 0 not in {key.data for key in self._selector.get_map().values()}:
            while more := self._ready(LAST_WORDS_S):
                got = (got[0], got[1] + more[1])
        return got

    def _ready(self, timeout_s: float | None) -> tuple[bytes, bytes] | None:
        """One block of each, None when there is nothing."""
        got = [b"", b""]
        ready = self._selector.select(timeout_s) if self._selector.get_map() else []
        for key, _ in ready:
            got[key.data] = os.read(key.fd, BLOCK)
            if not got[key.data]:
                self._selector.unregister(key.fileobj)
                self._ended |= key.data == 0
        return (got[0], got[1]) if ready else None


def _end(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> None:
    selector.close()
    for file in (process.stdin, process.stdout, process.stderr):
        if file is not None:
            file.close()
    with suppress(PermissionError):  # sudo is not ours to end: its shell ends with its input
        process.terminate()
    process.wait()


def hang_up(folder: str) -> None:
    """End the connections whose sockets are in the folder, and remove it."""
    for socket in Path(folder).glob("*"):
        subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "any"], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 2
    while any(Path(folder).glob("*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    shutil.rmtree(folder, ignore_errors=True)


def advice(told: str) -> str:
    """What to do about what ssh said, where that is known."""
    if "Host key verification failed" in told:
        return "\n  Log in once by `ssh` to look at the host's key and accept it, or pass accept_unknown_hosts=True."
    if "Permission denied" in told:
        words = "\n  Is there a key or an agent for this host? `ssh HOST true` shows what it takes. Where it asks for a password or a code,"
        return f"{words} `hail-batch-jupyter cluster login HOST` on this machine opens a connection that is used then; ParamikoProtocol can use a password."
    return ""


def plain(path: str) -> str:
    """A local path that scp takes neither for an option nor for a host."""
    return path if path.startswith("/") else f"./{path}"


@cache
def scp() -> list[str]:
    """How to call an scp that passes paths as they are (by SFTP), where there is one."""
    version = scp_version()
    return ["scp"] if version >= (9, 0) or version < (8, 7) else ["scp", "-s"]


@cache
def scp_version() -> tuple[int, int]:
    """Of OpenSSH here; (0, 0) when it does not tell."""
    found = re.search(r"OpenSSH\w*_(\d+)\.(\d+)", run_check(["ssh", "-V"]).stderr)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def remote_operand(path: str, pattern: bool) -> str:
    """A path as scp has to get it: quoted for the remote shell by old ones, and with escapes where SFTP would look for a pattern."""
    # A relative path may begin with ~ or hold a colon.
    anchored = path if path.startswith("/") else f"./{path}"
    if scp_version() < (8, 7):
        return shlex.quote(anchored)
    return re.sub(r"([\\*?\[\]])", r"\\\1", anchored) if pattern else anchored
