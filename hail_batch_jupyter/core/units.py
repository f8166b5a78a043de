"""Quantities as people write them: memory, storage, cores and durations."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Union

from hail_batch_jupyter.errors import UnitError

MEMORY_WORDS = {"lowmem": 1 << 30, "standard": 4 << 30, "highmem": 7 << 30}
"""Bytes a core of the three memory words on this machine (the service grants slightly less for `standard`)."""

_SUFFIXES = {
    "": 1,
    "K": 10**3, "Ki": 1 << 10,
    "M": 10**6, "Mi": 1 << 20,
    "G": 10**9, "Gi": 1 << 30,
    "T": 10**12, "Ti": 1 << 40,
    "P": 10**15, "Pi": 1 << 50,
}  # fmt: skip
_BYTES = re.compile(r"\+?(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)", re.ASCII)
_CORES = re.compile(r"\+?(\d+(?:\.\d*)?|\.\d+)(m?)", re.ASCII)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|min|m|h|d)?", re.ASCII)
_DURATION_S = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

Quantity = Union[str, int, float]


def parse_bytes(value: Quantity, what: str = "memory") -> int:
    """Bytes of '500Mi', '3.75G', '10GiB' or a bare number of bytes, rounded up.

    Raises UnitError for an unknown suffix or no number.
    """
    match = _BYTES.fullmatch(str(value).strip())
    suffix = match.group(2) if match else ""
    unit = suffix[:-1] if len(suffix) > 1 and suffix.endswith("B") else suffix
    if match is None or unit not in _SUFFIXES:
        raise UnitError(_bytes_message(what, value, suffix if match else None))
    exact = Fraction(match.group(1)) * _SUFFIXES[unit]
    return -int(-exact // 1)


def _bytes_message(what: str, value: Quantity, suffix: str | None) -> str:
    words = ", or lowmem, standard, highmem" if what == "memory" else ""
    known = ", ".join(name for name in _SUFFIXES if name)
    if suffix is None:
        return f"{what} {str(value)!r} is not a size; write a number of bytes or one with a suffix ({known}), such as '500Mi'{words}"
    hint = f" (did you mean {suffix[0].upper()}i?)" if suffix[:1].upper() in "KMGTP" and suffix[:1] else ""
    return f"{what} {str(value)!r}: unknown suffix {suffix!r}{hint}; use one of {known}{words}"


def check_memory(value: Quantity) -> None:
    """Raise UnitError unless `value` is a size or one of the memory words."""
    if value not in MEMORY_WORDS:
        parse_bytes(value, "memory")


def memory_bytes(value: Quantity | None, cpu_mcpu: int) -> int:
    """Bytes of a memory request; a word is bytes a core times the cores, None is 0 (nothing counted)."""
    if value is None:
        return 0
    if isinstance(value, str) and value in MEMORY_WORDS:
        return MEMORY_WORDS[value] * cpu_mcpu // 1000
    return parse_bytes(value, "memory")


def parse_cpu(value: Quantity) -> int:
    """Millicores of 2, 0.5, '0.25' or '250m'.

    Raises UnitError when the text is neither cores nor millicores, or not above zero.
    """
    match = _CORES.fullmatch(str(value).strip())
    mcpu = Fraction(match.group(1)) * (1 if match.group(2) else 1000) if match else Fraction(0)
    if mcpu <= 0:
        raise UnitError(f"invalid value for cpu: {str(value)!r}; write cores above zero, such as 2 or 0.5, or millicores, such as '250m'")
    return max(1, -int(-mcpu // 1))


def parse_duration(value: Quantity) -> float:
    """Seconds of 90, '90', '90s', '15m', '2h' or '1d'.

    Raises UnitError when the text has none of these forms.
    """
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        raise UnitError(f"timeout {str(value)!r} is not a duration; write seconds, or a number with ms, s, m, h or d, such as '15m'")
    return float(match.group(1)) * _DURATION_S[match.group(2)]


def format_bytes(size: float) -> str:
    """'512 B', '1.5 KiB', '3.8 GiB'."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def format_duration(seconds: float) -> str:
    """'0.3 s', '12 s', '3 min 05 s', '2 h 07 min', '3 d 04 h'."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for size, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // part:02d} {part_name}"
    return f"{whole} s"
