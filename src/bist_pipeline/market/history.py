"""What shares did up to a session: closes for a chart, and returns over fixed windows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bist_pipeline.market.cleaning import Cleaned
from bist_pipeline.market.labels import compute_forward_excess
from bist_pipeline.market.panel import Matrix, Panel
from bist_pipeline.market.universe import compute_tradable

CHART_SESSIONS = 252
# A week, a month, a quarter, half a year and a year of sessions.
RETURN_WINDOWS = (5, 21, 63, 126, 252)
# Two years: the longest window, before whose first session 126 bars must have shown who is tradable.
HISTORY_SESSIONS = 504
# Feeds carry binary noise behind the last digit of an adjusted price; a chart needs none of it.
_PRICE_DIGITS = 6


def compute_price_series(raw: Panel, market: Cleaned) -> pd.DataFrame:
    """Closes of each share's last 252 sessions, at the price level of its newest good bar.

    Cleaning carries the level before a quarantined move (a split that the feed missed) on into the future,
    so that a repair never changes the past. A reader of today expects today's prices: here the history
    is scaled instead.

    Parameters
    ----------
    raw : Panel
        The bars as they arrived.
    market : Cleaned
        The same bars, cleaned.

    Returns
    -------
    DataFrame, shape (n_shares, 2)
        `symbol` and `closes`: a list of [ISO session, close in TRY to six digits], oldest first. Sessions
        without a bar are left out, shares without any bar in the window too.
    """
    closes = market.panel.close * _price_level(raw, market)
    recent = slice(max(len(closes) - CHART_SESSIONS, 0), None)
    sessions = np.datetime_as_string(raw.sessions[recent], unit="D").tolist()
    shown = _round(np.where(market.observed, closes, np.nan)[recent]).T.tolist()
    series = [
        [[day, close] for day, close in zip(sessions, one, strict=True) if close == close] for one in shown
    ]
    frame = pd.DataFrame({"symbol": raw.symbols, "closes": series})
    return frame[frame["closes"].map(len) > 0].reset_index(drop=True)


def compute_past_returns(market: Cleaned) -> pd.DataFrame:
    """What each share gained over the windows that end at the panel's last session.

    Parameters
    ----------
    market : Cleaned

    Returns
    -------
    DataFrame, shape (n_shares × n_windows at most, 4)
        `symbol`, `window_sessions`, `past_return` and `excess_return`, fractions; the latter is over the
        median of the shares that were tradable when the window began, as for realised returns, and missing
        where none was. A share without a price at either end of a window has no row for it.
    """
    close, tradable = market.panel.close, compute_tradable(market)
    found = []
    for window in RETURN_WINDOWS:
        if window < len(close):
            ends = [-window - 1, -1]
            frame = pd.DataFrame({"symbol": market.panel.symbols, "window_sessions": window})
            frame["past_return"] = close[-1] / close[-window - 1] - 1
            frame["excess_return"] = compute_forward_excess(close[ends], tradable[ends], 1)[0]
            found.append(frame.dropna(subset="past_return"))
    columns = ["symbol", "window_sessions", "past_return", "excess_return"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def _price_level(raw: Panel, market: Cleaned) -> Matrix:
    """Factor of each share from cleaned to market prices, shape (n_symbols,)."""
    good = market.observed & ~market.quarantined
    newest = len(good) - 1 - np.argmax(good[::-1], axis=0)
    column = np.arange(good.shape[1])
    level: Matrix = raw.close[newest, column] / market.panel.close[newest, column]
    return level


def _round(prices: Matrix) -> Matrix:
    scale = 10.0 ** (_PRICE_DIGITS - 1 - np.floor(np.log10(prices)))
    rounded: Matrix = np.round(prices * scale) / scale
    return rounded
