"""Count what a live run's widget sends from a real kernel, and what that costs the kernel.

This process plays the browser: it starts a kernel, runs `%batch_run`, says "hello" to the widget and listens.
Arguments: RESULT COUNT WINDOW_S
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

Message = dict[str, Any]  # Jupyter messages are open-ended JSON with binary buffers beside it
REPLY_LIMIT_S = 240.0
SETUP = """
%load_ext hail_batch_jupyter
b = get_ipython().run_line_magic("batch", "widget")
for number in range({count}):
    b.new_job(name=f"job{{number}}").command("true")
"""


@dataclass
class Traffic:
    """The widget's messages in the window: bytes of each (JSON and buffers) and when it was sent (Unix seconds)."""

    model: str = ""
    bundle_bytes: int = 0
    snapshots: list[int] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    complete: bool = False

    def hear(self, message: Message) -> None:
        """Take note of a comm message of our model; others are ignored."""
        content = message["content"]
        data = content.get("data", {})
        if content.get("comm_id") != self.model or data.get("method") != "custom":
            return
        said = data["content"]
        size = len(json.dumps(said).encode()) + sum(len(buffer) for buffer in message.get("buffers", []))
        kinds = {"snapshot": self.snapshots, "changes": self.changes}
        if said.get("kind") in kinds:
            kinds[said["kind"]].append(size)
            self.times_s.append(message["header"]["date"].timestamp())
        clock = said.get("clock") or said.get("run", {}).get("clock", {})
        self.complete = self.complete or bool(clock.get("complete"))

    def most_in_a_second(self) -> int:
        """The largest number of messages in a window of one second, without the snapshot that was asked for.

        The window is 20 ms short, because four messages a second with a thread's jitter are still four a second.
        """
        times_s = self.times_s[1:]
        return max((sum(start <= t < start + 0.98 for t in times_s) for start in times_s), default=0)


def execute(client: BlockingKernelClient, code: str) -> Iterator[Message]:
    """Run a cell and give the iopub messages of the time until it is done.

    Raises ImportError when the cell misses a module, SystemExit for its other errors and when it takes too long.
    """
    asked = client.execute(code)
    deadline_s = time.monotonic() + REPLY_LIMIT_S
    while time.monotonic() < deadline_s:
        try:
            message = client.get_iopub_msg(timeout=1)
        except Empty:
            continue
        ours = message["parent_header"].get("msg_id") == asked
        if ours and message["msg_type"] == "error":
            raise cell_error(message["content"]["ename"], message["content"]["evalue"])
        yield message
        if ours and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return
    raise SystemExit(f"no reply within {REPLY_LIMIT_S:g} s to: {code.strip()}")


def cell_error(name: str, value: str) -> BaseException:
    """What a cell's error means for the measurement: a module that is missing, or a failure."""
    text = f"{name}: {value}"
    return ImportError(text) if name in {"ImportError", "ModuleNotFoundError"} else SystemExit(text)


def say(client: BlockingKernelClient, model: str, content: Message) -> None:
    """Send a custom message to the widget's kernel side, as its JavaScript does."""
    data = {"comm_id": model, "data": {"method": "custom", "content": content}}
    client.shell_channel.send(client.session.msg("comm_msg", data))


def start_run(client: BlockingKernelClient) -> tuple[Traffic, float]:
    """Run `%batch_run`; gives the widget it opened and the milliseconds until the cell was done."""
    traffic = Traffic()
    started_s = time.perf_counter()
    for message in execute(client, "%batch_run"):
        state = message["content"].get("data", {}).get("state", {}) if message["msg_type"] == "comm_open" else {}
        if "_esm" in state:
            traffic.model = message["content"]["comm_id"]
            traffic.bundle_bytes = len(str(state["_esm"]).encode()) + len(str(state.get("_css", "")).encode())
    if not traffic.model:
        raise ImportError("%batch_run opened no widget")
    return traffic, (time.perf_counter() - started_s) * 1000


def cpu_s(pid: int) -> float:
    """Processor seconds, user and system, that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listen(client: BlockingKernelClient, traffic: Traffic, window_s: float) -> float:
    """Hear the widget until the run is complete or the window over; gives the seconds listened."""
    started_s = time.monotonic()
    while not traffic.complete and time.monotonic() - started_s < window_s:
        try:
            message = client.get_iopub_msg(timeout=0.2)
        except Empty:
            continue
        if message["msg_type"] == "comm_msg":
            traffic.hear(message)
    return time.monotonic() - started_s


def measure(client: BlockingKernelClient, pid: int, count: int, window_s: float) -> dict[str, float]:
    """One run of `count` no-op jobs with a visible widget; the sample."""
    for _ in execute(client, SETUP.format(count=count)):
        pass
    traffic, batch_run_ms = start_run(client)
    used_s = cpu_s(pid)
    say(client, traffic.model, {"kind": "hello", "version": 1})
    say(client, traffic.model, {"kind": "visible", "visible": True})
    listened_s = listen(client, traffic, window_s)
    used_s = cpu_s(pid) - used_s
    if not traffic.snapshots:
        raise SystemExit(f"the widget answered 'hello' with no snapshot in {listened_s:.1f} s")
    return {
        "batch_run_ms": batch_run_ms,
        "snapshot_bytes": traffic.snapshots[0],
        "largest_changes_bytes": max(traffic.changes, default=0),
        "changes_messages": len(traffic.changes),
        "messages_per_s": len(traffic.changes) / listened_s,
        "most_messages_in_a_second": traffic.most_in_a_second(),
        "kernel_core_percent": used_s / listened_s * 100,
        "bundle_bytes": traffic.bundle_bytes,
        "listened_s": listened_s,
        "jobs": count,
    }


def main(result: str, count: int, window_s: float) -> None:
    """Start the kernel, measure, cancel what is left of the run, stop the kernel."""
    manager = KernelManager()
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        kernel: Any = manager.provisioner  # the local one, whose type is declared nowhere
        values = measure(client, kernel.pid, count, window_s)
        for _ in execute(client, "%batch_cancel"):
            pass
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
