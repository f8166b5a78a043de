"""What a run of Python jobs does, from whatever Python is first on PATH."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.batch import Batch
from tests.batch.ending import batch_in, failure_of, states, text_of


@pytest.fixture
def b(tmp_path: Path) -> Batch:
    return batch_in(tmp_path)


def add(x: int, y: int = 1) -> int:
    return x + y


def test_a_closure_comes_back_as_three_texts_of_one_line(b: Batch, tmp_path: Path) -> None:
    factor = 3

    def times(x: int) -> int:
        return x * factor

    r, j = b.new_python_job().call(lambda x: (times(x), "é"), 2), b.new_job()
    j.command(f"cat {r.as_str()} {r.as_json()} {r.as_repr()} > {j.o}")

    assert text_of(b, j.o, tmp_path) == "(6, 'é')\n[6, \"\\u00e9\"]\n(6, 'é')\n"


def test_containers_of_files_and_results_keep_their_kind(b: Batch, tmp_path: Path) -> None:
    (tmp_path / "i.txt").write_text("in")
    i, h, p = b.read_input(tmp_path / "i.txt"), b.new_job("h"), b.new_python_job("p")
    h.command(f"printf out > {h.o}")
    r = p.call(add, 1)

    def read(a: Any, b: Any, c: Any, *, kw: Any) -> Any:
        return [[Path(x).read_text() for x in part] for part in (a, b, c["k"])], kw, [type(x).__name__ for x in (a, b, c)]

    found = json.loads(text_of(b, p.call(read, [i, h.o], (h.o,), {"k": [i]}, kw=[r]).as_json(), tmp_path))

    assert found == [[["in", "out"], ["out"], ["in"]], [2], ["list", "tuple", "dict"]]


def test_a_group_is_a_dict_of_readable_paths(b: Batch, tmp_path: Path) -> None:
    j, p = b.new_job().declare_resource_group(g={"x": "{root}.x", "y": "{root}.y"}), b.new_python_job()
    j.command(f"printf 1 > {j.g.x}; printf 2 > {j.g.y}")
    r = p.call(lambda group: {name: Path(path).read_text() for name, path in group.items()}, j.g)

    assert json.loads(text_of(b, r.as_json(), tmp_path)) == {"x": "1", "y": "2"}


def test_a_shell_reads_what_a_function_wrote(b: Batch, tmp_path: Path) -> None:
    p, j = b.new_python_job(), b.new_job()
    p.call(lambda path: Path(path).write_text("from Python"), p.ofile)
    j.command(f"cat {p.ofile} > {j.o}")

    assert text_of(b, j.o, tmp_path) == "from Python"


def test_a_result_is_its_value_in_calls_jobs_and_shells(b: Batch, tmp_path: Path) -> None:
    p, q, j = b.new_python_job("p"), b.new_python_job("q"), b.new_job("j")
    first = p.call(add, 1)
    second = p.call(add, first, y=10)
    third = q.call(add, second, first)
    j.command(f"cat {third.as_json()} > {j.o}")

    assert text_of(b, j.o, tmp_path) == "14\n"


async def later(x: int) -> int:
    return x * 2


@pytest.mark.parametrize(
    ("function", "args", "text"),
    [
        pytest.param(print, ("to the log",), "null", id="print"),
        pytest.param(abs, (-3,), "3", id="builtin"),
        pytest.param(functools.partial(add, 4), (5,), "9", id="partial"),
        pytest.param(str, (7,), '"7"', id="class"),
        pytest.param(later, (4,), "8", id="coroutine"),
    ],
)
def test_any_callable_runs(b: Batch, tmp_path: Path, function: Any, args: tuple[Any, ...], text: str) -> None:
    assert text_of(b, b.new_python_job().call(function, *args).as_json(), tmp_path) == f"{text}\n"


def test_a_call_that_raises_ends_its_job_and_cancels_readers(b: Batch, tmp_path: Path) -> None:
    p, q = b.new_python_job("p"), b.new_python_job("q")

    def fail() -> None:
        raise ValueError("boom")

    r = p.call(fail)
    p.call((tmp_path / "second").touch)
    q.call(print, r)
    failed = failure_of(b)

    assert [(name, code) for _, name, _, code in failed.failed] == [("p", 1)]
    assert "ValueError: boom" in str(failed)
    assert states(b)["q"] == "Cancelled"
    assert not (tmp_path / "second").exists()


def test_what_happens_to_an_argument_before_the_run_is_seen(b: Batch, tmp_path: Path) -> None:
    values = [1]
    r = b.new_python_job().call(lambda given: given, values)
    values.append(2)

    assert text_of(b, r.as_json(), tmp_path) == "[1, 2]\n"


def test_jobs_run_with_this_python_whatever_is_first_on_path(b: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").write_text("#!/bin/sh\necho 'No module named dill' >&2\nexit 1\n")
    (programs / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")

    assert text_of(b, b.new_python_job().call(add, 1).as_json(), tmp_path) == "2\n"
