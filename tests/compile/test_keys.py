from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.batch.job import BashJob, PythonJob
from hail_batch_jupyter.compile.code_digest import Digest
from tests.requirements import ROOT


def keys(b: Batch) -> list[str]:
    """The keys of all jobs in order."""
    return [job.key for job in b.compile().jobs]


def bash_key(change: Callable[[BashJob], Any], name: str = "fit", before: int = 0) -> str:
    """The key of a small job after a change of it."""
    b = Batch()
    for _ in range(before):
        b.new_job(name)
    j = b.new_job(name)
    j.command(f"sort /data > {j.o}")
    change(j)
    return keys(b)[-1]


PLAIN = bash_key(lambda j: j)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda j: j.command("true"), id="command"),
        pytest.param(lambda j: j.env("A", 1), id="variable"),
        pytest.param(lambda j: j.cpu(2), id="cpu"),
        pytest.param(lambda j: j.memory("1Gi"), id="memory"),
        pytest.param(lambda j: j.storage("1Gi"), id="storage"),
        pytest.param(lambda j: j.image("i"), id="image"),
        pytest.param(lambda j: j.o.add_extension(".x"), id="extension"),
        pytest.param(lambda j: setattr(j, "_machine_type", "m"), id="machine"),
    ],
)
def test_what_changes_the_work_changes_the_key(change: Callable[[BashJob], Any]) -> None:
    assert bash_key(change) != PLAIN


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda j: j.timeout(5), id="timeout"),
        pytest.param(lambda j: j.always_run(), id="always-run"),
        pytest.param(lambda j: j.attributes.update(a="b"), id="attributes"),
        pytest.param(lambda j: j.job_batch.write_output(j.o, "/out"), id="output"),
        pytest.param(lambda j: setattr(j, "name", "other"), id="name"),
        pytest.param(lambda j: j.job_batch.new_job("later"), id="other-jobs"),
    ],
)
def test_what_does_not_change_the_work_keeps_the_key(change: Callable[[BashJob], Any]) -> None:
    b = Batch()
    j = b.new_job("fit")
    j.command(f"sort /data > {j.o}")
    change(j)

    assert keys(b)[0] == PLAIN


def test_names_and_folders_do_not_count() -> None:
    assert bash_key(lambda j: j, name="other", before=2) == PLAIN


def chain(command: str, file: str = "o", depend: bool = False) -> list[str]:
    """The keys of two jobs of which the second reads a file of the first."""
    b = Batch()
    j, k = b.new_job(), b.new_job()
    j.command(f"{command} {j[file]}")
    k.command(f"cat {j[file]}" if not depend else "true")
    if depend:
        k.depends_on(j)
    return keys(b)


def test_a_change_of_a_parent_changes_its_children() -> None:
    assert chain("touch")[1] != chain("echo x >")[1]
    assert chain("touch")[1] != chain("touch", file="other")[1]
    assert chain("touch", depend=True)[1] != chain("echo x >", depend=True)[1]
    assert chain("touch") == chain("touch")


def test_an_input_counts_by_where_it_comes_from() -> None:
    def key(path: str) -> str:
        b = Batch()
        b.read_input("/other")
        b.new_job().command(f"cat {b.read_input(path)}")
        return keys(b)[0]

    assert key("/a") == key("/a") != key("/b")


def cell(source: str, file: str, line: int, **namespace: Any) -> Any:
    """The function `f` that a cell in some file at some line makes."""
    module = types.ModuleType("__main__")
    module.__dict__.update(namespace)
    exec(compile("\n" * line + source, file, "exec"), module.__dict__)
    return module.__dict__["f"]


def python_key(function: Any, *args: Any) -> str:
    """The key of a job that calls the function."""
    b = Batch()
    p: PythonJob = b.new_python_job()
    p.call(function, *args)
    return keys(b)[0]


def test_code_counts_wherever_it_was_typed() -> None:
    source = "def g(x):\n    return [y for y in x if y in {'a', 'b', 'c'}]\ndef f(x, y=[1]):\n    return g(x), (lambda: y)()\n"

    assert python_key(cell(source, "<cell 1>", 0), 1) == python_key(cell(source, "<cell 7>", 50), 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("def f(x): return x + 1", "def f(x): return x + 2", id="constant"),
        pytest.param("def f(x): return x + 1", "def f(x): return x - 1", id="operator"),
        pytest.param("def f(x, y=1): return x", "def f(x, y=2): return x", id="default"),
        pytest.param("N = 1\ndef f(x): return N", "N = 2\ndef f(x): return N", id="global"),
        pytest.param("def g(): return 1\ndef f(x): return g()", "def g(): return 2\ndef f(x): return g()", id="helper"),
        pytest.param("def f(x): return (lambda: 1)()", "def f(x): return (lambda: 2)()", id="inner"),
        pytest.param("class A:\n  def m(self): return 1\ndef f(x): return A()", "class A:\n  def m(self): return 2\ndef f(x): return A()", id="class"),
        pytest.param("def f(x): return x.real", "def f(x): return x.imag", id="attribute"),
    ],
)
def test_a_change_of_what_the_code_does_counts(before: str, after: str) -> None:
    assert python_key(cell(before, "c", 0), 1) != python_key(cell(after, "c", 0), 1)


def test_globals_that_only_share_the_name_of_an_attribute_do_not_count() -> None:
    source = "def f(x): return x.real"

    assert python_key(cell(source, "c", 0, real=1), 1) == python_key(cell(source, "c", 0, real=2), 1)


@dataclass
class Point:
    x: int
    more: Any = None


def test_arguments_count_by_value() -> None:
    values: list[Any] = [1, 1.0, True, "1", b"1", None, (1,), [1], {1}, frozenset({1}), {"a": 1}, {"b": 1}, Point(1), Point(2), range(3), len, print, Path("a")]
    found = [python_key(str, value) for value in values]

    assert len(found) == len(set(found))
    assert found == [python_key(str, value) for value in values]


def test_what_refers_to_itself_has_a_digest() -> None:
    loop: list[Any] = []
    loop.append(loop)
    point = Point(1)
    point.more = [point]

    assert Digest(None).of(loop) != Digest(None).of([[]])
    assert Digest(None).of(point) == Digest(None).of(point)


def test_files_among_arguments_count_as_in_a_command() -> None:
    def key(command: str) -> str:
        b = Batch()
        j, p = b.new_job(), b.new_python_job()
        j.command(f"{command} > {j.o}")
        p.call(print, [j.o])
        return keys(b)[1]

    assert key("a") == key("a") != key("b")


SCRIPT = """
import numpy as np
from dataclasses import dataclass
from enum import Enum
from hail_batch_jupyter.batch import Batch

class Kind(Enum):
    A = 1

@dataclass
class Own:
    words: set
    kind: Kind = Kind.A

LIMITS = {"low": {"a", "b", "c", "d"}, "high": frozenset("xyz")}

def helper(x):
    return x in {"p", "q", "r"} or x in LIMITS["low"]

def f(x, own=Own({"s", "t"})):
    import json
    return helper(x), np.mean(x), json.dumps(sorted(own.words))

b = Batch()
b.new_python_job().call(f, np.arange(5), Own({"k", "l", "m"}))
print(b.compile().jobs[0].key)
"""


def test_another_process_finds_the_same_key() -> None:
    found = set()
    for seed in ("1", "2", "3"):
        run = [sys.executable, "-c", SCRIPT.replace("\n", "\n" * int(seed))]
        done = subprocess.run(run, env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "HOME": "/"}, capture_output=True, text=True, check=True)
        found.add(done.stdout)

    assert len(found) == 1


def test_a_module_that_the_user_edits_counts_by_what_it_defines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for number in (1, 2):
        sys.modules.pop("own_module", None)
        (tmp_path / "own_module.py").write_text(f"def work(x):\n    return x + {number}{' ' * number}\n")
        import own_module  # type: ignore[import-not-found]  # written above

        found.append((python_key(own_module.work, 1), python_key(cell("def f(x): return own_module.work(x)", "c", 0, own_module=own_module), 1)))
    sys.modules.pop("own_module")

    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]
