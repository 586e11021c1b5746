"""`Axis`: values to places on a chart, and the round values to write beside it."""

import itertools
import math
from collections.abc import Iterable
from typing import NamedTuple

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TOLERANCE = 1e-9


class Axis(NamedTuple):
    """A linear scale.

    Attributes:
      low, high: the values at its ends, low < high.
      start, end: the places of these, in SVG units.
    """

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Iterable[float | None], start: float, end: float, margin: float = 0.05) -> "Axis":
        """The axis that shows all values and some room beside them; None and NaN count for nothing."""
        known = [value for value in values if value is not None and math.isfinite(value)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        room = (high - low) * margin or abs(high) * margin or 1.0
        return cls(low - room, high + room, start, end)

    def at(self, value: float) -> float:
        """The place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values on the axis, ascending, at most so many of them."""
        return ticks(self.low, self.high, most)

    def ticks_of_whole_numbers(self, most: int = 5) -> list[float]:
        """The same of whole numbers alone."""
        step = max(1.0, _step(self.low, self.high, most))
        return _multiples(self.low, self.high, math.ceil(step))


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten.

    Example:
      >>> ticks(0.61, 0.79)
      [0.65, 0.7, 0.75]
    """
    return _multiples(low, high, _step(low, high, most))


def tick_text(value: float, values: list[float]) -> str:
    """A tick with as many digits as the closest two of the ticks need.

    Example:
      >>> tick_text(0.5, [0.25, 0.5, 0.75]), tick_text(2000.0, [0.0, 2000.0])
      ('0.50', '2,000')
    """
    if len(values) < 2:
        return f"{value:.4g}"
    gap = min(after - before for before, after in itertools.pairwise(values))
    digits = max(0, -math.floor(math.log10(gap) + _TOLERANCE))
    if digits < 9 and round(gap * 10**digits, 6) != round(gap * 10**digits):
        digits += 1  # 0.25
    return f"{value:,.{digits}f}"


def _step(low: float, high: float, most: int) -> float:
    """The smallest round step of which at most `most` fit."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    for step in _STEPS:
        if len(_multiples(low, high, step * power)) <= most:
            return step * power
    return 10 * power


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - _TOLERANCE), math.floor(high / step + _TOLERANCE)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]
