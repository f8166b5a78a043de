"""How the line of a magic is read, and what is wrong with it."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from IPython.core.error import UsageError

Magic = Any  # a function with the `parser` that IPython's decorators add
Parsed = Any  # an argparse.Namespace
_WHOLE = re.compile(r"(?<![^\s=])\{[^{}]*\}(?=\s|$)")
_FIRST = re.compile(r"\s*([^\s\[]+(?:\[(?:'[^']*'|\"[^\"]*\"|\d+)\][^\s\[]*)*)")
_EACH = re.compile(r"(?<!\S)--each(?:\s+|=)(?=[^\W\d]\w*=)")
_NEGATIVE = re.compile(r"-\.?\d")
_DOLLAR = re.compile(r"\$([^\W\d]\w*)")


def read_line(magic: Magic, line: str, namespace: Mapping[str, object]) -> Parsed:
    """The options of a line; `{expr}` and `$name` as a whole value are looked up in the namespace.

    Raises UsageError for an unknown option, naming close ones, and whatever argparse finds; TemplateError for an unknown variable.
    """
    parsed = read_words(magic, split(line))
    later = ("each", "env", "output") if getattr(parsed, "each", None) else ()
    for name, value in vars(parsed).items():
        if name not in later:  # with --each their braces may hold an item
            setattr(parsed, name, looked_up(value, namespace, name))
    return parsed


def read_words(magic: Magic, words: Sequence[str]) -> Parsed:
    """The options of words as they stand; raises UsageError as `read_line` does."""
    _check_options(magic.parser, words)
    try:
        return magic.parser.parse_args(_joined(magic.parser, words))
    except UsageError as error:
        raise _readable(error, words, magic) from None


def split(line: str, *, raw: bool = False) -> list[str]:
    """The words of a line as a shell would see them; a `{…}` that is a whole word, or stands behind '=', is left as it is.

    With `raw` the first word is left as it is, too: `fit['model']` keeps its quotes.
    """
    kept: list[str] = []
    if raw and (first := _FIRST.match(line)):
        return [first.group(1), *split(line[first.end() :])]

    original = line

    def keep(match: re.Match[str]) -> str:
        kept.append(match.group())
        return f"\0{len(kept) - 1}\0"

    for start, end in reversed(_each_values(line)):
        line = line[:start] + f"\0{len(kept)}\0" + line[end:]
        kept.append(original[start:end])
    try:
        words = shlex.split(_WHOLE.sub(keep, line))
    except ValueError as error:
        raise UsageError(f"the options cannot be read ({str(error).lower()}); close the quotes, or write \\' and \\\" for themselves") from None
    return [re.sub("\0(\\d+)\0", lambda match: kept[int(match.group(1))], word) for word in words]


def _each_values(line: str) -> list[tuple[int, int]]:
    """Where the values of `--each` stand that are not in quotes as a whole: to the first blank outside of brackets and quotes."""
    places = []
    for match in _EACH.finditer(line):
        depth, quote, at = 0, "", match.end()
        while at < len(line) and (depth or quote or not line[at].isspace()):
            character = line[at]
            if quote:
                quote = "" if character == quote else quote
            elif character in "'\"":
                quote = character
            else:
                depth += (character in "([{") - (character in ")]}")
            at += 1
        places.append((match.end(), at))
    return places


def _check_options(parser: argparse.ArgumentParser, words: Iterable[str]) -> None:
    known = [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001 - argparse tells its options in no other way
    for word in words:
        option = word.partition("=")[0]
        if word.startswith("--") and option not in known:
            close = difflib.get_close_matches(option, known, 3)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}" if known else "it has no options"
            raise UsageError(f"{parser.prog} has no option {option}; {hint}")


def _joined(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """The words with '--memory', '-3Gi' as '--memory=-3Gi': what reads the value says what is wrong with it, and argparse takes it for an option."""
    single = {option for action in parser._actions for option in action.option_strings if action.nargs is None}  # noqa: SLF001 - as above
    joined: list[str] = []
    for word in words:
        if _NEGATIVE.match(word) and joined and joined[-1] in single and joined[-1].startswith("--"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _readable(error: UsageError, words: Sequence[str], magic: Magic) -> UsageError:
    """argparse's complaint with a remedy; words are not repeated where they may be a part of a secret."""
    text = str(error)
    name = magic.parser.prog
    if text.startswith("unrecognized arguments") and "--env" in words:
        return UsageError(f"{name}: there are words which belong to no option; a value with blanks needs quotes: --env 'NAME=two words'")
    if text.startswith("unrecognized arguments"):
        return UsageError(f"{name}: {text.partition(': ')[2]!r} belongs to no option; a value with blanks needs quotes ({name}? shows the options)")
    if "--env" in text:
        return UsageError(f"{name}: --env takes NAME=VALUE")
    return UsageError(f"{name}: {text} ({name}? shows the options)")


def looked_up(value: object, namespace: Mapping[str, object], option: str) -> object:
    """The value of an option, with `{expr}` and `$name` as a whole value looked up; lists are flattened."""
    if isinstance(value, list):
        found = [looked_up(item, namespace, option) for item in value]
        return [one for item in found for one in (item if isinstance(item, (list, tuple)) else [item])]
    if not isinstance(value, str):
        return value
    head, equals, tail = value.partition("=") if option in ("env", "output") else ("", "", value)
    found_value = _variable(tail, namespace)
    if found_value is tail or not equals:
        return found_value if found_value is not tail else value
    return f"{head}={_text(found_value)}"


def _variable(word: str, namespace: Mapping[str, object]) -> object:
    """The value of the variable that the whole word names, or the word."""
    match = _DOLLAR.fullmatch(word)
    expression = f"{{{match.group(1)}}}" if match else word
    if not (expression.startswith("{") and expression.endswith("}")):
        return word
    from hail_batch_jupyter.jupyter.cells.braces import Insert, fill

    pieces = fill(expression, namespace)
    return pieces[0].value if len(pieces) == 1 and isinstance(pieces[0], Insert) else word


def _text(value: object) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
