"""A machine behind ssh, by the package paramiko: the way for passwords; `pip install 'hail-batch-jupyter[ssh]'`."""

from __future__ import annotations

import inspect
import os
import posixpath
import re
import select
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from hail_batch_jupyter.cluster.parameter import ConnectionParameters
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.cluster.shell import RemoteShell
from hail_batch_jupyter.errors import ClusterError, MissingPackageError

if TYPE_CHECKING:
    import paramiko

BLOCK = 1 << 16
CONFIG = "~/.ssh/config"
TIMEOUT_S = 30.0
_LOOK_S = 0.25
"""So often is looked for what came without waking who waits: paramiko sets and clears the sign of two streams without a lock."""
MOST_JUMPS = 8


class ParamikoProtocol(ShelledProtocol):
    """One connection by paramiko, opened at construction: by password, key or agent, with aliases and jump hosts of ~/.ssh/config.

    accept_unknown_hosts  believe a host that is not in known_hosts; one whose key changed is refused all the same
    config_file           instead of ~/.ssh/config

    Raises ClusterError when it cannot connect, MissingPackageError without paramiko.
    """

    kind = "paramiko"

    def __init__(self, params: ConnectionParameters, *, accept_unknown_hosts: bool = False, config_file: str | None = None) -> None:
        super().__init__(params, accept_unknown_hosts=accept_unknown_hosts, config_file=config_file)
        self._connected()

    def _begin(self) -> None:
        super()._begin()
        self._lock = threading.Lock()
        self._clients: list[paramiko.SSHClient] = []
        self._sftp: paramiko.SFTPClient | None = None

    def _connected(self) -> paramiko.SSHClient:
        """The connection, made where there is none."""
        with self._lock:
            if not self._clients or not _alive(self._clients[-1]):
                self._drop()
                package = load_paramiko()
                try:
                    self._clients = Way(package, self.accept_unknown_hosts, self.config_file).connect(Hop(self.params))
                except (package.SSHException, OSError, EOFError, ValueError) as error:
                    raise self._refusal(error) from error
            return self._clients[-1]

    def _refusal(self, error: Exception) -> ClusterError:
        hint = ""
        if "not found in known_hosts" in str(error):
            hint = "\n  Log in once by `ssh` to look at the host's key and accept it, or pass accept_unknown_hosts=True."
        if self.lost_password:
            hint += "\n  Passwords are not kept in pickles and dumps: set job.protocol = ParamikoProtocol(ConnectionParameters(host, user, password))."
        return ClusterError(f"Failed to open ssh connection to {self.params.host}.\n  {type(error).__name__}: {error}{hint}")

    def _shell(self) -> RemoteShell:
        transport = self._connected().get_transport()
        assert transport is not None
        try:
            channel = transport.open_session(timeout=TIMEOUT_S)
            channel.exec_command("exec /bin/sh")
        except (load_paramiko().SSHException, EOFError, OSError) as error:
            raise self._refusal(error) from error
        return RemoteShell(ChannelStream(channel))

    def upload(self, local_entries: Iterable[Union[str, Path]], remote_path: str) -> None:
        """Copy files and directories there by SFTP."""
        for entry in map(Path, local_entries):
            if not entry.exists():
                raise ClusterError(f"{str(entry)!r} is neither a file, nor a directory.")
            self._transfer(lambda sftp, entry=entry: put(sftp, entry, remote_path), str(entry))

    def download(self, remote_entries: Iterable[str], local_path: Union[str, Path]) -> None:
        """Copy files and directories from there by SFTP."""
        for entry in remote_entries:
            self._transfer(lambda sftp, entry=entry: fetch(sftp, entry, Path(local_path)), entry)

    def _transfer(self, move: Any, told: str) -> None:
        client = self._connected()
        with self._lock:
            try:
                if self._sftp is None:
                    self._sftp = client.open_sftp()
                move(self._sftp)
            except (load_paramiko().SSHException, OSError, EOFError) as error:
                raise ClusterError(f"{told!r} could not be copied to or from {self.params.host}: {error}", stderr=str(error)) from error

    def _drop(self) -> None:
        """Close what is open; the last client first, those that it came through after it."""
        self._shells.close()
        for client in reversed(self._clients):
            client.close()
        self._clients, self._sftp = [], None

    def close(self) -> None:
        """End the connection; the next command opens it again."""
        with self._lock:
            self._drop()


def open(params: ConnectionParameters, *, accept_unknown_hosts: bool = False, config_file: str | None = None) -> ParamikoProtocol:  # noqa: A001 - pybatch's name
    """A protocol by paramiko, connected."""
    return ParamikoProtocol(params, accept_unknown_hosts=accept_unknown_hosts, config_file=config_file)


def load_paramiko() -> Any:
    """The package, where it is installed."""
    try:
        import paramiko
    except ImportError as error:
        raise MissingPackageError("ParamikoProtocol needs paramiko: pip install 'hail-batch-jupyter[ssh]'; SshProtocol needs the ssh program only.") from error
    return paramiko


class Hop(NamedTuple):
    """Where to log in, a port that the way there names (0: that of the configuration)."""

    params: ConnectionParameters
    port: int = 0


class Way:
    """How to connect: what the configuration says of each host, and whether unknown ones are believed."""

    def __init__(self, package: Any, accept: bool, config_file: str | None) -> None:
        self._package = package
        self._accept = accept
        file = os.path.expanduser(config_file or CONFIG)
        self._config = package.SSHConfig.from_path(file) if os.path.exists(file) else package.SSHConfig()

    def connect(self, hop: Hop, sock: Any = None, depth: int = 0) -> list[paramiko.SSHClient]:
        """Clients of the hosts on the way and, last, of the host itself; with a socket that leads there only the last."""
        if depth > MOST_JUMPS:
            raise ClusterError(f"host {hop.params.host!r}: the jump hosts of the configuration lead in a circle; look at its ProxyJump lines.")
        found = self._config.lookup(hop.params.host)
        clients: list[paramiko.SSHClient] = []
        try:
            if sock is None:
                for jump in jumps(found.get("proxyjump", "none")):
                    clients += self.connect(jump, self._through(clients, jump), depth + 1)
                command = found.get("proxycommand", "none")
                sock = self._package.ProxyCommand(command) if not clients and command != "none" else self._through(clients, hop)
            clients.append(self._client(hop, found, sock))
        except BaseException:
            for client in reversed(clients):
                client.close()
            raise
        return clients

    def _address(self, hop: Hop) -> tuple[str, int]:
        found = self._config.lookup(hop.params.host)
        return found.get("hostname", hop.params.host), hop.port or int(found.get("port", 22))

    def _through(self, clients: list[paramiko.SSHClient], hop: Hop) -> Any:
        """A channel to the hop from the host reached last; None from here."""
        transport = clients[-1].get_transport() if clients else None
        return transport.open_channel("direct-tcpip", self._address(hop), ("127.0.0.1", 0), timeout=TIMEOUT_S) if transport else None

    def _client(self, hop: Hop, found: Any, sock: Any) -> paramiko.SSHClient:
        client: paramiko.SSHClient = self._package.SSHClient()
        client.load_system_host_keys()
        for file in found.get("userknownhostsfile", "").split():
            if os.path.exists(os.path.expanduser(file)):
                client.load_system_host_keys(os.path.expanduser(file))
        client.set_missing_host_key_policy(self._package.AutoAddPolicy() if self._accept else self._package.RejectPolicy())
        host, port = self._address(hop)
        keys = [os.path.expanduser(file) for file in found.get("identityfile", [])]
        existing: Any = [file for file in keys if os.path.exists(file)] or None  # paramiko takes a list, its stubs do not
        only = found.get("identitiesonly", "no") == "yes"
        try:
            client.connect(
                host,
                port,
                hop.params.user or found.get("user"),
                hop.params.password,
                key_filename=existing,
                allow_agent=not only,
                look_for_keys=not only,
                sock=sock,
                timeout=TIMEOUT_S,
                **self._kerberos(hop.params),
            )
        except BaseException:
            client.close()
            raise
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(15)
        return client

    def _kerberos(self, params: ConnectionParameters) -> dict[str, Any]:
        if not params.gss_auth:
            return {}
        if "gss_auth" not in inspect.signature(self._package.SSHClient.connect).parameters:
            version = self._package.__version__
            raise ClusterError(f"gss_auth: paramiko {version} has no Kerberos; use SshProtocol, which has it through the ssh program, or install 'paramiko<5'.")
        return {"gss_auth": True}


def jumps(text: str) -> list[Hop]:
    """The hosts of a ProxyJump line, such as 'me@gate:2222,inner'; 'none' is none."""
    hops = []
    for word in [] if text == "none" else text.split(","):
        user, _, place = word.strip().rpartition("@")
        found = re.fullmatch(r"\[?([^\]]*?)\]?(?::(\d+))?", place)
        host, port = (found[1], found[2]) if found else (place, None)
        hops.append(Hop(ConnectionParameters(host, user or None), int(port or 0)))
    return hops


def _alive(client: paramiko.SSHClient) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()


class ChannelStream:
    """A session channel of paramiko."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        channel.settimeout(TIMEOUT_S)

    def write(self, data: bytes) -> None:
        """All of it."""
        self._channel.sendall(data)

    def receive(self, timeout_s: float | None) -> tuple[bytes, bytes]:
        """What came on (stdout, stderr)."""
        channel = self._channel
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._has_news():
            left_s = _LOOK_S if deadline is None else min(_LOOK_S, deadline - time.monotonic())
            if left_s <= 0:
                raise TimeoutError(f"nothing came for {timeout_s} s")
            select.select([channel], [], [], left_s)
        out = channel.recv(BLOCK) if channel.recv_ready() else b""
        err = channel.recv_stderr(BLOCK) if channel.recv_stderr_ready() else b""
        if not out and not err and (channel.closed or channel.eof_received):
            raise EOFError("the channel ended")
        return out, err

    def _has_news(self) -> bool:
        channel = self._channel
        return bool(channel.recv_ready() or channel.recv_stderr_ready() or channel.closed or channel.eof_received)

    def close(self) -> None:
        """End the channel."""
        self._channel.close()


def put(sftp: paramiko.SFTPClient, source: Path, dest: str) -> None:
    """Copy a file to a path or into a directory, or a directory with all below it into a directory."""
    target = posixpath.join(dest, source.resolve().name) if source.is_dir() or _is_dir(sftp, dest) else dest
    _put(sftp, source, target)


def _put(sftp: paramiko.SFTPClient, source: Path, target: str) -> None:
    if source.is_dir():
        if not _is_dir(sftp, target):
            sftp.mkdir(target)
        for entry in source.iterdir():
            _put(sftp, entry, posixpath.join(target, entry.name))
    else:
        sftp.put(str(source), target)
        sftp.chmod(target, stat.S_IMODE(source.stat().st_mode))


def fetch(sftp: paramiko.SFTPClient, source: str, dest: Path) -> None:
    """Copy a file to a path or into a directory, or a directory with all below it into a directory."""
    sftp.stat(source)  # a missing one is told before a file is made here
    name = posixpath.basename(sftp.normalize(source))
    _fetch(sftp, source, dest / name if _is_dir(sftp, source) or dest.is_dir() else dest)


def _fetch(sftp: paramiko.SFTPClient, source: str, target: Path) -> None:
    if _is_dir(sftp, source):
        target.mkdir(exist_ok=True)
        for name in sftp.listdir(source):
            _fetch(sftp, posixpath.join(source, name), target / name)
    else:
        sftp.get(source, str(target))
        target.chmod(stat.S_IMODE(sftp.stat(source).st_mode or 0o644))


def _is_dir(sftp: paramiko.SFTPClient, path: str) -> bool:
    try:
        return stat.S_ISDIR(sftp.stat(path).st_mode or 0)
    except FileNotFoundError:
        return False
