"""Effect sizes: how much two samples differ, in figures that people know. Nothing alarms on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BINS = 10
# An empty bin would make the index infinite.
_LEAST = 1e-4


def population_stability(then: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
    """Population stability index over the deciles of the older sample, column by column.

    Parameters
    ----------
    then, now : array, shapes (n_then, F) and (n_now, F)
        Without NaN.

    Examples
    --------
    >>> then = np.linspace(0, 1, 500)[:, None]
    >>> population_stability(then, np.hstack([then, then + 0.5])[:, :1]).round(2).tolist()
    [0.0]
    """
    return np.array([_stability(a, b) for a, b in zip(then.T, now.T, strict=True)])


def wasserstein(then: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wasserstein distance of two samples of equal size, column by column, in the values' own unit.

    Parameters
    ----------
    then, now : array, both of shape (n, F)
        Without NaN, sorted along the first axis.
    """
    distance: NDArray[np.float64] = np.abs(then - now).mean(axis=0)
    return distance


def _stability(then: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    edges = np.unique(np.quantile(then, np.linspace(0, 1, _BINS + 1)[1:-1]))
    shares = [
        np.maximum(
            np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) / len(values), _LEAST
        )
        for values in (then, now)
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
