"""Time what the widget does in headless Chromium with a run of COUNT jobs: first paint, moving, changes, the views.

The page has the built widget; this process plays the kernel with the feed that a kernel has, so that the messages are the real ones.
Arguments: RESULT COUNT
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.jupyter.live.feed import Feed
from hail_batch_jupyter.jupyter.live.widget import WIDGET_CSS, WIDGET_JS
from hail_batch_jupyter.observe.running import RunningBatch

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
ADDRESS = "http://widget.test/"
N_STAGES = 290
"""As many as are drawn one by one: the heaviest graph there is to move."""
SLOTS = 64
N_FRAMES = 60
ANSWER_LIMIT_S = 30.0

PAGE = """<!doctype html><html><head><style>body {margin: 0; width: 1000px} CSS</style></head><body><div id="cell"></div></body></html>"""

DRIVER = """async ([module, view]) => {
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  const { default: make } = await import(url);
  const heard = [];
  globalThis.deliver = ({ content, buffer }) => {
    const bytes = buffer === null ? [] : [new DataView(Uint8Array.from(atob(buffer), (c) => c.charCodeAt(0)).buffer)];
    return () => heard.forEach((listener) => listener(content, bytes));
  };
  const model = {
    get: (name) => (name === "view" ? view : null),
    set: () => {}, save_changes: () => {}, off: () => {},
    on: (event, listener) => event === "msg:custom" && heard.push(listener),
    send: async (message) => { if (message.kind !== "visible") for (const letter of await tell(message)) later(deliver(letter)); },
  };
  const held = [];
  let free = false;
  const later = (act) => (free ? act() : held.push(act));
  globalThis.letGo = () => { free = true; held.splice(0).forEach((act) => act()); };
  globalThis.nHeld = () => held.length;
  const widget = make();
  widget.initialize({ model });
  widget.render({ model, el: document.getElementById("cell") });
}"""

FIRST_PAINT = """async (selector) => {
  const begun = performance.now();
  letGo();
  while (!document.querySelector(selector)) await new Promise((resolve) => setTimeout(resolve));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - begun;
}"""

MOVE = """async ([selector, axis, n]) => {
  const target = document.querySelector(selector), times = [];
  const far = axis === "scrollLeft" ? target.scrollWidth - target.clientWidth : target.scrollHeight - target.clientHeight;
  let last = null;
  await new Promise((resolve) => {
    const step = (now) => {
      if (last !== null) times.push(now - last);
      last = now;
      if (times.length >= n) return resolve();
      target[axis] = far * ((times.length * 7) % n) / n;
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  times.sort((a, b) => a - b);
  return { median: times[n >> 1], far };
}"""

CHANGE = """async (letter) => {
  const act = deliver(letter), begun = performance.now();
  act();
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - begun;
}"""


class Told:
    """A port whose events are made here."""

    def __init__(self, count: int) -> None:
        self.told = [JobEvent(1, 1_000, 0, phase="start")]
        self._add(range(1, count // 2), (JobState.READY, JobState.RUNNING, JobState.SUCCESS))

    def _add(self, job_ids: Sequence[int], states: Sequence[JobState]) -> None:
        for job_id in job_ids:
            at_ms = 1_000 + 40 * (job_id // SLOTS)
            for step, state in enumerate(states):
                seq, slot = len(self.told) + 1, job_id % SLOTS
                self.told.append(JobEvent(seq, at_ms + 18 * step, job_id, state, 1, slot=slot, exit_code=0 if state is JobState.SUCCESS else None))

    def start(self, job_ids: Sequence[int]) -> None:
        """These jobs begin to run."""
        self._add(job_ids, (JobState.READY, JobState.RUNNING))

    def events(self, after: int, timeout_s: float) -> Sequence[JobEvent]:
        return self.told[after:]

    def log(self, *_: object) -> bytes:
        return b""

    def alive(self) -> bool:
        return True


def many_stages(count: int) -> BatchSpec:
    """Stages of equal size in layers of ten, each job after two of the layer before."""
    each = count // N_STAGES
    specs = []
    for number in range(count):
        stage = min(number // each, N_STAGES - 1)
        layer, row = divmod(stage, 10)
        before = [((layer - 1) * 10 + (row + step) % 10) * each for step in (0, 3)] if layer else []
        specs.append(JobSpec(number + 1, "k", f"s{layer}x{chr(97 + row)}-{number}", "bash", ("true",), "d", parents=tuple(Edge(first + 1) for first in before)))
    return BatchSpec("bench", tuple(specs))


class Kernel:
    """Plays the kernel's side of one widget."""

    def __init__(self, running: RunningBatch) -> None:
        self._outbox: list[dict[str, Any]] = []
        self._there = threading.Condition()
        self.feed = Feed(running, self._put)

    def _put(self, content: dict[str, Any], buffer: bytes | None) -> None:
        with self._there:
            self._outbox.append({"content": content, "buffer": None if buffer is None else base64.b64encode(buffer).decode()})
            self._there.notify()

    def tell(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """What the feed says to a message, after it has said something."""
        self.feed.receive(message)
        return self.take()

    def take(self) -> list[dict[str, Any]]:
        """The letters there are, at least one."""
        with self._there:
            self._there.wait_for(lambda: bool(self._outbox), ANSWER_LIMIT_S)
            letters, self._outbox = self._outbox, []
            return letters


def opened(browser: Any, running: RunningBatch, view: str) -> tuple[Any, Kernel]:
    """A page with one view; the snapshot is there, and not yet delivered."""
    page, kernel = browser.new_page(), Kernel(running)
    page.route("**/*", lambda route: route.fulfill(body=PAGE.replace("CSS", WIDGET_CSS.read_text()), content_type="text/html"))
    page.goto(ADDRESS)
    page.expose_function("tell", kernel.tell)
    page.evaluate(DRIVER, [WIDGET_JS.read_text(), view])
    until(page, "nHeld() > 0")
    return page, kernel


def until(page: Any, condition: str) -> None:
    """Wait for a condition in the page."""
    deadline_s = time.monotonic() + ANSWER_LIMIT_S
    while not page.evaluate(condition):
        if time.monotonic() > deadline_s:
            raise SystemExit(f"not within {ANSWER_LIMIT_S:g} s: {condition}")
        page.wait_for_timeout(20)


def graph_figures(browser: Any, running: RunningBatch, port: Told, count: int) -> dict[str, float]:
    """The whole widget: first paint, panning, 200 changes."""
    page, kernel = opened(browser, running, "")
    paint_ms = page.evaluate(FIRST_PAINT, ".hbj-node")
    pan = page.evaluate(MOVE, [".hbj-dag", "scrollLeft", N_FRAMES])
    port.start(range(count // 2, count // 2 + 200))
    kernel.feed.tick()
    (changes,) = kernel.take()
    change_ms = page.evaluate(CHANGE, changes)
    drawn = page.evaluate("document.querySelectorAll('.hbj-node').length")
    page.close()
    return {"first_paint_ms": paint_ms, "pan_frame_ms": pan["median"], "change_ms": change_ms, "nodes": drawn}


def view_figures(browser: Any, running: RunningBatch) -> dict[str, float]:
    """The views that scroll: the table by its rows, the timeline zoomed in by its slots."""
    page, _ = opened(browser, running, "jobs")
    page.evaluate("letGo()")
    until(page, "document.querySelectorAll('.hbj-trs > .hbj-tr .hbj-f-took').length > 5")
    table = page.evaluate(MOVE, [".hbj-table", "scrollTop", N_FRAMES])
    page.close()
    page, _ = opened(browser, running, "timeline")
    page.evaluate("letGo()")
    until(page, "/on \\d+ slot/.test(document.querySelector('.hbj-timeline')?.getAttribute('aria-label') ?? '')")
    page.locator("button[aria-label='Zoom in']").click()
    timeline = page.evaluate(MOVE, [".hbj-timeline", "scrollLeft", N_FRAMES])
    page.close()
    return {"table_frame_ms": table["median"], "timeline_frame_ms": timeline["median"]}


def main(result: str, count: int) -> None:
    """One browser, one run."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise ImportError("chromium is not installed")
    port: Any = Told(count)
    running = RunningBatch("bench", many_stages(count), port)
    measures: list[Callable[[Any], dict[str, float]]] = [
        lambda browser: graph_figures(browser, running, port, count),
        lambda browser: view_figures(browser, running),
    ]
    values: dict[str, float] = {"jobs": count}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        for measure in measures:
            values |= measure(browser)
        browser.close()
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
