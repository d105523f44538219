"""Whether something broke between yesterday and today: wrong units, swapped columns, shuffled rows.

Features look back for months, so that from one session to the next they hardly move, whatever the market
does. Three measures of every feature over the shares that have a value on both sessions are compared with
their frozen record of two years: the Kolmogorov-Smirnov distance of the values, the same relative to each
session's median and spread, and the rank correlation between the shares' values. A fourth counts what is
missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.drift.adapter import ks_distances
from bist_pipeline.drift.data_quality import MAX_ABOVE_RECORD, MIN_RECORD_SESSIONS, RECORD_SESSIONS
from bist_pipeline.drift.distances import ks_distances_by_row
from bist_pipeline.drift.status import NO_VERDICT, Check, Status, worst
from bist_pipeline.drift.summary import MIN_SHARES, require_columns, require_single_rows
from bist_pipeline.errors import DriftInputError
from bist_pipeline.features.cross_section import row_rank

AMBER_TIMES, RED_TIMES = 1.5, 3.0
AMBER_BELOW, RED_BELOW = 1.0, 3.0
# Smaller records are read as this: what never moved must not alarm at its first tremor.
LEAST_RECORD = 0.06
LEAST_ROOM = 0.03

LEVEL, SHAPE, ORDER = "level", "shape", "order"

_ACTIONS = {
    Status.OK: "none",
    Status.INSUFFICIENT_HISTORY: "none yet: collect more sessions",
    Status.AMBER: "look at the feature before trusting today's ranks",
    Status.RED: "scoring is held until a person releases it",
    Status.ERROR: "repair the features, then check again",
    Status.BLOCK: "scoring is stopped until the features are repaired",
}

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class BreakRecord:
    """Day-to-day changes in the two years before the champion; arrays of shape (F,), NaN where unknown.

    Parameters
    ----------
    columns : tuple of str
        The F features.
    sessions : int
        Pairs of neighbouring sessions that were looked at.
    level, shape : array
        Largest distance of the values, and of the values relative to their session.
    order, order_typical : array
        Lowest and median rank correlation.
    missing : array
        Largest share of values that were missing among the shares old enough to have one.
    """

    columns: tuple[str, ...]
    sessions: int
    level: Matrix
    shape: Matrix
    order: Matrix
    order_typical: Matrix
    missing: Matrix


@dataclass(frozen=True)
class FeatureBreak:
    """One measure of one feature today, against its record.

    For `level` and `shape`, `times` is today's distance over the record; for `order` how far the rank
    correlation is below its record, in units of how far the record is below the median.
    """

    feature: str
    measure: str
    today: float
    record: float
    times: float
    status: Status


@dataclass(frozen=True)
class BreakReport:
    """Outcome: the checks `break` and `missing_values`, and every measure, the most unusual first."""

    checks: tuple[Check, ...]
    measures: tuple[FeatureBreak, ...]

    @property
    def status(self) -> Status:
        """Status of the most urgent check."""
        return worst(check.status for check in self.checks)


def build_break_record(
    features: pd.DataFrame, columns: Mapping[str, int], *, champion_session: dt.date
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

    Raises
    ------
    DriftInputError
        If a column is missing or a share has two rows on a session.
    """
    rows = _select(features, list(columns), until=champion_session, inclusive=False)
    sessions = np.unique(rows["session"])
    age = _ages(rows, sessions)
    recent = rows["session"].isin(sessions[-RECORD_SESSIONS - 1 :]).to_numpy()
    rows, age = rows[recent], age[recent]
    wide = _Wide(rows)
    found = {name: _measure_history(wide, age, name, due) for name, due in columns.items()}
    stacked = {
        key: np.array([measured[key] for measured in found.values()])
        for key in (LEVEL, SHAPE, ORDER, "order_typical", "missing")
    }
    return BreakRecord(tuple(columns), max(wide.shape[0] - 1, 0), **stacked)


def check_break(
    record: BreakRecord,
    features: pd.DataFrame,
    columns: Mapping[str, int],
    *,
    ages: pd.Series,
    session: dt.date,
) -> BreakReport:
    """Compare a session with the one before it.

    Parameters
    ----------
    record : BreakRecord
        Frozen with the champion.
    features : DataFrame, shape (n_rows, >= 3)
        As in `build_break_record`, with the two newest sessions up to `session`.
    columns : mapping of str to int
        As in `build_break_record`.
    ages : Series of int
        Sessions since the first row of every share, indexed by symbol, on `session`.
    session : date
        The session to judge.

    Returns
    -------
    BreakReport
        `break` is AMBER beyond 1.5 times a record of distance (or by 1 below one of order), RED beyond 3;
        `missing_values` BLOCKs where a feature lacks more than its record plus 5 points; both are ERROR
        where there are too few shares to judge.

    Raises
    ------
    DriftInputError
        If columns differ from those of the record, the session is not there, or a share has two rows on it.
    """
    _require_same_columns(record, columns)
    rows = _select(features, list(columns), until=session, inclusive=True)
    sessions = np.unique(rows["session"])
    if not len(sessions) or sessions[-1] != np.datetime64(session, "ns"):
        raise DriftInputError(
            f"The feature table has no rows of {session}.",
            consequence=NO_VERDICT,
            next_step=f"bist features --session {session}",
        )
    before, now = (
        rows[rows["session"] == day].set_index("symbol") for day in (sessions[-2:][0], sessions[-1])
    )
    age = ages.reindex(now.index, fill_value=0).to_numpy()
    missing = _check_missing(record, now, age, columns)
    if len(sessions) < 2 or record.sessions < MIN_RECORD_SESSIONS:
        return BreakReport((_insufficient(record), missing), ())
    measures, lacking = _measure_today(record, before, now)
    return BreakReport((_conclude(record, measures, lacking), missing), tuple(measures))


def _require_same_columns(record: BreakRecord, columns: Mapping[str, int]) -> None:
    differing = {*record.columns} ^ {*columns}
    if differing:
        raise DriftInputError(
            f"The champion's calibration watches other features than there are: {len(differing)} differ.",
            which=sorted(differing),
            consequence=NO_VERDICT,
            next_step="bist train (a new champion gets a new calibration)",
        )


def _select(
    features: pd.DataFrame, columns: Sequence[str], *, until: dt.date, inclusive: bool
) -> pd.DataFrame:
    require_columns(features.assign(tradable=True), columns, until=until)
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
    """Spreads columns of a long table over sessions and shares."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows
        self._row, sessions = pd.factorize(rows["session"], sort=True)
        self._column, symbols = pd.factorize(rows["symbol"])
        self.shape = (len(sessions), len(symbols))

    def spread(self, name: str) -> Matrix:
        table = np.full(self.shape, np.nan)
        table[self._row, self._column] = self.rows[name]
        return table

    def mean_by_session(self, values: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Matrix:
        """Share of true values among the counted rows; sessions without any are left out."""
        totals = np.bincount(self._row[counted], minlength=self.shape[0])
        found = np.bincount(self._row[counted & values], minlength=self.shape[0])
        share: Matrix = found[totals > 0] / totals[totals > 0]
        return share


def _measure_history(wide: _Wide, age: NDArray[np.int64], name: str, due: int) -> dict[str, float]:
    table = wide.spread(name)
    before, now = table[:-1], table[1:]
    both = np.isfinite(before) & np.isfinite(now)
    enough = both.sum(axis=1) >= MIN_SHARES
    before, now = (np.where(both, values, np.nan)[enough] for values in (before, now))
    missing = wide.mean_by_session(wide.rows[name].isna().to_numpy(), age >= due)
    if len(now) < MIN_RECORD_SESSIONS:
        unknown = dict.fromkeys((LEVEL, SHAPE, ORDER, "order_typical"), np.nan)
        return {**unknown, "missing": float(missing.max()) if len(missing) else np.nan}
    order = _rank_correlation(before, now)
    return {
        LEVEL: float(ks_distances_by_row(before, now).max()),
        SHAPE: float(ks_distances_by_row(_relative(before), _relative(now)).max()),
        ORDER: float(order.min()),
        "order_typical": float(np.median(order)),
        "missing": float(missing.max()),
    }


def _relative(values: Matrix) -> Matrix:
    """Values relative to the median and spread of their row; a row without spread is all zeros."""
    centred = values - np.nanmedian(values, axis=1, keepdims=True)
    spread = np.nanmean(np.abs(centred), axis=1, keepdims=True)
    relative: Matrix = np.divide(centred, spread, out=np.zeros_like(centred), where=spread != 0)
    return np.where(np.isnan(values), np.nan, relative)


def _rank_correlation(before: Matrix, now: Matrix) -> Matrix:
    """Spearman's correlation row by row; 1 where all values of a row are equal: nothing changed places."""
    first, second = (row_rank(values).astype(np.float64) - 0.5 for values in (before, now))
    product = np.nansum(first * second, axis=1)
    size = np.sqrt(np.nansum(first**2, axis=1) * np.nansum(second**2, axis=1))
    correlation: Matrix = np.divide(product, size, out=np.ones_like(product), where=size > 0)
    return correlation


def _measure_today(
    record: BreakRecord, before: pd.DataFrame, now: pd.DataFrame
) -> tuple[list[FeatureBreak], list[str]]:
    shares = before.index.intersection(now.index)
    before, now = before.loc[shares], now.loc[shares]
    measures: list[FeatureBreak] = []
    lacking = []
    for i, name in enumerate(record.columns):
        pair = np.stack([before[name].to_numpy(np.float64), now[name].to_numpy(np.float64)])
        pair = pair[:, np.isfinite(pair).all(axis=0)]
        if pair.shape[1] < MIN_SHARES:
            lacking.append(name)
        elif not np.isnan(record.level[i]):
            measures += _measure_feature(record, i, pair)
    return sorted(measures, key=lambda m: -_urgency(m)), lacking


def _measure_feature(record: BreakRecord, i: int, pair: Matrix) -> list[FeatureBreak]:
    name = record.columns[i]
    values, shape = _distance(pair), _distance(_relative(pair))
    order = float(_rank_correlation(pair[:1], pair[1:])[0])
    room = max(record.order_typical[i] - record.order[i], LEAST_ROOM)
    return [
        _grade(name, LEVEL, values, record.level[i], times=values / max(record.level[i], LEAST_RECORD)),
        _grade(name, SHAPE, shape, record.shape[i], times=shape / max(record.shape[i], LEAST_RECORD)),
        _grade(name, ORDER, order, record.order[i], times=(record.order[i] - order) / room),
    ]


def _distance(pair: Matrix) -> float:
    before, now = pair
    if np.ptp(pair) == 0:
        return 0.0  # one and the same value throughout: the adapter rightly refuses to judge it
    return float(ks_distances(pd.DataFrame({0: before}), pd.DataFrame({0: now}))[0])


def _grade(feature: str, measure: str, today: float, record: float, *, times: float) -> FeatureBreak:
    amber, red = _levels(measure)
    status = Status.RED if times > red else Status.AMBER if times > amber else Status.OK
    return FeatureBreak(feature, measure, today, float(record), float(times), status)


def _levels(measure: str) -> tuple[float, float]:
    return (AMBER_BELOW, RED_BELOW) if measure == ORDER else (AMBER_TIMES, RED_TIMES)


def _urgency(measure: FeatureBreak) -> float:
    """How far a measure is on the way to its amber level."""
    return measure.times / _levels(measure.measure)[0]


def _conclude(record: BreakRecord, measures: Sequence[FeatureBreak], lacking: Sequence[str]) -> Check:
    if not measures:
        status, message = Status.ERROR, "No feature has values on both sessions for enough shares."
        return Check("break", status, None, None, None, _ACTIONS[status], message)
    furthest = measures[0]
    status = worst([*(m.status for m in measures), *([Status.ERROR] if lacking else [])])
    message = _describe(furthest, record.sessions)
    if lacking:
        message += f" Not judged, for want of values: {', '.join(lacking)}."
    threshold = _levels(furthest.measure)[0]
    return Check(
        "break", status, furthest.times, None, threshold, _ACTIONS[status], message, record=furthest.record
    )


def _describe(measure: FeatureBreak, sessions: int) -> str:
    if measure.measure == ORDER:
        return (
            f"{measure.feature} ranks the shares most differently from the session before: correlation "
            f"{measure.today:.3f}; in {sessions} sessions before the champion it was never below "
            f"{measure.record:.3f}."
        )
    of_what = "values" if measure.measure == LEVEL else "shape"
    return (
        f"The {of_what} of {measure.feature} differ most from the session before: {measure.times:.1f} times "
        f"the record of {sessions} sessions before the champion."
    )


def _insufficient(record: BreakRecord) -> Check:
    status = Status.INSUFFICIENT_HISTORY
    message = (
        f"{record.sessions} earlier pairs of sessions; {MIN_RECORD_SESSIONS} are needed to say what is usual."
    )
    return Check("break", status, None, None, None, _ACTIONS[status], message)


def _check_missing(
    record: BreakRecord, today: pd.DataFrame, age: NDArray[np.int64], columns: Mapping[str, int]
) -> Check:
    shares = np.array([today[name].isna()[age >= due].mean() for name, due in columns.items()])
    judged = np.isfinite(shares) & np.isfinite(record.missing)
    if record.sessions < MIN_RECORD_SESSIONS or not judged.any():
        status, message = (
            Status.INSUFFICIENT_HISTORY,
            "Too little history to say how much is usually missing.",
        )
        return Check("missing_values", status, None, None, None, _ACTIONS[status], message)
    beyond = np.where(judged, shares - record.missing - MAX_ABOVE_RECORD, -np.inf)
    i = int(beyond.argmax())
    status = Status.BLOCK if beyond[i] > 0 else Status.OK
    message = (
        f"{record.columns[i]} is missing for {shares[i]:.1%} of the shares old enough to have it; "
        f"in {record.sessions} sessions before the champion it was never more than {record.missing[i]:.1%}."
    )
    return Check(
        "missing_values",
        status,
        float(shares[i]),
        None,
        float(record.missing[i] + MAX_ABOVE_RECORD),
        _ACTIONS[status],
        message,
        record=float(record.missing[i]),
    )
