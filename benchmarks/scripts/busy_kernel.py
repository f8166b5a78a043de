"""Read a large log and cancel a run through the Jupyter server while a cell blocks the kernel that made the run.

A real kernel runs `%batch_run` and then sleeps; this process asks the server as JupyterLab's extension does. Arguments: RESULT LOG_MB
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

TOKEN = "of-this-measurement"
LIMIT_S = 120.0
PART_BYTES = 64_000
OPENED = 20
JOBS = """
%load_ext hail_batch_jupyter
b = get_ipython().run_line_magic("batch", "busy")
b.new_job(name="talker").command("yes 'a line of a large log, as jobs write them' | head -c {size}")
b.new_job(name="held").command("sleep 600")
get_ipython().run_line_magic("batch_run", "")
print(b.last_run.id)
b.last_run.wait(job_ids=[1])
"""

Json = dict[str, Any]


class Server:
    """A Jupyter server of its own on loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        options = {"port": port, "root_dir": folder, "open_browser": "False", "allow_root": "True", "port_retries": "0"}
        words = [f"--ServerApp.{name}={value}" for name, value in options.items()]
        words += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.jpserver_extensions=hail_batch_jupyter=True"]
        with open(folder / "server.log", "wb") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "jupyter_server", *words], cwd=folder, stdout=log, stderr=log)

    def ask(self, path: str, body: Json | None = None) -> Json:
        """The JSON of an answer; a POST when there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers={"Authorization": f"token {TOKEN}"})
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            found: Json = json.loads(answer.read())
        return found

    def wait(self) -> None:
        """Return when it answers."""
        deadline_s = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline_s:
            try:
                self.ask("api")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
            else:
                return
        raise SystemExit(f"the Jupyter server did not answer within {LIMIT_S:g} s")

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)


def ms_of(started_s: float) -> float:
    return (time.perf_counter() - started_s) * 1000


def measure(server: Server, run_id: str, size: int) -> dict[str, float]:
    """What a page does: open the log at its end, look for a text that is not there, cancel."""
    from hail_batch_jupyter.observe.attach import attach

    run = f"hail-batch-jupyter/runs/{run_id}"
    opened_ms = []
    for _ in range(OPENED):
        started_s = time.perf_counter()
        part = server.ask(f"{run}/ask", {"kind": "log", "request": 1, "job": 0, "start": -PART_BYTES, "length": PART_BYTES})
        opened_ms.append(ms_of(started_s))
        if part["content"]["size"] != size:
            raise SystemExit(f"the log has {part['content']['size']} bytes and not {size}")
    started_s, until = time.perf_counter(), 0
    while until < size:
        found = server.ask(f"{run}/ask", {"kind": "find", "request": 1, "job": 0, "text": "nowhere", "start": until})
        until = found["content"]["until"]
    searched_ms = ms_of(started_s)
    running = attach(run_id)
    started_s = time.perf_counter()
    server.ask(f"{run}/cancel", {})
    said_ms = ms_of(started_s)
    running.wait(LIMIT_S)
    return {
        "log_mb": size / 1e6,
        "first_open_ms": opened_ms[0],
        "open_ms": statistics.median(opened_ms),
        "search_ms": searched_ms,
        "cancel_answer_ms": said_ms,
        "cancel_ms": ms_of(started_s),
    }


def main(result: str, log_mb: int) -> None:
    """Start kernel and server, make the run, block the kernel, measure."""
    folder = Path(result).parent.absolute()
    os.environ["HAIL_BATCH_JUPYTER_RUNS"] = str(folder / "runs")
    manager = KernelManager()
    manager.start_kernel()
    server = Server(folder)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=LIMIT_S)
        server.wait()
        size = log_mb * 1_000_000
        said: list[str] = []
        client.execute_interactive(JOBS.format(size=size), timeout=LIMIT_S, output_hook=lambda message: said.append(message["content"].get("text", "")))
        run_id = "".join(said).split()[-1]
        client.execute("import time; time.sleep(600)")
        values = measure(server, run_id, size)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        server.close()
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
