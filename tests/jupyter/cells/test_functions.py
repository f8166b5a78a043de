from __future__ import annotations

import traceback
import types
from pathlib import Path, PurePath
from typing import Any

import pytest

from hail_batch_jupyter.errors import TemplateError
from hail_batch_jupyter.jupyter.cells.chains import Surroundings
from hail_batch_jupyter.jupyter.cells.functions import Call, build_call, read_cell


class Handle:
    """Stands for a job: its attributes and items are given."""

    def __init__(self, **files: Any) -> None:
        self.__dict__.update(files)
        self._files = files

    def __getitem__(self, name: str) -> Any:
        return self._files[name]


class File(str):
    """Stands for a file of a job: in the job it is its text."""

    __slots__ = ()


class Group:
    """Stands for a group of files."""

    def __init__(self, **members: File) -> None:
        self.__dict__.update(members)


def call_of(source: str, *outputs: str, hidden: dict[str, Any] | None = None, **names: Any) -> Call:
    """The call of a cell named 'evaluate' in a notebook with these names."""

    def stage(path: PurePath) -> File:
        if not Path(path).exists():
            raise TemplateError(f"there is no file {str(path)!r}")
        return File(f"/staged/{path.name}")

    around = Surroundings(names, hidden or {}, lambda value: isinstance(value, Handle), lambda value: isinstance(value, (File, Group)), stage)
    return build_call(read_cell("evaluate", source), outputs, around)


def results(source: str, *outputs: str, **names: Any) -> dict[str, Any]:
    call = call_of(source, *outputs, **names)
    return call.function(**call.arguments)


def message(source: str, *outputs: str, **names: Any) -> str:
    with pytest.raises(TemplateError) as caught:
        call_of(source, *outputs, **names)
    return str(caught.value)


def test_a_cell_gives_the_values_that_were_asked_for() -> None:
    assert results("a = x + 1\nb = [a] * y\nc = 3", "a", "b", x=1, y=2) == {"a": 2, "b": [2, 2]}


def test_variables_that_are_changed_in_the_cell_begin_with_the_notebooks_value() -> None:
    assert results("n += 1\nitems = [*items, n]", "n", "items", n=1, items=[0]) == {"n": 2, "items": [0, 2]}


def test_only_what_the_cell_reads_travels() -> None:
    call = call_of("df = load()\nn = len(df)", "n", load=lambda: [1], df="big", other=3)

    assert set(call.arguments) == {"load"}


def test_modules_functions_and_classes_of_the_notebook_can_be_used() -> None:
    module = types.ModuleType("maths")
    module.one = 1  # type: ignore[attr-defined]
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("class P:\n    size = 3\ndef twice(x):\n    return 2 * x", names)

    assert results("n = twice(P.size) + m.one", "n", m=module, twice=names["twice"], P=names["P"]) == {"n": 7}


def test_functions_and_classes_of_the_cell_see_the_cells_names() -> None:
    functions = "def f(x):\n    return g(x) + k\ndef g(x):\n    return 0 if x == 0 else 1 + g(x - 1)\n"
    source = functions + "class C:\n    def m(self):\n        return f(2)\nk = 10\nr = C().m()"

    assert results(source, "r") == {"r": 12}


def test_files_and_results_of_jobs_become_arguments() -> None:
    fit = Handle(model=File("/s/fit/model"), bed=Group(bim=File("/s/x.bim")))
    qc = Handle(score=File("0.5"))

    call = call_of("a = fit.model.upper()\nb = qc['score']\nc = fit.bed.bim + qc['score']", "a", "b", "c", fit=fit, qc=qc)

    assert sorted(call.arguments.values()) == ["/s/fit/model", "/s/x.bim", "0.5"]
    assert call.function(**call.arguments) == {"a": "/S/FIT/MODEL", "b": "0.5", "c": "/s/x.bim0.5"}


def test_a_name_that_is_bound_within_is_not_the_job() -> None:
    fit = Handle(model=File("job"))
    other = types.SimpleNamespace(model="mine")

    source = "def f(fit):\n    return fit.model\na = f(other)\nb = [fit.model for fit in [other]]\nc = fit.model"
    assert results(source, "a", "b", "c", fit=fit, other=other) == {"a": "mine", "b": ["mine"], "c": "job"}


def test_a_path_of_the_notebook_is_a_path_to_the_staged_file(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).touch()
    one, two = tmp_path / "a.csv", tmp_path / "b.csv"

    got = results("r = one.name, [p.name for p in many], mixed[0].stem + mixed[1], by['x'].suffix, pair[1].name, s", "r",
                  one=one, many=[one, two], mixed=[one, "!"], by={"x": two}, pair=(one, two), s="text")  # fmt: skip

    assert got == {"r": ("a.csv", ["a.csv", "b.csv"], "a!", ".csv", "b.csv", "text")}


def test_a_missing_file_is_an_error_at_the_cell(tmp_path: Path) -> None:
    assert "there is no file" in message("x = p.name", "x", p=tmp_path / "none")


def test_a_name_that_is_nowhere_defined_is_an_error_with_close_ones() -> None:
    assert message("\nx = evalute(1)", "x", evaluate=1) == (
        "line 3, 'x = evalute(1)': 'evalute' is neither defined in the notebook nor in this cell; did you mean evaluate?"
    )


def test_the_job_that_the_cell_makes_is_not_offered_for_a_name_that_is_missing() -> None:
    assert message("\nx = evaluat(1)", "x", evaluate=Handle()).endswith("; define it in an earlier cell, or import it in this one")


def test_a_name_of_python_is_offered_only_where_it_is_very_close() -> None:
    assert message("x = pirnt(1)").endswith("; did you mean print?")
    assert "did you mean" not in message("x = yes_later")


def test_a_job_has_nobody_to_ask() -> None:
    assert message("x = input('name?')").endswith("ask in an earlier cell, answer = input(…), and read 'answer' here")
    assert results("x = input('four')", "x", input=len) == {"x": 4}


def test_a_result_that_was_not_assigned_is_shown_at_the_option_that_asks_for_it() -> None:
    call = call_of("if False:\n    b = 1", "b")
    with pytest.raises(UnboundLocalError) as caught:
        call.function(**call.arguments)

    assert "".join(traceback.format_exception(caught.value)).splitlines()[-2].strip() == "%%batch_python evaluate -o b"


def test_a_result_that_is_not_assigned_is_an_error_with_close_ones() -> None:
    assert message("scores = 1", "score") == "-o score: the cell does not assign 'score'; did you mean scores?"
    assert message("print(1)", "score") == "-o score: the cell does not assign 'score'; it assigns nothing"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param("x = fit", "'fit' is a job, which cannot travel into another", id="job itself"),
        pytest.param("fit = 1\nx = fit.model\nfit.model", "", id="shadowed"),
        pytest.param("x = fit.model\nfit = 2", "'fit' is a job of the batch and the cell assigns it", id="assigned too"),
        pytest.param("x = fit.model.path()", "in the job 'fit.model' already is the path or value; leave .path() out", id="path"),
        pytest.param("x = fit.bed[k]", "is looked up when the cell is defined", id="variable index"),
        pytest.param("x = helper()", "the function 'inner' reads 'fit' of the batch from the notebook", id="in a function"),
        pytest.param("fit.model = 3", "'fit.model' is of a job and cannot be assigned or deleted; to make a file write to its path", id="assigned file"),
        pytest.param("x = fit['nothing']", "cannot be read, ", id="no such item"),
        pytest.param("display(x)", "'display' belongs to the notebook", id="display"),
        pytest.param("x = Out[1]", "'Out' belongs to the notebook", id="ipython"),
    ],
)
def test_what_cannot_travel_is_an_error_at_the_cell(source: str, words: str) -> None:
    fit = Handle(model=File("m"), bed={"a": File("b")})
    space: dict[str, Any] = {"__name__": "__main__", "fit": fit}
    exec("def helper():\n    return inner()\ndef inner():\n    return [fit.model for _ in range(1)]", space)
    names = {"fit": fit, "helper": space["helper"], "k": "a", "Out": {}}
    if not words:
        assert set(call_of(source, "x", **names).arguments) == set()
        return

    with pytest.raises(TemplateError, match=r"line 2|line 3") as caught:
        call_of(source, hidden={"Out": names["Out"]}, **names)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        pytest.param("x = 1\ny = (2", 3, "'(' was never closed", id="syntax"),
        pytest.param("x = 1\nawait f()", 3, "'await' at the top level of the cell", id="await"),
        pytest.param("x = [v async for v in w]", 2, "'async for' at the top level", id="async comprehension"),
        pytest.param("yield 1", 2, "'yield' at the top level", id="yield"),
        pytest.param("if 1:\n    return 1", 3, "'return' at the top level", id="return"),
        pytest.param("from os import *", 2, "'from os import *' hides", id="star"),
        pytest.param("x = 1\n!ls", 3, "'!ls' works in the notebook only", id="shell"),
        pytest.param("%time x = 1", 2, "'%time x = 1' works in the notebook only", id="magic"),
        pytest.param("for i in x:\n    pass\nbreak", 4, "'break' outside loop", id="break"),
    ],
)
def test_syntax_errors_show_the_line_of_the_cell(source: str, line: int, words: str) -> None:
    shown = message(source)

    assert f'File "<batch_python evaluate>", line {line}\n' in shown
    assert words in shown


def test_await_and_yield_within_functions_are_fine() -> None:
    source = "import asyncio\nasync def f():\n    return 1\ndef g():\n    yield 2\nx = asyncio.run(f()) + sum(g())"

    assert results(source, "x") == {"x": 3}


def test_future_imports_stay_in_front() -> None:
    assert results("from __future__ import annotations\ndef f(x: int) -> None: ...\nx = f.__annotations__['x']", "x") == {"x": "int"}


def test_a_traceback_shows_the_text_of_the_cell() -> None:
    call = call_of("a = 1\n\nb = a / 0  # here", "b")
    with pytest.raises(ZeroDivisionError) as caught:
        call.function(**call.arguments)

    shown = "".join(traceback.format_exception(caught.value))
    assert 'File "<batch_python evaluate>", line 4, in evaluate\n    b = a / 0  # here' in shown


def test_a_builtin_that_the_user_has_rebound_is_the_users() -> None:
    assert results("x = max(1, 2)", "x", max=lambda a, b: a - b) == {"x": -1}


def test_a_name_that_ipython_hides_is_the_builtin_of_the_job() -> None:
    def notebooks_open() -> None: ...

    call = call_of("x = open", "x", hidden={"open": notebooks_open}, open=notebooks_open)

    assert call.function(**call.arguments) == {"x": open}
