"""Statistics across the shares of one session: medians and ranks.

A rank says where a share stands among the others of the same session, which is all that a ranking model
needs, and it keeps its meaning through inflation and regimes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bist_pipeline.features.compiled import compiled

# A float32's sign, and the bits that are all set where it is not finite.
_SIGN = np.uint32(1 << 31)
_EXPONENT = np.uint32(0xFF << 23)
_DIGIT = 256


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
    stored = np.ascontiguousarray(values, dtype=np.float32)
    bounds = np.arange(len(stored) + 1) * stored.shape[1]
    ranks = np.empty(stored.shape, dtype=np.float32)
    rank_groups(stored.ravel(), bounds, ranks.ravel())
    return ranks


def rank_groups(values: NDArray[np.float32], bounds: NDArray[np.int64], ranks: NDArray[np.float32]) -> None:
    """Rank of each value among its group, as `row_rank`.

    Parameters
    ----------
    values : array of float32, shape (n_values,)
        Contiguous, one group after the other.
    bounds : array of int, shape (n_groups + 1,)
        Where each group begins, and where the last one ends.
    ranks : array of float32, shape (n_values,)
        Filled in; NaN where the value is missing or infinite.
    """
    size = int(np.diff(bounds).max(initial=0))
    keys, spare = np.empty((2, size), dtype=np.uint64)
    counts = np.zeros((4, _DIGIT), dtype=np.int64)
    _rank_groups(values.view(np.uint32), bounds, keys, spare, counts, ranks)


@compiled
def _rank_groups(
    bits: NDArray[np.uint32],
    bounds: NDArray[np.int64],
    keys: NDArray[np.uint64],
    spare: NDArray[np.uint64],
    counts: NDArray[np.int64],
    ranks: NDArray[np.float32],
) -> None:
    """Rank by keys: a number in the order of the values, and below it the place of the value."""
    for group in range(len(bounds) - 1):
        known = 0
        for place in range(bounds[group], bounds[group + 1]):
            value = bits[place]
            if value & _EXPONENT == _EXPONENT:
                ranks[place] = np.nan
                continue
            if value == _SIGN:  # minus zero ties with zero
                value = np.uint32(0)
            ordered = np.uint64(~value if value & _SIGN else value | _SIGN)
            keys[known] = ordered << np.uint64(32) | np.uint64(place)
            for digit in range(4):
                counts[digit, (ordered >> np.uint64(8 * digit)) & np.uint64(_DIGIT - 1)] += 1
            known += 1
        _sort(keys, spare, counts, known)
        _write_ranks(keys, known, ranks)


@compiled
def _sort(keys: NDArray[np.uint64], spare: NDArray[np.uint64], counts: NDArray[np.int64], known: int) -> None:
    """Sort by the upper half, one byte after the other: faster than comparing. Leaves the counts at 0."""
    for digit in range(4):
        below = 0
        for value in range(_DIGIT):
            counts[digit, value], below = below, below + counts[digit, value]
        for i in range(known):
            value = (keys[i] >> np.uint64(32 + 8 * digit)) & np.uint64(_DIGIT - 1)
            spare[counts[digit, value]] = keys[i]
            counts[digit, value] += 1
        for value in range(_DIGIT):
            counts[digit, value] = 0
        keys, spare = spare, keys  # an even number of times: the caller's `keys` are sorted in the end


@compiled
def _write_ranks(keys: NDArray[np.uint64], known: int, ranks: NDArray[np.float32]) -> None:
    start = 0
    while start < known:
        end = start + 1
        while end < known and keys[end] >> np.uint64(32) == keys[start] >> np.uint64(32):
            end += 1
        for i in range(start, end):
            ranks[keys[i] & np.uint64(0xFFFFFFFF)] = (start + end) / 2 / known
        start = end
