"""Where in a list of commands a shell reader stands: at the start of a command, within a word, in a `case` pattern."""

from __future__ import annotations

from enum import Enum

_OPENERS = frozenset(["then", "do", "else", "elif", "if", "while", "until", "!", "{", "}", "time", "fi", "done"])
KEYWORDS = _OPENERS | {"case", "in", "esac"}
"""The reserved words after which, or through which, another command may begin."""


class Case(Enum):
    """How far a `case` command has been read."""

    SUBJECT = 1
    PATTERN = 2
    BODY = 3


class Level:
    """The state of one list of commands: the whole text, or the inside of one pair of parentheses."""

    __slots__ = ("array", "cases", "closed", "closer", "glued", "start")

    def __init__(self, closer: str, array: bool) -> None:
        self.closer = closer
        self.array = array  # the words of `a=(…)` are no commands
        self.start = True  # a reserved word may stand here
        self.glued = False  # the word goes on: a `#` is no comment
        self.closed = False
        self.cases: list[Case] = []

    def separate(self) -> None:
        """A new command begins."""
        self.start, self.glued = True, False

    def grow(self) -> None:
        """The word has become longer."""
        self.start, self.glued = False, True

    def keyword(self, word: str) -> None:
        """Follow `case … in … esac`, whose patterns have parentheses without a partner."""
        state = self.cases[-1] if self.cases else None
        at_start, self.start, self.glued = self.start, False, True
        if word == "in":
            if state is Case.SUBJECT:
                self.cases[-1] = Case.PATTERN
                self.start = True
        elif not at_start and word != "{":  # a function's body begins behind its name
            return
        elif word == "case" and state is not Case.PATTERN:
            self.cases.append(Case.SUBJECT)
        elif word == "esac" and self.cases:
            self.cases.pop()
            self.start = True
        else:
            self.start = word in _OPENERS and state is not Case.PATTERN
