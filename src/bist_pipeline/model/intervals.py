"""From a score and two quantiles to an expected excess and an interval that holds what it promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Positions = NDArray[np.integer[Any]]


def conformal_margin(miss: Values, *, share: float) -> float:
    """How far one end of the interval must move outwards to hold its share of held-out results.

    Conformalised quantile regression (Romano, Patterson and Candès, NeurIPS 2019) with both ends on their
    own, because excess returns are skewed: the margin is the distance of rank ``ceil((n + 1) * share)``.

    Parameters
    ----------
    miss : array, shape (n,)
        Distance of each result beyond the end, negative inside; fractions. From rows that the quantile
        models were not fitted on.
    share : float
        Share of results that the end should hold, 0.9 at both ends for an 80 % interval.

    Returns
    -------
    float
        Distance to move the end by; negative where the interval was too wide.

    Examples
    --------
    >>> conformal_margin(np.array([-0.5, -0.5, 0.25, 2.0]), share=0.6)
    0.25
    """
    place = min(int(np.ceil((miss.size + 1) * share)), miss.size)
    return float(np.sort(miss)[place - 1])


def conformalise(
    lower: Values, upper: Values, *, margins: Sequence[float], point: Values
) -> tuple[Values, Values]:
    """Move both ends by their margins; they never cross and always enclose the point forecast.

    The interval is widened rather than the point moved, so that expected excess stays monotone in the score.

    >>> conformalise(np.array([0.0]), np.array([0.1]), margins=[0.05, 0.0], point=np.array([0.3]))
    (array([-0.05]), array([0.3]))
    """
    down, up = margins
    low, high = lower - down, upper + up
    return np.minimum(np.minimum(low, high), point), np.maximum(np.maximum(low, high), point)


def shrunk_slope(score: Values, rank: Values, groups: Positions, *, horizon: int) -> float:
    r"""Gaussian rank reached per unit of score, learnt from scores of rows the model was not fitted on.

    A line through the origin: a score of zero means the median share. Each session gives one least-squares
    slope; their mean :math:`b` is shrunk by its own uncertainty to :math:`b \cdot b^2 / (b^2 + se^2)`.
    Overlapping labels make neighbouring sessions nearly copies of each other, so `se` counts one
    independent observation per `horizon` sessions.

    The line is fitted to ranks because returns are skewed: a few shares that multiply decide the slope of
    the raw excess, even its sign, while the ranks are steady (real shares, quarters of 2022 to 2024-03: from
    -0.11 to 0.28 for the raw excess, from 0.12 to 0.81 for the ranks).

    Parameters
    ----------
    score, rank : array, shape (n,)
        Out-of-sample scores and the Gaussian ranks that the shares then reached in their session.
    groups : integer array, shape (n,)
        Position of each row's session among all trading sessions.
    horizon : int
        Sessions a label looks ahead.

    Returns
    -------
    float
        Never negative: a model that ranked upside down is no reason to expect the opposite. Zero without
        evidence of skill.
    """
    _, row = np.unique(groups, return_inverse=True)
    power = np.bincount(row, score**2)
    slopes = np.bincount(row, score * rank)[power > 0] / power[power > 0]
    if slopes.size < 2 or slopes.mean() <= 0:
        return 0.0
    independent = max(1.0, (int(groups.max()) - int(groups.min()) + 1) / horizon)
    squared = float(slopes.mean()) ** 2
    return float(slopes.mean()) * squared / (squared + float(slopes.var(ddof=1)) / independent)


def typical_spread(excess: Values, groups: Positions) -> float:
    """Excess (fraction) that one unit of Gaussian rank is worth: half the 16-84 % range, median session."""
    low, high = (_quantile_by_group(excess, groups, share) for share in (0.16, 0.84))
    return float(np.median(high - low)) / 2


def _quantile_by_group(values: Values, groups: Positions, share: float) -> Values:
    order = np.lexsort((values, groups))
    _, first, count = np.unique(groups[order], return_index=True, return_counts=True)
    nearest = first + np.rint(share * (count - 1)).astype(int)
    quantiles: Values = values[order][nearest]
    return quantiles
