"""The market as wide matrices: one row a session, one column a symbol.

Everything computed here and in `features` works on these matrices, because a whole market's rolling
statistic is then a handful of array operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.contracts import KEY, PRICE_COLUMNS
from bist_pipeline.errors import ContractError

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]
Sessions = NDArray[np.datetime64]


@dataclass(frozen=True)
class Panel:
    """Daily bars of a market.

    Parameters
    ----------
    sessions : array of datetime64[D], shape (n_sessions,)
        Trading dates in order, without gaps in the calendar.
    symbols : array of str objects, shape (n_symbols,)
        In alphabetical order.
    open, high, low, close : array of float64, shape (n_sessions, n_symbols)
        TRY, adjusted; NaN where there is no bar.
    volume : array of float64, shape (n_sessions, n_symbols)
        Shares; NaN where there is no bar or the volume is unknown.
    off_calendar : mapping of str to int
        Rows by symbol that were left out because the exchange did not trade on their date.
    """

    sessions: Sessions
    symbols: NDArray[np.object_]
    open: Matrix
    high: Matrix
    low: Matrix
    close: Matrix
    volume: Matrix
    off_calendar: Mapping[str, int]


def build_panel(prices: pd.DataFrame, sessions: Sessions) -> Panel:
    """Spread a long price table over the trading calendar.

    Parameters
    ----------
    prices : DataFrame, shape (n_rows, >= 7)
        `session, symbol, open, high, low, close, volume`, in any order, one row per session and symbol.
    sessions : array of datetime64[D], shape (n_sessions,)
        The calendar's sessions from the first to the last wanted one, in order. Rows before and after
        are not looked at; rows between that fall on no session are left out and counted.

    Returns
    -------
    Panel

    Raises
    ------
    ContractError
        If a column is missing, a session and symbol occur twice, or no row falls on a session.

    Examples
    --------
    >>> rows = pd.DataFrame({"session": pd.to_datetime(["2024-06-28"]), "symbol": ["THYAO"],
    ...                      "open": 1.0, "high": 1.2, "low": 1.0, "close": 1.1, "volume": 5.0})
    >>> build_panel(rows, np.array(["2024-06-27", "2024-06-28"], dtype="datetime64[D]")).close.tolist()
    [[nan], [1.1]]
    """
    missing = [name for name in (*KEY, *PRICE_COLUMNS) if name not in prices.columns]
    if missing:
        raise ContractError(f"{len(missing)} of 7 price columns are missing.", which=missing)
    day = prices["session"].to_numpy().astype("datetime64[D]")
    inside = (day >= sessions[0]) & (day <= sessions[-1])
    row = np.minimum(np.searchsorted(sessions, day), len(sessions) - 1)
    on_calendar = sessions[row] == day
    kept, stray = inside & on_calendar, inside & ~on_calendar
    column, symbols = _encode(prices["symbol"][kept])
    if not len(symbols):
        raise ContractError(
            f"none of {len(prices)} price rows falls on a session from {sessions[0]} to {sessions[-1]}."
        )
    cell = row[kept] * len(symbols) + column
    _refuse_duplicates(cell, sessions, symbols)
    shape = (len(sessions), len(symbols))
    matrices = {name: _scatter(prices[name][kept], cell, shape) for name in PRICE_COLUMNS}
    off_calendar = {str(symbol): int(n) for symbol, n in prices["symbol"][stray].value_counts().items()}
    return Panel(sessions, symbols, **matrices, off_calendar=off_calendar)


def compute_moves(close: Matrix) -> Matrix:
    """Return since the session before, a fraction, shape like `close`; the first session has none."""
    moves = np.full_like(close, np.nan)
    moves[1:] = close[1:] / close[:-1] - 1
    return moves


def look_up(panel: Panel, values: Matrix, rows: pd.DataFrame) -> pd.Series:
    """Values of a matrix at the sessions and symbols of a long table.

    Parameters
    ----------
    panel : Panel
        Says which session and symbol each cell of `values` belongs to.
    values : array of float64, shape (n_sessions, n_symbols)
    rows : DataFrame
        `session` and `symbol`.

    Returns
    -------
    Series of float64, shape (len(rows),)
        Indexed like `rows`; NaN where the panel knows no such session or symbol.
    """
    row = pd.DatetimeIndex(panel.sessions).get_indexer(pd.DatetimeIndex(rows["session"]))
    column = pd.Index(panel.symbols).get_indexer(pd.Index(rows["symbol"]))
    return pd.Series(np.where((row < 0) | (column < 0), np.nan, values[row, column]), index=rows.index)


def _encode(symbols: pd.Series) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    codes, names = pd.factorize(symbols.astype(object), sort=True)
    return codes, np.asarray(names, dtype=object)


def _scatter(values: pd.Series, cell: NDArray[np.intp], shape: tuple[int, int]) -> Matrix:
    matrix = np.full(shape, np.nan)
    matrix.ravel()[cell] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return matrix


def _refuse_duplicates(cell: NDArray[np.intp], sessions: Sessions, symbols: NDArray[np.object_]) -> None:
    twice = np.flatnonzero(np.bincount(cell) > 1)
    if len(twice):
        names = [f"{symbols[c % len(symbols)]} on {sessions[c // len(symbols)]}" for c in twice]
        raise ContractError(f"{len(twice)} session-symbol pairs occur more than once.", which=names)
