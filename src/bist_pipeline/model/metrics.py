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

QUARTER = 63
# Figures that are means over sessions, and those that pool all rows.
_MEANS = {"rank_ic": "rank_ic", "spread": "spread_quarter", "top20": "top20_quarter"}
_POOLED = {
    "r2": ("explained", "power"),
    "mae_excess": ("error", "rows"),
    "mae_zero": ("excess", "rows"),
    "coverage": ("inside", "rows"),
}


def summarise(forecasts: pd.DataFrame, *, horizon: int, lag: int) -> dict[str, float]:
    """Return the figures of one model on one set of rows.

    Parameters
    ----------
    forecasts : DataFrame
        Columns as in the module's description; the figures of a model that forecasts no excess, or no
        interval, are those of its scores alone.
    horizon : int
        Sessions the excess runs over; spreads are scaled to a quarter of 63.
    lag : int
        Newey-West lag in dates: the horizon divided by the sessions between dates, rounded up.

    Returns
    -------
    dict
        `rank_ic` mean daily rank IC; `icir` mean over standard deviation; `nw_t` its Newey-West t;
        `ic_positive` share of dates above zero; `spread_quarter` top minus bottom decile;
        `top20_quarter` the 20 best over the mean of all; `r2`; `mae_excess` and `mae_zero`; `coverage`;
        `dates`.

    Raises
    ------
    InsufficientDataError
        If no date has a rank IC.
    """
    return summarise_daily(compute_daily(forecasts, horizon=horizon), lag=lag)


def summarise_daily(daily: pd.DataFrame, *, lag: int) -> dict[str, float]:
    """Return the figures of `summarise` from the table of `compute_daily`; raises as it."""
    ic = daily["rank_ic"].dropna()
    if ic.empty:
        raise InsufficientDataError(
            f"None of {len(daily)} test sessions has a rank IC:"
            " all scores, or all results, of a session are equal.",
            consequence="No model was promoted.",
        )
    averages = average(daily, np.ones((1, len(daily))))
    return {
        **{name: float(value[0]) for name, value in averages.items()},
        "icir": float(ic.mean() / ic.std()) if len(ic) > 1 else math.nan,
        "nw_t": newey_west_t(ic.to_numpy(), lag=lag),
        "dates": float(len(ic)),
    }


def compute_daily(forecasts: pd.DataFrame, *, horizon: int) -> pd.DataFrame:
    """What happened on each session, from which all averages follow.

    Parameters
    ----------
    forecasts, horizon
        As in `summarise`.

    Returns
    -------
    DataFrame, shape (n_sessions, n_sums)
        Indexed by session. `rank_ic`, `spread` and `top20` (a quarter) of the session, NaN where it has
        none; sums over its shares: `rows`, `error` and `excess` (absolute), `explained` and `power` (of the
        squares), `inside` (in the interval).
    """
    answer, session = forecasts["excess"], forecasts["session"]
    sums = {"rows": np.ones(len(forecasts)), "excess": answer.abs(), "power": answer**2}
    if "expected_excess_return" in forecasts:
        error = answer - forecasts["expected_excess_return"]
        sums |= {"error": error.abs(), "explained": answer**2 - error**2}
    if "lower" in forecasts:
        sums["inside"] = _is_inside(forecasts).astype(float)
    daily: pd.DataFrame = pd.DataFrame(sums, index=forecasts.index).groupby(session).sum()
    return daily.assign(
        rank_ic=daily_rank_ic(forecasts),
        spread=daily_decile_spread(forecasts) * QUARTER / horizon,
        top20=daily_top_excess(forecasts) * QUARTER / horizon,
    )


def average(daily: pd.DataFrame, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Averages over sessions, under one or many weightings of these.

    Parameters
    ----------
    daily : DataFrame, shape (n_sessions, n_sums)
        From `compute_daily`.
    weights : array, shape (n_draws, n_sessions)
        How often each session counts; ones for the plain figures, `bootstrap.draw_weights` for intervals.

    Returns
    -------
    dict of str to array, shape (n_draws,)
        `rank_ic, ic_positive, spread_quarter, top20_quarter, mae_zero` and, where their columns are there,
        `r2, mae_excess, coverage`.
    """
    sums = {str(name): weights @ daily[name].fillna(0.0).to_numpy() for name in daily}
    means = {figure: mean(daily[name], weights) for name, figure in _MEANS.items()}
    is_positive = (daily["rank_ic"] > 0).astype(float).where(daily["rank_ic"].notna())
    pooled = {
        figure: sums[top] / sums[bottom]
        for figure, (top, bottom) in _POOLED.items()
        if top in daily and bottom in daily
    }
    return {**means, "ic_positive": mean(is_positive, weights), **pooled}


def mean(values: pd.Series, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the sessions that have a value, under each weighting of `average`; NaN where none has one.

    >>> mean(pd.Series([np.nan, 0.2]), np.array([[1.0, 1.0], [2.0, 0.0]]))
    array([0.2, nan])
    """
    count = weights @ values.notna().to_numpy(float)
    unknown = np.full(len(count), np.nan)
    return np.divide(weights @ values.fillna(0.0).to_numpy(), count, out=unknown, where=count > 0)


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


def daily_decile_spread(forecasts: pd.DataFrame) -> pd.Series:
    """Mean excess of the best tenth of a session by score, minus that of the worst tenth.

    A tenth of n shares is n / 10 rounded down, at least one.
    """
    place = forecasts.groupby("session")["score"].rank(method="first")
    count = forecasts.groupby("session")["score"].transform("size")
    tenth = np.maximum(count // 10, 1)
    best, worst = forecasts[place > count - tenth], forecasts[place <= tenth]
    return _mean_by_session(best) - _mean_by_session(worst)


def daily_top_excess(forecasts: pd.DataFrame, *, shares: int = 20) -> pd.Series:
    """Mean excess of the `shares` best of a session by score, over the mean of all its shares.

    Over the mean, not the median: a few shares that multiply lift the mean of any 20 shares, drawn by chance
    too, well above the median (real shares, 2022 to 2024: by 6 % a quarter).
    """
    place = forecasts.groupby("session")["score"].rank(method="first", ascending=False)
    return _mean_by_session(forecasts[place <= shares]) - _mean_by_session(forecasts)


def decile_returns(forecasts: pd.DataFrame) -> list[float]:
    """Mean excess of each tenth of a session's shares by score, over the mean of all; mean over sessions.

    The worst tenth comes first.
    """
    place = forecasts.groupby("session")["score"].rank(method="first")
    count = forecasts.groupby("session")["score"].transform("size")
    tenth = pd.Series(np.ceil(10 * place / count), name="tenth")
    by_day = forecasts.groupby(["session", tenth])["excess"].mean() - _mean_by_session(forecasts)
    return [float(value) for value in by_day.groupby(level="tenth").mean()]


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


def _mean_by_session(chosen: pd.DataFrame) -> pd.Series:
    means: pd.Series = chosen.groupby("session")["excess"].mean()
    return means
