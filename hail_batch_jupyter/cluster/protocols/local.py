"""Files and commands of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Optional, Union

from hail_batch_jupyter.cluster.parameter import ConnectionParameters
from hail_batch_jupyter.cluster.shell import Stream
from hail_batch_jupyter.cluster.tools import run_check
from hail_batch_jupyter.errors import ClusterError

Entry = Union[str, Path]


class LocalProtocol:
    """This machine; the parameters are not looked at."""

    def __init__(self, params: Optional[ConnectionParameters] = None) -> None:
        self.params = params

    def upload(self, local_entries: Iterable[Entry], remote_path: str) -> None:
        """Copy files and directories."""
        for entry in local_entries:
            copy(entry, remote_path)

    def download(self, remote_entries: Iterable[str], local_path: Entry) -> None:
        """Copy files and directories."""
        for entry in remote_entries:
            copy(entry, local_path)

    def create(self, remote_path: str, content: str) -> None:
        """Write a text file; raises OSError."""
        Path(remote_path).write_bytes(content.encode())

    def read(self, remote_path: str) -> str:
        """The text of a file, with a replacement character for each byte that is no UTF-8; raises OSError."""
        return Path(remote_path).read_bytes().decode(errors="replace")

    def run(self, command: list[str]) -> str:
        """What a command prints; raises ClusterError when it fails or is not there."""
        return str(run_check(list(command)).stdout)

    def converse(self, command: list[str]) -> Stream:
        """Run a command and talk with it; it ends with the stream. Raises OSError."""
        from hail_batch_jupyter.cluster.protocols.ssh import PipeStream

        return PipeStream(list(command))


def open(params: Optional[ConnectionParameters] = None) -> LocalProtocol:  # noqa: A001 - pybatch's name
    """A protocol of this machine."""
    return LocalProtocol(params)


def copy(src: Entry, dest: Entry) -> None:
    """Copy a file to a path or into a directory, or a directory with all below it into a directory.

    Raises ClusterError when there is no such source.
    """
    source, target = Path(src), Path(dest)
    if source.is_dir():
        shutil.copytree(source, target / source.resolve().name, dirs_exist_ok=True, symlinks=True)
    elif source.is_file():
        shutil.copy2(source, target)
    else:
        raise ClusterError(f"{str(src)!r} is neither a file, nor a directory.")
