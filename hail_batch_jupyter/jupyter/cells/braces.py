"""Finds the `{name}` of a notebook's variables in a cell of shell text, and leaves every other brace to the shell.

Nothing is evaluated: a name is looked up, its attributes and items are read, and that is all.
"""

from __future__ import annotations

import builtins
import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from numbers import Number
from typing import NamedTuple

from hail_batch_jupyter.compile.shellplaces import HOLE, Place
from hail_batch_jupyter.compile.shellscan import scan
from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.core.template import Files, Piece, Value, Values
from hail_batch_jupyter.errors import TemplateError


class Insert(NamedTuple):
    """A value of the notebook in a cell.

    expr   what stands between the braces, without conversion and format
    value  the object, or its text where a format is given
    raw    True for `{expr!s}`: shell text that is not quoted
    line   number of its line in the cell, from 1
    """

    expr: str
    value: object
    raw: bool
    line: int


class _Brace(NamedTuple):
    """One `{…}` of the right form at `cell[start:end]`; `double` for `{{…}}`."""

    start: int
    end: int
    double: bool
    match: re.Match[str]

    @property
    def name(self) -> str:
        return self.match["name"]

    @property
    def expr(self) -> str:
        return self.match["name"] + self.match["path"]


def fill(cell: str, namespace: Mapping[str, object]) -> list[str | Insert]:
    """The cell as shell text and inserts, in order.

    `{name}`, `{name.attr}`, `{name[0]}`, `{name['key']}` and these with `!s` or a format such as `:.3f` are inserts; `{{name}}` is the
    text `{name}`. Text are all other braces: names of Python and IPython themselves, what stands in a comment or behind a backslash,
    `$` or `%`, and an unknown name within single quotes or a here-document with a quoted delimiter.
    Raises TemplateError for an unknown name elsewhere, for an attribute, item or format that the value does not have, and for a call.
    """
    if HOLE in cell:
        raise TemplateError("the cell holds a NUL character, which no shell can read; write it as \\0 in $'…' or printf")
    _refuse_calls(cell, namespace)
    braces = [brace for m in _BRACES.finditer(cell) if _counts(brace := _brace(m, cell), cell, namespace)]
    if not braces:
        return [cell]
    out: list[str | Insert] = []
    text, at = "", 0
    for brace, place in zip(braces, _places(cell, braces), strict=True):
        piece = _piece(brace, place, cell, namespace)
        if piece is None:
            continue
        text += cell[at : brace.start]
        at = brace.end
        if isinstance(piece, str):
            text += piece
            continue
        out += [text, piece] if text else [piece]
        text = ""
    text += cell[at:]
    return [*out, text] if text else out


def to_piece(insert: Insert, as_file: Callable[[object], FileRef | None]) -> Piece:
    """What an insert becomes in a command: text to be quoted, raw shell text, or files.

    Text are str, numbers and NumPy's scalars; files are what `as_file` has a reference for, a `pathlib.Path` among them. A list, tuple
    or range of texts becomes Values, of files Files; a mix of the two is refused. With `!s` nothing is quoted or staged: texts and
    paths are inserted as they are written, those of a list joined by blanks.
    Raises TemplateError for any other value, with a way to write it.
    """
    value = insert.value
    if insert.raw:
        return _raw(insert, as_file)
    if (ref := as_file(value)) is not None:
        return ref
    if (text := _text(value)) is not None:
        return Value(text)
    return _joined(insert, _items(insert, value), as_file)


_NAME = r"[^\W\d]\w*"
_NUMBER_FORMAT = r"(?:[^{}\n]?[<>=^])?[-+ ]?z?#?0?[0-9]*[_,]?(?:\.[0-9]+)?[bcdeEfFgGnosxX%]?"
_DATE_FORMAT = r"[^{}'\"$\n%]*%[A-Za-z][^{}'\"$\n]*"
_BRACES = re.compile(
    rf"""\{{(?P<name>{_NAME})(?P<path>(?:\.{_NAME}|\[(?:-?[0-9]+|'[^'\\\n]*'|"[^"\\\n]*")\])*)"""
    rf"""(?P<raw>!s)?(?::(?!\}})(?P<format>{_NUMBER_FORMAT}|{_DATE_FORMAT}))?\}}"""
)
_CALLS = re.compile(rf"""(?<![\\${{%])\{{(?P<name>{_NAME})(?P<path>(?:\.{_NAME}|\[(?:-?[0-9]+|'[^'\\\n]*'|"[^"\\\n]*")\])+)\([^(){{}}\n]*\)\}}""")
_STEP = re.compile(rf"""\.(?P<attribute>{_NAME})|\[(?:(?P<index>-?[0-9]+)|(?P<key>'[^']*'|"[^"]*"))\]""")

_PYTHON_NAMES = frozenset(dir(builtins))
_IPYTHON_NAMES = frozenset(["In", "Out", "exit", "quit", "get_ipython", "display", "copyright", "credits", "license"])
_GIT_WORDS = {"@": frozenset(["u", "upstream", "push", "now", "today", "yesterday"]), "^": frozenset(["commit", "tree", "blob", "tag", "object"])}
_GO_BLOCK = re.compile(r"\{\{-?\s*(?:range|if|with|block|define)\s")
_PARAMETER_BEFORE = re.compile(r"\$\{[!#]?\w+(?:\[[^\]\n]*\])?%?$")
_EXEC_BEFORE = re.compile(r"(?:^|[\s;&|(])exec\s[^;&|\n]*$")
_TEXT_IF_UNKNOWN = frozenset([Place.SINGLE, Place.ANSI, Place.HEREDOC_QUOTED])


def _brace(m: re.Match[str], cell: str) -> _Brace:
    start, end = m.span()
    double = cell[start - 1 : start] == "{" and cell[end : end + 1] == "}"
    return _Brace(start - double, end + double, double, m)


def _counts(brace: _Brace, cell: str, namespace: Mapping[str, object]) -> bool:
    """False when neither the name nor what stands before it leaves room for a variable of the notebook."""
    name, before = brace.name, cell[: brace.start][-1:]
    if name.startswith("_") or name in _IPYTHON_NAMES or (name in _PYTHON_NAMES and not _rebound(name, namespace)):
        return False
    if before == "$" or name in _GIT_WORDS.get(before, ()):
        return False
    if before == "%":  # curl's and rpm's %{http_code}, but not the suffix in ${file%{suffix}}
        return _PARAMETER_BEFORE.search(cell, cell.rfind("\n", 0, brace.start) + 1, brace.start - 1) is not None
    if before == "\\":
        ahead = cell[: brace.start]
        return (len(ahead) - len(ahead.rstrip("\\"))) % 2 == 0
    return not (brace.double and name in ("end", "else") and _GO_BLOCK.search(cell, 0, brace.start))


def _refuse_calls(cell: str, namespace: Mapping[str, object]) -> None:
    """Raise TemplateError for `{fit['score'].result()}`, which is no shell either, unless it stands in quotes that leave all as it is."""
    calls = [_Brace(*m.span(), False, m) for m in _CALLS.finditer(cell) if m["name"] in namespace and not m["name"].startswith("_")]
    for brace, place in zip(calls, _places(cell, calls) if calls else (), strict=True):
        if place in (Place.BARE, Place.DOUBLE):
            remedy = f"call it in an earlier cell, value = {brace.expr}(…), and insert {{value}}"
            raise TemplateError(f"{_where(brace, cell)}: {brace.expr}(…) is a call, and braces only look things up; {remedy}")


def _rebound(name: str, namespace: Mapping[str, object]) -> bool:
    """True when the user has a value of their own, and no function, under the name of a builtin."""
    return name in namespace and namespace[name] is not getattr(builtins, name) and not callable(namespace[name])


def _places(cell: str, braces: Sequence[_Brace]) -> list[Place]:
    parts, at = [], 0
    for brace in braces:
        parts.append(cell[at : brace.start])
        at = brace.end
    return scan(HOLE.join([*parts, cell[at:]])).places


def _piece(brace: _Brace, place: Place, cell: str, namespace: Mapping[str, object]) -> str | Insert | None:
    """What stands instead of the brace; None when it stays as it is."""
    if place is Place.COMMENT:
        return None
    if brace.double:
        return None if brace.name in _PYTHON_NAMES else cell[brace.start + 1 : brace.end - 1]
    if brace.name in _PYTHON_NAMES or brace.name not in namespace:
        if place in _TEXT_IF_UNKNOWN or _opens_descriptor(brace, place, cell):
            return None
        raise _unknown(brace, place, cell, namespace)
    value = _resolved(brace, cell, namespace[brace.name])
    return Insert(brace.expr, value, brace.match["raw"] is not None, _line(brace, cell))


def _opens_descriptor(brace: _Brace, place: Place, cell: str) -> bool:
    """True for the `{lock}` of `exec {lock}>file`, by which bash itself sets a variable."""
    if place is not Place.BARE or cell[brace.end : brace.end + 1] not in ("<", ">"):
        return False
    return _EXEC_BEFORE.search(cell, cell.rfind("\n", 0, brace.start) + 1, brace.start) is not None


def _resolved(brace: _Brace, cell: str, value: object) -> object:
    """The value of `name.attr[index]:format`, read with getattr, item access and format() only."""
    asked = brace.expr
    try:
        for step in _STEP.finditer(brace.match["path"]):
            value = _stepped(value, step)
        if (spec := brace.match["format"]) is not None:
            asked = f"{asked}:{spec}"
            value = format(value, spec)
    except Exception as error:  # a property, item access or format of a user's object may raise anything
        remedy = f"correct it, or write {{{{{asked}}}}} for the text itself"
        raise TemplateError(f"{_where(brace, cell)}: {asked!r} cannot be read, {type(error).__name__}: {error}; {remedy}") from error
    return value


def _stepped(value: object, step: re.Match[str]) -> object:
    if attribute := step["attribute"]:
        found: object = getattr(value, attribute)
        return found
    index = step["key"][1:-1] if step["key"] else int(step["index"])
    return value[index]  # type: ignore[index]  # whatever the value cannot do is told as an error of the cell


def _unknown(brace: _Brace, place: Place, cell: str, namespace: Mapping[str, object]) -> TemplateError:
    name, text = brace.name, cell[brace.start : brace.end]
    if name in _PYTHON_NAMES:
        return TemplateError(
            f"{_where(brace, cell)}: {name!r} is a name of Python itself, which a cell takes for text even where you gave it a value; "
            f"give your variable another name, such as {name}_, or write \\{text} for the text"
        )
    close = difflib.get_close_matches(name, [known for known in namespace if not known.startswith("_") and known not in _IPYTHON_NAMES])
    meant = f"did you mean {', '.join(close)}? For" if close else "for"
    quoted = ", or put quotes around the delimiter of the here-document" if place is Place.HEREDOC else ""
    return TemplateError(f"{_where(brace, cell)}: the notebook has no variable {name!r}; {meant} the text itself write {{{text}}}{quoted}")


def _where(brace: _Brace, cell: str) -> str:
    number = _line(brace, cell)
    text = cell.split("\n")[number - 1].strip()
    return f"line {number}, {text if len(text) <= 100 else text[:99] + '…'!r}"


def _line(brace: _Brace, cell: str) -> int:
    return cell.count("\n", 0, brace.start) + 1


def _raw(insert: Insert, as_file: Callable[[object], FileRef | None]) -> str:
    """Texts and paths as they are written."""

    def one(value: object) -> str | None:
        text = os.fspath(value) if isinstance(value, os.PathLike) else _text(value)
        return text if text is not None or as_file(value) is None else str(value)

    if (text := one(insert.value)) is not None:
        return text
    texts = [(item, one(item)) for item in _items(insert, insert.value)]
    for item, text in texts:
        if text is None:
            raise _refusal(insert, item, in_list=True)
    return " ".join([text for _, text in texts if text is not None])


def _text(value: object) -> str | None:
    """The text of a str or number; None for anything else."""
    if isinstance(value, str):
        return str.__str__(value)  # the text of a str enumeration's member, not its name
    if isinstance(value, Number):
        return str(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        item = value.item()
        return None if type(item) is type(value) else _text(item)
    return None


def _items(insert: Insert, value: object) -> Sequence[object]:
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        return value
    raise _refusal(insert, value)


def _joined(insert: Insert, items: Sequence[object], as_file: Callable[[object], FileRef | None]) -> Values | Files:
    refs: list[FileRef] = []
    texts: list[str] = []
    for item in items:
        if (ref := as_file(item)) is not None:
            refs.append(ref)
        elif (text := _text(item)) is not None:
            texts.append(text)
        else:
            raise _refusal(insert, item, in_list=True)
    if refs and texts:
        raise TemplateError(
            f"line {insert.line}, {{{insert.expr}}}: the list mixes {len(refs)} files and {len(texts)} texts; "
            f"make it all files (Path) or all text (str), or insert two lists"
        )
    return Files(tuple(refs)) if refs else Values(tuple(texts))


_WAYS_OUT = {
    "NoneType": "give it a value in an earlier cell, or '' for nothing",
    "DataFrame": "write it to a file, for example with to_csv('table.csv', index=False), and insert Path('table.csv')",
    "Series": "insert a list of its values, list(…), or write it to a file and insert its Path",
    "Index": "insert a list of its values, list(…)",
    "ndarray": "insert a list of its values, .tolist(), or write it to a file with numpy.save and insert its Path",
    "dict": "insert one of its values, {name['key']}, or its JSON text from json.dumps",
    "bytes": "insert its text, .decode(), or write it to a file and insert its Path",
    "bytearray": "insert its text, .decode(), or write it to a file and insert its Path",
    "set": "insert a list in a certain order, sorted(…)",
    "frozenset": "insert a list in a certain order, sorted(…)",
    "generator": "insert a list, list(…)",
    "function": "call it in an earlier cell and insert what it gives",
    "builtin_function_or_method": "call it in an earlier cell and insert what it gives",
    "method": "call it in an earlier cell and insert what it gives",
    "type": "insert a value, not a class",
    "module": "insert one of its values, {name.attribute}",
    "list": "join the inner lists to one list in an earlier cell",
    "tuple": "join the inner tuples to one list in an earlier cell",
    "datetime": "give it a format, such as {when:%Y-%m-%d}",
    "date": "give it a format, such as {when:%Y-%m-%d}",
}


def _refusal(insert: Insert, value: object, in_list: bool = False) -> TemplateError:
    kind = type(value).__name__
    found = "None" if value is None else f"of type {kind}"
    subject = f"an item of the list is {found}" if in_list else f"the value is {found}"
    way_out = _WAYS_OUT.get(kind, "insert text made of it, str(…), or write it to a file and insert its Path")
    return TemplateError(f"line {insert.line}, {{{insert.expr}}}: {subject}, which is neither text, a number nor a file; {way_out}")
