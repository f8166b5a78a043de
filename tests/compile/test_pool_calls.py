from __future__ import annotations

import functools
import gc
import math
import pickle
import weakref
from typing import Any

import pytest

from hail_batch_jupyter.compile import pool_calls
from hail_batch_jupyter.compile.pool_calls import PoolPacker
from tests.executors.pools import increment


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The functions that were pickled anew."""
    found: list[Any] = []
    real = pool_calls._function_bytes

    def counted(function: Any) -> bytes:
        found.append(function)
        return real(function)

    monkeypatch.setattr(pool_calls, "_function_bytes", counted)
    return found


def defined(text: str) -> dict[str, Any]:
    """What a notebook's cell defines."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(text, space)
    return space


def test_a_function_of_a_module_goes_by_its_name() -> None:
    assert pickle.loads(PoolPacker().function(increment).data) is increment


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("f = lambda x: x + 1", id="lambda"),
        pytest.param("n = 2\ndef f(x, y=(1, 'a')): return x + n", id="plain global and default"),
        pytest.param("import math\ndef g(x): return math.sqrt(x)\ndef f(x): return g(x) + len([x])", id="other functions and modules"),
        pytest.param("def f(x): return f(x - 1) if x else 0", id="itself"),
        pytest.param("def outer():\n    n = 3\n    return lambda x: x + n\nf = outer()", id="closure"),
        pytest.param("from fractions import Fraction\ndef f(x): return Fraction(x)", id="class of a package"),
    ],
)
def test_a_function_that_can_only_change_by_name_is_pickled_once(text: str, packed: list[Any]) -> None:
    packer, function = PoolPacker(), defined(text)["f"]

    assert packer.function(function) is packer.function(function)
    assert packed == [function]


@pytest.mark.parametrize(
    ("text", "change"),
    [
        pytest.param("n = 2\ndef f(x): return x + n", "n = 3", id="global"),
        pytest.param("def f(x): return later(x)", "def later(x): return 9", id="name that comes later"),
        pytest.param("def g(x): return x\ndef f(x): return g(x)", "def g(x): return -x", id="function that it calls"),
        pytest.param("items = [1]\ndef f(x): return items", "items.append(2)", id="content of a list"),
        pytest.param("def f(x, kept=[]): return kept", "f.__defaults__[0].append(1)", id="content of a default"),
        pytest.param("def outer():\n    n = [3]\n    return lambda x: n\nf = outer()", "f.__closure__[0].cell_contents.append(1)", id="content of a closure"),
        pytest.param("class C: a = 1\ndef f(x): return C.a", "C.a = 2", id="class of the notebook"),
        pytest.param("def f(x): return x", "f.__code__ = (lambda x: -x).__code__", id="code"),
    ],
)
def test_a_change_is_seen_by_the_next_call(text: str, change: str) -> None:
    packer, space = PoolPacker(), defined(text)
    before = packer.function(space["f"])
    assert packer.function(space["f"]).data == before.data

    exec(change, space)

    after = packer.function(space["f"])
    assert after.number != before.number
    assert after.data != before.data


def test_equal_bytes_keep_their_number_so_that_workers_get_them_once(packed: list[Any]) -> None:
    packer, space = PoolPacker(), defined("items = [1]\ndef f(x): return items")

    assert packer.function(space["f"]).number == packer.function(space["f"]).number
    assert len(packed) == 2, "a list may change, so each call looks"


def test_functions_made_in_a_loop_are_not_held_for_ever() -> None:
    packer = PoolPacker()
    made = []
    for _ in range(100):
        function = defined("f = lambda x: x")["f"]
        packer.function(function)
        made.append(weakref.ref(function))
    del function

    gc.collect()
    assert sum(reference() is not None for reference in made) <= 32


@pytest.mark.parametrize("function", [math.sqrt, functools.partial(increment), len], ids=["builtin", "partial", "len"])
def test_other_callables_are_pickled_for_each_call(function: Any) -> None:
    packer = PoolPacker()

    assert packer.function(function).number != packer.function(function).number
    assert callable(pickle.loads(packer.function(function).data))


def test_plain_arguments_need_no_dill() -> None:
    assert pickle.loads(PoolPacker().arguments(increment, (1, "a"), {"b": [2]})) == ((1, "a"), {"b": [2]})


def test_arguments_of_the_notebook_s_own_classes_go_by_value() -> None:
    import dill

    space = defined("class Point:\n    def __init__(self, x): self.x = x")
    data = PoolPacker().arguments(increment, (space["Point"](3), lambda x: x), {})

    (point, function), _ = dill.loads(data, ignore=True)
    assert (point.x, function(4)) == (3, 4)
