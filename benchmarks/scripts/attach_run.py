"""Time until a widget has a run of COUNT jobs back after a kernel restart, and count what its output adds to a saved notebook.

This process plays the browser, as in widget_traffic.py. Arguments: RESULT COUNT
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from widget_traffic import SETUP, Message, execute, say

READY_S = 60
ENDED = "%batch_run\n%batch_wait\nprint('run', b.last_run.id)"
ANSWER_LIMIT_S = 60.0


def run_jobs(client: BlockingKernelClient, count: int) -> str:
    """Run that many no-op jobs to their end; gives the id of the run."""
    for _ in execute(client, SETUP.format(count=count)):
        pass
    printed = [message["content"]["text"] for message in execute(client, ENDED) if message["msg_type"] == "stream"]
    return next(text.split()[1] for text in "".join(printed).splitlines() if text.startswith("run "))


def attach(client: BlockingKernelClient, run_id: str) -> dict[str, float]:
    """Load the extension, attach, say "hello" as the page does; milliseconds until the answer is there, and bytes of what is saved."""
    started_s = time.perf_counter()
    model, state, shown = "", {}, {}
    for message in execute(client, f"%load_ext hail_batch_jupyter\n%batch_attach {run_id}"):
        content = message["content"]
        if message["msg_type"] == "comm_open" and "_esm" in content["data"].get("state", {}):
            model, state = content["comm_id"], content["data"]["state"]
        if message["msg_type"] == "display_data":
            shown = content["data"]
    say(client, model, {"kind": "hello", "version": 1})
    say(client, model, {"kind": "columns", "request": 1, "names": ["exit"], "first": 0, "count": 1})
    wait_for_answer(client, model)
    attach_ms = (time.perf_counter() - started_s) * 1000
    output, saved = len(json.dumps(shown).encode()), len(json.dumps(state).encode())
    return {"attach_ms": attach_ms, "output_bytes": output, "output_with_state_bytes": output + saved}


def wait_for_answer(client: BlockingKernelClient, model: str) -> None:
    """Hear until the question that came after "hello" is answered: the snapshot is there then."""
    kinds: list[str] = []
    deadline_s = time.monotonic() + ANSWER_LIMIT_S
    while "columns" not in kinds:
        if time.monotonic() > deadline_s:
            raise SystemExit(f"the widget was not answered within {ANSWER_LIMIT_S:g} s")
        message: Message = client.get_iopub_msg(timeout=ANSWER_LIMIT_S)
        content = message["content"]
        if message["msg_type"] == "comm_msg" and content["comm_id"] == model:
            kinds.append(content["data"].get("content", {}).get("kind", ""))
    if "snapshot" not in kinds:
        raise SystemExit(f"no snapshot came, only {kinds}")


def main(result: str, count: int) -> None:
    """Two lives of one kernel."""
    manager = KernelManager()
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=READY_S)
        run_id = run_jobs(client, count)
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=READY_S)
        values = attach(client, run_id)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    Path(result).write_text(json.dumps({"jobs": count, **values}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
