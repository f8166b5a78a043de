from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from hail_batch_jupyter.batch.pool_book import PoolCounts
from hail_batch_jupyter.jupyter.live.pool_view import pool_html, pool_text
from tests.conftest import wait_until
from tests.executors.pools import alive
from tests.jupyter.test_kernel import Kernel, displays
from tests.requirements import ROOT

pytestmark = pytest.mark.slow

POOL = "from hail_batch_jupyter.batch import BatchPoolExecutor, LocalBackend\nfrom tests.executors.pools import wait_for, hold"


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (PoolCounts(), "p: 0 of 0 calls done in 0.0 s"),
        (PoolCounts(submitted=1, running=1, busy_s=0.5), "p: 0 of 1 call done after 0.5 s; 1 running"),
        (PoolCounts(100, 10, 2, 1, 2, 4.0, 13), "p: 10 of 100 calls done after 4.0 s; 2 running, 2 failed, 1 cancelled; 3.2/s"),
        (PoolCounts(9000, 8999, 0, 0, 1, 2.0, 4000), "p: 8999 of 9000 calls done after 2.0 s; 1 running; 2,000/s"),
    ],
)
def test_the_line_says_what_there_is(counts: PoolCounts, text: str) -> None:
    assert pool_text("p", counts) == text


def test_the_html_is_escaped_and_says_its_progress_to_screen_readers() -> None:
    html = pool_html("<b>&p", PoolCounts(8, 2, 1, 1, 2, 1.0, 4))

    assert "<b>&p" not in html and "&lt;b&gt;&amp;p" in html
    assert 'role="progressbar"' in html and 'aria-valuemax="8"' in html and 'aria-valuenow="4"' in html
    assert re.findall(r"width:([\d.]+)%", html) == ["25.00", "12.50", "12.50", "25.00"]
    assert not re.search(r"<(script|style|link|img)", html)
    assert len(html) < 2000


@pytest.fixture
def kernel(tmp_path: Path, runs: Path) -> Iterator[Kernel]:
    made = Kernel(tmp_path)
    try:
        made.run(f"{POOL}\ntmp = {str(tmp_path)!r}\npool = BatchPoolExecutor(name='mine', backend=LocalBackend(cores=2))")
        yield made
    finally:
        (tmp_path / "go").touch()
        made.close()


def lines(messages: list[dict[str, Any]]) -> list[str]:
    return [content["data"]["text/plain"] for content in displays(messages)]


def test_a_cell_shows_one_line_that_ends_on_the_last_state(kernel: Kernel) -> None:
    messages = kernel.run("values = list(pool.map(lambda x: x + 1, range(50)))\nfirst = pool.submit(abs, -3).result()\nassert values[-1] + first == 53")

    (shown,) = [one for one in messages if one["msg_type"] == "display_data"]
    assert set(shown["content"]["data"]) == {"text/plain", "text/html"}
    assert {content["transient"]["display_id"] for content in displays(messages)} == {shown["content"]["transient"]["display_id"]}
    assert lines(messages)[-1].startswith("mine: 51 of 51 calls done in ")


def test_the_line_moves_while_a_cell_blocks_the_kernel_and_not_too_often(kernel: Kernel, tmp_path: Path) -> None:
    request = kernel.begin(
        "futures = [pool.submit(wait_for, tmp + '/go') for _ in range(3)]\nfor n in range(100): pool.submit(wait_for, tmp + '/go')\nfutures[0].result()"
    )
    kernel.listen(lambda one: "2 running" in str(one["content"].get("data", {}).get("text/plain", "")))
    kernel.listen(lambda one: "done after 1." in str(one["content"].get("data", {}).get("text/plain", "")))
    (tmp_path / "go").touch()
    messages = kernel.finish(request)

    told = [one["header"]["date"].timestamp() for one in kernel.heard if one["msg_type"] in ("display_data", "update_display_data")]
    assert len(told) >= 3
    assert all(later - first > 1 for first, later in zip(told, told[4:], strict=False)), [round(later - first, 2) for first, later in pairwise(told)]
    assert len([one for one in messages if one["msg_type"] == "display_data"]) == 1


def test_a_later_cell_shows_the_same_line_again(kernel: Kernel) -> None:
    first = displays(kernel.run("pool.submit(abs, -1).result()"))
    second = displays(kernel.run("pool.submit(abs, -2).result()"))

    assert {content["transient"]["display_id"] for content in first} == {content["transient"]["display_id"] for content in second}
    assert second[-1]["data"]["text/plain"].startswith("mine: 2 of 2 calls done")


def test_calls_that_are_batches_show_one_line_and_no_run(kernel: Kernel) -> None:
    kernel.run("class Plain(LocalBackend):\n    def open_pool(self, request): return None")
    messages = kernel.run("with BatchPoolExecutor(name='batches', backend=Plain()) as other:\n    print(list(other.map(abs, [-1, -2, 3])))")

    assert len([one for one in messages if one["msg_type"] == "display_data"]) == 1
    assert lines(messages)[-1].startswith("batches: 3 of 3 calls done in ")
    assert "".join(one["content"]["text"] for one in messages if one["msg_type"] == "stream") == "[1, 2, 3]\n"


def test_calls_made_in_callbacks_show_nothing_of_their_own(kernel: Kernel) -> None:
    kernel.run("pool.submit(abs, -1).result()")
    code = "import threading\nseen = threading.Event()\ndef again(f): pool.submit(abs, -5).add_done_callback(lambda g: seen.set())\n"
    messages = kernel.run(code + "pool.submit(abs, -1).add_done_callback(again)\nassert seen.wait(90)")

    assert len([one for one in messages if one["msg_type"] == "display_data"]) == 1


def test_an_interrupted_cell_leaves_the_pool_usable(kernel: Kernel) -> None:
    kernel.run("future = pool.submit(wait_for, tmp + '/go')")
    request = kernel.begin("print('waiting', flush=True)\nfuture.result()")
    kernel.listen(lambda one: one["msg_type"] == "stream" and "waiting" in one["content"]["text"])

    kernel.manager.interrupt_kernel()
    messages = kernel.finish(request)

    assert [one["content"]["ename"] for one in messages if one["msg_type"] == "error"] == ["KeyboardInterrupt"]
    kernel.run("assert not future.done() and pool.submit(abs, -4).result() == 4\nopen(tmp + '/go', 'w').close()\nassert future.result() == tmp + '/go'")


def test_a_changed_function_and_a_class_of_the_notebook_are_used_by_the_next_call(kernel: Kernel) -> None:
    kernel.run("class P:\n    def __init__(self, x): self.x = x\nscale = 2\ndef f(p): return P(p.x * scale)")
    kernel.run("r = pool.submit(f, P(3)).result()\nassert type(r) is P and r.x == 6")
    kernel.run("scale = 5")
    kernel.run("assert pool.submit(f, P(3)).result().x == 15")
    kernel.run("def f(p): return -p.x")
    kernel.run("assert pool.submit(f, P(3)).result() == -3")


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_a_kernel_that_ends_leaves_no_worker(kernel: Kernel, tmp_path: Path, how: str) -> None:
    kernel.begin("pool.submit(hold, tmp).result()" if how == "killed" else "held = pool.submit(hold, tmp)")
    wait_until((tmp_path / "held").exists)
    pids = [int(word) for word in (tmp_path / "held").read_text().split()]

    if how == "killed":
        kernel.manager.signal_kernel(9)
        kernel.manager.restart_kernel(now=True)
    else:
        kernel.manager.restart_kernel(now=False)

    wait_until(lambda: not any(map(alive, pids)), story=lambda: [pid for pid in pids if alive(pid)])


@pytest.mark.notebook
def test_a_saved_notebook_shows_the_end_and_scripts_show_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    cell = f"{POOL}\nwith BatchPoolExecutor(name='mine') as pool:\n    print(sum(pool.map(lambda x: x * x, range(100), chunksize=10)))"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()

    outputs = notebook.cells[0].outputs
    assert [output.get("text") for output in outputs if output.output_type == "stream"] == ["328350\n"]
    (shown,) = [output for output in outputs if output.output_type == "display_data"]
    assert shown.data["text/plain"].startswith("mine: 10 of 10 calls done in ")
    assert "10 of 10 calls done" in shown.data["text/html"]

    from hail_batch_jupyter.batch import BatchPoolExecutor

    with BatchPoolExecutor() as pool:
        assert pool.submit(abs, -1).result() == 1
    assert capfd.readouterr().out == ""
