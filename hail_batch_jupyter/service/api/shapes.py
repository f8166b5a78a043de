"""Shapes of JSON: checks that say where a value is not as it should be, each with the schema that tells so beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from hail_batch_jupyter.service.api.refusal import Refusal

GREATEST = 1 << 31
_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}


def _unknown(_: Any) -> bool:
    """Of a shape that only its check knows."""
    return False


class Shape(NamedTuple):
    """A check of a value, which raises Refusal naming `where`; and the same as a JSON schema.

    fits   whether a value is certainly of the shape, without saying where it is not: several times as fast, for the many that are as they should be
    kind   the type of which every value fits, None where there is none
    """

    check: Callable[[Any, str], None]
    schema: Mapping[str, Any]
    fits: Callable[[Any], bool] = _unknown
    kind: type | None = None

    def __call__(self, value: Any, where: str) -> None:
        """Refuse a value that is not of the shape."""
        self.check(value, where)


def parsed(body: bytes) -> Any:
    """The JSON of a request's body, whose texts can be written down: half a character, as JSON may hold, cannot."""
    with _is_json():
        text = body.decode(json.detect_encoding(body))
        found = json.loads(text)
        _check_characters(found, text)
        return found


def parsed_items(body: bytes) -> tuple[Any, Sequence[str]]:
    """As `parsed`; and of a list of objects the JSON of each, as it was sent where it was sent without blanks."""
    with _is_json():
        text = body.decode(json.detect_encoding(body))
        found = _items(text)
        if found is None:
            whole = json.loads(text)
            found = whole, [json.dumps(item) for item in whole] if isinstance(whole, list) else []
        _check_characters(found[0], text)
        return found


def _items(text: str) -> tuple[list[Any], list[str]] | None:
    """The objects of a list, and the text of each; None for everything else."""
    found, items, begin, decoded = [], [], 1, _DECODER.raw_decode
    while text.startswith("{", begin):
        item, end = decoded(text, begin)
        found.append(item)
        items.append(text[begin:end])
        begin = end + 1
        if not text.startswith(",", end):
            return (found, items) if text[0] == "[" and text[end:] == "]" else None
    return None


_DECODER = json.JSONDecoder()


@contextmanager
def _is_json() -> Iterator[None]:
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is no JSON ({error}); post a JSON document") from error


def _check_characters(found: Any, text: str) -> None:
    if "\\u" in text:
        json.dumps(found, ensure_ascii=False).encode()


def is_a(*kinds: type) -> Shape:
    """A value of the type; true and false are no numbers."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise Refusal(400, f"{where} is not {' or '.join(str(kind) for kind in kinds)}.")

    return Shape(check, {"type": _NAMES[kinds[-1]]}, lambda value: type(value) in kinds, kinds[0] if len(kinds) == 1 else None)


def or_null(inner: Shape) -> Shape:
    """A shape that null has too."""
    schema = {"anyOf": [inner.schema, {"type": "null"}]}
    fits = inner.fits
    return Shape(lambda value, where: None if value is None else inner(value, where), schema, lambda value: value is None or fits(value), inner.kind)


def list_of(inner: Shape, at_least: int = 0) -> Shape:
    """A list of values of one shape."""
    whole = is_a(list)

    def check(value: Any, where: str) -> None:
        whole(value, where)
        for number, item in enumerate(value):
            if not inner.fits(item):
                inner(item, f"{where}[{number}]")

    schema = {"type": "array", "items": inner.schema, **({"minItems": at_least} if at_least else {})}
    fits, kinds = inner.fits, {inner.kind}
    if inner.kind is None:
        return Shape(check, schema, lambda value: type(value) is list and all(map(fits, value)))
    return Shape(check, schema, lambda value: type(value) is list and kinds.issuperset(map(type, value)))


def above_zero(*kinds: type) -> Shape:
    """A number above zero."""
    number = is_a(*kinds)

    def check(value: Any, where: str) -> None:
        number(value, where)
        if not 0 < value < GREATEST:
            raise Refusal(400, f"{where} does not satisfy the condition x > 0.")

    schema = {**number.schema, "exclusiveMinimum": 0, "maximum": GREATEST - 1}
    return Shape(check, schema, lambda value: type(value) in kinds and 0 < value < GREATEST)


def limited_text(longest: int, what: str) -> Shape:
    """A text that is not empty, with so many characters at most."""
    words = is_a(str)

    def check(value: Any, where: str) -> None:
        words(value, where)
        if not 0 < len(value) <= longest:
            raise Refusal(400, f"{where} has {len(value)} characters; {what} has 1 to {longest}.")

    return Shape(check, {"type": "string", "minLength": 1, "maxLength": longest})


def record(required: Mapping[str, Shape], optional: Mapping[str, Shape]) -> Shape:
    """An object with these keys and no others."""
    whole = is_a(dict)

    def check(value: Any, where: str) -> None:
        whole(value, where)
        unknown = sorted(value.keys() - required.keys() - optional.keys())
        if unknown:
            raise Refusal(400, f"unknown keys in {where}: {{{', '.join(map(repr, unknown))}}}")
        for key, inner in required.items():
            if key not in value:
                raise Refusal(400, f"{where} missing required key {key}.")
            inner(value[key], f"{where}.{key}")
        for key, inner in optional.items():
            if key in value:
                inner(value[key], f"{where}.{key}")

    inners = {**required, **optional}
    fitting, kinds, needed = {key: inner.fits for key, inner in inners.items()}, {key: inner.kind for key, inner in inners.items()}, required.keys()

    def fits(value: Any) -> bool:
        if type(value) is not dict or not needed <= value.keys():
            return False
        for key, item in value.items():  # no generator, which would take as long as the checks
            if type(item) is kinds.get(key):
                continue
            inner = fitting.get(key)
            if inner is None or not inner(item):
                return False
        return True

    properties = {key: inner.schema for key, inner in inners.items()}
    return Shape(check, {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}, fits)
