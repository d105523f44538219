"""What the model learns: how much better than the market's median a share did over the horizon."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from bist_pipeline.features.cross_section import row_median, row_rank
from bist_pipeline.market.panel import Mask, Matrix


def compute_forward_excess(close: Matrix, tradable: Mask, horizon: int) -> Matrix:
    """Return over the next sessions minus the median of the tradable shares over the same ones.

    Parameters
    ----------
    close : array of float64, shape (n_sessions, n_symbols)
        Cleaned closes.
    tradable : array of bool, shape (n_sessions, n_symbols)
        Shares whose median is the benchmark; the others get a label against it too.
    horizon : int
        Sessions from the row's close to the close it is compared with, at least 1.

    Returns
    -------
    array of float64, shape (n_sessions, n_symbols)
        Fraction. NaN while `horizon` sessions have not passed, where the share has no price at either
        end (a share delisted or suspended on the way leaves no label once its last close is older than
        cleaning fills), and where no tradable share has a result.

    Examples
    --------
    >>> close = np.array([[10.0, 10.0, 10.0], [11.0, 12.0, 14.0]])
    >>> compute_forward_excess(close, np.ones_like(close, dtype=bool), 1).round(3).tolist()
    [[-0.1, 0.0, 0.2], [nan, nan, nan]]
    """
    excess = np.full(close.shape, np.nan)
    matured = close[horizon:] / close[: max(len(close) - horizon, 0)] - 1
    benchmark = row_median(np.where(tradable[: len(matured)], matured, np.nan))
    excess[: len(matured)] = matured - benchmark[:, None]
    return excess


def gaussian_rank(values: Matrix) -> Matrix:
    """Per-row ranks as quantiles of the standard normal; ties share their mean rank.

    Parameters
    ----------
    values : array of float, shape (n_sessions, n_symbols)

    Returns
    -------
    array of float64, shape (n_sessions, n_symbols)
        NaN where the value is missing.

    Examples
    --------
    >>> gaussian_rank(np.array([[0.3, -0.1, 9.9, np.nan]])).round(3).tolist()
    [[0.0, -0.967, 0.967, nan]]
    """
    scores: Matrix = ndtri(row_rank(values).astype(np.float64))
    return scores
