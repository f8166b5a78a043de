"""Which braces of a cell are the notebook's, what they become, and what is said when they cannot be filled."""

from __future__ import annotations

import builtins
import decimal
import enum
import math
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.core.template import Files, Piece, Value, Values
from hail_batch_jupyter.errors import TemplateError
from hail_batch_jupyter.jupyter.cells.braces import Insert, fill, to_piece


class Job:
    """Makes a file of every attribute, as the jobs of a batch do."""

    def __getattr__(self, name: str) -> Path:
        if name.startswith("_"):
            raise AttributeError(name)
        return Path(name)


def as_file(value: object) -> FileRef | None:
    return FileRef(FileKind.INPUT, 0, str(value)) if isinstance(value, Path) else None


def piece(value: object, raw: bool = False) -> Piece:
    return to_piece(Insert("x.y", value, raw, 3), as_file)


def values(cell: str, **namespace: object) -> list[object]:
    return [part.value if isinstance(part, Insert) else part for part in fill(cell, namespace)]


def test_an_insert_names_expression_value_and_line() -> None:
    found = fill("set -e\necho {n} \\\n  {x.y[0]!s}{n:03d}\n", {"n": 7, "x": SimpleNamespace(y=["a"])})

    assert found == [
        "set -e\necho ",
        Insert("n", 7, False, 2),
        " \\\n  ",
        Insert("x.y[0]", "a", True, 3),
        Insert("n", "007", False, 3),
        "\n",
    ]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("{x}", ["X"]),
        ("a{x}b{x}c", ["a", "X", "b", "X", "c"]),
        ("{d['k']}{d[\"k k\"]}{d['k'][-1]}", ["abc", 5, "c"]),
        ("{l[0]} {l[-1]} {l[1].real}", [1, " ", 2, " ", 2]),
        ("{d[7]}", ["seven"]),
        ("{job.model} {job.a_b}", [Path("model"), " ", Path("a_b")]),
        ("{pi:.3f} {pi:8.2e} {n:,} {x:>3} {x:*^5} {pi:.0%} {n:x}", ["3.142", " ", "3.14e+00", " ", "1,000", " ", "  X", " ", "**X**", " ", "314%", " ", "3e8"]),
        ("{day:%Y-%m-%d}", ["2024-02-01"]),
        ("{größe}", [1]),
        ("{ten:02d}", ["10"]),
    ],
)  # fmt: skip
def test_names_attributes_items_and_formats_are_read(cell: str, expected: list[object]) -> None:
    day = pandas.Timestamp("2024-02-01")

    assert values(cell, x="X", d={"k": "abc", "k k": 5, 7: "seven"}, l=[1, 2], job=Job(), pi=math.pi, n=1000, day=day, größe=1, ten=numpy.int64(10)) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("{{x}}", "{x}"),
        ("a {{x.y[0]:>3}} {{nobody}} {{x!s}}", "a {x.y[0]:>3} {nobody} {x!s}"),
        ("'{{x}}' \"{{x}}\"", "'{x}' \"{x}\""),
        ("{{{x}}}", "{{x}}"),
        ("{{.x}} {{ x }} {{x y}} {{print}} {{_x}} {{x.y()}}", "{{.x}} {{ x }} {{x y}} {{print}} {{_x}} {{x.y()}}"),
        ("'{{if .A}}{{x}}{{else}}b{{end}}' {{end}}", "'{{if .A}}{x}{{else}}b{{end}}' {{end}}"),
        ("'{{end}}'", "'{end}'"),
    ],
)
def test_double_braces_are_the_text(cell: str, expected: str) -> None:
    assert values(cell, x="X") == [expected]


@pytest.mark.parametrize(
    "cell",
    [
        "", "plain", "{", "}", "{}", "{ x }", "{x,y}", "{x..y}", "{1..9}", "{x y}", "{x;}", "{x+1}", "{x()}", "{x.}", "{.x}", "{x[y]}", "{x[1:2]}", "{x['a\"]}",
        "{x!r}", "{x:}", "{x:foo}", "${x}", "${x:-y}", "$${x}", "%{x}", "\\{x}", "\\\\\\{x}", "@{u}", "HEAD@{upstream}", "v1^{commit}", "${{x}}",
        "{print}", "{len}", "{id}", "{In}", "{Out}", "{_}", "{__}", "{_i}", "{_x}", "{exit}", "{quit}", "{get_ipython}", "{None}", "{True}",
        "# {x}", "echo a # {x} {nobody} {x.nobody}", "'{nobody}'", "$'{nobody}'", "cat <<'E'\n{nobody}\nE", "cat <<\\E\n\"{nobody:.3f}\"\nE\n",
        "'a'\"'\"'{nobody}'", "exec {nobody}>f", "x=1; exec {nobody}<&0",
        "'{x.y()}'", "# {x.y()}", "\\{x.y()}", "{{x.y()}}", "{nobody.y()}",
    ],
)  # fmt: skip
def test_other_braces_stay(cell: str) -> None:
    assert fill(cell, {"x": ["X"], "y": 1, "u": 1, "_": 1, "_x": 1, "In": [], "Out": {}}) == [cell]


@given(st.lists(st.sampled_from(["{x}", "{x.real:d}", "{{x}}", "{", "}", "'", '"', "$", "\\", "#", " ", "\n", "<<E\n", "0", "(", "`"]), max_size=12))
def test_everything_but_the_inserts_is_kept(parts: list[str]) -> None:
    def plain(text: str) -> str:
        while "{{x}}" in text or "{{x.real:d}}" in text:
            text = text.replace("{{x}}", "{x}").replace("{{x.real:d}}", "{x.real:d}")
        return text

    cell = "".join(parts)
    written = {"x": "{x}", "x.real": "{x.real:d}"}

    found = fill(cell, {"x": 1})

    assert plain("".join(part if isinstance(part, str) else written[part.expr] for part in found)) == plain(cell)


def test_nothing_is_called_or_evaluated() -> None:
    class Trap:
        def __call__(self) -> None:
            raise AssertionError

        def __str__(self) -> str:
            raise AssertionError

        __repr__ = __format__ = __str__  # type: ignore[assignment]

    trap = Trap()

    assert values("{x} {x()} {x + 1} {y.x}", x=trap, y=SimpleNamespace(x=trap)) == [trap, " {x()} {x + 1} ", trap]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        pytest.param("x {bamm}", r"line 1, 'x {bamm}': the notebook has no variable 'bamm'; did you mean bam\? For the text .* write {{bamm}}$", id="close"),
        pytest.param("a\n\n  echo \"{zzz}\"", r"line 3, 'echo \"{zzz}\"': the notebook has no variable 'zzz'; for the text itself", id="no close name"),
        pytest.param("if true; {then}", "no variable 'then'", id="a word of the shell"),
        pytest.param("{zzz.a[0]:.3f}", r"no variable 'zzz'; for the text itself write {{zzz.a\[0\]:.3f}}$", id="whole expression"),
        pytest.param("cat <<E\n{zzz}\nE", "no variable 'zzz'.* write {{zzz}}, or put quotes around the delimiter of the here-document", id="here-document"),
        pytest.param("echo \"$(echo {zzz})\"", "no variable 'zzz'", id="substitution"),
        pytest.param("echo '$('{zzz}", "no variable 'zzz'", id="after single quotes"),
        pytest.param("# it's\necho {zzz} '", "line 2, .*no variable 'zzz'", id="after a comment with an apostrophe"),
        pytest.param("echo {zzz}>out", "no variable 'zzz'", id="a redirection is no exec"),
        pytest.param("{bam.nothing}", "'bam.nothing' cannot be read, AttributeError: .*; correct it, or write {{bam.nothing}} for", id="attribute"),
        pytest.param("'{d['k']}'", r"\"d\['k'\]\" cannot be read, KeyError: 'k'", id="key in single quotes"),
        pytest.param("{l[5]}", r"'l\[5\]' cannot be read, IndexError: ", id="index"),
        pytest.param("{bam[0]}", r"'bam\[0\]' cannot be read, TypeError: ", id="no items"),
        pytest.param("{l[0]:.3f}", r"'l\[0\]:.3f' cannot be read, ValueError: ", id="format"),
        pytest.param("{bam:>9}", "'bam:>9' cannot be read, TypeError: ", id="format of a path"),
        pytest.param("echo {bam.read_text()}", r"bam.read_text\(…\) is a call, .* value = bam.read_text\(…\), and insert {value}", id="call"),
        pytest.param("echo \"{d['k'].result()} x\"", r"d\['k'\].result\(…\) is a call", id="call in double quotes"),
        pytest.param("echo {" + "z" * 200 + "}", "line 1, 'echo {z{93}…'", id="long line"),
    ],
)  # fmt: skip
def test_what_cannot_be_filled_is_said(cell: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        fill(cell, {"bam": Path("a.bam"), "d": {}, "l": ["x"], "_bamm": 1})


def test_the_cause_is_kept() -> None:
    with pytest.raises(TemplateError) as caught:
        fill("{d['k']}", {"d": {}})

    assert isinstance(caught.value.__cause__, KeyError)


def test_a_property_may_raise_anything() -> None:
    class Odd:
        @property
        def x(self) -> str:
            raise OSError("no disk")

    with pytest.raises(TemplateError, match=r"'odd\.x' cannot be read, OSError: no disk"):
        fill("{odd.x}", {"odd": Odd()})


def test_a_variable_under_a_name_of_python_is_refused_where_it_would_be_lost() -> None:
    namespace = {"input": "a.txt", "print": builtins.len}

    with pytest.raises(TemplateError, match=r"'input' is a name of Python itself.*such as input_, or write \\{input} for the text"):
        fill("cat {input}", namespace)

    assert fill("awk '{input} {print}' {print} \\{input} # {input}", namespace) == ["awk '{input} {print}' {print} \\{input} # {input}"]


def test_a_nul_character_is_refused() -> None:
    with pytest.raises(TemplateError, match="the cell holds a NUL character"):
        fill("echo \0", {})


class Colour(str, enum.Enum):  # noqa: UP042 - a StrEnum would have the right text by itself
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"), ("", ""), (Colour.RED, "red"),
        (3, "3"), (-3, "-3"), (0.1, "0.1"), (1e-9, "1e-09"), (True, "True"), (math.inf, "inf"),
        (decimal.Decimal("1.50"), "1.50"), (Fraction(1, 3), "1/3"),
        (numpy.int64(3), "3"), (numpy.float64(0.1), "0.1"), (numpy.float32(0.5), "0.5"), (numpy.bool_(True), "True"),
        (numpy.str_("a"), "a"), (numpy.array(7), "7"),
        (pandas.Series([5])[0], "5"),
    ],
)  # fmt: skip
def test_texts_and_numbers_are_values(value: object, text: str) -> None:
    assert piece(value) == Value(text)
    assert piece([value, value]) == Values((text, text))
    assert piece(value, raw=True) == text


def test_files_are_references() -> None:
    a, b = Path("a b"), Path("c")

    assert piece(a) == as_file(a)
    assert piece([a, b]) == Files((FileRef(FileKind.INPUT, 0, "a b"), FileRef(FileKind.INPUT, 0, "c")))
    assert piece((a,)) == Files((FileRef(FileKind.INPUT, 0, "a b"),))


def test_lists_are_values() -> None:
    assert piece([]) == Values(())
    assert piece(range(3)) == Values(("0", "1", "2"))
    assert piece(("a", 1, 2.5)) == Values(("a", "1", "2.5"))


def test_raw_text_is_what_is_written() -> None:
    assert piece("-a $x", raw=True) == "-a $x"
    assert piece(Path("a b"), raw=True) == "a b"
    assert piece(["-a", Path("b"), 3], raw=True) == "-a b 3"
    assert piece([], raw=True) == ""


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "the value is None, which is neither text, a number nor a file; give it a value in an earlier cell, or '' for nothing"),
        ({"a": 1}, r"is of type dict, .*; insert one of its values, {name\['key'\]}, or its JSON text from json.dumps"),
        (pandas.DataFrame({"a": [1]}), "is of type DataFrame.*; write it to a file, for example with to_csv.* and insert Path"),
        (pandas.Series([1]), "is of type Series.*list"),
        (numpy.arange(3), r"is of type ndarray.*\.tolist\(\)"),
        (b"a", r"is of type bytes.*\.decode\(\)"),
        ({1, 2}, r"is of type set.*sorted"),
        ((c for c in "ab"), r"is of type generator.*list\("),
        (len, "is of type builtin_function_or_method.*call it in an earlier cell"),
        (lambda: 1, "is of type function.*call it in an earlier cell"),
        (Job, "is of type type.*a value, not a class"),
        (math, "is of type module.*{name.attribute}"),
        (object(), r"is of type object.*str\("),
        (["a", None], "an item of the list is None.*give it a value"),
        ([["a"]], "an item of the list is of type list.*join the inner lists"),
        (pandas.Timestamp("2024-01-01"), "is of type Timestamp, which"),
    ],
)
def test_other_values_are_refused_with_a_way_out(value: object, message: str, raw: bool) -> None:
    with pytest.raises(TemplateError, match=r"line 3, {x\.y}: .*" + message):
        piece(value, raw)


def test_a_list_of_files_and_texts_is_refused() -> None:
    with pytest.raises(TemplateError, match=r"line 3, {x\.y}: the list mixes 1 files and 2 texts; make it all files.*, or insert two lists"):
        piece(["--in", Path("a"), "b"])


def test_what_as_file_raises_is_passed_on() -> None:
    def missing(value: object) -> FileRef | None:
        raise FileNotFoundError(str(value))

    with pytest.raises(FileNotFoundError, match=r"a\.txt"):
        to_piece(Insert("x", Path("a.txt"), False, 1), missing)
