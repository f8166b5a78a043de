"""The two query languages of the lists, as tests of an entry.

Source: the Batch Service's protocol, chapter 11.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from hail_batch_jupyter.core.answers import milliseconds
from hail_batch_jupyter.service.api.refusal import Refusal

JOB_STATES = {name: frozenset({name.capitalize()}) for name in ("pending", "ready", "creating", "running", "cancelled", "error", "failed", "success")}
JOB_STATES |= {"live": frozenset({"Ready", "Creating", "Running"}), "bad": frozenset({"Error", "Failed"})}
JOB_STATES["done"] = frozenset({"Cancelled", "Error", "Failed", "Success"})
_OPERATORS = (">=", "<=", ">", "<", "!~", "=~", "!=", "==", "=")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_EXACT = ("=", "==", "!=")
_TIMES = {"start_time": "time_created", "end_time": "time_completed"}
_SHORTEST_QUOTED = 3
COLLECTION = "standard"
"""The pool of machines that all jobs are in."""


class Tried(NamedTuple):
    """One attempt of a job, whose end is now while it goes on."""

    instance: str
    started_ms: int | None
    ended_ms: int


class Item(NamedTuple):
    """What is tested: the entry of a batch or job, and its attributes.

    cancelled  of a batch: whether somebody, or a limit, cancelled it, whatever its state is
    tried      of a job: gives its attempts, which are looked at only where a query asks for them
    """

    entry: Mapping[str, Any]
    attributes: Mapping[str, str]
    cancelled: bool = False
    tried: Callable[[], Sequence[Tried]] = tuple


Test = Callable[[Item], bool]


class Language(NamedTuple):
    """What differs between batches and jobs.

    key    version 2's name of the number     words  gives the test for a word such as 'failed', None for one without meaning
    exact  fields that are compared as texts
    """

    key: str
    words: Callable[[str], Test | None]
    exact: tuple[str, ...]


def batch_word(word: str) -> Test | None:
    """A state of batches, or a field that begins with its name."""
    name, colon, value = word.partition(":")
    if colon and name in ("user", "billing_project"):
        return lambda item: bool(item.entry[name] == value)
    tests: dict[str, Test] = {
        "open": lambda _: False,
        "closed": lambda _: True,
        "complete": lambda item: bool(item.entry["complete"]),
        "running": lambda item: not item.entry["complete"],
        "cancelled": lambda item: item.cancelled,
        "failure": lambda item: item.entry["n_failed"] > 0,
        "success": lambda item: bool(item.entry["complete"] and item.entry["n_succeeded"] == item.entry["n_jobs"]),
    }
    return tests.get(word)


def job_word(word: str) -> Test | None:
    """A state of jobs, or a word for several."""
    states = JOB_STATES.get(word)
    return None if states is None else lambda item: item.entry["state"] in states


BATCHES = Language("batch_id", batch_word, ("billing_project", "user"))
JOBS = Language("job_id", job_word, ())


def parse(q: str, version: int, language: Language) -> Test:
    """The test that a query stands for; all its terms must hold. Raises Refusal naming the term that means nothing."""
    if version == 1:
        tests = [_term_v1(term, language) for term in q.split()]
    else:
        tests = [_line_v2(line, language) for line in q.strip().split("\n")] if q.strip() else []
    return lambda item: all(test(item) for test in tests)


def _term_v1(term: str, language: Language) -> Test:
    if term.startswith("!"):
        inner = _term_v1(term[1:], language)
        return lambda item: not inner(item)
    key, equals, value = term.partition("=")
    if equals and key == "job_id" and language is JOBS:
        number = _number(value, int)
        return lambda item: bool(item.entry["job_id"] == number)
    if equals:
        return lambda item: item.attributes.get(key) == value
    if term.startswith("has:"):
        return lambda item: term[4:] in item.attributes
    test = language.words(term)
    if test is None:
        raise Refusal(400, f"Invalid search term: {term}.")
    return test


def _line_v2(line: str, language: Language) -> Test:
    found = next((symbol for symbol in _OPERATORS if symbol in line), None)
    parts = (line if found is None else line.replace(found, f" {found} ", 1)).split()
    if len(parts) == 1:
        return _anywhere(parts[0])
    if len(parts) != 3:
        raise Refusal(400, f'could not parse term "{line}"')
    key, symbol, value = parts
    if symbol not in _OPERATORS:
        raise Refusal(400, f"unknown operator {symbol}")
    return _comparison(key, symbol, value, language)


def _anywhere(term: str) -> Test:
    """A text in any key or value of the attributes, or an instance of a job; in quotes it is the whole of one."""
    if term.startswith('"'):
        if len(term) < _SHORTEST_QUOTED or not term.endswith('"'):
            raise Refusal(400, f"expected a string of minimum length 3. Found {term}")
        return lambda item: term[1:-1] in _texts(item)
    pattern = f"*{_pattern(term)}*"
    return lambda item: any(fnmatchcase(text.lower(), pattern) for text in _texts(item))


def _texts(item: Item) -> Iterator[str]:
    for pair in item.attributes.items():
        yield from pair
    for attempt in item.tried():
        yield attempt.instance


def _pattern(text: str) -> str:
    """'%' is any text and '_' any character; what means something to fnmatch is taken as it is."""
    return text.lower().replace("[", "[[]").replace("*", "[*]").replace("?", "[?]").replace("%", "*").replace("_", "?")


def _comparison(key: str, symbol: str, value: str, language: Language) -> Test:
    if key == language.key:
        return _ordered(symbol, _number(value, int), lambda item: item.entry["job_id" if language is JOBS else "id"])
    if key == "state":
        return _state(symbol, value, language)
    if key in language.exact:
        _check_symbol(symbol, _EXACT)
        return lambda item: (item.entry[key] == value) is (symbol != "!=")
    if language is JOBS and key in _OF_JOBS:
        return _OF_JOBS[key](symbol, value)
    if key == "cost":
        return _ordered(symbol, _number(value.lstrip("$"), float), lambda item: item.entry["cost"])
    if key == "duration":
        return _ordered(symbol, _number(value, float) * 1000, lambda item: item.entry["duration_ms"])
    if key in _TIMES:
        field = _TIMES[key] if language is BATCHES else key
        return _ordered(symbol, _date(value), lambda item: milliseconds(item.entry[field]))
    return _match(symbol, value, lambda item: item.attributes.get(key))


def _state(symbol: str, value: str, language: Language) -> Test:
    _check_symbol(symbol, _EXACT)
    test = language.words(value)
    if test is None or ":" in value:
        raise Refusal(400, f'unknown state "{value}"')
    return test if symbol != "!=" else lambda item: not test(item)


def _exit_code(symbol: str, value: str) -> Test:
    if value.upper() == "NULL":
        if symbol not in _EXACT:
            raise Refusal(400, f'unexpected operator "{symbol}" for NULL exit code, expected one of {{=, !=}}')
        return lambda item: (item.entry["exit_code"] is None) is (symbol != "!=")
    test = _ordered(symbol, _number(value, int), lambda item: item.entry["exit_code"])
    return (lambda item: item.entry["exit_code"] is None or test(item)) if symbol == "!=" else test


def _started(symbol: str, value: str) -> Test:
    return _any_attempt(_ordered(symbol, _date(value), lambda item: item.entry["started_ms"]), lambda attempt: {"started_ms": attempt.started_ms})


def _duration(symbol: str, value: str) -> Test:
    test = _ordered(symbol, _number(value, float) * 1000, lambda item: item.entry["ms"])
    return _any_attempt(test, lambda attempt: {"ms": None if attempt.started_ms is None else max(0, attempt.ended_ms - attempt.started_ms)})


def _instance(symbol: str, value: str) -> Test:
    return _any_attempt(_match(symbol, value, lambda item: item.entry["instance"]), lambda attempt: {"instance": attempt.instance})


def _any_attempt(test: Test, entry: Callable[[Tried], Mapping[str, Any]]) -> Test:
    return lambda item: any(test(Item(entry(attempt), {})) for attempt in item.tried())


def _collection(symbol: str, value: str) -> Test:
    return _match(symbol, value, lambda _: COLLECTION)


_OF_JOBS: dict[str, Callable[[str, str], Test]] = {
    "exit_code": _exit_code,
    "start_time": _started,
    "duration": _duration,
    "instance": _instance,
    "instance_collection": _collection,
}
"""What only jobs have, and what is true of one where it is of any of its attempts."""


def _match(symbol: str, value: str, field: Callable[[Item], str | None]) -> Test:
    """A test of a text, which must be there."""
    _check_symbol(symbol, (*_EXACT, "=~", "!~"))
    pattern = f"*{_pattern(value)}*"

    def test(item: Item) -> bool:
        text = field(item)
        if text is None:
            return False
        same = fnmatchcase(text.lower(), pattern) if "~" in symbol else text.lower() == value.lower()
        return same is not symbol.startswith("!")

    return test


def _ordered(symbol: str, value: float, field: Callable[[Item], Any]) -> Test:
    """A comparison with a number; what has none does not pass."""
    _check_symbol(symbol, (*_EXACT, *_COMPARE))
    compare: Callable[[Any, Any], bool] = _COMPARE.get(symbol, operator.ne if symbol == "!=" else operator.eq)

    def test(item: Item) -> bool:
        found = field(item)
        return found is not None and bool(compare(found, value))

    return test


def _check_symbol(symbol: str, known: tuple[str, ...]) -> None:
    if symbol not in known:
        raise Refusal(400, f'unexpected operator "{symbol}" expected one of {{{", ".join(sorted(known))}}}')


def _number(text: str, kind: type[int | float]) -> float:
    try:
        return kind(text)
    except ValueError as error:
        raise Refusal(400, f"expected {kind.__name__}, but found {text}") from error


def _date(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(400, f"expected date, but found {text}") from error
    if found.tzinfo is None:
        raise Refusal(400, f"expected date, but found {text}; add its time zone, such as Z")
    return found.timestamp() * 1000
