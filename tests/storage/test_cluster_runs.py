"""Batches of a cluster behind ssh whose inputs and outputs lie in an object store that the cluster reaches."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import hail_batch_jupyter as hb
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.errors import CapabilityError, SubmitError
from hail_batch_jupyter.storage.router import file_system
from tests.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.requires("slurm", "sshd", "fake-gcs-server")


@pytest.fixture
def backend(ssh_connection: ShelledProtocol, slurm: SlurmCluster, gcs_url: str, tmp_path: Path) -> hb.SlurmBackend:
    """Its login shell, and not this process, says where the store is."""
    setup = f"{slurm.login} STORAGE_EMULATOR_HOST={gcs_url}"
    return hb.SlurmBackend(ssh_connection, tmp_path / "work", login_setup=setup, python=sys.executable)


def test_the_runner_there_copies_inputs_and_outputs_of_stores(backend: hb.SlurmBackend, bucket: str) -> None:
    files = file_system(bucket)
    for name, data in {"in.txt": b"one", "folder/a": b"A", "folder/deep/b": b"B"}.items():
        files.write(f"{bucket}/{name}", data)

    def described() -> hb.Batch:
        b = hb.Batch(name="far", backend=backend)
        single, folder = b.read_input(f"{bucket}/in.txt"), b.read_input(f"{bucket}/folder/")
        j = b.new_job(name="read")
        j.command(f"cat {single} {folder}/a {folder}/deep/b > {j.all}")
        b.write_output(j.all, f"{bucket}/out/all")
        b.write_output(single, f"{bucket}/out/straight")
        return b

    described().run()

    assert files.read(f"{bucket}/out/all") == b"oneAB"
    assert files.read(f"{bucket}/out/straight") == b"one"


def test_an_input_that_is_not_in_the_store_starts_nothing(backend: hb.SlurmBackend, bucket: str, tmp_path: Path) -> None:
    b = hb.Batch(backend=backend)
    b.new_job(name="read").command(f"cat {b.read_input(f'{bucket}/none')}")

    with pytest.raises(SubmitError, match=f"job 'read' reads '{bucket}/none', which does not exist"):
        b.run()
    assert [path.name for path in (tmp_path / "work").iterdir()] == [".hbj"]


@pytest.mark.parametrize(
    ("uri", "words"), [("gs://b/x", "the batch names 'gs://b/x', and no Python on node has google-cloud-storage"), ("hbj://me/x", "not reached")]
)
def test_a_cluster_without_the_library_says_so_when_a_batch_is_submitted(backend: hb.SlurmBackend, tmp_path: Path, uri: str, words: str) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("bash", "sh", "mkdir", "mv", "cat", "rm"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    for name in ("sbatch", "squeue", "scancel", "scontrol"):
        (tmp_path / "bin" / name).symlink_to("/bin/false")
    bare = hb.SlurmBackend(backend.protocol, tmp_path / "work", login_setup=f"export PATH={tmp_path / 'bin'}", python="/usr/bin/python3")
    b = hb.Batch(backend=bare)
    j = b.new_job()
    j.command(f"echo > {j.x}")
    b.write_output(j.x, uri)

    with pytest.raises(CapabilityError, match=words):
        b.run()
