"""A protocol of the test's own that records calls and gives prepared answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hail_batch_jupyter.cluster import PybatchException


class Recorder:
    """calls: what was asked, in order; answers: program -> what it prints, or the error that it is."""

    def __init__(self, answers: Mapping[str, str | PybatchException] | None = None) -> None:
        self.answers = dict(answers or {})
        self.calls: list[tuple[object, ...]] = []

    def upload(self, local_entries: Iterable[str | Path], remote_path: str) -> None:
        self.calls.append(("upload", [str(entry) for entry in local_entries], remote_path))

    def download(self, remote_entries: Iterable[str], local_path: str | Path) -> None:
        self.calls.append(("download", list(remote_entries), str(local_path)))

    def create(self, remote_path: str, content: str) -> None:
        self.calls.append(("create", remote_path, content))

    def read(self, remote_path: str) -> str:
        self.calls.append(("read", remote_path))
        return ""

    def run(self, command: list[str]) -> str:
        self.calls.append(("run", list(command)))
        answer = self.answers.get(command[0], "")
        if isinstance(answer, PybatchException):
            raise answer
        return answer

    def commands(self, program: str) -> list[list[str]]:
        """The argument vectors of the calls of one program."""
        return [call[1] for call in self.calls if call[0] == "run" and isinstance(call[1], list) and call[1][0] == program]
