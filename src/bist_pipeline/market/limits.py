"""How far a share may move in one session, and which closes sat at that limit.

Borsa Istanbul lets a share trade within a margin around the previous close. It halved the margin in the
panic of March 2020 (announcement of 2020-03-13); the first session wholly under it is 2020-03-16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NARROWED_ON = np.datetime64("2020-03-16", "D")
WIDE_LIMIT = 0.20
NARROW_LIMIT = 0.10

# Limit prices are rounded to the tick, and back-adjusted prices to a few digits: a close half a point
# short of the limit was at it.
ROUNDING = 0.005


def compute_price_limits(sessions: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Largest move the exchange allows in each session.

    Parameters
    ----------
    sessions : array of datetime64[D], shape (n_sessions,)
        Trading dates.

    Returns
    -------
    array of float64, shape (n_sessions,)
        Fraction of the previous close, the same upwards and downwards.

    Examples
    --------
    >>> compute_price_limits(np.array(["2020-03-13", "2020-03-16"], dtype="datetime64[D]")).tolist()
    [0.2, 0.1]
    """
    return np.where(sessions < NARROWED_ON, WIDE_LIMIT, NARROW_LIMIT)


def is_beyond_limit(
    moves: NDArray[np.float64], gaps: NDArray[np.int64], limits: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether a move is more than twice what the price limit lets a share make.

    Such a move is no trade: it is a corporate action the feed did not adjust for, or a bad bar. Each
    session without a bar in between may have used its own limit, so it widens the bounds by one limit.

    Parameters
    ----------
    moves : array of float64, shape (n_sessions, n_symbols)
        Close over the previous bar's close, minus 1; NaN where there is none.
    gaps : array of int64, shape (n_sessions, n_symbols)
        Sessions between the two bars; 1 for neighbours.
    limits : array of float64, shape (n_sessions,)
        Daily limit as a fraction.

    Returns
    -------
    array of bool, shape (n_sessions, n_symbols)

    Examples
    --------
    Two limit-ups in a row with the first bar missing make 21 %, which is no error:

    >>> is_beyond_limit(np.array([[0.21, 0.21]]), np.array([[1, 2]]), np.array([0.1])).tolist()
    [[True, False]]
    """
    limit = limits[:, None]
    unseen = gaps - 1
    highest = (1 + 2 * limit) * (1 + limit) ** unseen
    lowest = (1 - 2 * limit) * (1 - limit) ** unseen
    # NaN compares false: no earlier bar, nothing to refuse.
    return (1 + moves > highest) | (1 + moves < lowest)


def compute_limit_locks(
    moves: NDArray[np.float64],
    *,
    close: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    limits: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which closes were locked: at the limit price, or the session's only price and away from the last.

    Who wants to buy at a locked high, or sell at a locked low, finds nobody on the other side.

    Parameters
    ----------
    moves, close, high, low : array of float64, shape (n_sessions, n_symbols)
        Return since the previous bar and the bar's prices; close-only bars have NaN in `high` and `low`.
    limits : array of float64, shape (n_sessions,)
        Daily limit as a fraction.

    Returns
    -------
    (up, down) : two arrays of bool, shape (n_sessions, n_symbols)
    """
    top, bottom = np.fmax(close, high), np.fmin(close, low)
    one_price = (high == low) & (moves != 0)
    at_limit = np.abs(moves) >= limits[:, None] - ROUNDING
    locked = one_price | at_limit
    return locked & (moves > 0) & (close == top), locked & (moves < 0) & (close == bottom)
