"""What protocols that keep a remote shell have in common: commands, and small text files."""

from __future__ import annotations

from typing import Any

from hail_batch_jupyter.cluster.parameter import ConnectionParameters
from hail_batch_jupyter.cluster.shell import NO_FILE, Done, RemoteShell, Shells, Stream, quoted, reading, writing
from hail_batch_jupyter.cluster.tools import failed
from hail_batch_jupyter.errors import ClusterError


class ShelledProtocol:
    """One connection with a shell that stays open; safe to use from several threads, and picklable without its password."""

    def __init__(self, params: ConnectionParameters, *, accept_unknown_hosts: bool = False, config_file: str | None = None) -> None:
        self.params = params
        self.accept_unknown_hosts = accept_unknown_hosts
        self.config_file = config_file
        self._begin()

    def _begin(self) -> None:
        self._shells = Shells(self._shell)

    def _shell(self) -> RemoteShell:
        raise NotImplementedError

    def run(self, command: list[str]) -> str:
        """What a command prints; every argument arrives as it is.

        Raises ClusterError with exit code and stderr when it fails, and when the connection is lost; then nobody knows whether it ran.
        """
        return self._done(quoted(list(command)), list(command)).stdout.decode(errors="replace")

    def converse(self, command: list[str]) -> Stream:
        """Run a command and talk with it; nothing is written to it before it has said something. It ends with the stream. Raises ClusterError."""
        shell = self._shell()
        try:
            return shell.become(list(command))
        except OSError as error:
            raise ClusterError(f"the connection to {self.params.host} was lost: {error}") from error

    def create(self, remote_path: str, content: str) -> None:
        """Write a text file there."""
        if "\0" in content:
            raise ClusterError(f"{remote_path!r}: text with a NUL character cannot be written; upload a file.")
        self._done(writing(remote_path, content), ["create", remote_path])

    def read(self, remote_path: str) -> str:
        """The text of a file there, with a replacement character for each byte that is no UTF-8."""
        return self._done(reading(remote_path), ["read", remote_path]).stdout.decode(errors="replace")

    def _done(self, script: str, told: list[str]) -> Done:
        done = self._shells.run(script)
        if done.exit_code:
            error = failed(told, done.exit_code, done.stderr.decode(errors="replace"), self.params.host)
            raise error from (FileNotFoundError(told[-1]) if done.exit_code == NO_FILE and told[0] == "read" else None)
        return done

    def close(self) -> None:
        """End the connection; the next command opens it again."""
        self._shells.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"version": 1, **self.record()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.restore(state)

    def record(self) -> dict[str, Any]:
        """What is needed to connect again, without the password."""
        values = {"host": self.params.host, "user": self.params.user, "gss_auth": self.params.gss_auth, "had_password": self.params.password is not None}
        return {**values, "accept_unknown_hosts": self.accept_unknown_hosts, "config_file": self.config_file}

    def restore(self, record: dict[str, Any]) -> None:
        """Become what `record` told, not yet connected."""
        self.params = ConnectionParameters(record["host"], record["user"], None, record["gss_auth"])
        self.accept_unknown_hosts = bool(record["accept_unknown_hosts"])
        self.config_file = record["config_file"]
        self.lost_password = bool(record["had_password"])
        self._begin()

    lost_password = False
    """Whether this came from a pickle or dump of a connection with a password."""
