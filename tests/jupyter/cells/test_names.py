from __future__ import annotations

import ast

import pytest

from hail_batch_jupyter.jupyter.cells.names import names_of


@pytest.mark.parametrize(
    ("source", "read"),
    [
        pytest.param("x = x + 1", {"x"}, id="read before assigned"),
        pytest.param("x = 1\nprint(x)", {"print"}, id="assigned before read"),
        pytest.param("total += 1", {"total"}, id="augmented"),
        pytest.param("if c:\n    df = 1\nprint(df)", {"c", "print", "df"}, id="assigned on one branch"),
        pytest.param("if c:\n    df = 1\nelse:\n    df = 2\ndf", {"c"}, id="assigned on both branches"),
        pytest.param("try:\n    x = 1\nexcept E as e:\n    e; x = 2\nx", {"E"}, id="assigned in try and except"),
        pytest.param("try:\n    x = f()\nexcept E:\n    pass\nx", {"E", "f", "x"}, id="assigned in try only"),
        pytest.param("with open(p) as fh:\n    d = fh.read()\nd", {"open", "p"}, id="with"),
        pytest.param("for i in xs:\n    s = i\nelse:\n    s", {"xs"}, id="loop"),
        pytest.param("while (line := f()):\n    g(line)", {"f", "g"}, id="walrus"),
        pytest.param("import numpy as np, a.b\nnp.mean(a.b)", set(), id="imports"),
        pytest.param("r = [k(v) for v in d if v > t]", {"k", "d", "t"}, id="comprehension"),
        pytest.param("r = {x: y for x, y in d.items()}\nx", {"d", "x"}, id="a comprehension's names are its own"),
        pytest.param("def g(a, b=k):\n    z = a + q\n    return h(z) + out\nout = g(1)", {"k", "q", "h"}, id="function"),
        pytest.param("def g():\n    def inner():\n        return later + zz\n    later = 1\n    return inner", {"zz"}, id="closure"),
        pytest.param("f = lambda a, *b, **c: a + d + b + c", {"d"}, id="lambda"),
        pytest.param("class A(Base):\n    y = w\n    def m(self):\n        return self.y + u", {"Base", "w", "u"}, id="class"),
        pytest.param("@deco\ndef f(x: T) -> U:\n    return x", {"deco", "T", "U"}, id="decorator and annotations"),
        pytest.param("d[k] = 1\no.attr = 2", {"d", "k", "o"}, id="items and attributes"),
        pytest.param("f'{v:.{w}f}'", {"v", "w"}, id="f-string"),
        pytest.param("x: int = 3\ndel x\nx", {"int", "x"}, id="deleted"),
        pytest.param("match cmd:\n    case [a, *rest]:\n        a, rest\n    case P(z=q):\n        q", {"cmd", "P"}, id="match"),
        pytest.param("def g():\n    global n\n    n = 1\ng()", set(), id="global"),
    ],
)
def test_names_that_a_cell_takes_from_outside(source: str, read: set[str]) -> None:
    assert set(names_of(ast.parse(source).body).read) == read


@pytest.mark.parametrize(
    ("source", "assigned"),
    [
        pytest.param("a = b = 1\nc, (d, *e) = x", {"a", "b", "c", "d", "e"}, id="targets"),
        pytest.param("import a.b as c, d.e\nfrom f import g as h", {"c", "d", "h"}, id="imports"),
        pytest.param("def f(): inner = 1\nclass C: attribute = 2", {"f", "C"}, id="definitions"),
        pytest.param("r = [v for v in w if (last := v)]", {"r", "last"}, id="walrus in a comprehension"),
        pytest.param("for i, j in x: pass\nwith a as b: pass", {"i", "j", "b"}, id="loops and with"),
        pytest.param("x: int\nfor y.z in w: pass", {"x"}, id="annotation alone"),
    ],
)
def test_names_that_a_cell_gives_values_to(source: str, assigned: set[str]) -> None:
    assert set(names_of(ast.parse(source).body).assigned) == assigned


def test_names_come_with_their_first_line() -> None:
    names = names_of(ast.parse("\n\nx = y\nz = y + x").body)

    assert names.read == {"y": 3}
    assert names.assigned == {"x": 3, "z": 4}
