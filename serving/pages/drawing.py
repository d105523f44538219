"""Where things go in a drawing. Templates write the SVG; here are only places, in per cent of its width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

# Steps that people count in, each times a power of ten.
_STEPS = (1, 2, 2.5, 5, 10)
_MARGIN = 0.04


@dataclass(frozen=True)
class Scale:
    """A linear scale from `low` to `high` with round `ticks` on it.

    >>> scale = build_scale([-0.1, 0.3], ticks=4)
    >>> scale.ticks
    (-0.1, 0.0, 0.1, 0.2, 0.3)
    >>> scale.place(scale.low), scale.place(scale.high), scale.place(99)
    (0.0, 100.0, 100.0)
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return where a value is, from 0 to 100; what lies outside is put on the edge."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    def height(self, value: float) -> float:
        """Return where a value is from the top."""
        return round(100 - self.place(value), 2)

    def span(self, one: float, other: float) -> tuple[float, float]:
        """Return left edge and width of the stretch between two values."""
        left, right = sorted((self.place(one), self.place(other)))
        return left, round(right - left, 2)

    def holds(self, value: float) -> bool:
        """Whether a value is on the scale."""
        return self.low <= value <= self.high

    @property
    def digits(self) -> int:
        """How many digits after the point the ticks need.

        >>> build_scale([0, 0.1]).digits, build_scale([0, 3]).digits
        (2, 0)
        """
        return next(digits for digits in range(11) if all(round(tick, digits) == tick for tick in self.ticks))


def build_scale(values: Iterable[float], *, ticks: int = 5, zero: bool = True) -> Scale:
    """Build the scale that holds all values, and zero if it matters, with about `ticks` round marks."""
    held = [*(value for value in values if isfinite(value)), *([0.0] if zero else [])]
    low, high = (min(held), max(held)) if held else (0.0, 1.0)
    if low == high:
        low, high = low - 1, high + 1
    margin = _MARGIN * (high - low)
    step = _round_step((high - low) / ticks)
    low, high = low - margin, high + margin
    marks = range(ceil(low / step), floor(high / step) + 1)
    return Scale(low, high, tuple(round(mark * step, 10) for mark in marks))


def trim(values: Sequence[float], *, share: float) -> list[float]:
    """Leave out the smallest and largest `share` of the values, so that one odd share squeezes no other.

    >>> trim([5, 1, 2, 3, 999], share=0.2)
    [2, 3, 5]
    """
    cut = int(len(values) * share)
    ordered = sorted(values)
    return ordered[cut : len(ordered) - cut] if cut else ordered


def draw_line(values: Sequence[float], scale: Scale) -> str:
    """Return the `points` of a polyline through evenly spaced values, 1000 wide and 100 high.

    >>> draw_line([1, 2], Scale(1, 2, ticks=()))
    '0.0,100.0 1000.0,0.0'
    """
    step = 1000 / max(len(values) - 1, 1)
    return " ".join(f"{i * step:.1f},{scale.height(value)}" for i, value in enumerate(values))


def _round_step(rough: float) -> float:
    power = 10.0 ** floor(log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * 0.999)
