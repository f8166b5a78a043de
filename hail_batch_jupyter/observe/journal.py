"""The journal of a run: one JSON object a line, first a header, then events in the order of their numbers."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from hail_batch_jupyter.core.events import JobEvent, event_from_json, event_to_json
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import RunLostError

FORMAT = 1
_NOTHING_ENDED = list(JobEvent(0, 0, 0)[8:])
"""What an event says from `exit_code` on when nothing has ended."""
_HEADER = json.dumps({"format": FORMAT, "what": "hail_batch_jupyter journal"}) + "\n"


class JournalWriter:
    """Appends events; what `write` was given is in the file when `flush` returns.

    A failing write raises OSError: a run whose journal cannot be kept must stop.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._lines: list[str] = []
        self.seq = 0
        if os.fstat(self._fd).st_size == 0:
            self._lines.append(_HEADER)
        else:
            self._resume(path)

    def _resume(self, path: Path) -> None:
        reader = JournalReader(path)
        events = reader.read()
        self.seq = events[-1].seq if events else 0
        os.truncate(path, reader.offset)
        if not reader.offset:
            self._lines.append(_HEADER)

    def write(self, event: JobEvent) -> None:
        """Number the event and keep it for the next flush."""
        self.seq += 1
        self._lines.append(_line(self.seq, event))

    @property
    def spent_usd(self) -> float:
        """Dollars of all attempts that have ended, where they are priced."""
        return 0.0

    def flush(self) -> None:
        """Hand all kept lines to the system in one call."""
        if self._lines:
            data = "".join(self._lines).encode()
            self._lines.clear()
            while data:
                data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Flush, force to the disk (5 ms or more) and close."""
        self.flush()
        os.fsync(self._fd)
        os.close(self._fd)


def _line(seq: int, event: JobEvent) -> str:
    """As JSON; the shapes that every job has are put together by hand (1 µs instead of 12)."""
    _, time_ms, job_id, state, attempt, phase, slot, pid, *end = event
    head = f'{{"seq":{seq},"time_ms":{time_ms},"job_id":{job_id}'
    if state is JobState.RUNNING and phase == "main" and end == _NOTHING_ENDED:
        return f'{head},"state":"Running","attempt":{attempt},"phase":"main","slot":{slot},"pid":{pid}}}\n'
    if slot == -1 and not (phase or pid):
        if state is JobState.READY and not attempt and end == _NOTHING_ENDED:
            return f'{head},"state":"Ready"}}\n'
        usage = event.usage
        if state is JobState.SUCCESS and usage and end == [0, *_NOTHING_ENDED[1:4], usage, *_NOTHING_ENDED[5:]]:
            return f'{head},"state":"Success","attempt":{attempt},"exit_code":0,"usage":[{usage[0]},{usage[1]}{",true" if usage[2] else ""}]}}\n'
    return json.dumps({**event_to_json(event), "seq": seq}, separators=(",", ":")) + "\n"


class JournalReader:
    """Reads what was appended since the last call; a half-written last line waits for its rest."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.offset = 0

    def grown(self) -> bool:
        """Whether there may be something new; costs one stat."""
        try:
            return os.stat(self._path).st_size > self.offset
        except FileNotFoundError:
            return False

    def read(self) -> list[JobEvent]:
        """Events of the lines that are complete now."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        lines = data[:end].split(b"\n")[:-1]
        if self.offset == 0 and lines:
            self._check(lines.pop(0))
        self.offset += end
        return [event_from_json(data) for data in json.loads(b"[" + b",".join(lines) + b"]")]

    def _check(self, header: bytes) -> None:
        try:
            version = json.loads(header).get("format")
        except (ValueError, AttributeError):
            version = None
        if version != FORMAT:
            raise RunLostError(f"{self._path} has journal format {version!r}, this version reads {FORMAT}; use the version that wrote it")


def read_events(path: Path) -> Sequence[JobEvent]:
    """All events of a journal."""
    return JournalReader(path).read()
