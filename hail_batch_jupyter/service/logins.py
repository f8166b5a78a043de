"""Under which account of the machine, or of the cluster, the jobs of a user run, and how the service becomes that account."""

from __future__ import annotations

import os
import pwd
import re
from typing import Any, NamedTuple

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.parameter import ConnectionParameters
from hail_batch_jupyter.cluster.protocols.ssh import SshProtocol
from hail_batch_jupyter.cluster.protocols.sudo import SudoProtocol
from hail_batch_jupyter.errors import ClusterError, ConfigError

SUDO = "sudo"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_ROOT = "root"
_FOR_NAME = "%u"


class Logins(NamedTuple):
    """The way to the accounts.

    way        'sudo', or the host to which the service logs in by ssh as each of them
    directory  folder for the runs of an account, with %u for its name; '' for one in its home directory
    setup      lines of shell before a runner is started
    """

    way: str
    directory: str = ""
    setup: str = ""

    @classmethod
    def of(cls, options: dict[str, Any]) -> Logins | None:
        """Taken out of the options for Slurm; None where all jobs have the account of the service. Raises ConfigError for what cannot be."""
        way, directory, setup = (options.pop(name, None) for name in ("logins", "login_directory", "login_setup"))
        if way is None:
            given = next((f"--{name}" for name, value in (("login-directory", directory), ("login-setup", setup)) if value is not None), None)
            if given:
                raise ConfigError(f"{given} is about the accounts of users; add --logins sudo, or --logins HOST, or leave it out")
            return None
        if way.startswith("-") or not way:
            raise ConfigError(f"--logins {way!r} is neither sudo nor the name of a host")
        if directory is not None and _FOR_NAME not in directory:
            raise ConfigError(f"--login-directory {directory!r} is the same for all accounts; write %u where the name of each stands, such as /work/%u/batch")
        return cls(way, directory or "", setup or "")

    def words(self) -> str:
        """As in 'on Slurm, WORDS'."""
        return f"other users under their own accounts by {'sudo' if self.way == SUDO else f'ssh to {self.way}'}"

    def protocol(self, login: str) -> GenericProtocol:
        """What reaches an account."""
        return SudoProtocol(ConnectionParameters(user=login)) if self.way == SUDO else SshProtocol(ConnectionParameters(self.way, login))

    def directory_of(self, login: str) -> str:
        """The folder for the runs of an account, '' for one in its home directory."""
        return self.directory.replace(_FOR_NAME, login)

    def problem(self, login: str, other: str) -> str:
        """Why no jobs run under an account, '' where they may; `other` is another user who has it, '' for nobody. Nothing is asked over a network."""
        remedy = "an administrator names another one with `serve user login NAME ACCOUNT`"
        if not _NAME.fullmatch(login):
            return f"{login!r} is no name of an account; {remedy}"
        own = pwd.getpwuid(os.geteuid())
        facts = _facts(login) if self.way == SUDO else None
        if login == _ROOT or (facts is not None and not facts.pw_uid):
            return f"jobs of a user never run as {login!r}, which may read everything; {remedy}"
        if login == own.pw_name or (facts is not None and facts.pw_uid == own.pw_uid):
            return f"account {login!r} is the service's own, which may read the files of all users; {remedy}"
        if self.way == SUDO and facts is None:
            return f"there is no account {login!r} on this machine; make it, or {remedy}"
        return f"account {login!r} is that of the user {other!r}, and jobs of both would read each other's files; {remedy}" if other else ""

    def check(self, login: str, other: str) -> None:
        """Become the account once; raises ConfigError with what to do where that cannot be, as `problem` says or sudo and ssh do."""
        problem = self.problem(login, other)
        if problem:
            raise ConfigError(problem)
        protocol = self.protocol(login)
        try:
            protocol.run(["true"])
        except (ClusterError, OSError) as error:
            raise ConfigError(" ".join(str(error).split())) from error
        finally:
            protocol.close()  # type: ignore[attr-defined]  # both have a connection


def _facts(login: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(login)
    except KeyError:
        return None
