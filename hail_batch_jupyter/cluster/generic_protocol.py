"""What every way to a machine can do; any object with these methods is one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, Union


class GenericProtocol(Protocol):
    """Files and commands on one machine; text is UTF-8.

    Directories are copied with all below them under their own name into the destination; a file goes into an existing directory or to the exact new name.
    Existing files are overwritten; an empty iterable does nothing.
    """

    def upload(self, local_entries: Iterable[Union[str, Path]], remote_path: str) -> None:
        """Copy files and directories of this machine to the other."""

    def download(self, remote_entries: Iterable[str], local_path: Union[str, Path]) -> None:
        """Copy files and directories of the other machine to this one."""

    def create(self, remote_path: str, content: str) -> None:
        """Write a text file there."""

    def read(self, remote_path: str) -> str:
        """The text of a file there."""

    def run(self, command: list[str]) -> str:
        """What a command prints when it has ended; arguments arrive as they are.

        Raises ClusterError with its exit code and stderr when it fails.
        """
