"""The formulas of Qlib's Alpha158, for one share at a time.

Written from the definitions in Qlib 0.9.7 (`qlib/contrib/data/loader.py`, `qlib/data/ops.py`). A window runs
over the sessions since the share's first bar, with a bar or without, and one known value is enough for it.
What takes single sessions is computed in float32, what takes windows in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bist_pipeline.features.compiled import compiled
from bist_pipeline.features.nested_windows import (
    PAST,
    WINDOWS,
    Blocks,
    Highest,
    Moments,
    Values,
    divide_quantiles,
    rank_newest,
)

# Added to denominators that may be 0.
_EPSILON = 1e-12
_EPSILON_32 = np.float32(_EPSILON)
_ONE, _TWO = np.float32(1), np.float32(2)
# Square of the standard deviation up to which a series has no fit and no correlation.
_FLAT = 2e-5**2


@dataclass(frozen=True)
class Bars:
    """Daily bars, one share a row.

    Parameters
    ----------
    first : array of int, shape (n_shares,)
        Number of the share's first session.
    open, high, low, close, vwap, volume : array of float32, shape (n_shares, n_sessions)
        NaN where unknown; `vwap` is the volume-weighted average price.
    """

    first: NDArray[np.intp]
    open: NDArray[np.float32]
    high: NDArray[np.float32]
    low: NDArray[np.float32]
    close: NDArray[np.float32]
    vwap: NDArray[np.float32]
    volume: NDArray[np.float32]

    def columns(self) -> tuple[NDArray[np.float32], ...]:
        """Open, high, low, close, vwap and volume."""
        return self.open, self.high, self.low, self.close, self.vwap, self.volume


class Formulas:
    """Computes the columns of one share after the other; the memory for it is taken once.

    Parameters
    ----------
    sessions : int
    places : mapping of str to slice
        The columns of a family, by its name without a window.

    Attributes
    ----------
    columns : array of float32, shape (n_columns, n_sessions)
        What was computed last.
    """

    def __init__(self, sessions: int, places: Mapping[str, slice]) -> None:
        length = PAST + sessions
        self.columns = np.empty((max(place.stop for place in places.values()), sessions), dtype=np.float32)
        self._out = {family: self.columns[place] for family, place in places.items()}
        self._bars = np.full((6, length), np.nan, dtype=np.float32)
        self._session = np.arange(length, dtype=np.float64) - PAST
        self._pair = Moments(length, series=2)
        self._x, self._y = Moments(length, series=1), Moments(length, series=1)
        self._up, self._down, self._known = Blocks(length), Blocks(length), Blocks(length)
        self._high, self._low = Highest(length), Highest(length)

    def compute(self, bars: Bars, share: int) -> None:
        """Fill `columns` for one share."""
        for loaded, values in zip(self._bars, bars.columns(), strict=True):
            loaded[PAST:] = values[share]
        first = int(bars.first[share])
        _, high, low, close, _, volume = self._bars
        change, change_of_volume = close / _previous(close), volume / _previous(volume)
        for name, values in _shapes(*self._bars[:5, PAST:]):
            self._out[name][0] = values
        self._fill_trends(close)
        self._fill_places(close)
        self._fill_extremes(close, high, low, since=PAST + first)
        self._fill_correlations("CORR", close, np.log(volume + _ONE))
        self._fill_correlations("CORD", change, np.log(change_of_volume + _ONE))
        self._fill_directions(close, self._session >= first)
        self._fill_flows("SUM", close)
        self._fill_flows("VSUM", volume)
        self._fill_volumes(volume)
        self._fill_unrest(np.abs(change - _ONE) * volume)

    def _fill_trends(self, close: Values) -> None:
        pair, out, now = self._pair, self._out, close.astype(np.float64)
        pair.compute(close, self._session)
        mean, mean_session = (blocks.windows for blocks in pair.means)
        square, product, square_session = (blocks.windows for blocks in pair.products.values())
        count, fit = pair.count.windows, (out["BETA"], out["RSQR"], out["RESI"])
        for i, window in enumerate(WINDOWS):
            out["ROC"][i] = close[PAST - window : -window] / close[PAST:]
        _relate(now, count, mean, square, out["MA"], out["STD"])
        _fit(now, self._session, count, mean, square, mean_session, square_session, product, *fit)

    def _fill_places(self, close: Values) -> None:
        """After `_fill_trends`, which counts the known prices."""
        divide_quantiles(close, (0.2, 0.8), self._out["QTLD"], self._out["QTLU"])
        rank_newest(close, self._pair.count.windows, self._out["RANK"])

    def _fill_extremes(self, close: Values, high: Values, low: Values, *, since: int) -> None:
        self._high.compute(high, since=since)
        self._low.compute(-low, since=since)
        found = [blocks.windows for of in (self._high, self._low) for blocks in (of.value, of.row)]
        families = ("MAX", "MIN", "RSV", "IMAX", "IMIN", "IMXD")
        _place_extremes(close, since, *found, *(self._out[family] for family in families))

    def _fill_correlations(self, family: str, x: Values, y: Values) -> None:
        self._pair.compute(x, y)
        square_x, product, square_y = (blocks.windows for blocks in self._pair.products.values())
        alone_x = self._find_spread(x, 0, self._x)
        alone_y = self._find_spread(y, 1, self._y)
        _correlate(product, square_x, square_y, *alone_x, *alone_y, self._out[family])

    def _find_spread(self, values: Values, place: int, moments: Moments) -> tuple[Values, Values]:
        """Count and square of a series of the pair on its own days, those without the other one included."""
        if np.array_equal(np.isfinite(values), self._pair.count.rows):
            return self._pair.count.windows, self._pair.products[place, place].windows
        moments.compute(values)
        return moments.count.windows, moments.products[0, 0].windows

    def _fill_directions(self, close: Values, listed: Values) -> None:
        previous = _previous(close)
        up, down = self._up.add_up(close > previous), self._down.add_up(close < previous)
        self._balance("CNT", up, down, self._known.add_up(listed))

    def _fill_flows(self, family: str, values: Values) -> None:
        moves = values - _previous(values)
        up, down = self._up.add_up(np.fmax(moves, 0)), self._down.add_up(np.fmax(-moves, 0))
        known = self._known.add_up(~np.isnan(moves))
        self._balance(family, up, down, np.where(known > 0, up + down + _EPSILON, np.nan))

    def _balance(self, family: str, up: Values, down: Values, total: Values) -> None:
        _balance(up, down, total, *(self._out[family + kind] for kind in "PND"))

    def _fill_volumes(self, volume: Values) -> None:
        count, mean, square = self._find_moments(volume)
        now = (volume + _EPSILON_32).astype(np.float64)
        _relate(now, count, mean, square, self._out["VMA"], self._out["VSTD"])

    def _fill_unrest(self, moved: Values) -> None:
        count, mean, square = self._find_moments(moved)
        usual = np.where(count > 0, mean + _EPSILON, np.nan)
        self._out["WVMA"][:] = (np.sqrt(square / (count - 1)) / usual)[:, PAST:]

    def _find_moments(self, values: Values) -> tuple[Values, Values, Values]:
        self._x.compute(values)
        return self._x.count.windows, self._x.means[0].windows, self._x.products[0, 0].windows


def _shapes(
    opened: Values, high: Values, low: Values, close: Values, vwap: Values
) -> Iterator[tuple[str, Values]]:
    top, bottom, length = np.maximum(opened, close), np.minimum(opened, close), high - low + _EPSILON_32
    yield "KMID", (close - opened) / opened
    yield "KLEN", (high - low) / opened
    yield "KMID2", (close - opened) / length
    yield "KUP", (high - top) / opened
    yield "KUP2", (high - top) / length
    yield "KLOW", (bottom - low) / opened
    yield "KLOW2", (bottom - low) / length
    yield "KSFT", (_TWO * close - high - low) / opened
    yield "KSFT2", (_TWO * close - high - low) / length
    yield "OPEN0", opened / close
    yield "HIGH0", high / close
    yield "LOW0", low / close
    yield "VWAP0", vwap / close


def _previous(values: Values) -> Values:
    past = np.empty_like(values)
    past[0], past[1:] = np.nan, values[:-1]
    return past


@compiled
def _relate(unit: Values, count: Values, mean: Values, square: Values, level: Values, spread: Values) -> None:
    """Mean and standard deviation of the windows, in some unit."""
    for w in range(len(WINDOWS)):
        for i in range(level.shape[1]):
            level[w, i] = mean[w, PAST + i] / unit[PAST + i]
        for i in range(level.shape[1]):
            deviation = np.sqrt(square[w, PAST + i] / (count[w, PAST + i] - 1.0))
            spread[w, i] = deviation / unit[PAST + i]


@compiled
def _fit(
    now: Values,
    session: Values,
    count: Values,
    mean: Values,
    square: Values,
    mean_session: Values,
    square_session: Values,
    product: Values,
    slope: Values,
    r_square: Values,
    residual: Values,
) -> None:
    """Line through the prices of a window: its slope and its newest residual over the price, and its R²."""
    for w in range(len(WINDOWS)):
        for i in range(slope.shape[1]):
            j = PAST + i
            slope[w, i] = product[w, j] / square_session[w, j] / now[j]
        for i in range(slope.shape[1]):
            j = PAST + i
            flat = square[w, j] <= _FLAT * (count[w, j] - 1.0)
            r_square[w, i] = (
                np.nan if flat else product[w, j] * product[w, j] / (square[w, j] * square_session[w, j])
            )
        for i in range(slope.shape[1]):
            j = PAST + i
            ahead = (session[j] - mean_session[w, j]) * product[w, j] / square_session[w, j]
            residual[w, i] = (now[j] - mean[w, j] - ahead) / now[j]


@compiled
def _place_extremes(
    close: Values,
    since: int,
    top: Values,
    top_row: Values,
    negative_bottom: Values,
    bottom_row: Values,
    high: Values,
    low: Values,
    place: Values,
    high_age: Values,
    low_age: Values,
    between: Values,
) -> None:
    """Extremes over the price, its place between them, and theirs in the window, which begins at `since`."""
    for w in range(len(WINDOWS)):
        window = WINDOWS[w]
        for i in range(high.shape[1]):
            high[w, i] = _known(top[w, PAST + i]) / close[PAST + i]
        for i in range(high.shape[1]):
            low[w, i] = -_known(negative_bottom[w, PAST + i]) / close[PAST + i]
        for i in range(high.shape[1]):
            highest, lowest = _known(top[w, PAST + i]), -_known(negative_bottom[w, PAST + i])
            place[w, i] = (np.float64(close[PAST + i]) - lowest) / (np.float64(highest) - lowest + _EPSILON)
        for i in range(high.shape[1]):
            before = max(PAST + i - window, since - 1)
            high_age[w, i] = (top_row[w, PAST + i] - before + 0 * _known(top[w, PAST + i])) / window
        for i in range(high.shape[1]):
            before = max(PAST + i - window, since - 1)
            low_age[w, i] = (
                bottom_row[w, PAST + i] - before + 0 * _known(negative_bottom[w, PAST + i])
            ) / window
        for i in range(high.shape[1]):
            both = _known(top[w, PAST + i]) + _known(negative_bottom[w, PAST + i])
            between[w, i] = (top_row[w, PAST + i] - bottom_row[w, PAST + i] + 0 * both) / window


@compiled
def _known(highest: float) -> float:
    return highest if highest > -np.inf else np.nan


@compiled
def _correlate(
    product: Values,
    square_x: Values,
    square_y: Values,
    count_x: Values,
    alone_x: Values,
    count_y: Values,
    alone_y: Values,
    out: Values,
) -> None:
    """Correlation in the windows; none with a series that is flat on its own days."""
    for w in range(len(WINDOWS)):
        for i in range(out.shape[1]):
            j = PAST + i
            flat_x = alone_x[w, j] <= _FLAT * (count_x[w, j] - 1.0)
            flat_y = alone_y[w, j] <= _FLAT * (count_y[w, j] - 1.0)
            size = np.sqrt(square_x[w, j] * square_y[w, j])
            out[w, i] = np.nan if flat_x | flat_y else product[w, j] / size


@compiled
def _balance(up: Values, down: Values, total: Values, rise: Values, fall: Values, net: Values) -> None:
    """Shares of a total, and their difference."""
    for w in range(len(WINDOWS)):
        for i in range(rise.shape[1]):
            rise[w, i] = up[w, PAST + i] / total[w, PAST + i]
        for i in range(rise.shape[1]):
            fall[w, i] = down[w, PAST + i] / total[w, PAST + i]
        for i in range(rise.shape[1]):
            net[w, i] = (up[w, PAST + i] - down[w, PAST + i]) / total[w, PAST + i]
