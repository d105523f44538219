"""Kolmogorov-Smirnov distances of many pairs of samples at once, for calibrations.

A check asks alibi-detect, through `adapter`. A calibration repeats the check on hundreds of past dates, and
alibi-detect computes with every distance a p-value, which takes ten times as long and is not used. These are
the same distances, in alibi-detect's single precision; a test holds the two together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ks_distances_by_row(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float32]:
    """Largest gap between the cumulative distributions of two samples, row by row.

    Parameters
    ----------
    first, second : array of float64, shapes (n_rows, n_first) and (n_rows, n_second)
        Values in any order; NaN do not count.

    Returns
    -------
    array of float32, shape (n_rows,)
        0 (equal) to 1 (disjoint); NaN where one of the samples has no value.

    Examples
    --------
    >>> ks_distances_by_row(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[3.0, 4.0, 5.0, np.nan]])).tolist()
    [0.5]
    """
    sizes = [np.isfinite(values).sum(axis=1, keepdims=True) for values in (first, second)]
    both = np.concatenate([first, second], axis=1)
    order = np.argsort(both, axis=1, kind="stable")  # NaN last
    ordered = np.take_along_axis(both, order, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(order < first.shape[1], 1 / sizes[0], -1 / sizes[1])
    gap = np.cumsum(steps, axis=1)
    # Equal values step together, and beyond the last value there is nothing.
    is_last = np.ones_like(gap, dtype=bool)
    is_last[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
    counts = is_last & np.isfinite(ordered)
    distance = np.abs(np.where(counts, gap, 0.0)).max(axis=1)
    return np.where((sizes[0] > 0) & (sizes[1] > 0), distance[:, None], np.nan)[:, 0].astype(np.float32)
