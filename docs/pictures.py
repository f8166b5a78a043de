"""Makes the pictures of docs/guide/pictures.md: real runs of 3, 300 and 30 000 jobs in a real JupyterLab, in both themes; `make pictures`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.ui.lab import Lab  # noqa: E402 - the folder of the sources is no package of the installation
from tests.ui.notebook_page import THEMES, NotebookPage  # noqa: E402 - as above
from tests.ui.notebooks import write_notebook  # noqa: E402 - as above

IMAGES = ROOT / "docs" / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
VIEW = {"width": 980, "height": 1400}
GAP_PX, PAPER = 12, {"light": "#ffffff", "dark": "#111111"}
SCALE = 0.72
"""Of the pictures as they are shown: two themes side by side."""
COLOURS = 240
RUNS_IN_MS = 900_000

SETUP = """%load_ext hail_batch_jupyter
import hail_batch_jupyter.batch as hb

def start(name, parts, fails):
    b = hb.Batch(name=name)
    split = b.new_job('split').command('echo splitting; sleep 0.4')
    ends = []
    for part in range(parts):
        number = f'-{part + 1}' if parts > 1 else ''
        fails_here = f'echo part {part}: read 2048 rows; echo "no convergence after 50 steps (loss 0.731)" >&2; exit 3'
        fit = b.new_job(f'fit{number}').cpu('250m').depends_on(split)
        fit.command(fails_here if part in fails else 'true' if parts > 1000 else 'sleep 0.2; echo fitted')
        ends.append(b.new_job(f'score{number}').cpu('250m').command('true').depends_on(fit) if parts > 1 else fit)
    report = b.new_job('report').command('echo done').always_run().depends_on(*ends)
    if parts > 1:
        b.new_job('plot').command('echo plotted').depends_on(report)
    return b.run(wait=False, disable_progress_bar=True)

runs = {}"""
SIZES = {3: "runs[3] = start('three jobs', 1, ())", 300: "runs[300] = start('three hundred', 148, {40, 121})"}
SIZES[30_000] = "runs[30_000] = start('thirty thousand', 14_998, set(range(700, 14_998, 3_000)))"
VIEWS = {"graph": "dag", "timeline": "timeline", "jobs": "table", "cost": "cost"}


def cells() -> list[str]:
    """The notebook: the runs, each in full, then each view of each run."""
    whole = [f"{start}\nruns[{size}].wait();" for size, start in SIZES.items()]
    views = [f"runs[{size}].{method}()" for method in VIEWS.values() for size in SIZES]
    return [SETUP, *whole, *views, "%batch_attach {runs[300].id}"]


def shot(notebook: NotebookPage, target: Locator, path: Path) -> Path:
    """A picture of one element, after what it loads is there."""
    target.evaluate("element => element.scrollIntoView({block: 'center'})")
    target.locator(".hbj-node, .hbj-tr, canvas, .hbj-stages td").first.wait_for(timeout=60_000)
    notebook.page.wait_for_timeout(1500)
    notebook.page.mouse.move(0, 0)
    target.screenshot(path=path, animations="disabled", caret="hide")
    return path


def composed(columns: Sequence[tuple[str, Sequence[Path]]], name: str) -> None:
    """Pictures of a theme below one another, the themes side by side, with few colours: 200 kB at most."""
    parts = [(theme, [scaled(path) for path in paths]) for theme, paths in columns]
    width = max(image.width for _, images in parts for image in images) + 2 * GAP_PX
    height = max(sum(image.height + GAP_PX for image in images) for _, images in parts) + GAP_PX
    sheet = Image.new("RGB", (width * len(parts), height))
    for number, (theme, images) in enumerate(parts):
        sheet.paste(PAPER[theme], (number * width, 0, (number + 1) * width, height))
        top = GAP_PX
        for image in images:
            sheet.paste(image, (number * width + GAP_PX, top))
            top += image.height + GAP_PX
    path = IMAGES / f"{name}.png"
    with_few_colours(sheet).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


def with_few_colours(sheet: Image.Image) -> Image.Image:
    """The picture with a palette in which the colours of states count for as much as the paper, however few their pixels are."""
    pixels = np.asarray(sheet).reshape(-1, 3)
    strong = pixels[pixels.max(axis=1).astype(int) - pixels.min(axis=1) > 60]
    distinct = np.unique(strong // 4 * 4, axis=0).astype(np.uint8)
    rows = max(1, len(pixels) // sheet.width // 8)
    samples = np.resize(distinct, (rows * sheet.width, 3)).reshape(rows, sheet.width, 3)
    weighed = Image.fromarray(np.concatenate([np.asarray(sheet), samples]))
    return sheet.quantize(palette=weighed.quantize(COLOURS), dither=Image.Dither.NONE)


def scaled(path: Path) -> Image.Image:
    """A picture in the size in which it is shown."""
    image = Image.open(path).convert("RGB")
    return image.resize((round(image.width * SCALE), round(image.height * SCALE)), Image.Resampling.LANCZOS)


def take(notebook: NotebookPage, folder: Path) -> None:
    """All pictures of one page."""
    names = list(VIEWS)
    first = 1 + len(SIZES)
    for number, name in enumerate(names):
        columns = []
        for theme in THEMES:
            notebook.set_theme(theme)
            roots = [notebook.widget(first + number * len(SIZES) + at) for at in range(len(SIZES))]
            columns.append((theme, [shot(notebook, root, folder / f"{name}-{theme}-{at}.png") for at, root in enumerate(roots)]))
        composed(columns, f"strip-{name}")
    take_failure(notebook, folder, first + len(names) * len(SIZES))
    take_panel(notebook, folder)


def take_failure(notebook: NotebookPage, folder: Path, index: int) -> None:
    """The whole widget with a failed job opened."""
    widget = notebook.widget(index)
    widget.locator('[data-kind="stage"]').first.click()
    columns = []
    for theme in THEMES:
        notebook.set_theme(theme)
        columns.append((theme, [shot(notebook, widget, folder / f"failure-{theme}.png")]))
    composed(columns, "strip-failure")


def take_panel(notebook: NotebookPage, folder: Path) -> None:
    """The panel beside the notebook."""
    notebook.command("hail-batch-jupyter:show-panel")
    panel = notebook.page.locator("#hail-batch-jupyter-panel")
    panel.locator("[data-run]").nth(len(SIZES) - 1).wait_for()
    columns = []
    for theme in THEMES:
        notebook.set_theme(theme)
        path = folder / f"panel-{theme}.png"
        notebook.page.screenshot(path=path, clip={"x": 0, "y": 0, "width": 620, "height": 420}, animations="disabled")
        columns.append((theme, [path]))
    composed(columns, "strip-panel")


def main() -> None:
    """One server, one page, one notebook."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("pictures need chromium: make test-deps")
    folder = Path(tempfile.mkdtemp(prefix="hbj-pictures-"))
    lab = Lab(folder / "lab", folder / "runs")
    try:
        lab.wait()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
            context = browser.new_context(viewport=VIEW, device_scale_factor=float(os.environ.get("PICTURES_SCALE", "1.4")))
            context.set_default_timeout(RUNS_IN_MS)
            notebook = NotebookPage(lab, context, write_notebook(lab.root / "sizes.ipynb", cells()).name)
            notebook.command("application:toggle-left-area")
            notebook.run_all()
            take(notebook, folder)
            browser.close()
    finally:
        lab.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
