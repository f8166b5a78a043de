"""What needs a real kernel: displays and comms from threads, interrupts, restarts."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from hail_batch_jupyter.observe import rundir
from tests.conftest import wait_until
from tests.requirements import ROOT, requires

LIMIT_S = 120.0


class Kernel:
    """A kernel and what it says; this test plays the notebook."""

    def __init__(self, folder: Path) -> None:
        self.manager = KernelManager()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JPY_SESSION_NAME": str(folder / "study.ipynb")}
        self.manager.start_kernel(cwd=str(folder), env=environment)
        self.heard: list[dict[str, Any]] = []
        self._connect()

    def _connect(self) -> None:
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=LIMIT_S)

    def begin(self, code: str) -> str:
        """Start a cell; gives the id of its request."""
        return str(self.client.execute(code, allow_stdin=False))

    def listen(self, until: Callable[[dict[str, Any]], bool], limit_s: float = LIMIT_S) -> dict[str, Any]:
        """Hear messages until one satisfies the condition; gives that one."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=0.5)
            except Empty:
                continue
            self.heard.append(message)
            if until(message):
                return message
        raise AssertionError(f"not heard within {limit_s} s: {[(one['msg_type'], str(one['content'])[:300]) for one in self.heard[-20:]]}")

    def finish(self, request: str) -> list[dict[str, Any]]:
        """Hear everything of a cell until it is done; gives its messages."""

        def done(one: dict[str, Any]) -> bool:
            return bool(one["parent_header"].get("msg_id") == request and one["content"].get("execution_state") == "idle")

        if not any(map(done, self.heard)):
            self.listen(done)
        return [one for one in self.heard if one["parent_header"].get("msg_id") == request]

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run a cell that succeeds."""
        messages = self.finish(self.begin(code))
        errors = [one["content"]["traceback"] for one in messages if one["msg_type"] == "error"]
        assert errors == []
        return messages

    def say(self, model: str, content: dict[str, Any]) -> None:
        """Send a custom message to a widget, as its JavaScript does."""
        data = {"comm_id": model, "data": {"method": "custom", "content": content}}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", data))

    def restart(self) -> None:
        self.client.stop_channels()
        self.manager.restart_kernel(now=True)
        self._connect()

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.fixture
def kernel(tmp_path: Path, runs: Path) -> Iterator[Kernel]:
    made = Kernel(tmp_path)
    try:
        made.run("%load_ext hail_batch_jupyter\n%batch study")
        yield made
    finally:
        made.close()
        (tmp_path / "gate").touch()
        wait_until(lambda: all(run.state != "live" for run in rundir.list_runs()))


HELD = "%%batch_job held\necho begun\nuntil [ -e {gate} ]; do sleep 0.02; done\necho ended"


def text_of(messages: list[dict[str, Any]]) -> str:
    return "".join(one["content"]["text"] for one in messages if one["msg_type"] == "stream")


def displays(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["content"] for one in messages if one["msg_type"] in ("display_data", "update_display_data")]


def custom(message: dict[str, Any], kind: str) -> bool:
    data = message["content"].get("data", {})
    return message["msg_type"] == "comm_msg" and data.get("method") == "custom" and data["content"].get("kind") == kind


def model_of(messages: list[dict[str, Any]]) -> str:
    opened = [one["content"] for one in messages if one["msg_type"] == "comm_open"]
    (found,) = [content["comm_id"] for content in opened if "_esm" in content["data"]["state"]]
    return str(found)


def tells_end(message: dict[str, Any]) -> bool:
    """Whether the widget hears that the run is complete, by changes or by a snapshot."""
    content = message["content"].get("data", {}).get("content", {}) if message["msg_type"] == "comm_msg" else {}
    clock = content.get("clock") or content.get("run", {}).get("clock", {})
    return bool(clock.get("complete"))


def is_final(message: dict[str, Any]) -> bool:
    return message["msg_type"] == "update_display_data" and "2 of 2 jobs done" in message["content"]["data"].get("text/plain", "")


def start(kernel: Kernel, tmp_path: Path) -> list[dict[str, Any]]:
    """Run a batch of two jobs, of which the first waits for the gate."""
    kernel.run(f"gate = {str(tmp_path / 'gate')!r}")
    kernel.run(HELD)
    kernel.run("%%batch_job after --after held\ntrue")
    return kernel.run("%batch_run")


def test_the_widget_speaks_the_protocol_and_the_saved_output_ends_on_the_final_state(kernel: Kernel, tmp_path: Path) -> None:
    requires("built front end")
    messages = start(kernel, tmp_path)
    (shown,) = displays(messages)
    assert {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"} <= set(shown["data"])
    model = model_of(messages)

    kernel.say(model, {"kind": "hello", "version": 1})
    first = kernel.listen(lambda one: custom(one, "snapshot"))
    snapshot = first["content"]["data"]["content"]
    body = zlib.decompress(first["buffers"][0]) if snapshot["deflate"] else bytes(first["buffers"][0])
    offset, length = snapshot["sections"]["names"]
    assert body[offset : offset + length] == b"held\nafter"
    assert (snapshot["n"], snapshot["m"], snapshot["run"]["name"]) == (2, 1, "study")
    assert len(json.dumps(snapshot)) + len(first["buffers"][0]) < 10_000

    (tmp_path / "gate").touch()
    ended = kernel.listen(tells_end)
    assert ended["content"]["data"]["content"]["clock"]["state"] == "success"
    final = kernel.listen(is_final)["content"]
    assert final["transient"]["display_id"] == shown["transient"]["display_id"]
    assert "</span> Succeeded ·" in final["data"]["text/html"]
    assert "<script" not in final["data"]["text/html"]


def test_the_widget_answers_for_details_and_cancels(kernel: Kernel, tmp_path: Path) -> None:
    requires("built front end")
    model = model_of(start(kernel, tmp_path))

    kernel.say(model, {"kind": "job", "request": 5, "job": 0})
    detail = kernel.listen(lambda one: custom(one, "job"))["content"]["data"]["content"]
    kernel.say(model, {"kind": "cancel", "request": 6})
    answer = kernel.listen(lambda one: custom(one, "answer"))["content"]["data"]["content"]

    assert (detail["request"], detail["detail"]["name"]) == (5, "held")
    assert "until [ -e {gate} ]" in detail["detail"]["command"]
    assert (answer["request"], answer["ok"]) == (6, True)
    kernel.listen(tells_end)


def test_the_widget_is_told_while_a_cell_blocks_the_kernel(kernel: Kernel, tmp_path: Path) -> None:
    requires("built front end")
    model_of(start(kernel, tmp_path))
    request = kernel.begin("import os, time\nwhile not os.path.exists('release'): time.sleep(0.02)")

    (tmp_path / "gate").touch()
    kernel.listen(tells_end)
    kernel.listen(is_final)
    (tmp_path / "release").touch()
    kernel.finish(request)


def test_waiting_shows_a_line_of_progress_and_can_be_interrupted(kernel: Kernel, tmp_path: Path) -> None:
    start(kernel, tmp_path)
    request = kernel.begin("%batch_wait")
    kernel.listen(lambda one: one["msg_type"] == "display_data" and "0 of 2 jobs done" in one["content"]["data"].get("text/plain", ""))

    kernel.manager.interrupt_kernel()

    messages = kernel.finish(request)
    (error,) = [one["content"] for one in messages if one["msg_type"] == "error"]
    assert error["ename"] == "KeyboardInterrupt"
    assert len(error["traceback"]) == 1
    assert "the run goes on" in error["traceback"][0]
    assert "%batch_cancel ends the run" in error["traceback"][0]
    (tmp_path / "gate").touch()
    kernel.run("%batch_wait")


def test_in_a_console_progress_is_one_line_that_is_written_over(kernel: Kernel, tmp_path: Path) -> None:
    start(kernel, tmp_path)
    request = str(kernel.client.execute("%batch_wait", allow_stdin=True))
    kernel.listen(lambda one: one["msg_type"] == "stream" and "0 of 2 jobs done" in one["content"]["text"])

    (tmp_path / "gate").touch()

    messages = kernel.finish(request)
    assert text_of(messages).rpartition("\r")[2].startswith("study: succeeded, 2 of 2 jobs done")
    assert text_of(messages).count("\n") == 1
    assert not [one for one in messages if one["msg_type"] == "display_data" and "jobs done" in str(one["content"])]


def test_following_a_log_can_be_interrupted_and_the_job_goes_on(kernel: Kernel, tmp_path: Path) -> None:
    start(kernel, tmp_path)
    request = kernel.begin("%batch_log held -f")
    kernel.listen(lambda one: one["msg_type"] == "stream" and "begun" in one["content"]["text"])

    kernel.manager.interrupt_kernel()

    (error,) = [one["content"] for one in kernel.finish(request) if one["msg_type"] == "error"]
    assert error["traceback"] == ["KeyboardInterrupt: stopped following; job 'held' goes on. %batch_log held -f follows it again, %batch_cancel ends the run"]
    (tmp_path / "gate").touch()
    kernel.run("%batch_wait")


def test_threads_of_ours_write_nothing_into_other_cells(kernel: Kernel, tmp_path: Path) -> None:
    start(kernel, tmp_path)
    request = kernel.begin("import time\nfor _ in range(20): time.sleep(0.1)\nprint('mine')")

    (tmp_path / "gate").touch()

    messages = kernel.finish(request)
    assert text_of(messages) == "mine\n"
    assert [one for one in messages if one["msg_type"] == "display_data"] == []


def test_a_run_survives_the_kernel_and_a_new_one_hears_of_it_and_attaches(kernel: Kernel, tmp_path: Path) -> None:
    start(kernel, tmp_path)
    (run,) = rundir.list_runs()

    kernel.restart()

    said = text_of(kernel.run("%load_ext hail_batch_jupyter"))
    assert said == f"study is still running: %batch_attach {run.run_id}\n"
    shown = displays(kernel.run(f"%batch_attach {run.run_id}"))
    assert "0 of 2 jobs done" in shown[0]["data"]["text/plain"]
    (tmp_path / "gate").touch()
    said = kernel.run("%batch_wait")  # the end is told with the cell that waited, or soon after it
    assert any(map(is_final, said)) or kernel.listen(is_final)


def test_running_again_in_a_new_kernel_takes_everything_over(kernel: Kernel) -> None:
    cells = [
        "%batch study",
        "def grow(x):\n    return x + 1",
        "%%batch_job fit\necho 1 > {fit.model}",
        "%%batch_python qc -o score\nscore = grow(int(open(fit.model).read()))",
        "%batch_run --wait",
        "frame = %batch_jobs\nprint(qc['score'].result(), list(frame['reused']))",
    ]
    first = [text_of(kernel.run(cell)) for cell in cells]
    kernel.restart()
    kernel.run("%load_ext hail_batch_jupyter")

    again = [text_of(kernel.run(cell)) for cell in cells]

    assert first[-1] == "2 [False, False]\n"
    assert again[-1] == "2 [True, True]\n"


def test_a_blocking_run_of_the_batch_shows_the_same_widget(kernel: Kernel) -> None:
    kernel.run("import hail_batch_jupyter.batch as hb\nb = hb.Batch(name='plain')\nj = b.new_job(name='only')\nj.command(f'echo hi > {j.ofile}')")

    messages = kernel.run("r = b.run()")

    assert "1 job done" in displays(messages)[0]["data"]["text/plain"]
