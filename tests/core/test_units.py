from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.core.units import (
    check_memory,
    format_bytes,
    format_duration,
    memory_bytes,
    parse_bytes,
    parse_cpu,
    parse_duration,
)
from hail_batch_jupyter.errors import BatchException, UnitError

SUFFIXES = ["K", "Ki", "M", "Mi", "G", "Gi", "T", "Ti", "P", "Pi"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("17", 17),
        (17, 17),
        (1.5, 2),
        ("1K", 1000),
        ("1Ki", 1024),
        ("2M", 2 * 10**6),
        ("500Mi", 500 << 20),
        ("3G", 3 * 10**9),
        ("3Gi", 3 << 30),
        ("1T", 10**12),
        ("1Ti", 1 << 40),
        ("1P", 10**15),
        ("1Pi", 1 << 50),
        ("+2Gi", 2 << 30),
        (" 2Gi ", 2 << 30),
        ("2 Gi", 2 << 30),
        ("10GiB", 10 << 30),
        ("10GB", 10**10),
        ("3.75Gi", 4026531840),
        (".5Ki", 512),
        ("1.", 1),
        pytest.param("0.1", 1, id="rounded-up"),
        pytest.param("0.3Gi", 322122548, id="exact-before-rounding-up"),
    ],
)
def test_sizes_are_bytes_rounded_up(text: str | float, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3Gb", r"memory '3Gb': unknown suffix 'Gb' \(did you mean Gi\?\); use one of K, Ki, M, Mi, G, Gi, T, Ti, P, Pi, or lowmem, standard, highmem"),
        ("3gi", r"memory '3gi': unknown suffix 'gi' \(did you mean Gi\?\)"),
        ("3k", r"memory '3k': unknown suffix 'k' \(did you mean Ki\?\)"),
        ("5X", r"memory '5X': unknown suffix 'X'; use one of"),
        ("1B", r"memory '1B': unknown suffix 'B'"),
        ("\u0663Gi", r"is not a size"),
        ("", r"memory '' is not a size; write a number of bytes or one with a suffix .*, such as '500Mi', or lowmem, standard, highmem"),
        ("Gi", r"memory 'Gi' is not a size"),
        ("-1Gi", r"memory '-1Gi' is not a size"),
        ("1,5Gi", r"memory '1,5Gi' is not a size"),
        ("1e9", r"memory '1e9' is not a size|unknown suffix"),
        ("nan", r"memory 'nan' is not a size"),
        ("lowmen", r"memory 'lowmen' is not a size.*lowmem, standard, highmem"),
    ],
)
def test_a_bad_size_says_what_is_wrong_and_what_is_valid(text: str, message: str) -> None:
    with pytest.raises(UnitError, match=message):
        parse_bytes(text)


def test_storage_is_named_and_has_no_memory_words() -> None:
    with pytest.raises(UnitError, match=r"storage '9Q': unknown suffix 'Q'.*Pi$"):
        parse_bytes("9Q", "storage")


def test_a_unit_error_is_a_value_error_and_a_batch_exception() -> None:
    with pytest.raises(UnitError) as caught:
        parse_bytes("x")

    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, BatchException)
    assert caught.value.msg == str(caught.value)


@pytest.mark.parametrize(
    ("value", "mcpu", "size"),
    [
        (None, 4000, 0),
        ("lowmem", 1000, 1 << 30),
        ("standard", 2000, 8 << 30),
        ("highmem", 500, (7 << 30) // 2),
        ("2Gi", 8000, 2 << 30),
        (1024, 1000, 1024),
    ],
)
def test_memory_words_are_bytes_a_core(value: str | int | None, mcpu: int, size: int) -> None:
    assert memory_bytes(value, mcpu) == size


@pytest.mark.parametrize("value", ["lowmem", "standard", "highmem", "1Gi", 5])
def test_sizes_and_memory_words_pass_the_check(value: str | int) -> None:
    check_memory(value)


def test_the_check_refuses_what_is_neither_size_nor_word() -> None:
    with pytest.raises(UnitError, match="memory 'himem' is not a size"):
        check_memory("himem")


@pytest.mark.parametrize(
    ("text", "mcpu"),
    [(1, 1000), ("1", 1000), (0.5, 500), ("0.25", 250), ("250m", 250), ("1.5", 1500), (" 2 ", 2000), ("+4", 4000), ("0.0001", 1), ("1.", 1000), (".5", 500)],
)
def test_cores_are_millicores(text: str | float, mcpu: int) -> None:
    assert parse_cpu(text) == mcpu


@pytest.mark.parametrize("text", ["", "0", "0m", "-1", "two", "1 core", "1Gi", "1M", "nan", "inf"])
def test_bad_cores_say_what_to_write(text: str) -> None:
    with pytest.raises(UnitError, match=rf"invalid value for cpu: {text!r}; write cores above zero, such as 2 or 0.5, or millicores, such as '250m'"):
        parse_cpu(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (90, 90),
        (0.5, 0.5),
        ("90", 90),
        ("90s", 90),
        ("250ms", 0.25),
        ("15m", 900),
        ("15min", 900),
        ("2h", 7200),
        ("1d", 86400),
        ("1.5h", 5400),
        (" 3 m ", 180),
        (".5s", 0.5),
    ],
)
def test_durations_are_seconds(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "abc", "-5", "1h30", "1:30", "5 weeks", "inf", "nan", "1H"])
def test_a_bad_duration_says_what_to_write(text: str) -> None:
    with pytest.raises(UnitError, match=rf"timeout {text!r} is not a duration; write seconds, or a number with ms, s, m, h or d, such as '15m'"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (4 << 20, "4.0 MiB"),
        (3.75 * (1 << 30), "3.8 GiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_sizes_are_shown_in_powers_of_two(size: float, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (0.34, "0.3 s"), (12.9, "12 s"), (59.9, "59 s"), (60, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min"), (273600, "3 d 04 h")],
)
def test_durations_are_shown_in_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 10**6), st.sampled_from(SUFFIXES), st.sampled_from(["", "B"]))
def test_a_whole_number_of_units_is_exact(number: int, suffix: str, tail: str) -> None:
    power = "KMGTP".index(suffix[0]) + 1
    unit = 1024**power if suffix.endswith("i") else 1000**power

    assert parse_bytes(f"{number}{suffix}{tail}") == number * unit


@pytest.mark.parametrize("parse", [parse_bytes, parse_cpu, parse_duration])
@given(text=st.text(max_size=12))
def test_any_text_is_a_quantity_or_a_unit_error_that_quotes_it(parse: Callable[[str], float], text: str) -> None:
    refusal = ""
    try:
        quantity = parse(text)
    except UnitError as error:
        refusal = error.msg
    else:
        assert quantity >= 0

    assert not refusal or repr(text) in refusal
