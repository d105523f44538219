"""How good out-of-sample forecasts were. Every figure is computed session by session, then averaged.

The functions take a table of forecasts, one row per session and share, with the columns `session`,
`score`, `expected_excess_return`, `lower`, `upper` and what then happened, `excess` (fraction over the
universe median of the session).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.errors import InsufficientDataError

_QUARTER = 63


def summarise(forecasts: pd.DataFrame, *, horizon: int, lag: int) -> dict[str, float]:
    """Return the figures of one model on one set of rows.

    Parameters
    ----------
    forecasts : DataFrame
        Columns as in the module's description.
    horizon : int
        Sessions the excess runs over; spreads are scaled to a quarter of 63.
    lag : int
        Newey-West lag in dates: the horizon divided by the sessions between dates, rounded up.

    Returns
    -------
    dict
        `rank_ic` mean daily rank IC; `icir` mean over standard deviation; `nw_t` its Newey-West t;
        `ic_positive` share of dates above zero; `spread_quarter` top minus bottom decile;
        `top20_quarter` excess of the 20 best; `r2`; `mae_excess` and `mae_zero`; `coverage`; `dates`.

    Raises
    ------
    InsufficientDataError
        If no date has a rank IC.
    """
    ic = daily_rank_ic(forecasts)
    if ic.empty:
        raise InsufficientDataError(
            f"None of {forecasts['session'].nunique()} test sessions has a rank IC:"
            " all scores, or all results, of a session are equal.",
            consequence="No model was promoted.",
        )
    forecast, excess = forecasts["expected_excess_return"], forecasts["excess"]
    return {
        "rank_ic": float(ic.mean()),
        "icir": float(ic.mean() / ic.std()),
        "nw_t": newey_west_t(ic.to_numpy(), lag=lag),
        "ic_positive": float((ic > 0).mean()),
        "spread_quarter": decile_spread(forecasts) * _QUARTER / horizon,
        "top20_quarter": top_excess(forecasts) * _QUARTER / horizon,
        "r2": r_squared(forecast, excess),
        "mae_excess": float((excess - forecast).abs().mean()),
        "mae_zero": float(excess.abs().mean()),
        "coverage": coverage(forecasts),
        "dates": float(len(ic)),
    }


def daily_rank_ic(forecasts: pd.DataFrame) -> pd.Series:
    """Spearman correlation of score and excess among the shares of each session.

    Returns
    -------
    Series, shape (n_sessions,)
        Indexed by session; sessions where either side is constant have no correlation and are left out.
    """
    by_session = forecasts.groupby("session")
    ranks = by_session[["score", "excess"]].rank()
    centred = ranks - ranks.groupby(forecasts["session"]).transform("mean")
    products = pd.DataFrame(
        {
            "cross": centred["score"] * centred["excess"],
            "power": centred["score"] ** 2,
            "answer": centred["excess"] ** 2,
        }
    )
    sums = products.groupby(forecasts["session"]).sum()
    norm = np.sqrt(sums["power"] * sums["answer"])
    ic: pd.Series = (sums["cross"] / norm)[norm > 0]
    return ic


def newey_west_t(values: NDArray[np.float64], *, lag: int) -> float:
    r"""Newey-West t statistic of the mean of an autocorrelated series.

    :math:`t = \bar x / \sqrt{S / n}` with
    :math:`S = \gamma_0 + 2 \sum_{l=1}^{L} (1 - l / (L + 1)) \gamma_l` and
    :math:`\gamma_l = \frac{1}{n} \sum_t (x_t - \bar x)(x_{t-l} - \bar x)` (Newey and West,
    *Econometrica*, 1987).

    Parameters
    ----------
    values : array, shape (n,)
        One value per date, in order.
    lag : int
        Number of autocovariances :math:`L`; overlapping labels make neighbours alike.

    Returns
    -------
    float
        NaN for fewer than two values, or values that do not vary.
    """
    n, mean = values.size, float(np.mean(values)) if values.size else math.nan
    centred = values - mean
    long_run = float(centred @ centred)
    for distance in range(1, min(lag, n - 1) + 1):
        weight = 1 - distance / (lag + 1)
        long_run += 2 * weight * float(centred[distance:] @ centred[:-distance])
    return mean * n / math.sqrt(long_run) if long_run > 0 else math.nan


def decile_spread(forecasts: pd.DataFrame) -> float:
    """Mean over sessions of the mean excess of the best tenth by score minus that of the worst tenth.

    A tenth of n shares is n / 10 rounded down, at least one.
    """
    place = forecasts.groupby("session")["score"].rank(method="first")
    count = forecasts.groupby("session")["score"].transform("size")
    tenth = np.maximum(count // 10, 1)
    best, worst = forecasts[place > count - tenth], forecasts[place <= tenth]
    return _mean_by_session(best) - _mean_by_session(worst)


def top_excess(forecasts: pd.DataFrame, *, shares: int = 20) -> float:
    """Mean over sessions of the mean excess of the `shares` best by score."""
    place = forecasts.groupby("session")["score"].rank(method="first", ascending=False)
    return _mean_by_session(forecasts[place <= shares])


def r_squared(forecast: pd.Series, excess: pd.Series) -> float:
    r"""Out-of-sample R² against the forecast zero, :math:`1 - \sum (e - f)^2 / \sum e^2`.

    Zero is what knows nothing: the universe median earns no excess over itself.
    """
    return 1 - float(((excess - forecast) ** 2).sum() / (excess**2).sum())


def coverage(forecasts: pd.DataFrame) -> float:
    """Share of all rows, pooled over sessions, whose excess fell inside ``[lower, upper]``."""
    return float(_is_inside(forecasts).mean())


def coverage_by_quintile(forecasts: pd.DataFrame, column: str) -> list[float]:
    """Coverage within each fifth of the shares of a session by `column`, lowest fifth first.

    Rows without a value in `column` are left out.
    """
    known = forecasts[forecasts[column].notna()]
    rank = known.groupby("session")[column].rank(method="first")
    count = known.groupby("session")[column].transform("size")
    fifth = np.ceil(5 * rank / count)
    return [float(share) for share in _is_inside(known).groupby(fifth).mean()]


def _is_inside(forecasts: pd.DataFrame) -> pd.Series:
    return forecasts["excess"].between(forecasts["lower"], forecasts["upper"])


def _mean_by_session(chosen: pd.DataFrame) -> float:
    return float(chosen.groupby("session")["excess"].mean().mean())
