"""How far figures from few independent quarters may be off: the moving-block bootstrap over sessions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
# Share of the draws that an interval holds.
LEVEL = 0.95
_SEED = 20_240_628


def draw_weights(sessions: int, *, block: int, draws: int = DRAWS) -> NDArray[np.float64]:
    """How often each session counts in each draw.

    Whole blocks of neighbouring sessions are drawn, because neighbours share most of their results: sessions
    drawn one by one would look like that many independent ones. The series is closed to a ring, so that the
    sessions at its ends count as often as the others (Politis and Romano, "A circular block-resampling
    procedure for stationary data", 1992). The same sessions and block give the same weights.

    Parameters
    ----------
    sessions : int
        Length of the series.
    block : int
        Sessions in a block: at least as many as share a part of their results.
    draws : int

    Returns
    -------
    array of float64, shape (draws, sessions)
        Each row adds up to `sessions`.

    Examples
    --------
    >>> draw_weights(6, block=3, draws=2).astype(int).tolist()
    [[1, 0, 1, 1, 2, 1], [0, 1, 2, 2, 1, 0]]
    """
    rng = np.random.default_rng(_SEED)
    starts = rng.integers(0, sessions, size=(draws, -(-sessions // block)))
    places = (starts[:, :, None] + np.arange(block)) % sessions
    kept = places.reshape(draws, -1)[:, :sessions]
    cells = kept + sessions * np.arange(draws)[:, None]
    return np.bincount(cells.ravel(), minlength=draws * sessions).reshape(draws, sessions).astype(float)


def interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """Bounds that hold the middle 95 % of the draws of a figure; a draw without a value says nothing.

    >>> interval(np.append(np.arange(101.0), np.nan))
    (2.5, 97.5)
    """
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
