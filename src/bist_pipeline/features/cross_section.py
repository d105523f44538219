"""Statistics across the shares of one session: medians and ranks.

A rank says where a share stands among the others of the same session, which is all that a ranking model
needs, and it keeps its meaning through inflation and regimes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_INDEX_BITS = 29
_INDEX_MASK = np.int64((1 << _INDEX_BITS) - 1)
_LAST = np.float64(2.0**1000)


def row_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each row, ignoring NaN.

    Parameters
    ----------
    values : array of float, shape (n_sessions, n_symbols)

    Returns
    -------
    array of float64, shape (n_sessions,)
        NaN where a row has no value.

    Examples
    --------
    >>> row_median(np.array([[3.0, np.nan, 1.0], [np.nan, np.nan, np.nan]])).tolist()
    [2.0, nan]
    """
    ordered = np.sort(values, axis=1)  # NaN go last
    count = np.isfinite(values).sum(axis=1)
    rows = np.arange(len(values))
    upper = ordered[rows, np.minimum(count // 2, values.shape[1] - 1)]
    lower = ordered[rows, np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, (lower + upper) / 2, np.nan)


def row_rank(values: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float32]:
    """Rank of each value among the values of its row, scaled to (0, 1).

    The lowest of n is 0.5 / n, the highest 1 - 0.5 / n, ties share their mean: every row has mean 0.5
    whatever its ties, so 0.5 is the neutral stand-in for a missing rank.

    Parameters
    ----------
    values : array of float, shape (n_sessions, n_symbols)
        Compared as float32, the precision in which features are stored.

    Returns
    -------
    array of float32, shape (n_sessions, n_symbols)
        NaN where the value is missing or infinite.

    Examples
    --------
    >>> row_rank(np.array([[10.0, np.nan, 30.0, 10.0, 20.0]])).tolist()
    [[0.25, nan, 0.875, 0.25, 0.625]]
    """
    stored = values.astype(np.float32)
    known = np.isfinite(stored)
    # A float32 leaves 29 bits of a float64 empty: the column index travels there, so that one plain sort
    # yields the order too, at half the cost of argsort. Adding 0.0 turns -0.0 into 0.0, a tie; missing
    # values go last as a number beyond every float32, because sorting may rewrite the bits of a NaN.
    keys = np.where(known, stored + np.float32(0), _LAST).view(np.int64)
    keys |= np.arange(values.shape[1])
    keys = np.sort(keys.view(np.float64), axis=1).view(np.int64)
    order, level = keys & _INDEX_MASK, keys >> _INDEX_BITS
    places = _average_ties(level, known.sum(axis=1))
    ranks = np.empty(stored.shape, dtype=np.float32)
    np.put_along_axis(ranks, order, places, axis=1)
    ranks[~known] = np.nan
    return ranks


def _average_ties(level: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.float32]:
    n = level.shape[1]
    places = np.tile(np.arange(1, n + 1, dtype=np.float32), (len(level), 1))
    same = level[:, 1:] == level[:, :-1]
    same &= np.arange(1, n) < count[:, None]  # the missing ones at the end are no tie
    tied = np.flatnonzero(same.any(axis=1))
    edge = np.ones((len(tied), 1), dtype=bool)
    starts = np.hstack([edge, ~same[tied]])
    ends = np.hstack([~same[tied], edge])
    first = np.maximum.accumulate(np.where(starts, places[tied], 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places[tied], n + 1)[:, ::-1], axis=1)[:, ::-1]
    places[tied] = (first + last) / 2
    return (places - np.float32(0.5)) / np.maximum(count, 1).astype(np.float32)[:, None]
