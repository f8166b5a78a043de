"""A private sshd on the loopback interface, stopped by its process id.

Tests that take it carry `@pytest.mark.requires("sshd")`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from tests.cluster.connections import connected
from tests.conftest import free_port, wait_until
from tests.slurm_cluster import HIDE_START_FILES, end_process

SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host_key
PidFile {root}/sshd.pid
AuthorizedKeysFile {root}/id.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200:30:400
MaxSessions 200
UseDNS no
PrintMotd no
Banner {root}/banner
Subsystem sftp internal-sftp
"""

CLIENT = """\
Host gate node
  UserKnownHostsFile {root}/known_hosts
Host unknown
  UserKnownHostsFile {root}/nobody_known
Host behind
  UserKnownHostsFile {root}/known_hosts
  ProxyJump gate
Host stranger
  IdentityFile {root}/other_id
  UserKnownHostsFile {root}/known_hosts
Host *
  HostName 127.0.0.1
  Port {port}
  User root
  IdentityFile {root}/id
  IdentitiesOnly yes
  GlobalKnownHostsFile /dev/null
"""


HIDING = f"""\
mount -t tmpfs none "$0" || exit
{HIDE_START_FILES}"""
"""Who logs in sees an empty folder in place of another one, and the start files of whoever runs the tests are not read."""


class SshServer(NamedTuple):
    """A running sshd on loopback that takes root by a key.

    config  a client's configuration with the hosts node (known), unknown, behind (through gate) and stranger (another key)
    laptop  a folder that who logs in does not see: there an empty one is in its place
    """

    root: Path
    config: Path
    port: int
    laptop: Path

    def sessions(self) -> list[int]:
        """Processes of the server that serve somebody."""
        server = int((self.root / "sshd.pid").read_text())
        return [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


@pytest.fixture(scope="session")
def sshd() -> Iterator[SshServer]:
    """One sshd for the whole session."""
    root = Path(tempfile.mkdtemp(prefix="hbj-sshd-"))
    try:
        yield _started(root)
    finally:
        pid = root / "sshd.pid"
        end_process(int(pid.read_text()) if pid.exists() else 0)
        shutil.rmtree(root, ignore_errors=True)


def _started(root: Path) -> SshServer:
    port = free_port()
    root.chmod(0o711)  # sshd looks for the key of an account with the rights of that account
    for name in ("host_key", "id", "other_id"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)  # its empty directory; Debian's service makes it
    key = " ".join((root / "host_key.pub").read_text().split()[:2])
    (root / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
    (root / "banner").write_text("Authorized use only\n")
    (root / "sshd_config").write_text(SERVER.format(root=root, port=port))
    (root / "ssh_config").write_text(CLIENT.format(root=root, port=port))
    server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    (root / "laptop").mkdir()
    hide = ["unshare", "--mount", "sh", "-c", HIDING, str(root / "laptop")]
    subprocess.run([*hide, str(server), "-f", str(root / "sshd_config"), "-E", str(root / "sshd.log")], check=True, stdin=subprocess.DEVNULL)
    wait_until(lambda: (root / "sshd.pid").exists() and (root / "sshd.pid").read_text().strip(), story=(root / "sshd.log").read_text)
    return SshServer(root, root / "ssh_config", port, root / "laptop")


@pytest.fixture(scope="session")
def ssh_connection(sshd: SshServer) -> Iterator[ShelledProtocol]:
    """A connection by the ssh program that the tests share."""
    with connected("ssh", sshd.config) as protocol:
        yield protocol


@pytest.fixture(scope="session")
def paramiko_connection(sshd: SshServer) -> Iterator[ShelledProtocol]:
    """A connection by paramiko that the tests share."""
    with connected("paramiko", sshd.config) as protocol:
        yield protocol
