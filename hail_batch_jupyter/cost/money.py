"""Amounts in parts, exact, and how they are written."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from hail_batch_jupyter.errors import UnitError

PARTS = ("compute", "memory", "disk", "network", "service")
"""What an amount is made of; 'network' is the fee for the address, 'service' what the service takes for itself."""
PART_TITLES = {"compute": "compute", "memory": "memory", "disk": "disk", "network": "network fee", "service": "service fee"}
_ZERO = Fraction(0)


class Breakdown(NamedTuple):
    """Dollars by part, exact."""

    compute: Fraction = _ZERO
    memory: Fraction = _ZERO
    disk: Fraction = _ZERO
    network: Fraction = _ZERO
    service: Fraction = _ZERO

    @property
    def total(self) -> Fraction:
        """The sum of the parts."""
        return self.compute + self.memory + self.disk + self.network + self.service

    def times(self, factor: Fraction | int) -> Breakdown:
        """Every part multiplied."""
        return Breakdown(*[part * factor for part in self]) if factor else NOTHING

    def plus(self, other: Breakdown) -> Breakdown:
        """The sum, part by part."""
        if self is NOTHING or other is NOTHING:
            return self if other is NOTHING else other
        return Breakdown(*[mine + theirs for mine, theirs in zip(self, other)])


NOTHING = Breakdown()


def rate_text(usd: Fraction) -> str:
    """A rate with five decimals, half to even: '0.02170'."""
    return decimal_text(usd, 5)


def amount_text(usd: Fraction) -> str:
    """An amount with six decimals, half to even: '0.021704'."""
    return decimal_text(usd, 6)


def decimal_text(value: Fraction, digits: int) -> str:
    """The exact value rounded half to even, with so many decimals."""
    scaled = round(value * 10**digits)
    whole, rest = divmod(abs(scaled), 10**digits)
    return f"{'-' if scaled < 0 else ''}{whole}.{rest:0{digits}d}"


def dollars(usd: Fraction | float) -> str:
    """An amount as people read it: '$0', '$0.000021', '$0.0217', '$3.42', '$1,204.00'."""
    exact = Fraction(usd)
    size = abs(exact)
    if not size:
        return "$0"
    digits = 2 if size >= 1 else 4 if size >= Fraction(1, 100) else 6
    text = decimal_text(size, digits)
    whole, _, rest = text.partition(".")
    sign = "-" if exact < 0 else ""
    if not int(whole) and not int(rest):
        return f"under {sign}$0.000001"
    return f"{sign}${int(whole):,}.{rest}"


def parse_usd(value: str | float) -> float:
    """Dollars of 5, '0.50' or '$5'.

    Raises UnitError when it is no amount above zero.
    """
    try:
        usd = float(str(value).strip().lstrip("$"))
    except ValueError:
        usd = -1.0
    if not 0 < usd < float("inf"):
        raise UnitError(f"cost {str(value)!r} is not an amount; write dollars above zero, such as 5 or 0.50")
    return usd
