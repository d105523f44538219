"""Trailing windows over wide matrices; a window never reaches past its own session.

Sums come from running totals: they cost the same whatever the window, and a history cut at a session
gives the same bits there as the full one.
"""

from __future__ import annotations

import numpy as np

from bist_pipeline.market.panel import Matrix


def lag(values: Matrix, sessions: int) -> Matrix:
    """Values of so many sessions ago.

    Parameters
    ----------
    values : array of float64, shape (n_sessions, n_symbols)
    sessions : int
        At least 0.

    Returns
    -------
    array of float64, shape (n_sessions, n_symbols)
        NaN in the first `sessions` rows.

    Examples
    --------
    >>> lag(np.array([[1.0], [2.0], [3.0]]), 2).ravel().tolist()
    [nan, nan, 1.0]
    """
    past = np.full(values.shape, np.nan)
    past[sessions:] = values[: max(len(values) - sessions, 0)]
    return past


def running_total(values: Matrix) -> Matrix:
    """Return the sums of everything before each session, NaN counted as 0.

    Parameters
    ----------
    values : array of float64, shape (n_sessions, n_symbols)

    Returns
    -------
    array of float64, shape (n_sessions + 1, n_symbols)
        Row i sums the first i sessions; what `window_sum` takes.
    """
    total = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(np.where(np.isnan(values), 0.0, values), axis=0, out=total[1:])
    return total


def window_sum(total: Matrix, window: int, *, skip: int = 0) -> Matrix:
    """Return the sums over the last `window` sessions without the newest `skip`.

    Parameters
    ----------
    total : array of float64, shape (n_sessions + 1, n_symbols)
        From `running_total`.
    window, skip : int
        Sessions, with 0 <= skip < window. Early windows hold what there is.

    Returns
    -------
    array of float64, shape (n_sessions, n_symbols)

    Examples
    --------
    >>> window_sum(running_total(np.array([[1.0], [2.0], [4.0], [8.0]])), 2).ravel().tolist()
    [1.0, 3.0, 6.0, 12.0]
    """
    sessions = len(total) - 1
    sums = np.zeros((sessions, total.shape[1]))
    sums[skip:] = total[1 : max(sessions - skip, 0) + 1]
    sums[window:] -= total[1 : max(sessions - window, 0) + 1]
    return sums


def window_max(values: Matrix, window: int) -> Matrix:
    """Largest value of the last `window` sessions, ignoring NaN.

    Parameters
    ----------
    values : array of float64, shape (n_sessions, n_symbols)
    window : int
        Sessions, at least 1. Early windows hold what there is.

    Returns
    -------
    array of float64, shape (n_sessions, n_symbols)
        NaN where the window holds no value.

    Examples
    --------
    >>> window_max(np.array([[3.0], [1.0], [np.nan], [2.0]]), 2).ravel().tolist()
    [3.0, 3.0, 1.0, 2.0]
    """
    # Two windows of span s, s apart, make one of 2 s; two overlapping ones make any length between.
    best, span = values, 1
    while span < window:
        step = min(span, window - span)
        best = np.fmax(best, lag(best, step))
        span += step
    return best


def window_min(values: Matrix, window: int) -> Matrix:
    """Smallest value of the last `window` sessions, ignoring NaN; else as `window_max`."""
    return -window_max(-values, window)
