"""Finds the place of each hole in a shell text: bare, in quotes, in a here-document, in a comment.

The scanner reads the shell's quoting and nesting rules only; it neither checks the syntax nor changes the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hail_batch_jupyter.compile.shellcommands import KEYWORDS, Case, Level
from hail_batch_jupyter.compile.shellplaces import HOLE, Fix, HereDoc, Hole, Nested, Place, Scan
from hail_batch_jupyter.errors import TemplateError


def scan(text: str) -> Scan:
    """The holes of `text` with their places, and its here-documents.

    Raises TemplateError when the text nests too deeply to be read.
    """
    if _PLAIN.fullmatch(text):
        return Scan([Hole(m.start(), m.end(), Place.BARE) for m in _HOLES.finditer(text)], [])
    scanner = _Scanner(text)
    try:
        scanner.commands(0)
    except RecursionError as error:
        raise TemplateError(f"the command {text[:60]!r}… nests quotes or parentheses too deeply; move a part of it into a script file") from error
    return Scan(scanner.marks, scanner.heredocs)


_HOLES = re.compile(HOLE)
_PLAIN = re.compile(r"[^\\'\"`$#(<]*(?:<(?!<)[^\\'\"`$#(<]*)*")
_TOKEN = re.compile(
    r"(?P<blank>(?:[ \t]|\\\n)*)"
    r"(?P<token>[^ \t\n\\'\"`$()<>;&|#\0][^ \t\n\\'\"`$()<>;&|\0]*"
    r"|'[^'\0]*'|\"[^\"\\$`\0]*\"|\\[^\0]|;;&?|;&|.|\n)"
)
_IN_DOUBLE = re.compile(r'\\[^\0]|[\\"$`\0]')
_IN_HEREDOC = re.compile(r"\\[^\0]|[\\$`\0]")
_IN_SINGLE = re.compile(r"['\0]")
_IN_ANSI = re.compile(r"\\[^\0]|['\\\0]")
_IN_PARAMETER = re.compile(r"\\[^\0]|[\\'\"$`}\0]")
_IN_ARITHMETIC = re.compile(r'\\[^\0]|[\\()"$`\0]')
_PARENTHESES = re.compile(r"\\.|'[^']*'|\"(?:[^\"\\]|\\.)*\"|[()]", re.DOTALL)
_DOLLAR = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!({'\"-]|)")
_PATTERN_OPERATOR = re.compile(r"[!#]?(?:\w+|[@*?$!#-])(?:\[[^\]]*\])?[%#/^,]")
_BACKQUOTED = re.compile(r"(?:[^`\\]+|\\[^\0]|\\(?=\0))*")
_UNESCAPED = re.compile(r"\\([\\$`])")
_UNESCAPED_IN_DOUBLE = re.compile(r'\\([\\$`"])')
_HEREDOC = re.compile(r"<<(-?)[ \t]*((?:[^ \t\n\\'\"`()<>;&|\0]|\\[^\0]|'[^'\0]*'|\"[^\"\0]*\")+)")
_DELIMITER_QUOTES = re.compile(r"'([^']*)'|\"([^\"]*)\"|\\(.)", re.DOTALL)

_WORD_ENDS = " \t\n;&|()<>"


class _Scanner:
    """Reads `text` once, from left to right; every method takes and gives an offset."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.end = len(text)
        self.marks: list[Hole | Fix | Nested] = []
        self.heredocs: list[HereDoc] = []
        self.pending: list[HereDoc] = []

    def commands(self, pos: int, closer: str = "", array: bool = False) -> int:
        """Read commands up to the closer, or to the end."""
        level = Level(closer, array)
        while not level.closed and (m := _TOKEN.match(self.text, pos, self.end)):
            at = m.end("blank")
            if at > pos:
                level.glued = False
            token, pos = m["token"], m.end()
            handler = _HANDLERS.get(token[0])
            if handler is not None:
                pos = handler(self, level, at, pos)
            elif token in KEYWORDS and not (level.glued or level.array) and self.text[pos : pos + 1] in _WORD_ENDS:
                level.keyword(token)
            else:
                level.start, level.glued = False, True
        return pos if level.closed else self.end

    def on_newline(self, level: Level, at: int, pos: int) -> int:
        level.separate()
        while self.pending:
            pos = self.body(self.pending.pop(0), pos)
        return pos

    def on_single(self, level: Level, at: int, pos: int) -> int:
        level.grow()
        return self.quoted(pos, _IN_SINGLE, Place.SINGLE) if pos == at + 1 else pos

    def on_double(self, level: Level, at: int, pos: int) -> int:
        level.grow()
        return self.quoted(pos, _IN_DOUBLE, Place.DOUBLE) if pos == at + 1 else pos

    def on_backslash(self, level: Level, at: int, pos: int) -> int:
        level.grow()
        if pos == at + 1:
            self.backslash(at, Place.BARE)
        return pos

    def on_dollar(self, level: Level, at: int, pos: int) -> int:
        level.grow()
        return self.expansion(at, Place.BARE)

    def on_backquote(self, level: Level, at: int, pos: int) -> int:
        level.grow()
        return self.backquote(pos, in_double=False)

    def on_hole(self, level: Level, at: int, pos: int) -> int:
        level.grow()
        self.marks.append(Hole(at, pos, Place.BARE))
        return pos

    def on_hash(self, level: Level, at: int, pos: int) -> int:
        if level.glued:
            return pos
        line_end = self.text.find("\n", pos, self.end)
        return self.holes(pos, self.end if line_end < 0 else line_end, Place.COMMENT)

    def on_separator(self, level: Level, at: int, pos: int) -> int:
        level.separate()
        if level.cases and pos > at + 1:
            level.cases[-1] = Case.PATTERN
        return pos

    def on_open(self, level: Level, at: int, pos: int) -> int:
        in_pattern = bool(level.cases) and level.cases[-1] is Case.PATTERN
        if in_pattern and not level.glued:
            return pos
        if level.glued:  # f(), a=(…) and @(…) go on as a word, a subshell has ended
            pos = self.commands(pos, ")", array=self.text[at - 1 : at] == "=")
            level.grow()
        else:
            pos = self.substitution(pos)
            level.separate()
        return pos

    def on_close(self, level: Level, at: int, pos: int) -> int:
        level.separate()
        if level.cases and level.cases[-1] is Case.PATTERN:
            level.cases[-1] = Case.BODY
        elif level.closer:
            level.closed = True
        return pos

    def on_angle(self, level: Level, at: int, pos: int) -> int:
        level.start = level.glued = False
        if self.text.startswith("<<<", at):
            return at + 3
        if m := _HEREDOC.match(self.text, at, self.end):
            delimiter = _DELIMITER_QUOTES.sub(lambda q: q[1] or q[2] or q[3] or "", m[2])
            self.pending.append(HereDoc(at, m.end(), dash=bool(m[1]), quoted=delimiter != m[2], delimiter=delimiter))
            return m.end()
        if self.text.startswith("(", pos):
            pos = self.commands(pos + 1, ")")
            level.glued = True
        return pos

    def body(self, doc: HereDoc, pos: int) -> int:
        """Read the lines of a here-document that begin at `pos`; gives the offset after its closing line."""
        body_end, close_end = self.closing_line(doc, pos)
        self.heredocs.append(doc._replace(body=pos, body_end=body_end, close_end=close_end))
        if doc.quoted:
            self.holes(pos, body_end, Place.HEREDOC_QUOTED)
        else:
            outer, self.end, self.pending = (self.end, self.pending), body_end, []
            self.quoted(pos, _IN_HEREDOC, Place.HEREDOC)
            self.end, self.pending = outer
        return min(close_end + 1, self.end)

    def closing_line(self, doc: HereDoc, pos: int) -> tuple[int, int]:
        """Start and end of the line that ends the document; both are the end of the text where it is missing."""
        line = re.compile(("^\t*" if doc.dash else "^") + re.escape(doc.delimiter) + "$", re.MULTILINE)
        for m in line.finditer(self.text, pos, self.end):
            before = self.text[pos : m.start()]
            slashes = len(before) - 1 - len(before[:-1].rstrip("\\")) if before else 0
            if doc.quoted or slashes % 2 == 0:
                return m.start(), m.end()
        return self.end, self.end

    def quoted(self, pos: int, specials: re.Pattern[str], place: Place) -> int:
        """Read up to the quote that closes, or to the end; `specials` finds what has a meaning there."""
        while m := specials.search(self.text, pos, self.end):
            pos = m.end()
            char = m[0][0]
            if char in "'\"":
                return pos
            pos = self.special(char, m.start(), pos, place)
        return self.end

    def special(self, char: str, at: int, pos: int, place: Place) -> int:
        """Read one hole, backslash or expansion, which mean the same in every kind of quotes that has them."""
        if char == HOLE:
            self.marks.append(Hole(at, pos, place))
        elif char == "$":
            return self.expansion(at, place)
        elif char == "`":
            return self.backquote(pos, in_double=place in (Place.DOUBLE, Place.DOUBLE_IN_WORD))
        elif char == "\\" and pos == at + 1:
            self.backslash(at, place)
        return pos

    def holes(self, pos: int, end: int, place: Place) -> int:
        self.marks.extend(Hole(m.start(), m.end(), place) for m in _HOLES.finditer(self.text, pos, end))
        return end

    def backslash(self, at: int, place: Place) -> None:
        """A backslash directly before a hole: bare it quotes what is quoted anyway, elsewhere it is a character."""
        if self.text.startswith(HOLE, at + 1):
            self.marks.append(Fix(at, at + 1, "" if place is Place.BARE else "\\\\"))

    def expansion(self, at: int, place: Place) -> int:
        """Read what the `$` at `at` begins."""
        m = _DOLLAR.match(self.text, at, self.end)
        token, pos = (m[0], m.end()) if m else ("$", at + 1)
        kind = token[1:2]
        if kind == "(":
            return self.substitution(pos)
        if kind == "{":
            return self.parameter(pos, place)
        if kind in ("'", '"'):
            return self.dollar_quotes(kind, pos) if place is Place.BARE else at + 1
        if self.text.startswith(HOLE, pos) and (not kind or kind == "_" or kind.isalnum()):
            self.marks.append(Fix(at, pos, f"${{{token[1:]}}}" if kind else "\\$"))
        return pos

    def dollar_quotes(self, quote: str, pos: int) -> int:
        if quote == "'":
            return self.quoted(pos, _IN_ANSI, Place.ANSI)
        return self.quoted(pos, _IN_DOUBLE, Place.DOUBLE)

    def substitution(self, pos: int) -> int:
        """Read from behind the first parenthesis of `(…)`, `$(…)`, `((…))` or `$((…))`."""
        if self.text.startswith("(", pos) and self.is_arithmetic(pos):
            return self.arithmetic(pos + 1)
        return self.commands(pos, ")")

    def parameter(self, pos: int, outer: Place) -> int:
        """Read `${…}` from behind its brace; within quotes a single quote counts only in patterns."""
        place = Place.BARE if outer is Place.BARE else Place.DOUBLE_WORD
        singles = place is Place.BARE or _PATTERN_OPERATOR.match(self.text, pos, self.end) is not None
        while m := _IN_PARAMETER.search(self.text, pos, self.end):
            pos = m.end()
            char = m[0][0]
            if char == "}":
                return pos
            if char == '"':
                pos = self.quoted(pos, _IN_DOUBLE, Place.DOUBLE if place is Place.BARE else Place.DOUBLE_IN_WORD)
            elif char != "'":
                pos = self.special(char, m.start(), pos, place)
            elif singles:
                pos = self.quoted(pos, _IN_SINGLE, Place.SINGLE)
        return self.end

    def is_arithmetic(self, pos: int) -> bool:
        """True when the parenthesis at `pos`, the second of `((`, is closed by the first of `))`."""
        depth = 0
        for m in _PARENTHESES.finditer(self.text, pos, self.end):
            depth += {"(": 1, ")": -1}.get(m[0], 0)
            if not depth:
                return self.text.startswith(")", m.end())
        return False

    def arithmetic(self, pos: int) -> int:
        depth = 0
        while m := _IN_ARITHMETIC.search(self.text, pos, self.end):
            pos = m.end()
            char = m[0][0]
            if char == ")" and not depth:
                return pos + 1
            if char in "()":
                depth += 1 if char == "(" else -1
            elif char == '"':
                pos = self.quoted(pos, _IN_DOUBLE, Place.DOUBLE)
            else:
                pos = self.special(char, m.start(), pos, Place.DOUBLE)
        return self.end

    def backquote(self, pos: int, in_double: bool) -> int:
        m = _BACKQUOTED.match(self.text, pos, self.end)
        end = m.end() if m else self.end
        inside = self.text[pos:end]
        if HOLE in inside:
            inner = (_UNESCAPED_IN_DOUBLE if in_double else _UNESCAPED).sub(r"\1", inside)
            self.marks.append(Nested(pos, end, inner, tuple(scan(inner).places), in_double))
        return min(end + 1, self.end)


_HANDLERS: dict[str, Callable[[_Scanner, Level, int, int], int]] = {
    "\n": _Scanner.on_newline,
    "'": _Scanner.on_single,
    '"': _Scanner.on_double,
    "\\": _Scanner.on_backslash,
    "$": _Scanner.on_dollar,
    "`": _Scanner.on_backquote,
    HOLE: _Scanner.on_hole,
    "#": _Scanner.on_hash,
    ";": _Scanner.on_separator,
    "&": _Scanner.on_separator,
    "|": _Scanner.on_separator,
    "(": _Scanner.on_open,
    ")": _Scanner.on_close,
    "<": _Scanner.on_angle,
    ">": _Scanner.on_angle,
}
