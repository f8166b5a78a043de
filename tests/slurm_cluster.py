"""A private Slurm of Debian's packages on the loopback interface: controller, nodes and munge of its own, stopped by their process ids.

Tests that take it carry `@pytest.mark.requires("slurm")`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import free_port, wait_until

NODES = 4
CPUS = 8
MEMORY_MB = 16000
START_S = 90.0
STOP_S = 20.0
SBIN = "/usr/sbin:/usr/local/sbin:/sbin"

CONFIG = """\
ClusterName=ci
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={root}/munge/munge.socket
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd-%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd-%n.log
ProctrackType={proctrack}
TaskPlugin={task}
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MinJobAge={min_job_age}
KillWait=2
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=60
MaxArraySize=10001
MaxJobCount=20000
JobCompType=jobcomp/filetxt
JobCompLoc={root}/log/jobcomp.txt
{accounting}
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port={ports} CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=second Nodes=n1 Default=NO MaxTime=60 State=UP
PartitionName=spare Nodes=ALL Default=NO MaxTime=INFINITE State=UP PriorityTier=0
"""


class SlurmCluster(NamedTuple):
    """A running Slurm, with 4 emulated nodes of 8 cores and 16 GB (see `tests.slurm_accounting` for another).

    root  everything it writes; readable by every user of this machine
    conf  its slurm.conf, which commands take from $SLURM_CONF
    """

    root: Path
    conf: Path

    @property
    def login(self) -> str:
        """What a login shell has to say so that Slurm's commands mean this one."""
        return f"export SLURM_CONF={self.conf} PATH=$PATH:{SBIN}"

    def run(self, *command: str) -> str:
        """What a Slurm command prints, within a minute."""
        return subprocess.run(command, env={**os.environ, "SLURM_CONF": str(self.conf)}, check=True, capture_output=True, text=True, timeout=60).stdout


HIDE_START_FILES = """\
for file in ~/.profile ~/.bash_profile ~/.bash_login ~/.bashrc; do
    [ ! -e "$file" ] || mount --bind /dev/null "$file" || exit
done
exec "$@"
"""
"""The start files of whoever runs the tests are not read, whatever they do; for a shell in a mount namespace of its own."""
_WITHOUT_START_FILES = () if os.getuid() else ("unshare", "--mount", "--propagation", "slave", "sh", "-c", HIDE_START_FILES, "sh")
"""Only root can have such a namespace."""


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmCluster]:
    """One Slurm for the whole session, and $SLURM_CONF pointing to it."""
    root = Path(tempfile.mkdtemp(prefix="hbj-slurm-"))
    root.chmod(0o755)  # munged refuses a socket below a folder that others cannot enter
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{os.environ['PATH']}:{SBIN}")
        patch.setenv("SLURM_CONF", str(root / "etc" / "slurm.conf"))
        try:
            yield started(root)
        finally:
            stop(root)
            shutil.rmtree(root, ignore_errors=True)


def started(root: Path, nodes: int = NODES, **settings: str) -> SlurmCluster:
    """A Slurm below `root`, when its nodes are idle; `settings` are those in braces of CONFIG."""
    for name in ("etc", "run", "log", "state", "spool", "munge"):
        (root / name).mkdir(exist_ok=True)
    (root / "log" / "jobcomp.txt").touch()
    conf = root / "etc" / "slurm.conf"
    conf.write_text(_config(root, nodes, settings))
    start_munge(root / "munge")
    start("slurmctld")
    for number in range(1, nodes + 1):
        start(*_WITHOUT_START_FILES, "slurmd", "-N", f"n{number}")
    cluster = SlurmCluster(root, conf)
    wait_until(lambda: _idle(cluster) == nodes, START_S, lambda: _logs(root))
    return cluster


def _idle(cluster: SlurmCluster) -> int:
    """How many nodes are idle; 0 while the controller does not answer yet."""
    try:
        return len(cluster.run("sinfo", "-h", "-p", "main", "-N", "-t", "idle", "-o", "%N").split())
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return 0


DEFAULTS = {"proctrack": "proctrack/linuxproc", "task": "task/none", "accounting": "AccountingStorageType=accounting_storage/none", "min_job_age": "300"}


def _config(root: Path, nodes: int, settings: Mapping[str, str]) -> str:
    host = socket.gethostname().partition(".")[0]
    ports = ",".join(str(free_port()) for _ in range(nodes))
    names = {"root": root, "host": host, "user": pwd.getpwuid(os.getuid()).pw_name, "port": free_port(), "node_port": free_port()}
    return CONFIG.format(nodes=nodes, cpus=CPUS, memory=MEMORY_MB, ports=f"[{ports}]", **names, **{**DEFAULTS, **settings})


def start_munge(folder: Path) -> None:
    """Unless it runs: munged with a key of its own; it wants to be nobody's but its own user's."""
    if (folder / "munge.socket").exists():
        return
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    become = []
    if os.getuid() == 0:
        for path in (folder, key):
            shutil.chown(path, "munge", "munge")
        become = ["setpriv", "--reuid", "munge", "--regid", "munge", "--clear-groups"]
    folder.chmod(0o755)
    files = [f"--{name}={folder}/munge{end}" for name, end in (("key-file", ".key"), ("socket", ".socket"), ("log-file", "d.log"), ("seed-file", "d.seed"))]
    start(*become, shutil.which("munged") or "munged", "--force", f"--pid-file={folder}/munged.pid", *files)


def start(*command: str) -> None:
    """A daemon that has gone to the background when this returns."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=START_S)


def _logs(root: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-2000:]}" for path in sorted((root / "log").glob("*.log")))


def stop(root: Path) -> None:
    """Jobs first, then every daemon that wrote its process id; killed when it does not end."""
    if (root / "run" / "slurmctld.pid").exists():
        subprocess.run(["scancel", "--full", "--user", str(os.getuid())], check=False, capture_output=True, timeout=60)
    files = [*(root / "run").glob("slurmd-*.pid"), root / "run" / "slurmctld.pid", root / "munge" / "munged.pid"]
    for file in files:
        end_process(int(text) if file.exists() and (text := file.read_text().strip()).isdigit() else 0)


def end_process(pid: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if pid and _alive(pid):
            os.kill(pid, number)
            deadline = time.monotonic() + STOP_S / 2
            while _alive(pid) and time.monotonic() < deadline:
                time.sleep(0.02)


def _alive(pid: int) -> bool:
    """A zombie, which nobody may reap on a machine without an init, counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
