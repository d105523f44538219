"""A market's features session by session, small enough to be compared a hundred times.

A session is summarised by `QUANTILES` evenly spaced quantiles of each feature over its tradable shares, and a
window is the union of its sessions. So every session counts the same, shares without a value need no
invented one, and a hundred replays of a whole market cost seconds. Each distance is within 1 / QUANTILES of
the one over all rows, and in practice much nearer; today and the replays are treated alike.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.contracts import KEY
from bist_pipeline.drift.status import NO_VERDICT
from bist_pipeline.errors import DriftInputError
from bist_pipeline.wording import say

QUANTILES = 64  # of a session
SAMPLE = 500  # of a window
MIN_SHARES = 20

Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class Summary:
    """What the features of a range of sessions looked like.

    Parameters
    ----------
    columns : tuple of str
        The F features.
    sessions : array of datetime64[D], shape (T,)
        In order.
    quantiles : array of float64, shape (T, QUANTILES, F)
        Ascending along the second axis.
    is_known : array of bool, shape (T, F)
        Where enough shares had a value for the quantiles to mean anything.
    missing : array of float64, shape (T, F)
        Share of the tradable shares without a value; NaN where no share was tradable.
    """

    columns: tuple[str, ...]
    sessions: Days
    quantiles: NDArray[np.float64]
    is_known: NDArray[np.bool_]
    missing: NDArray[np.float64]

    def only(self, columns: Sequence[str]) -> Summary:
        """Return the summary of some of the features."""
        kept = [self.columns.index(name) for name in columns]
        return Summary(
            tuple(columns),
            self.sessions,
            quantiles=self.quantiles[:, :, kept],
            is_known=self.is_known[:, kept],
            missing=self.missing[:, kept],
        )

    def locate(self, day: dt.date) -> int:
        """Position of a session.

        Raises
        ------
        DriftInputError
            If the table had no row of it.
        """
        position = int(np.searchsorted(self.sessions, np.datetime64(day, "D")))
        if position == len(self.sessions) or self.sessions[position] != np.datetime64(day, "D"):
            raise lacks_session(day)
        return position


def summarise(features: pd.DataFrame, columns: Sequence[str], *, until: dt.date) -> Summary:
    """Summarise every session of a feature table up to a day.

    Parameters
    ----------
    features : DataFrame, shape (n_rows, >= 4)
        Long table with `session`, `symbol`, `tradable` (bool) and `columns`: numbers, NaN where unknown.
        Later rows are ignored.
    columns : sequence of str
        The features to summarise.
    until : date
        Newest session to look at.

    Raises
    ------
    DriftInputError
        If columns are missing, or a share has two rows on a session.
    """
    require_columns(features, columns, until=until)
    rows = features[features["session"] <= pd.Timestamp(until)]
    require_single_rows(rows, until=until)
    sessions = np.unique(rows["session"].to_numpy().astype("datetime64[D]"))
    rows = rows[rows["tradable"].to_numpy(dtype=bool)]
    row = np.searchsorted(sessions, rows["session"].to_numpy().astype("datetime64[D]"))
    slot = rows.groupby("session").cumcount().to_numpy()
    shape = (len(sessions), int(slot.max(initial=0)) + 1)
    values = np.empty((len(sessions), QUANTILES, len(columns)))
    known = np.empty((len(sessions), len(columns)))
    for i, column in enumerate(columns):
        table = np.full(shape, np.nan)
        table[row, slot] = rows[column]
        table.sort(axis=1)  # NaN last
        shares = shape[1] - np.isnan(table).sum(axis=1, keepdims=True)
        values[:, :, i] = np.take_along_axis(table, _spread(shares, QUANTILES), axis=1)
        known[:, i] = shares[:, 0]
    listed = np.bincount(row, minlength=len(sessions)).astype(float)[:, None]
    missing = np.divide(listed - known, listed, out=np.full_like(known, np.nan), where=listed > 0)
    return Summary(tuple(columns), sessions, values, known >= MIN_SHARES, missing)


def centre(summary: Summary) -> Summary:
    """Return the values less their session's median.

    About the mean, the zeros of a feature that is mostly zero would shift a little every session, and any
    shift of so many equal values is a distance near 1.
    """
    median = np.median(summary.quantiles, axis=1, keepdims=True)
    return replace(summary, quantiles=summary.quantiles - median)


def standardise(summary: Summary) -> Summary:
    """Return the values relative to their session's median and spread."""
    centred = centre(summary).quantiles
    spread = np.abs(centred).mean(axis=1, keepdims=True)
    relative = np.divide(centred, spread, out=np.zeros_like(centred), where=spread != 0)
    return replace(summary, quantiles=relative)


def pool(summary: Summary, window: NDArray[np.int64]) -> NDArray[np.float64]:
    """Join the known sessions of a window into one sorted sample of each feature, shape (SAMPLE, F).

    Parameters
    ----------
    summary : Summary
    window : array of int
        Positions of sessions; negative ones lie before the table and do not count.
    """
    window = window[window >= 0]
    window = window[summary.is_known[window].all(axis=1)]
    levels, count = summary.quantiles.shape[1:]
    ordered = np.sort(summary.quantiles[window].reshape(len(window) * levels, count).T, axis=1)
    return ordered[:, _spread(np.array(len(window) * levels), SAMPLE)].T


def lacks_session(day: dt.date) -> DriftInputError:
    """Make the error of a feature table without the session to judge."""
    return DriftInputError(
        say(
            "The feature table has no rows of {day}.",
            "Özellik tablosunda {day} seansının satırı yok.",
            day=day,
        ),
        consequence=NO_VERDICT,
        next_step=f"bist features --session {day}",
    )


def require_watched(watched: Iterable[str], present: Iterable[str]) -> None:
    """Refuse features that are not exactly those a calibration watches (DriftInputError)."""
    differing = {*watched} ^ {*present}
    if differing:
        raise DriftInputError(
            say(
                "The champion's calibration watches other features than there are: {n} differ.",
                "Modelin kayma ayarı, var olanlardan başka özellikleri izliyor: {n} tanesi farklı.",
                n=len(differing),
            ),
            which=sorted(differing),
            consequence=NO_VERDICT,
            next_step="bist train (a new champion gets a new calibration)",
        )


def require_columns(features: pd.DataFrame, columns: Sequence[str], *, until: dt.date) -> None:
    """Refuse a feature table that lacks a key, `tradable` or one of the columns (DriftInputError)."""
    absent = [column for column in (*KEY, "tradable", *columns) if column not in features]
    if absent:
        raise DriftInputError(
            say(
                "The feature table lacks {n} of the columns to judge.",
                "Özellik tablosunda denetlenecek sütunlardan {n} tanesi eksik.",
                n=len(absent),
            ),
            which=absent,
            consequence=NO_VERDICT,
            next_step=f"bist features --session {until}",
        )


def require_single_rows(rows: pd.DataFrame, *, until: dt.date) -> None:
    """Refuse a table in which a share has two rows on one session (DriftInputError)."""
    repeated = rows.loc[rows.duplicated(KEY), "symbol"].unique()
    if len(repeated):
        raise DriftInputError(
            say(
                "{n} shares have more than one row of features on the same session.",
                "{n} hissenin aynı seansta birden çok özellik satırı var.",
                n=len(repeated),
            ),
            which=sorted(repeated),
            consequence=NO_VERDICT,
            next_step=f"bist features --session {until}",
        )


def _spread(sizes: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Positions of `n` evenly spaced quantiles in sorted data; they follow its distribution to 1 / 2n."""
    return ((np.arange(n) + 0.5) / n * sizes).astype(np.int64)
