from __future__ import annotations

import json

import pytest

from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.api.shapes import parsed, parsed_items

BODIES = {
    "close": b'[{"a":1},{"b":[{"c":"}],{"}]}]',
    "with blanks": b' [ {"a": 1} ,\n{"b": 2}] \n',
    "blanks at the end": b'[{"a":1}] ',
    "one": b"[{}]",
    "none": b"[]",
    "no objects": b'[1,"a",null]',
    "mixed": b'[{"a":1},2]',
    "no list": b'{"a":1}',
    "a key twice": b'[{"a":1,"a":2}]',
    "letters": '[{"a":"\u00e4\U0001f40b"},{"b":"\\u00e4"}]'.encode(),
    "other code": '[{"a":"\u00e4"}]'.encode("utf-16"),
}
BROKEN = {
    "end": b'[{"a":1}',
    "comma": b'[{"a":1},]',
    "no comma": b'[{"a":1}{"b":2}]',
    "more": b'[{"a":1}]x',
    "other end": b'[{"a":1}}',
    "other begin": b'{{"a":1}]',
    "half a character": b'[{"a":"\\ud800"}]',
    "half a character in bytes": b'[{"a":"\xed\xa0\x80"}]',
    "deep": b'[{"a":' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_texts_of_items_mean_what_the_items_are(body: bytes) -> None:
    found, texts = parsed_items(body)

    assert found == parsed(body)
    assert [json.loads(text) for text in texts] == (found if isinstance(found, list) else [])


def test_items_are_kept_as_they_were_sent() -> None:
    assert list(parsed_items(b'[{"a":1.0,"b":"\\u00e4"},{"c":[]}]')[1]) == ['{"a":1.0,"b":"\\u00e4"}', '{"c":[]}']


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_no_json_is_refused_in_both_ways(body: bytes) -> None:
    for read in (parsed, parsed_items):
        with pytest.raises(Refusal, match="the body is no JSON"):
            read(body)
