"""A second private Slurm, as a larger site has it: a node that enforces memory, and accounting in MariaDB by slurmdbd.

Use it as `from tests.slurm_accounting import slurm_accounting  # noqa: F401 - a fixture`; tests that take it carry
`@pytest.mark.requires("slurm accounting")`.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import free_port, wait_until
from tests.requirements import COMPONENTS
from tests.slurm_cluster import SBIN, START_S, SlurmCluster, end_process, start, start_munge, started, stop

INIT = """\
CREATE DATABASE slurm_acct_db;
CREATE USER 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';
GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';
"""
DBD = """\
AuthType=auth/munge
AuthInfo=socket={root}/munge/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
PidFile={root}/run/slurmdbd.pid
LogFile={root}/log/slurmdbd.log
CommunicationParameters=NoInAddrAny
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={root}/munge/munge.socket
AccountingStorageEnforce=associations,limits,qos
AccountingStoreFlags=job_comment,job_env,job_script
"""
CGROUP = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainRAMSpace=yes
"""


@pytest.fixture(scope="module")
def slurm_accounting() -> Iterator[SlurmCluster]:
    """One for the tests of a module, and $SLURM_CONF pointing to it meanwhile."""
    with accounted() as cluster:
        yield cluster


@contextmanager
def accounted(nodes: int = 1) -> Iterator[SlurmCluster]:
    """Such a Slurm; the account 'lab' is the user's, with five jobs at once in qos 'few'."""
    root = Path(tempfile.mkdtemp(prefix="hbj-slurmdbd-"))
    root.chmod(0o755)
    database: subprocess.Popen[bytes] | None = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{os.environ['PATH']}:{SBIN}")
        patch.setenv("SLURM_CONF", str(root / "etc" / "slurm.conf"))
        try:
            for name in ("etc", "run", "log", "munge", "db"):
                (root / name).mkdir()
            database, port = _database(root)
            dbd_port = _slurmdbd(root, port)
            yield _with_accounts(_cluster(root, dbd_port, nodes))
        finally:
            stop(root)
            end_process(_pid(root / "run" / "slurmdbd.pid"))
            if database is not None:
                database.terminate()
                database.wait(START_S)
            shutil.rmtree(root, ignore_errors=True)


def _pid(file: Path) -> int:
    return int(text) if file.exists() and (text := file.read_text().strip()).isdigit() else 0


def _database(root: Path) -> tuple[subprocess.Popen[bytes], int]:
    """MariaDB with its data below `root`, and its port."""
    folder, port = root / "db", free_port()
    shutil.chown(folder, "mysql", "mysql")
    install = ["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={folder}/data", "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(install, check=True, capture_output=True, timeout=180)
    (folder / "init.sql").write_text(INIT)
    options = [f"--datadir={folder}/data", f"--socket={folder}/m.sock", f"--port={port}", f"--pid-file={folder}/m.pid", f"--init-file={folder}/init.sql"]
    tuning = ["--innodb-buffer-pool-size=128M", "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"]
    with (root / "log" / "mariadb.log").open("wb") as log:
        argv = ["mariadbd", "--no-defaults", "--user=mysql", "--bind-address=127.0.0.1", *options, *tuning]
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    ask = ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{port}", "-uslurm", "-pslurm", "slurm_acct_db", "-e", "select 1"]
    wait_until(lambda: subprocess.run(ask, capture_output=True, check=False).returncode == 0, START_S, (root / "log" / "mariadb.log").read_text)
    return process, port


def _slurmdbd(root: Path, database_port: int) -> int:
    """The daemon, and its port."""
    start_munge(root / "munge")
    port = free_port()
    conf = root / "etc" / "slurmdbd.conf"
    conf.write_text(DBD.format(root=root, port=port, user=getpass.getuser(), database_port=database_port))
    conf.chmod(0o600)
    (root / "etc" / "slurm.conf").touch()
    start("slurmdbd")
    wait_until(lambda: _listens(port), START_S, (root / "log" / "slurmdbd.log").read_text)
    return port


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _cluster(root: Path, port: int, nodes: int) -> SlurmCluster:
    settings = {"accounting": ACCOUNTING.format(root=root, port=port), "min_job_age": "3"}
    if COMPONENTS["memory control group"].find():
        (root / "etc" / "cgroup.conf").write_text(CGROUP)
        settings |= {"proctrack": "proctrack/cgroup", "task": "task/cgroup"}
    return started(root, nodes, **settings)


def _with_accounts(cluster: SlurmCluster) -> SlurmCluster:
    user = getpass.getuser()
    wait_until(lambda: "ci" in cluster.run("sacctmgr", "-nP", "show", "cluster", "format=Cluster"), START_S)
    for words in (["qos", "few", "set", "MaxSubmitJobsPerUser=5"], ["account", "lab", "qos=normal,few"], ["user", user, "account=lab", "defaultaccount=lab"]):
        cluster.run("sacctmgr", "-i", "add", *words)
    cluster.run("sacctmgr", "-i", "modify", "user", user, "set", "qos=normal,few", "defaultqos=normal")
    wait_until(lambda: "few" in cluster.run("scontrol", "show", "assoc_mgr", "flags=qos"), START_S)
    return cluster
