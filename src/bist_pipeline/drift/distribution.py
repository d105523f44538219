"""Whether the newest feature values still look like those the champion learned from.

The measure is alibi-detect's Kolmogorov-Smirnov distance between the last 21 sessions and the champion's
training window. Its textbook p-value is useless here: the shares of one session move together, and so do
neighbouring sessions, so it alarms nearly always. Instead the identical check is replayed on past weeks, with
the same gap between the two windows, and today's distance is ranked among theirs.

Two views are judged. `features` looks at each session's values relative to their own mean and spread: what
changes there is the data or the way shares differ, and the model is concerned. `regime` looks at the values
themselves: the market as a whole is calmer or wilder than in training, which is worth knowing and no fault.

A session is summarised by `QUANTILES` evenly spaced quantiles of each feature over its tradable shares, and a
window is the union of its sessions. So every session counts the same, shares without a value need no
invented one, and a hundred replays of a whole market cost seconds. Each distance is within 1 / QUANTILES of
the one over all rows, and in practice much nearer; today and the replays are treated alike.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.contracts import KEY
from bist_pipeline.drift.adapter import ks_distances
from bist_pipeline.drift.status import NO_VERDICT, Check, Status, worst
from bist_pipeline.errors import DriftInputError

CURRENT_SESSIONS = 21
# The training window's newest year; a longer one would leave too little history to replay the check on.
REFERENCE_SESSIONS = 252
REFERENCE_EVERY = 5
REPLAY_EVERY = 5
MAX_REPLAYS = 104
MIN_REPLAYS = 52
QUANTILES = 64  # of a session
SAMPLE = 500  # of a window
MIN_SHARES = 20
# A window may lack every third of its sessions, not more.
MIN_USABLE = 2 / 3
# Smaller distances are read as this one: a feature that never moves must not alarm at its first tremor.
NEGLIGIBLE = 0.01

AMBER_P_VALUE = 0.03
RED_TIMES_RECORD = 2.0

_ACTIONS = {
    Status.OK: "none",
    Status.INFO: "none: know that the market has changed",
    Status.INSUFFICIENT_HISTORY: "none yet: collect more sessions",
    Status.AMBER: "watch: a second week in a row is a warning",
    Status.RED: "review whether to retrain",
    Status.ERROR: "repair the features, then check again",
}


@dataclass(frozen=True)
class FeatureDistance:
    """How far one feature is from the training window: now, typically, and at most in the replays."""

    feature: str
    distance: float
    typical: float | None
    record: float | None


@dataclass(frozen=True)
class FeatureDriftReport:
    """Outcome of the feature-drift check.

    Parameters
    ----------
    checks : tuple of Check
        `features`, which may alarm, and `regime`, which informs.
    features : tuple of FeatureDistance
        The distances behind `features`, the most unusual first; without those that cannot be judged.
    reference_first, reference_last : date
        The part of the training window that was compared with.
    replays : int
        Past weeks the check was replayed on.
    """

    checks: tuple[Check, ...]
    features: tuple[FeatureDistance, ...]
    reference_first: dt.date
    reference_last: dt.date
    replays: int

    @property
    def status(self) -> Status:
        """Status of the most urgent check."""
        return worst(check.status for check in self.checks)


@dataclass(frozen=True)
class _Summary:
    """Quantiles of every session, shape (T, QUANTILES, F), and where enough shares had a value, (T, F)."""

    quantiles: NDArray[np.float64]
    is_known: NDArray[np.bool_]


@dataclass(frozen=True)
class _Windows:
    """Positions of the sessions to compare; the gap between the two windows is always the same."""

    end: int
    gap: int

    @property
    def current(self) -> NDArray[np.int64]:
        return np.arange(self.end - CURRENT_SESSIONS + 1, self.end + 1)

    @property
    def reference(self) -> NDArray[np.int64]:
        last = self.end - self.gap
        return np.arange(last, last - REFERENCE_SESSIONS, -REFERENCE_EVERY)[::-1]


def check_features(
    features: pd.DataFrame,
    columns: Sequence[str],
    *,
    session: dt.date,
    trained_until: dt.date,
    champion_session: dt.date,
) -> FeatureDriftReport:
    """Compare the newest feature values with the champion's training window, and with past comparisons.

    Parameters
    ----------
    features : DataFrame, shape (n_rows, >= 4)
        Long table with `session`, `symbol`, `tradable` (bool) and `columns`: raw values, NaN where unknown,
        with the history up to `session`; later rows are ignored.
    columns : sequence of str
        The features to judge.
    session : date
        Last of the 21 sessions judged.
    trained_until : date
        Last session of the champion's training rows.
    champion_session : date
        Session the champion was trained at. Replays end there, so that a lasting drift cannot become its own
        baseline.

    Returns
    -------
    FeatureDriftReport
        `features` is AMBER where at most 3 % of quiet weeks are as unusual, RED where it is beyond twice the
        record as well, ERROR where a feature has no values now, INSUFFICIENT_HISTORY below 52 replays.

    Raises
    ------
    DriftInputError
        If columns are missing, a share has two rows on a session, a date is not in the table, or the three
        dates are not in order.
    """
    rows, sessions = _select_rows(features, columns, session=session)
    trained, known, last = (_locate(sessions, day) for day in (trained_until, champion_session, session))
    if not trained <= known <= last:
        raise DriftInputError(
            f"The champion's training rows end on {trained_until}, it was trained on {champion_session} "
            f"and is checked on {session}: these days are not in order.",
            consequence=NO_VERDICT,
        )
    today = _Windows(last, last - trained)
    summary = _summarise(rows, columns, sessions)
    lacks_now, lacks_then = (_is_lacking(summary.is_known, w) for w in (today.current, today.reference))
    judged = np.flatnonzero(~(lacks_now | lacks_then))
    names = [columns[i] for i in judged]
    raw = _Summary(summary.quantiles[:, :, judged], summary.is_known[:, judged])
    windows = [today, *_plan_replays(raw, today, until=known)] if names else [today]
    ends = np.array([window.end for window in windows])
    distances = {"features": _measure(_standardise(raw), windows), "regime": _measure(raw, windows)}
    main, regime = (_conclude(view, names, measured, ends) for view, measured in distances.items())
    main = _mention(main, Status.INSUFFICIENT_HISTORY, [columns[i] for i in np.flatnonzero(lacks_then)])
    main = _mention(main, Status.ERROR, [columns[i] for i in np.flatnonzero(lacks_now)])
    return FeatureDriftReport(
        checks=(main, regime),
        features=_describe(names, distances["features"]),
        reference_first=sessions[max(today.reference[0], 0)].item(),
        reference_last=trained_until,
        replays=len(windows) - 1,
    )


def _select_rows(
    features: pd.DataFrame, columns: Sequence[str], *, session: dt.date
) -> tuple[pd.DataFrame, NDArray[np.datetime64]]:
    """Return the tradable rows up to `session`, and every session of the table up to it."""
    absent = [column for column in (*KEY, "tradable", *columns) if column not in features]
    if absent:
        raise DriftInputError(
            f"The feature table lacks {len(absent)} of the columns to judge.",
            which=absent,
            consequence=NO_VERDICT,
            next_step=f"bist features --session {session}",
        )
    rows = features[features["session"] <= pd.Timestamp(session)]
    repeated = rows.loc[rows.duplicated(KEY), "symbol"].unique()
    if len(repeated):
        raise DriftInputError(
            f"{len(repeated)} shares have more than one row of features on the same session.",
            which=sorted(repeated),
            consequence=NO_VERDICT,
            next_step=f"bist features --session {session}",
        )
    sessions = np.unique(rows["session"].to_numpy().astype("datetime64[D]"))
    return rows[rows["tradable"].to_numpy(dtype=bool)], sessions


def _locate(sessions: NDArray[np.datetime64], day: dt.date) -> int:
    position = int(np.searchsorted(sessions, np.datetime64(day, "D")))
    if position == len(sessions) or sessions[position] != np.datetime64(day, "D"):
        raise DriftInputError(
            f"The feature table has no rows of {day}.",
            consequence=NO_VERDICT,
            next_step=f"bist features --session {day}",
        )
    return position


def _summarise(rows: pd.DataFrame, columns: Sequence[str], sessions: NDArray[np.datetime64]) -> _Summary:
    row = np.searchsorted(sessions, rows["session"].to_numpy().astype("datetime64[D]"))
    slot = rows.groupby("session").cumcount().to_numpy()
    shape = (len(sessions), int(slot.max(initial=0)) + 1)
    values = np.empty((len(sessions), QUANTILES, len(columns)))
    is_known = np.empty((len(sessions), len(columns)), dtype=bool)
    for i, column in enumerate(columns):
        table = np.full(shape, np.nan)
        table[row, slot] = rows[column]
        table.sort(axis=1)  # NaN last
        shares = shape[1] - np.isnan(table).sum(axis=1, keepdims=True)
        values[:, :, i] = np.take_along_axis(table, _pick(shares, QUANTILES), axis=1)
        is_known[:, i] = shares[:, 0] >= MIN_SHARES
    return _Summary(values, is_known)


def _standardise(summary: _Summary) -> _Summary:
    """Return the values relative to their session's median and spread.

    About the mean, the zeros of a feature that is mostly zero would shift a little every session, and any
    shift of so many equal values is a distance near 1.
    """
    centred = summary.quantiles - np.median(summary.quantiles, axis=1, keepdims=True)
    spread = np.abs(centred).mean(axis=1, keepdims=True)
    relative = np.divide(centred, spread, out=np.zeros_like(centred), where=spread != 0)
    return _Summary(relative, summary.is_known)


def _is_lacking(is_known: NDArray[np.bool_], window: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which features lack too many sessions of the window; what lies before the table counts as lacking."""
    lacking: NDArray[np.bool_] = is_known[window[window >= 0]].sum(axis=0) < MIN_USABLE * len(window)
    return lacking


def _plan_replays(summary: _Summary, today: _Windows, *, until: int) -> list[_Windows]:
    """Past weeks on which the identical check can be made, newest first; none overlaps with today's."""
    all_known = summary.is_known.all(axis=1, keepdims=True)
    newest = min(until, today.end - CURRENT_SESSIONS)
    candidates = (_Windows(end, today.gap) for end in range(newest, today.gap, -REPLAY_EVERY))
    usable = (
        replay
        for replay in candidates
        if not (_is_lacking(all_known, replay.current) | _is_lacking(all_known, replay.reference)).any()
    )
    return list(itertools.islice(usable, MAX_REPLAYS))


def _measure(summary: _Summary, checks: Sequence[_Windows]) -> NDArray[np.float64]:
    """Distance of every feature in every check, shape (len(checks), F)."""
    return np.array([_compute_distances(summary, windows) for windows in checks])


def _compute_distances(summary: _Summary, windows: _Windows) -> NDArray[np.float64]:
    is_known, count = summary.is_known.all(axis=1), summary.quantiles.shape[2]
    distances = np.zeros(count)
    if not count:
        return distances
    reference, current = (
        _pool(summary.quantiles[window[is_known[window]]])
        for window in (windows.reference[windows.reference >= 0], windows.current)
    )
    # What has one and the same value throughout has not moved; the adapter rightly refuses to judge it.
    varies = np.ptp(np.concatenate([reference, current]), axis=0) > 0
    if varies.any():
        distances[varies] = ks_distances(pd.DataFrame(reference[:, varies]), pd.DataFrame(current[:, varies]))
    return distances


def _pool(quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join the sessions of a window into one sample of each feature, shape (SAMPLE, F)."""
    sessions, levels, count = quantiles.shape
    ordered = np.sort(quantiles.reshape(sessions * levels, count).T, axis=1)
    return ordered[:, _pick(np.array(sessions * levels), SAMPLE)].T


def _pick(sizes: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Positions of `n` evenly spaced quantiles in sorted data; they follow its distribution to 1 / 2n."""
    return ((np.arange(n) + 0.5) / n * sizes).astype(np.int64)


def _conclude(
    view: str, names: Sequence[str], distances: NDArray[np.float64], ends: NDArray[np.int64]
) -> Check:
    """Rank today's furthest feature among the replays'; today's check comes first, then the replays."""
    today, past = distances[0], distances[1:]
    if len(past) < MIN_REPLAYS:
        status = Status.INSUFFICIENT_HISTORY
        message = f"{len(past)} past weeks to compare with; {MIN_REPLAYS} are needed to say what is usual."
        return Check(view, status, None, None, None, _ACTIONS[status], message)
    ratios = today / _typical(past)
    statistic, furthest = float(ratios.max()), names[int(ratios.argmax())]
    replayed = _replay_statistics(past, ends[1:])
    record = float(replayed.max())
    p_value = float((1 + (replayed >= statistic).sum()) / (1 + len(replayed)))
    # The rank at which p reaches the amber level: the third of 104 replays, the first of 52.
    threshold = float(np.sort(replayed)[-int(AMBER_P_VALUE * (1 + len(replayed)))])
    status = _grade(view, p_value=p_value, times_record=statistic / record)
    message = (
        f"{furthest} differs most: {statistic:.1f} times its usual distance from the training window. "
        f"A quiet market shows as much in {_as_rate(p_value)} checks; "
        f"the record of {len(past)} past weeks is {record:.1f} times."
    )
    return Check(view, status, statistic, p_value, threshold, _ACTIONS[status], message)


def _grade(view: str, *, p_value: float, times_record: float) -> Status:
    if p_value > AMBER_P_VALUE:
        return Status.OK
    if view == "regime":
        return Status.INFO
    return Status.RED if times_record > RED_TIMES_RECORD else Status.AMBER


def _typical(past: NDArray[np.float64]) -> NDArray[np.float64]:
    typical: NDArray[np.float64] = np.maximum(np.median(past, axis=0), NEGLIGIBLE)
    return typical


def _replay_statistics(past: NDArray[np.float64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Furthest feature of each replay, against what is typical of the replays that share no session with it.

    Today's distances had no part in what they are measured by; so must it be for every replay.
    """
    is_apart = np.abs(ends[:, None] - ends) >= CURRENT_SESSIONS
    return np.array([(row / _typical(past[apart])).max() for row, apart in zip(past, is_apart, strict=True)])


def _as_rate(p_value: float) -> str:
    return f"1 of {1 / p_value:.0f}" if p_value < 0.1 else f"{10 * p_value:.0f} of 10"


def _mention(check: Check, status: Status, names: Sequence[str]) -> Check:
    """Add features that could not be judged: silence about them would read as OK."""
    if not names:
        return check
    when = "in the newest sessions" if status is Status.ERROR else "in the training window"
    message = f"{check.message} Not judged, for want of values {when}: {', '.join(names)}."
    status = worst([check.status, status])
    return replace(check, status=status, action=_ACTIONS[status], message=message)


def _describe(names: Sequence[str], distances: NDArray[np.float64]) -> tuple[FeatureDistance, ...]:
    today, past = distances[0], distances[1:]
    if not len(past):
        return tuple(
            FeatureDistance(name, float(now), None, None) for name, now in zip(names, today, strict=True)
        )
    order = np.argsort(-today / _typical(past), kind="stable")
    typical, record = np.median(past, axis=0), past.max(axis=0)
    return tuple(
        FeatureDistance(names[i], float(today[i]), float(typical[i]), float(record[i])) for i in order
    )
