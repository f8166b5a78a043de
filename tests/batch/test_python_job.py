from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.errors import BatchException
from tests.batch.running import Ended

Run = Callable[[], dict[str, Ended]]


def add(x: int, y: int = 1) -> int:
    return x + y


class Adder:
    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, x: int) -> int:
        return self.n + x

    def plus(self, x: int) -> int:
        return self.n - x


@dataclass
class Holder:
    value: Any


class Pair(NamedTuple):
    left: Any
    right: Any


def shown(b: Batch, run: Run, result: Any) -> str:
    """The JSON of a result after a run."""
    b.new_job("show").command(f"cat {result.as_json()}")
    ended = run()
    return ended["show"].text if "show" in ended else str(ended)


def test_closures_travel_and_results_have_three_text_forms(b: Batch, run: Run) -> None:
    factor = 3

    def times(x: int) -> int:
        return x * factor

    r = b.new_python_job().call(lambda x: (times(x), "é"), 2)
    b.new_job("j").command(f"cat {r.as_str()} {r.as_json()} {r.as_repr()}; basename -a {r.as_str()} {r.as_json()} {r.as_repr()}")

    assert run()["j"].text == "(6, 'é')\n[6, \"\\u00e9\"]\n(6, 'é')\nresult1-str.txt\nresult1-json.json\nresult1-repr.txt\n"
    assert r.as_str() is r.as_str()


def test_files_and_results_are_found_in_lists_tuples_and_dicts(b: Batch, run: Run, tmp_path: Path) -> None:
    (tmp_path / "i.txt").write_text("in")
    i, h, p = b.read_input(tmp_path / "i.txt"), b.new_job("h"), b.new_python_job("p")
    h.command(f"printf out > {h.o}")
    r = p.call(add, 1)

    def read(a: Any, b: Any, c: Any, d: Any, *, kw: Any) -> Any:
        return [[open(x).read() for x in part] for part in (a, b, c["k"], d)], kw, [type(x).__name__ for x in (a, b, c, d)]

    s = p.call(read, [i, h.o], (h.o,), {"k": [i]}, Pair(i, h.o), kw=[r])

    assert shown(b, run, s) == '[[["in", "out"], ["out"], ["in"], ["in", "out"]], [2], ["list", "tuple", "dict", "Pair"]]\n'


def test_a_group_becomes_a_dict_of_paths(b: Batch, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A")
    g, j, p = b.read_input_group(x=tmp_path / "a.txt"), b.new_job("j"), b.new_python_job("p")
    j.declare_resource_group(h={"y": "{root}.y"})
    j.command(f"printf B > {j.h.y}")
    r = p.call(lambda *groups: [(name, Path(path).read_text(), path.rsplit("/", 1)[1]) for group in groups for name, path in group.items()], g, j.h)

    assert shown(b, run, r) == '[["x", "A", "a.txt"], ["y", "B", "h.y"]]\n'


def test_a_file_that_a_function_writes_is_read_by_a_shell(b: Batch, run: Run) -> None:
    p, j = b.new_python_job("p"), b.new_job("j")
    p.call(lambda path: Path(path).write_text("from Python"), p.ofile)
    j.command(f"cat {p.ofile}")

    assert run()["j"].text == "from Python"


def test_results_pass_between_calls_and_jobs(b: Batch, run: Run) -> None:
    p, q = b.new_python_job("p"), b.new_python_job("q")
    first = p.call(add, 1)
    second = p.call(add, first, y=10)

    assert shown(b, run, q.call(add, second, second)) == "24\n"
    assert p.n_results == 2
    assert p["result2"] is second


def test_each_call_has_an_interpreter_of_its_own(b: Batch, run: Run) -> None:
    p = b.new_python_job("p")

    def leave_trace() -> None:
        import math

        math.trace = 1  # type: ignore[attr-defined]  # a mark

    p.call(leave_trace)

    assert shown(b, run, p.call(lambda: hasattr(__import__("math"), "trace"))) == "false\n"


def test_a_coroutine_function_runs_to_its_end(b: Batch, run: Run) -> None:
    async def later(x: int) -> int:
        return x

    p = b.new_python_job()
    with pytest.raises(BatchException, match=r"Cannot call .*later with the supplied arguments: missing a required argument: 'x'"):
        p.call(later)

    assert shown(b, run, p.call(later, 5)) == "5\n"


@pytest.mark.parametrize(
    ("function", "args", "json"),
    [
        pytest.param(print, ("to the log",), "null", id="print"),
        pytest.param(abs, (-3,), "3", id="builtin"),
        pytest.param(functools.partial(add, 4), (5,), "9", id="partial"),
        pytest.param(Adder(2), (3,), "5", id="callable-object"),
        pytest.param(Adder(2).plus, (3,), "-1", id="method"),
        pytest.param(str, (7,), '"7"', id="class"),
        pytest.param(eval("lambda x: x + 1"), (1,), "2", id="made-by-eval"),
    ],
)
def test_whatever_can_be_called_can_run(b: Batch, run: Run, function: Any, args: tuple[Any, ...], json: str) -> None:
    assert f"{json}\n" == shown(b, run, b.new_python_job().call(function, *args))


def test_a_function_without_a_file_can_run(b: Batch, run: Run) -> None:
    space: dict[str, Any] = {}
    exec("def made(x):\n    return helper(x)\ndef helper(x):\n    return x * 2", space)

    assert shown(b, run, b.new_python_job().call(space["made"], 4)) == "8\n"


def test_a_function_that_raises_ends_its_job(b: Batch, run: Run) -> None:
    p, q = b.new_python_job("p"), b.new_python_job("q")

    def fail() -> None:
        raise ValueError("boom")

    r = p.call(fail)
    p.call(print, "never")
    q.call(print, r)
    ended = run()

    assert list(ended) == ["p"]
    assert ended["p"].exit_code == 1
    assert ended["p"].text.startswith("Traceback")
    assert ended["p"].text.endswith("ValueError: boom\n")
    assert "call_runner" not in ended["p"].text


def test_a_value_without_a_json_form_fails_the_job(b: Batch, run: Run) -> None:
    p = b.new_python_job("p")
    p.call(lambda: {1, 2}).as_json()

    assert "not JSON serializable" in run()["p"].text


def test_arguments_are_seen_as_they_are_when_the_batch_runs(b: Batch, run: Run) -> None:
    values, p, q = [1], b.new_python_job("p"), b.new_python_job("q")
    r = p.call(lambda given: given, values)
    first = q.call(add, 5)
    values.append(first)  # type: ignore[arg-type]  # a result becomes its value

    assert shown(b, run, r) == "[1, 6]\n"


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        pytest.param(5, (), "unapplied must be a callable function", id="no-function"),
        pytest.param(add, (), "Cannot call add with the supplied arguments", id="missing"),
        pytest.param(add, (1, 2, 3), "Cannot call add with the supplied arguments", id="too-many"),
    ],
)
def test_a_call_that_cannot_be_is_refused(b: Batch, function: Any, args: tuple[Any, ...], message: str) -> None:
    p = b.new_python_job()

    with pytest.raises(BatchException, match=message):
        p.call(function, *args)
    assert not p.job_draft.calls


def test_jobs_are_no_arguments_and_files_no_functions(b: Batch) -> None:
    p, j = b.new_python_job(), b.new_job("j")

    for argument in (j, [j], {"k": (j,)}, b):
        with pytest.raises(BatchException, match=r"arguments to print cannot be other job objects"):
            p.call(print, argument)
    with pytest.raises(BatchException, match=r"must be a callable function"):
        p.call(j.o)


@pytest.mark.parametrize("place", ["a set", "the keys of a dict", "a Holder", "a Adder"])
def test_a_file_where_nobody_would_find_it_is_refused_at_the_call(b: Batch, place: str) -> None:
    p, j = b.new_python_job(), b.new_job()
    j.command(f"touch {j.o}")
    hidden = {"a set": {j.o}, "the keys of a dict": [{j.o: 1}], "a Holder": (Holder([j.o]),), "a Adder": Adder(j)}[place]

    with pytest.raises(BatchException, match=f"holds a file, result or job in {place}, where it is not found"):
        p.call(print, hidden)


def test_an_undefined_file_and_one_of_another_batch_are_no_arguments(b: Batch) -> None:
    p, j, other = b.new_python_job(), b.new_job("j"), Batch(name="other").new_python_job()

    with pytest.raises(BatchException, match=r"undefined resource 'o' of job 'j'"):
        p.call(print, j.o)
    with pytest.raises(BatchException, match=r"undefined resource, which must be from the same batch"):
        p.call(print, [other.call(abs, 1)])


def test_keywords_may_have_any_name(b: Batch, run: Run) -> None:
    r = b.new_python_job().call(lambda **kw: sorted(kw), unapplied=1, self=2, args=3)

    assert shown(b, run, r) == '["args", "self", "unapplied"]\n'


def test_named_results_are_values_of_a_mapping(b: Batch, run: Run) -> None:
    p = b.new_python_job("p")
    results = p.call_named(lambda x: {"score": x, "rest": [x], "more": 0}, ["score", "rest"], 4)

    assert {"score": p.score, "rest": p["rest"]} == results
    assert p.n_results == 0
    assert shown(b, run, p["rest"]) == "[4]\n"


def test_a_named_result_that_is_missing_fails_the_job(b: Batch, run: Run) -> None:
    b.new_python_job("p").call_named(lambda: {"a": 1}, ["a", "b"])

    assert "gave no value for b" in run()["p"].text


def test_a_result_name_is_taken_once(b: Batch) -> None:
    p = b.new_python_job()
    p.call_named(dict, ["score"])

    for names in (["score"], ["a", "a"]):
        with pytest.raises(BatchException, match=r"'score'|one result twice"):
            p.call_named(dict, names)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        pytest.param("closure", r"its closure variable 'odd' is a generator.*make it inside the function", id="closure"),
        pytest.param("argument", r"argument 1 is a generator.*pass plain data", id="argument"),
        pytest.param("file", r"its closure variable 'odd' is a JobResourceFile.*without taking it as an argument.*pass the file", id="file"),
    ],
)
def test_what_cannot_be_pickled_is_named_with_a_remedy(b: Batch, where: str, words: str) -> None:
    j, p = b.new_job("j"), b.new_python_job("fit")
    j.command(f"touch {j.o}")
    odd: Any = j.o if where == "file" else (n for n in [1])

    def train(x: object) -> object:
        return odd or x

    p.call((lambda x: x) if where == "argument" else train, odd if where == "argument" else 1)

    with pytest.raises(BatchException, match=rf"job 'fit': function '.*' cannot be sent to a job: {words}"):
        b.compile()


def test_a_job_without_calls_succeeds(b: Batch, run: Run) -> None:
    b.new_python_job("idle")

    assert {"idle": Ended(0, "")} == run()


def test_a_function_is_stored_once_however_often_it_is_called(b: Batch) -> None:
    for n in range(3):
        b.new_python_job().call(add, n)
    names = [upload.dest.split("/")[1] for upload in b.compile().uploads]

    assert {name: names.count(name) for name in names} == {"functions": 2, "args": 3}


def test_a_function_that_was_changed_is_checked_anew(b: Batch) -> None:
    def given(x: int) -> int:
        return x

    p = b.new_python_job()
    p.call(given, 1)
    given.__defaults__ = (1,)
    p.call(given)
    given.__code__ = (lambda: 0).__code__

    with pytest.raises(BatchException, match=r"Cannot call .*given with the supplied arguments"):
        p.call(given, 1)
