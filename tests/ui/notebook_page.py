"""One notebook open in JupyterLab, or at another address of the server, in a browser, and what a person does with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Locator, Page, expect

from tests.conftest import wait_until
from tests.ui.lab import Lab

LOADS_IN_MS = 120_000
RUNS_IN_MS = 120_000
"""Longest waits; a slow machine, not a speed that is asked for."""

Theme = Literal["light", "dark", "dark high contrast"]
THEMES: tuple[Theme, ...] = ("light", "dark")

_KERNEL_READY = """async () => {
  const panel = window.jupyterapp?.shell.currentWidget, context = panel?.sessionContext;
  if (!context || !panel.content.model) return false;
  await context.ready;
  await panel.revealed;
  const kernel = context.session?.kernel;
  return !!kernel && kernel.connectionStatus === 'connected' && ['idle', 'busy'].includes(kernel.status);
}"""
_RUN = """async ([index, wait]) => {
  const app = window.jupyterapp, content = app.shell.currentWidget.content;
  content.deselectAll();
  content.activeCellIndex = index;
  const ended = app.commands.execute('notebook:run-cell');
  if (wait) await ended;
}"""
_WRITE = "([index, source]) => window.jupyterapp.shell.currentWidget.content.widgets[index].model.sharedModel.setSource(source)"
_COMMAND = "async ([name, args]) => { await window.jupyterapp.commands.execute(name, args); }"
_KERNEL = "async (action) => { await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel[action](); }"
_STATUS = "(status) => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === status"
_CENTER = "element => element.scrollIntoView({block: 'center'})"
# What the widget manager says of every widget in a notebook that is opened with a new kernel.
_NO_MODEL = "widget model not found"
# JupyterLab takes the splash of a changed theme away twice when the theme changes again soon.
_SPLASH = re.compile(r"'removeChild' on 'Node'.*\n.*/static/lab/jlab_core[^\n]*$")
_IS_LIGHT = "(light) => document.body.dataset.jpThemeLight === light"
_STILL = "() => !document.getAnimations().some((one) => one instanceof CSSTransition && one.playState === 'running')"


def change_theme(page: Page, theme: Theme) -> None:
    """Change JupyterLab's theme; colours that go over into others have done so at the end."""
    page.evaluate(_COMMAND, ["apputils:change-theme", {"theme": f"JupyterLab {theme.title()}"}])
    page.wait_for_function(_IS_LIGHT, arg=str(theme == "light").lower())
    page.wait_for_load_state("networkidle")
    page.wait_for_function(_STILL)


class NotebookPage:
    """The page; `problems` are the errors that the browser told of, but for JupyterLab's own."""

    def __init__(self, lab: Lab, context: BrowserContext, path: str, url: str | None = None) -> None:
        self.lab, self.path, self.context = lab, path, context
        self.problems: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_error)
        self.page.goto(url or lab.page_url(path))
        self.wait_for_kernel()

    @property
    def file(self) -> Path:
        """The notebook on disk."""
        return self.lab.root / self.path

    def wait_for_kernel(self) -> None:
        """Return when the notebook is shown and its kernel takes messages."""
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=LOADS_IN_MS)
        self.page.wait_for_function(_KERNEL_READY, timeout=LOADS_IN_MS)

    def run(self, index: int) -> None:
        """Run one cell and wait for its end."""
        self.page.evaluate(_RUN, [index, True])

    def start(self, index: int) -> None:
        """Run one cell and do not wait for it."""
        self.page.evaluate(_RUN, [index, False])
        self.wait_for_status("busy")

    def run_all(self) -> None:
        """Run all cells and wait for their end."""
        self.command("notebook:run-all-cells")

    def command(self, name: str, **args: Any) -> None:
        """Execute one of JupyterLab's commands."""
        self.page.evaluate(_COMMAND, [name, args])

    def wait_for_status(self, status: Literal["idle", "busy"]) -> None:
        """Wait until the kernel says that it is idle or busy."""
        self.page.wait_for_function(_STATUS, arg=status, timeout=RUNS_IN_MS)

    def set_source(self, index: int, source: str) -> None:
        """Write into a cell."""
        self.page.evaluate(_WRITE, [index, source])

    def restart(self) -> None:
        """Restart the kernel and wait until it takes messages again."""
        self.page.evaluate(_KERNEL, "restart")
        self.wait_for_kernel()
        self.wait_for_status("idle")

    def interrupt(self) -> None:
        """Interrupt the kernel."""
        self.page.evaluate(_KERNEL, "interrupt")

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")

    def saved(self) -> str:
        """The notebook's file, just saved."""
        self.save()
        return self.file.read_text()

    def reload(self) -> None:
        """Load the page again, as F5 does; what was not saved is lost."""
        self.page.reload()
        self.wait_for_kernel()

    def cell(self, index: int) -> Locator:
        """A cell, by its place from the top."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def expect_first_line(self, index: int, line: str) -> None:
        """Wait until the text of a cell's outputs begins with this line."""
        wait_until(lambda: self.output(index).splitlines()[:1] == [line], story=lambda: self.output(index))

    def output(self, index: int) -> str:
        """The text of a cell's outputs, which is drawn a moment after the cell has ended."""
        return "\n".join(self.cell(index).locator(".jp-OutputArea-output").all_inner_texts())

    def widget(self, index: int) -> Locator:
        """The live widget below a cell."""
        return self.cell(index).locator(".hbj-root")

    def expect_run(self, index: int, state: str) -> Locator:
        """Wait until the run below a cell is in this state; gives its widget."""
        widget = self.widget(index)
        expect(widget).to_have_attribute("data-state", state, timeout=RUNS_IN_MS)
        return widget

    def set_theme(self, theme: Theme) -> None:
        """Change JupyterLab's theme."""
        change_theme(self.page, theme)

    def picture(self, target: Locator, path: Path) -> None:
        """A picture of an element with a little of its surroundings."""
        target.evaluate(_CENTER)
        self.page.mouse.move(0, 0)
        target.screenshot(path=path, animations="disabled", caret="hide")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and _NO_MODEL not in message.text:
            self.problems.append(f"console: {message.text} ({message.location})")

    def _on_error(self, error: Error) -> None:
        told = f"page: {error.stack or error}"
        if not _SPLASH.search(told):
            self.problems.append(told)
