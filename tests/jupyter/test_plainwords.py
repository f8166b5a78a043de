from __future__ import annotations

import re
import sys
import warnings
from typing import Any

import pytest

from hail_batch_jupyter.errors import BatchException, MissingPackageError
from hail_batch_jupyter.jupyter.plainwords import plain_words, without_ours


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def test_a_package_that_is_missing_is_named_with_its_remedy(cells: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(MissingPackageError, match=r"this needs the package pandas, which is not installed for .*python.*; %pip install pandas"):
        cells.run("%batch_runs --all")


def test_a_module_that_the_user_misses_is_not_taken_for_one_of_ours() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'mine'") as caught, plain_words():
        raise ModuleNotFoundError("No module named 'mine'", name="mine")

    assert not isinstance(caught.value, BatchException)


def test_without_anywidget_a_run_is_shown_as_html(cells: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    cells.run("b = %batch b")
    cells.run("%%batch_job one\ntrue")
    cells.run("%batch_run --wait")

    with pytest.raises(BatchException, match=r"run.dag\(\) needs anywidget .*; pip install anywidget"):
        cells.run("b.last_run.dag()")


@pytest.mark.filterwarnings("default")
def test_warnings_of_others_keep_their_place(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UserWarning, match="of mine"), plain_words():
        warnings.warn("of mine", stacklevel=1)

    assert "of mine" not in capsys.readouterr().err


def test_what_this_package_caught_on_the_way_is_not_shown(cells: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    cells.run("b = %batch b")
    cells.run("%%batch_job one\ntrue")
    cells.run("%batch_run --wait")
    capsys.readouterr()

    with pytest.raises(MissingPackageError, match="draws with matplotlib, which is not installed"):
        cells.run("b.last_run.plot()")

    said = shown(capsys)
    assert "b.last_run.plot()" in said
    assert "direct cause" not in said
    assert "plots.py" not in said


def test_a_traceback_that_ends_in_the_users_own_code_is_whole() -> None:
    with pytest.raises(BatchException) as caught:
        raise BatchException("mine")

    kept = without_ours(caught.value.__traceback__)
    assert kept is not None
    assert kept.tb_frame.f_code.co_filename == __file__


def test_what_a_call_of_an_executor_raises_is_shown_without_our_frames(cells: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells.run("import hail_batch_jupyter.batch as hb\npool = hb.BatchPoolExecutor()")
    capsys.readouterr()

    with pytest.raises(ValueError, match="submitted job failed"):
        cells.run("list(pool.map(lambda x: 1 / x, [0]))")
    said = shown(capsys)
    cells.run("pool.shutdown()")

    assert "ZeroDivisionError: division by zero" in said
    assert "hail_batch_jupyter/batch/" not in said


def test_after_a_restart_the_last_run_of_the_batch_is_found(cells: Any) -> None:
    cells.run("b = %batch b")
    cells.run("%%batch_job one\necho hello > {one.word}")
    cells.run("%batch_run --wait")
    cells.run("b = %batch b --reset")
    cells.run("%%batch_job one\necho hello > {one.word}")
    cells.shell._hail_batch_jupyter[0].desk.run = None
    assert cells.run("b.last_run") is None

    cells.run("%batch_jobs")

    assert cells.run("b.last_run.status()['state']") == "success"
    assert cells.run("one.word.path().read_text()") == "hello\n"
