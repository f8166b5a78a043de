"""Time from the command that opens the panel until it is drawn, in a real JupyterLab whose user has COUNT ended runs of ten jobs.

Arguments: RESULT COUNT
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.journal import JournalWriter
from hail_batch_jupyter.observe.totals import Totals

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
N_JOBS = 10
LIMIT_MS = 60_000

SHOW = """async () => {
  const panel = document.getElementById("hail-batch-jupyter-panel");
  const begun = performance.now();
  await window.jupyterapp.commands.execute("hail-batch-jupyter:refresh-panel");
  await window.jupyterapp.commands.execute("hail-batch-jupyter:show-panel");
  while (!panel.querySelector("[data-run]")) await new Promise((resolve) => setTimeout(resolve));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return { ms: performance.now() - begun, rows: panel.querySelectorAll("[data-run]").length };
}"""


def ended_runs(count: int) -> None:
    """Directories of runs that have ended, as the engine leaves them."""
    for number in range(count):
        facts = {"name": f"study {number}", "n_jobs": N_JOBS, "notebook": "", "scratch": "/nowhere", "kept": True, "lineage": "", "previous": None}
        directory = rundir.create(f"study-{number}", facts)
        journal = JournalWriter(directory / "events.jsonl")
        for job_id in range(1, N_JOBS + 1):
            for state in (JobState.READY, JobState.RUNNING, JobState.SUCCESS):
                journal.write(JobEvent(0, 1_000 * job_id, job_id, state, 1))
        journal.close()
        rundir.mark_ended(directory, "success", Totals({JobState.SUCCESS: N_JOBS}))


def main(result: str, count: int) -> None:
    """One server, one page; the runs are not known to either before."""
    sys.path.insert(0, str(ROOT))
    from playwright.sync_api import sync_playwright

    from tests.ui.lab import Lab

    chromium = shutil.which("chromium")
    if chromium is None:
        raise ImportError("chromium is not installed")
    runs = Path(os.environ["HAIL_BATCH_JUPYTER_RUNS"])
    lab = Lab(Path(tempfile.mkdtemp()), runs)
    try:
        lab.wait()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
            page = browser.new_page()
            page.goto(f"{lab.url}/lab/workspaces/bench?reset&token={lab.token}")
            page.wait_for_selector("#hail-batch-jupyter-panel", state="attached", timeout=LIMIT_MS)
            page.wait_for_load_state("networkidle")
            ended_runs(count)
            told = page.evaluate(SHOW)
            browser.close()
    finally:
        lab.stop()
    Path(result).write_text(json.dumps({"runs": count, "panel_ms": told["ms"], "rows_drawn": told["rows"]}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
