"""What is left of the 20 best-ranked shares once trading them has been paid for."""

from __future__ import annotations

import pandas as pd

TOP = 20
# Selling one share and buying another, as a fraction of the sum moved: an assumption, not a quotation.
# Commission and exchange fees of 0.15 % and half a spread of 0.15 %, each twice.
ROUND_TRIP_COST = 0.006


def compute_turnover(forecasts: pd.DataFrame, *, lag: int) -> pd.Series:
    """Share of a session's 20 best that were not among the best when the portfolio was last renewed.

    Parameters
    ----------
    forecasts : DataFrame
        `session, symbol, score`.
    lag : int
        Test sessions between two renewals: the horizon divided by the sessions between dates, rounded up.

    Returns
    -------
    Series, shape (n_sessions,)
        Indexed by session, 0 to 1; 1 for the first `lag`: who starts holds nothing.
    """
    chosen = _choose(forecasts)
    days = list(chosen)
    fresh = [
        1.0 if i < lag else len(chosen[day] - chosen[days[i - lag]]) / len(chosen[day])
        for i, day in enumerate(days)
    ]
    return pd.Series(fresh, index=pd.DatetimeIndex(days, name="session"), dtype=float)


def deduct_costs(excess: pd.Series, turnover: pd.Series) -> pd.Series:
    """Excess of a period after costs: every share that is replaced in it costs one round trip."""
    return excess - ROUND_TRIP_COST * turnover


def accumulate(excess: pd.Series, *, lag: int) -> pd.Series:
    """Running sum of the excess of `lag` portfolios, each a part of the money, renewed in turn.

    One portfolio is chosen at each test session and held over the horizon. The sum is not compounded: what
    was gained is taken out.

    >>> accumulate(pd.Series([0.04, 0.02]), lag=2).tolist()
    [0.02, 0.03]
    """
    total: pd.Series = excess.fillna(0.0).cumsum() / lag
    return total


def _choose(forecasts: pd.DataFrame) -> dict[pd.Timestamp, set[str]]:
    place = forecasts.groupby("session")["score"].rank(method="first", ascending=False)
    best = forecasts[place <= TOP]
    return {pd.Timestamp(str(day)): set(symbols) for day, symbols in best.groupby("session")["symbol"]}
