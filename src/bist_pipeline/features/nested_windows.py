"""Trailing statistics of a series over 5, 10, 20, 30 and 60 rows at once.

Every window is two shorter ones side by side, so one pass joins blocks of 1, 2, 4, 5, 10, 20, 30 and 60 rows.
No sum is carried from row to row: rounding errors cannot pile up, a window in which nothing moves has a
variance of exactly 0, and a history cut at a row gives the same bits there as the full one.

A series is `PAST` rows of the past, which only windows look at, and the rows asked about. The loops are
compiled, and write one array each: only such loops become vector instructions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bist_pipeline.features.compiled import compiled

WINDOWS = (5, 10, 20, 30, 60)
PAST = WINDOWS[-1]

_SIZES = (1, 2, 4, 5, 10, 20, 30, 60)
# For each size but the first: the places of the newer and of the older block it is made of, and how far back
# the older one ends.
_JOINS = ((0, 0, 1), (1, 1, 2), (2, 0, 4), (3, 3, 5), (4, 4, 10), (5, 4, 20), (6, 6, 30))

Values = NDArray[Any]


class Blocks:
    """One statistic of the last 1, 2, 4, 5, 10, 20, 30 and 60 rows, at every row.

    Parameters
    ----------
    length : int
        Rows of a series, those of the past included.
    dtype : dtype

    Attributes
    ----------
    all : array, shape (8, length)
    rows : array, shape (length,)
        The statistic of single rows, which the user fills in.
    windows : array, shape (5, length)
        The statistic of `WINDOWS`, once all is joined; good from row `PAST` on.
    """

    def __init__(self, length: int, dtype: type[np.floating[Any]] = np.float64) -> None:
        self.all = np.zeros((len(_SIZES), length), dtype)
        self.rows, self.windows = self.all[0], self.all[-len(WINDOWS) :]

    def add_up(self, rows: Values) -> Values:
        """Return the sums over the windows, shape (5, length)."""
        self.rows[:] = rows
        _add_up(self.all)
        return self.windows


class Moments:
    """Counts, means, and products of deviations of one or two series, over rows on which all are known.

    Parameters
    ----------
    length : int
        As in `Blocks`.
    series : int
        One or two.

    Attributes
    ----------
    count : Blocks
        Known rows.
    means : list of Blocks
        Of each series; 0 where nothing is known.
    products : dict of (int, int) to Blocks
        Sums of the products of the deviations of two series, or of one with itself.
    """

    def __init__(self, length: int, *, series: int) -> None:
        self.count = Blocks(length)
        self.means = [Blocks(length) for _ in range(series)]
        self.products = {(i, j): Blocks(length) for j in range(series) for i in range(j + 1)}
        self._shares, self._weights = np.zeros((2, len(_JOINS), length))

    def compute(self, *series: Values) -> None:
        """Take them of series of `length`; what is not finite is not known."""
        known = np.isfinite(series[0])
        for values in series[1:]:
            known &= np.isfinite(values)
        self.count.rows[:] = known
        _join_counts(self.count.all, self._shares, self._weights)
        for mean, values in zip(self.means, series, strict=True):
            mean.rows[:] = np.where(known, values, 0)
            _join_means(mean.all, self._shares)
        for (i, j), product in self.products.items():
            _join_products(product.all, self.means[i].all, self.means[j].all, self._weights)


class Highest:
    """The largest value of each window, and the row it stands on.

    A missing value is never the largest, but where a window holds one, `row` is that of the oldest missing
    value, as an argmax over NaN says. Of equal values the oldest counts.

    Parameters
    ----------
    length : int
        As in `Blocks`.

    Attributes
    ----------
    value, row : Blocks
        Minus infinity, and any row, where a window holds no value.
    """

    def __init__(self, length: int) -> None:
        self.value, self._winner, self.row = (Blocks(length, np.float32) for _ in range(3))
        self.row.rows[:] = np.arange(length)

    def compute(self, values: Values, *, since: int) -> None:
        """Find them in a series of float32; before the row `since` nothing counts as missing."""
        missing = np.isnan(values)
        self.value.rows[:] = np.where(missing, -np.inf, values)
        missing[:since] = False
        self._winner.rows[:] = np.where(missing, np.inf, self.value.rows)
        _join_highest(self.value.all, self._winner.all, self.row.all)


@compiled
def _ends(k: int) -> tuple[int, int, int]:
    """First row with a whole block, and the rows between which older blocks end."""
    first = _SIZES[k + 1] - 1
    return first, first - _JOINS[k][2], -_JOINS[k][2]


@compiled
def _add_up(sums: Values) -> None:
    for k in range(len(_JOINS)):
        first, since, until = _ends(k)
        newer, older, out = sums[_JOINS[k][0], first:], sums[_JOINS[k][1], since:until], sums[k + 1, first:]
        for i in range(out.size):
            out[i] = newer[i] + older[i]


@compiled
def _join_counts(counts: Values, shares: Values, weights: Values) -> None:
    """Also gives the newer blocks' shares of the rows, and what a distance of means weighs in a product."""
    _add_up(counts)
    for k in range(len(_JOINS)):
        first, since, until = _ends(k)
        newer, older = counts[_JOINS[k][0], first:], counts[_JOINS[k][1], since:until]
        both, share, weight = counts[k + 1, first:], shares[k, first:], weights[k, first:]
        for i in range(both.size):
            share[i] = newer[i] / max(both[i], 1.0)
        for i in range(both.size):
            weight[i] = share[i] * older[i]


@compiled
def _join_means(means: Values, shares: Values) -> None:
    for k in range(len(_JOINS)):
        first, since, until = _ends(k)
        newer, older = means[_JOINS[k][0], first:], means[_JOINS[k][1], since:until]
        out, share = means[k + 1, first:], shares[k, first:]
        for i in range(out.size):
            out[i] = older[i] + (newer[i] - older[i]) * share[i]


@compiled
def _join_products(products: Values, x: Values, y: Values, weights: Values) -> None:
    for k in range(len(_JOINS)):
        first, since, until = _ends(k)
        a, b = _JOINS[k][0], _JOINS[k][1]
        newer, older = products[a, first:], products[b, since:until]
        newer_x, older_x, newer_y, older_y = x[a, first:], x[b, since:until], y[a, first:], y[b, since:until]
        out, weight = products[k + 1, first:], weights[k, first:]
        for i in range(out.size):
            apart = (newer_x[i] - older_x[i]) * (newer_y[i] - older_y[i])
            out[i] = newer[i] + older[i] + apart * weight[i]


@compiled
def _join_highest(values: Values, winners: Values, rows: Values) -> None:
    for k in range(len(_JOINS)):
        first, since, until = _ends(k)
        a, b = _JOINS[k][0], _JOINS[k][1]
        newer, older, out = values[a, first:], values[b, since:until], values[k + 1, first:]
        for i in range(out.size):
            out[i] = newer[i] if newer[i] > older[i] else older[i]
        newer, older, out = winners[a, first:], winners[b, since:until], winners[k + 1, first:]
        for i in range(out.size):
            out[i] = newer[i] if newer[i] > older[i] else older[i]
        newer_row, older_row, row = rows[a, first:], rows[b, since:until], rows[k + 1, first:]
        for i in range(out.size):
            row[i] = newer_row[i] if newer[i] > older[i] else older_row[i]


@compiled
def rank_newest(values: Values, counts: Values, out: Values) -> None:
    """Rank of the newest value among the known ones of each window, as a share; ties share their mean.

    Parameters
    ----------
    values : array of float32, shape (PAST + n_rows,)
    counts : array of float64, shape (5, PAST + n_rows)
        Known values of each window.
    out : array of float32, shape (5, n_rows)
    """
    now = values[PAST:]
    score = np.ones(now.size, dtype=np.uint8)  # twice the lower values, plus the equal ones
    back = 1
    for w in range(len(WINDOWS)):
        while back < WINDOWS[w]:
            past = values[PAST - back :]
            for i in range(now.size):
                score[i] += np.uint8(past[i] < now[i]) + np.uint8(past[i] <= now[i])
            back += 1
        for i in range(now.size):
            rank = (score[i] + 1.0) / (2.0 * counts[w, PAST + i])
            out[w, i] = rank if now[i] == now[i] else np.nan


@compiled
def divide_quantiles(values: Values, shares: tuple[float, float], low: Values, high: Values) -> None:
    """Two quantiles of the known values of each window, over the newest one; interpolated between neighbours.

    Parameters
    ----------
    values : array of float32, shape (PAST + n_rows,)
    shares : tuple of float
        0.2 is the value that a fifth is below.
    low, high : array of float32, shape (5, n_rows)
        One for each share; NaN where the newest value is missing.
    """
    for w in range(len(WINDOWS)):
        window = WINDOWS[w]
        # The window in order, free places last as infinity, with a guard at either end.
        size = 32 if window <= 32 else 64  # whole vectors
        ordered, updated = np.full(size + 2, np.float32(np.inf)), np.full(size + 2, np.float32(np.inf))
        ordered[0] = updated[0] = -np.inf
        known = 0
        for t in range(values.size):
            newest, leaving = values[t], values[t - window] if t >= window else np.float32(np.nan)
            known += (newest == newest) - (leaving == leaving)
            entering = newest if newest == newest else np.float32(np.inf)
            leaving = leaving if leaving == leaving else np.float32(np.inf)
            left, here, right = ordered[:size], ordered[1 : size + 1], ordered[2:]
            to = updated[1 : size + 1]
            for i in range(size):
                # Close the gap of the leaving value, then put the entering one between its neighbours.
                below = left[i] if left[i] < leaving else here[i]
                above = here[i] if here[i] < leaving else right[i]
                above = above if above < entering else entering
                to[i] = below if below > above else above
            ordered, updated = updated, ordered
            if t >= PAST:
                low[w, t - PAST] = _interpolate(ordered, known, shares[0]) / newest
                high[w, t - PAST] = _interpolate(ordered, known, shares[1]) / newest


@compiled
def _interpolate(ordered: Values, known: int, share: float) -> np.floating[Any] | float:
    place = share * (known - 1)
    rank = int(place)
    lower, upper = np.float64(ordered[rank + 1]), np.float64(ordered[min(rank + 2, known)])
    return lower + (upper - lower) * (place - rank) if known else np.nan
