from __future__ import annotations

from typing import Any

import pytest

from hail_batch_jupyter.jupyter.completion import Completer
from hail_batch_jupyter.jupyter.magics import BatchMagics


@pytest.fixture
def completer() -> Completer:
    names = ("batch", "batch_job", "batch_wait", "batch_run")
    return Completer({name: getattr(BatchMagics, name).parser for name in names}, lambda: ["align", "sort", "sort2"], lambda: ["local"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("%%batch_job fit --me", ["--memory"], id="option"),
        pytest.param("%%batch_job fit --s", ["--shell", "--spot", "--storage"], id="options"),
        pytest.param("%%batch_job fit --after ", ["align", "sort", "sort2"], id="jobs"),
        pytest.param("%%batch_job fit --after so", ["sort", "sort2"], id="jobs of that beginning"),
        pytest.param("%%batch_job fit --after sort ", ["align", "sort2"], id="more jobs"),
        pytest.param("%%batch_job fit --after sort --cpu ", [], id="a value that is none"),
        pytest.param("%batch_wait al", ["align"], id="jobs of a line magic"),
        pytest.param("%batch_run --only s", ["sort", "sort2"], id="only"),
        pytest.param("%batch b --backend ", ["local"], id="backends"),
        pytest.param("%batch --drop sort ", [], id="one job only"),
        pytest.param("%%batch_jobs --me", [], id="another magic"),
        pytest.param("print(--me", [], id="no magic"),
    ],
)
def test_what_may_follow(completer: Completer, line: str, expected: list[str]) -> None:
    token = line[line.rfind(" ") + 1 :]

    assert [text for text, _ in completer.match(line, token)] == expected


def completions(shell: Any, text: str, position: int | None = None) -> list[str]:
    _, found = shell.Completer.complete(cursor_line=text.count("\n"), line_buffer=text.rsplit("\n", maxsplit=1)[-1], cursor_pos=position)[:2]
    return list(found)


def test_ipython_offers_options_and_jobs_on_the_line_and_nothing_in_the_cell(cells: Any) -> None:
    cells.run("%batch b")
    cells.run("%%batch_job align\ntrue")

    def offered(code: str) -> set[str]:
        from IPython.core.completer import provisionalcompleter

        with provisionalcompleter():
            return {code[: one.start] + one.text for one in cells.shell.Completer.completions(code, len(code))}

    assert "%%batch_job x --memory" in offered("%%batch_job x --mem")
    assert "%%batch_job x --after align" in offered("%%batch_job x --after al")
    assert not [text for text in offered("%%batch_job x\necho --mem") if text.endswith("--memory")]
