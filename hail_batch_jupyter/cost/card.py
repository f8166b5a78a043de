"""Rate cards as files: the built-in ones and the user's own, TOML that says what is wrong with it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable

from hail_batch_jupyter.cost.money import PARTS
from hail_batch_jupyter.cost.rates import BILLED, PER, ROUNDINGS, Card, Price, Worker
from hail_batch_jupyter.errors import ConfigError

_FOLDER = Path(__file__).with_name("cards")
FLAT = "core-hours"
SETTING = ("batch", "rate_card")
OF_BACKEND = {"local": "this-machine", "slurm": FLAT, "service": "hail"}
"""Backend -> the card where the user chose none."""


def built_in() -> list[str]:
    """Names of the cards that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def chosen_card(backend: str, argument: str | os.PathLike[str] | Card | None = None) -> Card:
    """The card that counts: the argument, else the setting batch/rate_card, else that of the backend."""
    from hail_batch_jupyter.config import configured

    if isinstance(argument, Card):
        return argument
    given = configured(*SETTING, None if argument is None else os.fspath(argument))
    return load_card(given or OF_BACKEND.get(backend, "this-machine"))


def load_card(name_or_path: str | os.PathLike[str]) -> Card:
    """The built-in card of that name, 'core-hours:RATE' for a flat rate in dollars, or the card in a file.

    Raises ConfigError when there is none, and for a card that is malformed.
    """
    text = os.fspath(name_or_path)
    name, colon, rate = text.partition(":")
    if name == FLAT and colon:
        return _with_rate(load_card(FLAT), rate)
    path = _FOLDER / f"{text}.toml"
    if text not in built_in():
        path = Path(text).expanduser()
        if not path.is_file():
            raise ConfigError(_unknown(text))
    return read_card(path)


def read_card(path: Path) -> Card:
    """The card in a file.

    Raises ConfigError naming the file and what is wrong in it.
    """
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Fraction)
    except (OSError, ValueError) as error:
        raise ConfigError(f"rate card {str(path)!r} cannot be read ({error}); mend it, or name another card") from error
    return card_of(data, str(path))


def _unknown(text: str) -> str:
    close = difflib.get_close_matches(text, built_in(), 1)
    hint = f"did you mean {close[0]!r}?" if close else f"it is one of {', '.join(built_in())}, {FLAT}:RATE with dollars for a core-hour, or a file"
    return f"there is no rate card {text!r}; {hint}"


def _with_rate(card: Card, rate: str) -> Card:
    try:
        usd = Fraction(rate.strip())
    except ValueError:
        usd = Fraction(-1)
    if usd < 0:
        raise ConfigError(f"rate card '{FLAT}:{rate}': {rate!r} is no rate; write dollars for a core-hour, such as {FLAT}:0.02")
    return card._replace(name=f"{FLAT}:{rate.strip()}", date="rate as set", prices=tuple([price._replace(usd=usd) for price in card.prices]))


def card_of(data: Mapping[str, Any], where: str) -> Card:
    """The card that TOML, or `card_data`, says.

    Raises ConfigError naming `where` and what is wrong.
    """
    table = _Table(data, f"rate card {where!r}", ("name", "date", "source", "billed", "rounding", "smallest_mcpu", "storage_gib", "spot", "worker", "price"))
    workers = tuple([_worker(_Table(one, f"{table.what}, worker {number}", Worker._fields)) for number, one in enumerate(table.rows("worker"), 1)])
    prices = tuple([_price(_Table(one, f"{table.what}, price {number}", Price._fields)) for number, one in enumerate(table.rows("price"), 1)])
    if not prices:
        raise ConfigError(f"{table.what}: it has no price; write at least one [[price]] with part, usd and per")
    for price in prices:
        if price.per.startswith("worker") and not workers:
            raise ConfigError(f"{table.what}: {price.resource!r} is per {price.per}, and there is no [[worker]]; add one, with its cores")
    return Card(
        name=table.text("name"),
        date=table.text("date"),
        source=table.text("source", ""),
        prices=prices,
        workers=workers,
        billed=table.choice("billed", BILLED, "attempt"),
        rounding=table.choice("rounding", ROUNDINGS, "none"),
        smallest_mcpu=table.whole("smallest_mcpu", 1),
        storage_gib=table.pair("storage_gib"),
        spot=table.flag("spot", True),
    )


def card_data(card: Card) -> dict[str, Any]:
    """The card as plain JSON values, which `card_of` reads; rates as exact fractions."""
    data = {name: value for name, value in card._asdict().items() if value != Card._field_defaults.get(name, ()) and name not in ("prices", "workers")}
    data["price"] = [{**_said(price), "usd": str(price.usd)} for price in card.prices]
    if card.workers:
        data["worker"] = [_said(worker) for worker in card.workers]
    return data


def _said(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name not in row._field_defaults or value != row._field_defaults[name]}


def _worker(table: _Table) -> Worker:
    types = tuple(table.rows("machine_types"))
    for one in types:
        if not isinstance(one, str) or not one.rpartition("-")[2].isdigit():
            raise ConfigError(f"{table.what}: machine type {one!r} does not end in its cores; write it such as 'n1-standard-8'")
    return Worker(table.text("name"), table.text("word", ""), table.whole("cores"), table.whole("memory_mib"), types)


def _price(table: _Table) -> Price:
    part = table.choice("part", PARTS)
    per = table.choice("per", tuple(PER))
    gib = table.whole("gib", 0)
    if per == "worker-disk-GiB-month" and not gib:
        raise ConfigError(f"{table.what}: 'gib' is missing; say how large the disk of a worker is")
    return Price(table.text("resource", part), part, table.rate("usd"), per, table.flag("spot", None), gib, table.flag("shared", None))


class _Table:
    """One table of the file, whose values are asked for by kind; what is missing or wrong is named with its place."""

    def __init__(self, data: object, what: str, known: Sequence[str]) -> None:
        self.what = what
        if not isinstance(data, Mapping):
            raise ConfigError(f"{what}: it is {data!r}, and a table with {', '.join(known)} is wanted")
        self._data = data
        for key in data:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"it can have {', '.join(known)}"
                raise ConfigError(f"{what}: {key!r} is not known; {hint}")

    def _value(self, key: str, default: Any, wants: str, good: Callable[[Any], bool]) -> Any:
        value = self._data.get(key, default)
        if value is _WANTED:
            raise ConfigError(f"{self.what}: {key!r} is missing; it must be {wants}")
        if key in self._data and not good(value):
            raise ConfigError(f"{self.what}: {key} is {_shown(value)}; it must be {wants}")
        return value

    def text(self, key: str, default: Any = None) -> str:
        fallback = _WANTED if default is None else default
        return str(self._value(key, fallback, "a text in quotes, or a date", lambda value: bool(str(value).strip()) and not isinstance(value, (list, Mapping))))

    def choice(self, key: str, words: Sequence[str], default: str | None = None) -> str:
        return str(self._value(key, default or _WANTED, f"one of {', '.join(words)}", lambda value: value in words))

    def whole(self, key: str, default: int | None = None) -> int:
        fallback = _WANTED if default is None else default
        return int(self._value(key, fallback, "a whole number above zero", lambda value: type(value) is int and value > 0))

    def flag(self, key: str, default: bool | None) -> Any:
        return self._value(key, default, "true or false", lambda value: isinstance(value, bool))

    def pair(self, key: str) -> tuple[int, int] | None:
        value = self._value(key, None, "the least and the greatest whole number, such as [10, 65536]", _is_pair)
        return None if value is None else (value[0], value[1])

    def rows(self, key: str) -> list[Any]:
        return list(self._value(key, (), "a list", lambda value: isinstance(value, (list, tuple))))

    def rate(self, key: str) -> Fraction:
        return Fraction(self._value(key, _WANTED, "dollars of 0 or more, such as 0.01", _is_rate))


_WANTED = object()


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(type(one) is int and one > 0 for one in value) and value[0] <= value[1]


def _is_rate(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and Fraction(value) >= 0
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return False


def _shown(value: Any) -> str:
    return str(float(value)) if isinstance(value, Fraction) else repr(value)
