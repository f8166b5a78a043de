"""Turns a command's template into shell text, each value and path quoted for the place where it stands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence

from hail_batch_jupyter.compile.shellplaces import HOLE, Fix, HereDoc, Hole, Nested, Place, Scan
from hail_batch_jupyter.compile.shellscan import scan
from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.core.template import Files, Piece, Template, Value, Values
from hail_batch_jupyter.errors import TemplateError

SCRATCH = "${BATCH_TMPDIR}"

_Word = Value | Values | FileRef | Files

_SAFE = re.compile(r"[A-Za-z0-9@%+:./_-]+")
_RESERVED = frozenset(["if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "in", "select", "function", "time", "coproc"])
_TEST_OPERATOR = re.compile(r"-[A-Za-z]{1,2}")
_IN_DOUBLE = re.compile(r'[\\"$`]')
_IN_HEREDOC = re.compile(r"[\\$`]")
_IN_ANSI = re.compile(r"[\\']")
_GOES_ON = re.compile(r"[0-9A-Fa-f{]")
_NUMBER_AT_END = re.compile(r"(?<!\S)[0-9]+\Z")
_REDIRECTION = re.compile(r"[0-9]*[<>]")
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)
_PLAIN_DELIMITER = re.compile(r"[\w.:%+@][\w.:%+@-]*")


def quote_value(text: str, place: Place) -> str:
    """`text` written so that a program gets exactly it, for a word that stands in `place`.

    In a comment line ends become blanks. Raises TemplateError for a NUL character.
    """
    if HOLE in text:
        raise TemplateError(f"the value {_shown(text)} holds a NUL character, which no command line can carry; write it to a file and use its Path")
    return _QUOTED[place](text)


def quote_path(relative: str, place: Place) -> str:
    """The file `relative` below the scratch folder, as shell text for `place`; text glued to its end goes on with the name.

    The scratch folder is the variable BATCH_TMPDIR at the time of the run, and may contain blanks. For HEREDOC_QUOTED
    it is the text for the same document without the quotes around its delimiter: `render` takes them away.
    """
    if HOLE in relative:
        raise TemplateError(f"the path {_shown(relative)} holds a NUL character, which no file name can have; rename the file")
    tail = f"/{relative}" if relative else ""
    if place is Place.BARE and (not tail or _SAFE.fullmatch(tail)):
        return f'"{SCRATCH}"{tail}'
    if place is Place.BARE:
        return f'"{SCRATCH}"' + "/".join([part if _SAFE.fullmatch(part) else shlex.quote(part) if part else "" for part in tail.split("/")])
    if place is Place.DOUBLE_WORD:
        return f'"{SCRATCH}{_double_in_word(tail)}"'
    if place is Place.SINGLE:
        return f"'\"{SCRATCH}\"'{_single(tail)}"
    if place is Place.ANSI:
        return f"'\"{SCRATCH}\"$'{_ansi(tail)}"
    return SCRATCH + _QUOTED[Place.HEREDOC if place is Place.HEREDOC_QUOTED else place](tail)


def render(template: Template, path_of: Callable[[FileRef], str]) -> str:
    """The shell text of a template; `path_of` gives a file's path below the scratch folder.

    The words of Values and Files are joined by blanks. A here-document with a quoted delimiter in which a path stands loses these
    quotes, and its text is escaped instead, so that the path is expanded and all else stays as it was.
    Raises TemplateError for a NUL character, and for a value that would end its here-document.
    """
    words = [piece for piece in template if not isinstance(piece, str)]
    flat = "".join([piece if isinstance(piece, str) else HOLE for piece in template])
    if flat.count(HOLE) != len(words):
        raise TemplateError(f"the command {_shown(flat)} holds a NUL character, which no shell can read; write it as \\0 in $'…' or printf")
    return _Renderer(words, path_of).text(flat, 0) if words else flat


class _Renderer:
    """Fills the holes of one template; `first` is the number of the word that belongs to a text's first hole."""

    def __init__(self, words: Sequence[_Word], path_of: Callable[[FileRef], str]) -> None:
        self.words = words
        self.path_of = path_of

    def text(self, flat: str, first: int) -> str:
        found = scan(flat)
        while (doc := self.unfit(flat, found, first)) is not None:
            flat = _loosened(flat, doc)
            found = scan(flat)
        for doc in found.heredocs:
            self.check(flat, found, doc, first)
        return self.filled(flat, 0, len(flat), found, first)

    def filled(self, flat: str, start: int, end: int, found: Scan, first: int) -> str:
        """`flat[start:end]` with its holes filled."""
        number = first + flat.count(HOLE, 0, start) if start else first
        out: list[str] = []
        at = start
        for mark in found.marks:
            if mark.start < start or mark.end > end:
                continue
            out.append(flat[at : mark.start])
            at = mark.end
            if isinstance(mark, Hole):
                out.append(self.word(number, mark, flat))
                number += 1
            elif isinstance(mark, Fix):
                out.append(mark.text)
            else:
                out.append(_backquoted(self.text(mark.text, number), mark))
                number += len(mark.places)
        out.append(flat[at:end])
        return "".join(out)

    def word(self, number: int, hole: Hole, flat: str) -> str:
        text = self.quoted(self.words[number], hole.place)
        if hole.place is Place.BARE and _REDIRECTION.match(flat, hole.end):  # 2>file is no number and a file
            text = _NUMBER_AT_END.sub(lambda m: f"'{m[0]}'", text)
        return text

    def quoted(self, word: _Word, place: Place) -> str:
        if isinstance(word, Value):
            return quote_value(word.text, place)
        if isinstance(word, FileRef):
            return quote_path(self.path_of(word), place)
        if isinstance(word, Values):
            return " ".join([quote_value(text, place) for text in word.texts])
        return " ".join([quote_path(self.path_of(ref), place) for ref in word.refs])

    def inside(self, flat: str, doc: HereDoc, first: int) -> Sequence[_Word]:
        """The words that stand in the here-document."""
        begin = first + flat.count(HOLE, 0, doc.body)
        return self.words[begin : begin + flat.count(HOLE, doc.body, doc.body_end)]

    def unfit(self, flat: str, found: Scan, first: int) -> HereDoc | None:
        """The first here-document that cannot hold its words as it is written."""
        for doc in found.heredocs:
            for word in self.inside(flat, doc, first):
                if doc.quoted and isinstance(word, (FileRef, Files)):
                    return doc
                if doc.dash and any("\t" in text for text in _texts(word)):
                    return doc
        return None

    def check(self, flat: str, found: Scan, doc: HereDoc, first: int) -> None:
        """Raises TemplateError when a filled line would end the here-document early."""
        words = self.inside(flat, doc, first)
        if not words:
            return
        closing = doc.delimiter
        before = _closing_lines(flat[doc.body : doc.body_end], doc)  # the user's own, behind a backslash at the end of a line
        if _closing_lines(self.filled(flat, doc.body, doc.body_end, found, first), doc) <= before:
            return
        texts = [text for word in words for text in _texts(word)]
        culprit = next((text for text in texts if closing in text.split("\n")), "".join(texts))
        raise TemplateError(
            f"here-document <<{closing}: the value {_shown(culprit)} makes a line {closing!r}, which would end it early; "
            f"use another delimiter, such as <<{closing}_OF_TEXT"
        )


def _closing_lines(body: str, doc: HereDoc) -> int:
    lines = body.removesuffix("\n").split("\n")
    return sum((line.lstrip("\t") if doc.dash else line) == doc.delimiter for line in lines)


def _loosened(flat: str, doc: HereDoc) -> str:
    """The same here-document without quotes around its delimiter, and without the dash that would strip a value's tabs."""
    body, close = flat[doc.body : doc.body_end], flat[doc.body_end : doc.close_end]
    delimiter = doc.delimiter
    if doc.dash:
        body, close = _LEADING_TABS.sub("", body), close.lstrip("\t")
    if doc.quoted:
        body = _heredoc(body)
    if not _PLAIN_DELIMITER.fullmatch(delimiter):
        delimiter = "END_OF_TEXT"
        while delimiter in body:
            delimiter += "_"
        close = delimiter if doc.close_end < len(flat) or close else close
    return f"{flat[: doc.start]}<<{delimiter}{flat[doc.end : doc.body]}{body}{close}{flat[doc.close_end :]}"


def _backquoted(text: str, mark: Nested) -> str:
    """`text` as the inside of `…`, with the level of backslashes that the outer shell takes away."""
    return re.sub(r'[\\`"]' if mark.in_double else r"[\\`]", r"\\\g<0>", text)


def _texts(word: Piece) -> tuple[str, ...]:
    if isinstance(word, Value):
        return (word.text,)
    return word.texts if isinstance(word, Values) else ()


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _bare(text: str) -> str:
    if _SAFE.fullmatch(text) and text not in _RESERVED and not _TEST_OPERATOR.fullmatch(text):
        return text
    quoted = shlex.quote(text)
    return quoted if quoted != text else f"'{text}'"


def _double(text: str) -> str:
    return _IN_DOUBLE.sub(r"\\\g<0>", text)


def _double_in_word(text: str) -> str:
    # bash takes "${x:-"{a,b}"}" for a brace expansion, because its reader of braces sees three strings there, the middle one bare.
    return _double(text).replace("{", '"{"')


def _double_word(text: str) -> str:
    return text if _SAFE.fullmatch(text) else f'"{_double_in_word(text)}"'


def _single(text: str) -> str:
    return text.replace("'", "'\"'\"'")  # bash 5.2 loses count over '\\'' in an array within $(…)


def _ansi(text: str) -> str:
    escaped = _IN_ANSI.sub(r"\\\g<0>", text)
    # A first character that could go on with an escape before it, as in $'\x4' and 1, is written as a number.
    return f"\\x{ord(text[0]):02x}{escaped[1:]}" if _GOES_ON.match(text) else escaped


def _heredoc(text: str) -> str:
    return _IN_HEREDOC.sub(r"\\\g<0>", text)


def _as_is(text: str) -> str:
    return text


def _one_line(text: str) -> str:
    return text.replace("\n", " ")


_QUOTED: dict[Place, Callable[[str], str]] = {
    Place.BARE: _bare,
    Place.DOUBLE: _double,
    Place.SINGLE: _single,
    Place.ANSI: _ansi,
    Place.DOUBLE_WORD: _double_word,
    Place.DOUBLE_IN_WORD: _double_in_word,
    Place.HEREDOC: _heredoc,
    Place.HEREDOC_QUOTED: _as_is,
    Place.COMMENT: _one_line,
}
