"""How much every feature changes over one session and over a few: the record of two years, frozen.

`breaks` compares a session with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.drift.data_quality import MIN_RECORD_SESSIONS, RECORD_SESSIONS
from bist_pipeline.drift.distances import ks_distances_by_row
from bist_pipeline.drift.summary import MIN_SHARES, require_columns, require_single_rows
from bist_pipeline.features.cross_section import row_rank

# The session compared with may lie so many sessions back, if those between were stopped.
REACH = 5

LEVEL, SHAPE, ORDER = "level", "shape", "order"

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class BreakRecord:
    """Changes over 1 to `REACH` sessions in the two years before the champion; NaN where unknown.

    Parameters
    ----------
    columns : tuple of str
        The F features.
    sessions : int
        Pairs of neighbouring sessions that were looked at.
    level, shape : array, shape (REACH, F)
        Largest distance of the values, and of the values relative to their session.
    order, order_typical : array, shape (REACH, F)
        Lowest and median rank correlation.
    missing : array, shape (F,)
        Largest share of values that were missing among the shares old enough to have one.
    """

    columns: tuple[str, ...]
    sessions: int
    level: Matrix
    shape: Matrix
    order: Matrix
    order_typical: Matrix
    missing: Matrix


def build_break_record(
    features: pd.DataFrame,
    columns: Mapping[str, int],
    *,
    champion_session: dt.date,
    stopped: Collection[dt.date] = (),
) -> BreakRecord:
    """Look at the 504 pairs of sessions before a champion.

    Parameters
    ----------
    features : DataFrame, shape (n_rows, >= 3)
        Long table with `session`, `symbol` and the columns, NaN where unknown.
    columns : mapping of str to int
        The features to watch, and how many sessions a share must have been there before a value is due.
    champion_session : date
        The record ends on the session before it, so that the champion's first session is judged by it too.
    stopped : collection of date
        Sessions that a check stopped and nobody released. They keep their place, but no pair with one of them
        counts: a single fault would be the record, and none could be beyond it for two years.

    Raises
    ------
    DriftInputError
        If a column is missing or a share has two rows on a session.
    """
    rows = select(features, list(columns), until=champion_session, inclusive=False)
    sessions = np.unique(rows["session"])
    age = _ages(rows, sessions)
    recent = rows["session"].isin(sessions[-RECORD_SESSIONS - 1 :]).to_numpy()
    rows, age = rows[recent], age[recent]
    is_stopped = rows["session"].isin([pd.Timestamp(day) for day in stopped])
    age = np.where(is_stopped, -1, age)  # no value is due on them
    wide = _Wide(rows, counts=~is_stopped.to_numpy())
    found = [
        [_measure_changes(table, apart) for apart in range(1, REACH + 1)]
        for table in map(wide.spread, columns)
    ]
    missing = np.array([_measure_missing(wide, age, name, due) for name, due in columns.items()])
    return BreakRecord(tuple(columns), max(wide.shape[0] - 1, 0), **_stack(found), missing=missing)


def select(
    features: pd.DataFrame, columns: Sequence[str], *, until: dt.date, inclusive: bool
) -> pd.DataFrame:
    """Rows up to a day; refuses a table without the columns, or with two rows of a share and session."""
    require_columns(features.head(0).assign(tradable=True), columns, until=until)
    last = pd.Timestamp(until)
    rows = features[features["session"] <= last if inclusive else features["session"] < last]
    require_single_rows(rows, until=until)
    return rows


def _ages(rows: pd.DataFrame, sessions: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Sessions since the share's first row."""
    position = pd.Series(np.searchsorted(sessions, rows["session"].to_numpy()), index=rows.index)
    age = position - position.groupby(rows["symbol"]).transform("min")
    return age.to_numpy(dtype=np.int64)


class _Wide:
    """Spreads columns of a long table over sessions and shares; rows that do not count leave NaN."""

    def __init__(self, rows: pd.DataFrame, *, counts: NDArray[np.bool_]) -> None:
        self.rows = rows
        self._counts = counts
        self._row, sessions = pd.factorize(rows["session"], sort=True)
        self._column, symbols = pd.factorize(rows["symbol"])
        self.shape = (len(sessions), len(symbols))

    def spread(self, name: str) -> Matrix:
        table = np.full(self.shape, np.nan)
        table[self._row[self._counts], self._column[self._counts]] = self.rows[name].to_numpy()[self._counts]
        return table

    def mean_by_session(self, values: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Matrix:
        """Share of true values among the counted rows; sessions without any are left out."""
        totals = np.bincount(self._row[counted], minlength=self.shape[0])
        found = np.bincount(self._row[counted & values], minlength=self.shape[0])
        share: Matrix = found[totals > 0] / totals[totals > 0]
        return share


def _stack(found: Sequence[Sequence[Mapping[str, float]]]) -> dict[str, Matrix]:
    """From what was found of every feature over every distance to arrays of shape (REACH, F)."""
    keys = (LEVEL, SHAPE, ORDER, "order_typical")
    return {key: np.array([[one[key] for one in of_feature] for of_feature in found]).T for key in keys}


def _measure_missing(wide: _Wide, age: NDArray[np.int64], name: str, due: int) -> float:
    missing = wide.mean_by_session(wide.rows[name].isna().to_numpy(), age >= due)
    return float(missing.max()) if len(missing) else np.nan


def _measure_changes(table: Matrix, apart: int) -> dict[str, float]:
    before, now = table[:-apart], table[apart:]
    both = np.isfinite(before) & np.isfinite(now)
    enough = both.sum(axis=1) >= MIN_SHARES
    before, now = (np.where(both, values, np.nan)[enough] for values in (before, now))
    if len(now) < MIN_RECORD_SESSIONS:
        return dict.fromkeys((LEVEL, SHAPE, ORDER, "order_typical"), np.nan)
    order = rank_correlation(before, now)
    return {
        LEVEL: float(ks_distances_by_row(before, now).max()),
        SHAPE: float(ks_distances_by_row(relative(before), relative(now)).max()),
        ORDER: float(order.min()),
        "order_typical": float(np.median(order)),
    }


def relative(values: Matrix) -> Matrix:
    """Values relative to the median and spread of their row; a row without spread is all zeros."""
    centred = values - np.nanmedian(values, axis=1, keepdims=True)
    spread = np.nanmean(np.abs(centred), axis=1, keepdims=True)
    relative: Matrix = np.divide(centred, spread, out=np.zeros_like(centred), where=spread != 0)
    return np.where(np.isnan(values), np.nan, relative)


def rank_correlation(before: Matrix, now: Matrix) -> Matrix:
    """Spearman's correlation row by row; 1 where all values of a row are equal: nothing changed places."""
    first, second = (row_rank(values).astype(np.float64) - 0.5 for values in (before, now))
    product = np.nansum(first * second, axis=1)
    size = np.sqrt(np.nansum(first**2, axis=1) * np.nansum(second**2, axis=1))
    correlation: Matrix = np.divide(product, size, out=np.ones_like(product), where=size > 0)
    return correlation
