"""The options of the magics: their help, how a line is read, and what is wrong with it."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from IPython.core.error import UsageError

from hail_batch_jupyter.core.units import check_memory, parse_bytes, parse_cpu, parse_duration
from hail_batch_jupyter.jupyter.declare import argument

Magic = Any  # a function with the `parser` that IPython's decorators add
Parsed = Any  # an argparse.Namespace
_WHOLE = re.compile(r"(?<![^\s=])\{[^{}]*\}(?=\s|$)")
_FIRST = re.compile(r"\s*([^\s\[]+(?:\[(?:'[^']*'|\"[^\"]*\"|\d+)\][^\s\[]*)*)")
_EACH = re.compile(r"(?<!\S)--each(?:\s+|=)(?=[^\W\d]\w*=)")
_DOLLAR = re.compile(r"\$([^\W\d]\w*)")

SETTINGS = (
    argument("--cpu", metavar="CORES", help="cores: 2, 0.5 or 250m"),
    argument("--memory", metavar="SIZE", help="memory: 500Mi, 3.75G, or lowmem, standard, highmem"),
    argument("--storage", metavar="SIZE", help="disk: 20Gi"),
    argument("--image", help="container image that the job runs in"),
    argument("--env", action="append", default=[], metavar="NAME=VALUE", help="environment variable of the job; its value is shown nowhere; may be repeated"),
    argument("--each", action="append", default=[], metavar="VAR=ITEMS", help="one job an item: alpha=alphas, seed=range(5), x=[0.1, 1]; may be repeated"),
    argument("--cross", action="store_true", help="every combination of several --each; without it they go side by side"),
    argument("--after", action="extend", nargs="+", default=[], metavar="JOB", help="wait for these jobs, too"),
    argument("--timeout", metavar="TIME", help="kill the job after this time: 90, 15m, 2h"),
    argument("--always-run", action="store_true", help="run even if a job before it failed"),
    argument("--spot", dest="spot", action="store_true", default=None, help="machines that may be taken away"),
    argument("--no-spot", dest="spot", action="store_false", help="machines that stay"),
    argument("--attempts", type=int, metavar="N", help="tries in all, when a machine is lost"),
    argument("--output", action="append", default=[], metavar="NAME=DEST", help="write the job's file or result NAME to DEST; may be repeated"),
    argument("--replace", action="store_true", help="take the variable NAME even if something else is in it"),
    argument("--dry-run", action="store_true", help="show the command and define nothing"),
    argument("--run", action="store_true", help="define the job and run it with what it needs"),
)


def job_settings(magic: Magic) -> Magic:
    """Adds the options that both kinds of job cells have."""
    for one in reversed(SETTINGS):
        magic = one(magic)
    return magic


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
        return magic.parser.parse_args(words)
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
    from hail_batch_jupyter.jupyter.braces import Insert, fill

    pieces = fill(expression, namespace)
    return pieces[0].value if len(pieces) == 1 and isinstance(pieces[0], Insert) else word


def _text(value: object) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


@dataclass(frozen=True)
class Settings:
    """What a job cell's line says about its job; units are checked, values of the environment are not shown by `repr`."""

    values: dict[str, Any]
    env: dict[str, str]
    outputs: dict[str, str]

    def __repr__(self) -> str:
        return f"Settings({self.values}, env of {list(self.env)}, {self.outputs})"


def check_defaults(parsed: Parsed) -> None:
    """Raise UnitError for a malformed --default-cpu or --default-memory."""
    if parsed.default_cpu is not None:
        parse_cpu(parsed.default_cpu)
    if parsed.default_memory is not None:
        check_memory(parsed.default_memory)


def settings_of(parsed: Parsed) -> Settings:
    """The settings of a job cell.

    Raises UnitError for a malformed quantity, UsageError for a malformed --env or --output.
    """
    checks: dict[str, Callable[[Any], object]] = {
        "cpu": parse_cpu,
        "memory": check_memory,
        "storage": lambda value: parse_bytes(value, "storage"),
        "timeout": parse_duration,
    }
    values: dict[str, Any] = {}
    for name, check in checks.items():
        value = getattr(parsed, name)
        if value is not None:
            result = check(value)
            values[name] = result if name == "timeout" else value
    if parsed.attempts is not None and parsed.attempts < 1:
        raise UsageError(f"--attempts {parsed.attempts}: a job needs one attempt at least")
    others = {
        "image": parsed.image,
        "shell": getattr(parsed, "shell", None),
        "spot": parsed.spot,
        "n_max_attempts": parsed.attempts,
        "always_run": parsed.always_run or None,
    }
    values.update({name: value for name, value in others.items() if value is not None})
    return Settings(values, _pairs(parsed.env, "--env", "NAME=VALUE", show=False), _pairs(parsed.output, "--output", "NAME=DEST", show=True))


def _pairs(words: Sequence[str], option: str, form: str, *, show: bool) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name or (show and not value):
            asked = f" {word!r}" if show else ""
            raise UsageError(f"{option}{asked}: it takes {form}, with '=' and no blanks around it")
        if option == "--env" and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UsageError(f"--env {name!r}: the name of a variable has letters, digits and _ only; write --env NAME=VALUE")
        pairs[name] = value
    return pairs
