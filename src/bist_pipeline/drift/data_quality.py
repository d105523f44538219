"""Whether the newest session is fit to be scored: seven deterministic rules over the daily prices.

Only such rules may stop scoring, because a person can look at what they found and agree. Single shares that
break a rule are named, to be set aside, and stop nothing. A rule that lacks the history to judge says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.contracts import KEY, PRICE_COLUMNS
from bist_pipeline.drift.status import NO_VERDICT, Status, worst
from bist_pipeline.errors import DriftInputError
from bist_pipeline.market.limits import compute_price_limits
from bist_pipeline.market.panel import Mask, Panel, build_panel

USUAL_SESSIONS = 60  # What is usual is the median of a quarter,
MIN_USUAL_SESSIONS = 20  # or of a month while there is no more.
RECORD_SESSIONS = 504  # What has happened before is looked for in two years,
MIN_RECORD_SESSIONS = 126  # or in half a year.
YOUNG_SESSIONS = 126  # Younger shares are neither trained on nor ranked.

MIN_COMPLETENESS = 0.90
MAX_ABOVE_RECORD = 0.05
MAX_UNCHANGED = 0.05
MAX_BEYOND_LIMIT = 0.05
MAX_ABNORMAL_VOLUME = 0.20
TINY_VOLUME = 0.05

# Rounding and later adjustment carry honest moves this far beyond the exchange's limit (measured 2020-2024).
LIMIT_TOLERANCE = 0.02


@dataclass(frozen=True)
class Finding:
    """What one rule found.

    Parameters
    ----------
    rule : str
        Name of the rule.
    status : Status
        OK, INFO (single shares to set aside), AMBER, BLOCK or INSUFFICIENT_HISTORY.
    value, threshold : float
        What was measured, and beyond what it alarms; None where the rule could not judge.
    symbols : tuple of str
        The shares concerned, sorted.
    message : str
        One sentence for people.
    """

    rule: str
    status: Status
    value: float | None
    threshold: float | None
    symbols: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class QualityReport:
    """What every rule found on one session."""

    session: dt.date
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """Status of the most urgent finding."""
        return worst(finding.status for finding in self.findings)

    def as_json(self) -> list[dict[str, object]]:
        """Return every rule with what it found, in plain JSON types."""
        return [
            {
                "rule": finding.rule,
                "status": finding.status.value,
                "count": len(finding.symbols),
                "symbols": list(finding.symbols),
                "message": finding.message,
            }
            for finding in self.findings
        ]

    def having(self, status: Status) -> tuple[Finding, ...]:
        """Return the findings of exactly this status."""
        return tuple(finding for finding in self.findings if finding.status is status)


def check_session(
    prices: pd.DataFrame, *, session: dt.date, sessions: NDArray[np.datetime64]
) -> QualityReport:
    """Judge one session of a price table by the deterministic rules.

    Parameters
    ----------
    prices : DataFrame, shape (n_bars, >= 2)
        Long prices as they arrived, before any cleaning, with the history up to `session`. Later bars and
        bars on days that are no session are ignored.
    session : date
        The session to judge.
    sessions : array of datetime64[D]
        The exchange's trading calendar: "the session before" and every age are counted in it.

    Returns
    -------
    QualityReport
        The findings `rows columns missing_values unchanged moves volume young`, in this order; only the first
        two where a column has no content, because the others could not be trusted then.

    Raises
    ------
    DriftInputError
        If `session` is not in the calendar, or a key column is missing.
    ContractError
        If a share has two bars on one session.
    """
    bars, known = _select_history(prices, session=session, sessions=sessions)
    rows, columns = _check_rows(bars, known), _check_columns(bars, known)
    if columns.status is Status.BLOCK:
        return QualityReport(session, (rows, columns))
    panel = build_panel(bars, known[-USUAL_SESSIONS - 1 :].to_numpy().astype("datetime64[D]"))
    others = (
        check_missing(bars, session=session, min_history=dict.fromkeys(PRICE_COLUMNS, 0)),
        _check_unchanged(panel),
        _check_moves(panel),
        _check_volume(panel),
        _check_young(bars, known),
    )
    return QualityReport(session, (rows, columns, *others))


def check_missing(frame: pd.DataFrame, *, session: dt.date, min_history: Mapping[str, int]) -> Finding:
    """Compare the share of missing values with the highest of the two years before.

    Parameters
    ----------
    frame : DataFrame, shape (n_rows, >= 3)
        Long table with `session`, `symbol` and the judged columns, with the history up to `session`.
    session : date
        The session to judge.
    min_history : mapping of str to int
        The columns to judge, and how many sessions a share must have been in the table before a value is due.

    Returns
    -------
    Finding
        Rule `missing_values`: BLOCK where a column lacks more than its record plus 5 points. `value` and
        `threshold` are those of the column furthest beyond, or nearest to, its threshold.

    Raises
    ------
    DriftInputError
        If the table lacks one of the columns, or has no row of the session.
    """
    _require_columns(frame, [*KEY, *min_history])
    frame = frame[frame["session"] <= pd.Timestamp(session)]
    if frame.empty or frame["session"].max() != pd.Timestamp(session):
        raise DriftInputError(
            f"The table to check for missing values has no row of {session}.", consequence=NO_VERDICT
        )
    position = pd.Series(np.unique(frame["session"], return_inverse=True)[1], index=frame.index)
    age = position - position.groupby(frame["symbol"]).transform("min")
    recent = position >= position.max() - RECORD_SESSIONS
    frame, position, age = frame[recent], position[recent], age[recent]
    missing = pd.DataFrame(
        {column: frame[column].isna().astype(float).where(age >= due) for column, due in min_history.items()}
    )
    today = position == position.max()
    symbols = frame["symbol"][today & (missing == 1).any(axis=1)]
    return _judge_missing(missing.groupby(position).mean(), symbols)


def _judge_missing(shares: pd.DataFrame, symbols: Iterable[str]) -> Finding:
    before, now = shares.iloc[:-1], shares.iloc[-1]
    judged = (before.count() >= MIN_RECORD_SESSIONS) & now.notna()
    if not judged.all():
        return _insufficient(
            "missing_values",
            f"{(~judged).sum()} of {len(judged)} columns have under {MIN_RECORD_SESSIONS} sessions to say "
            "how many missing values are usual.",
        )
    allowed = before.max() + MAX_ABOVE_RECORD
    column = (now - allowed).idxmax()
    return _judge(
        "missing_values",
        now[column],
        allowed[column],
        symbols,
        is_alarm=now[column] > allowed[column],
        message=f"{column} is missing for {now[column]:.1%} of the shares that should have it; "
        f"in the two years before it was never more than {before[column].max():.1%}.",
    )


def _select_history(
    prices: pd.DataFrame, *, session: dt.date, sessions: NDArray[np.datetime64]
) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    """Return the bars on calendar sessions up to `session`, and those sessions from the first bar on."""
    _require_columns(prices, KEY)
    calendar = pd.DatetimeIndex(sessions)
    day = pd.Timestamp(session)
    if day not in calendar:
        raise DriftInputError(f"{session} is no session of the trading calendar.", consequence=NO_VERDICT)
    bars = prices[(prices["session"] <= day) & prices["session"].isin(calendar)]
    first = bars["session"].min() if len(bars) else day
    return bars, calendar[(calendar >= first) & (calendar <= day)]


def _check_rows(bars: pd.DataFrame, known: pd.DatetimeIndex) -> Finding:
    counts = bars.groupby("session").size().reindex(known[-USUAL_SESSIONS - 1 :], fill_value=0)
    before, now = counts.iloc[:-1], counts.iloc[-1]
    before = before[before > 0]
    if not now:
        return _judge("rows", 0.0, MIN_COMPLETENESS, (), is_alarm=True, message="No share has a price.")
    if len(before) < MIN_USUAL_SESSIONS:
        return _insufficient("rows", f"{len(before)} earlier sessions are too few to say what is usual.")
    value = now / before.median()
    last, previous = (set(bars.loc[bars["session"] == day, "symbol"]) for day in known[[-1, -2]])
    return _judge(
        "rows",
        value,
        MIN_COMPLETENESS,
        previous - last,
        is_alarm=value < MIN_COMPLETENESS,
        message=f"{now} shares have prices; on a usual day {before.median():.0f} do.",
    )


def _check_columns(bars: pd.DataFrame, known: pd.DatetimeIndex) -> Finding:
    """Refuse columns that are absent, or suddenly empty or the same for every share.

    A feed that never had volumes, or anything but closes, is poor but not broken.
    """
    today = bars[bars["session"] == known[-1]]
    before = bars[bars["session"].isin(known[-USUAL_SESSIONS - 1 : -1])]
    blank = [column for column in PRICE_COLUMNS if column not in bars or _is_blank(today[column])]
    never = [column for column in blank if column in bars and column != "close" and _is_blank(before[column])]
    broken = [column for column in blank if column not in never]
    messages = {
        f"Missing, or the same for every share: {', '.join(broken)}.": broken,
        f"Never delivered by this source: {', '.join(never)}.": never,
        "All price columns are there, and differ from share to share.": not blank,
    }
    finding = _judge(
        "columns",
        len(broken),
        0,
        (),
        is_alarm=bool(broken),
        message=" ".join(message for message, applies in messages.items() if applies),
    )
    return replace(finding, status=Status.INFO) if never and not broken else finding


def _is_blank(values: pd.Series) -> bool:
    return bool(values.nunique() < min(2, max(1, len(values))))


def _check_unchanged(panel: Panel) -> Finding:
    """Yesterday's bar again: nobody trades to the same price and the very same volume two days running."""
    both = _has_two_closes(panel)
    if not both.any():
        return _insufficient("unchanged", "there is no session before to compare with.")
    same = both & (panel.close[-1] == panel.close[-2]) & (panel.volume[-1] == panel.volume[-2])
    same &= panel.volume[-1] > 0
    value = same.sum() / both.sum()
    return _judge(
        "unchanged",
        value,
        MAX_UNCHANGED,
        panel.symbols[same],
        is_alarm=value > MAX_UNCHANGED,
        message=f"{value:.1%} of the shares repeat the price and volume of the session before.",
    )


def _check_moves(panel: Panel) -> Finding:
    """Find price changes the exchange does not allow: corporate actions not adjusted for, or bad prices."""
    both = _has_two_closes(panel)
    if not both.any():
        return _insufficient("moves", "there is no session before to compare with.")
    limit = compute_price_limits(panel.sessions[-1:])[0]
    move = panel.close[-1] - panel.close[-2]
    beyond = both & (np.abs(move) > (limit + LIMIT_TOLERANCE) * panel.close[-2])
    value = beyond.sum() / both.sum()
    return _judge(
        "moves",
        value,
        MAX_BEYOND_LIMIT,
        panel.symbols[beyond],
        is_alarm=value > MAX_BEYOND_LIMIT,
        message=f"{value:.1%} of the shares moved further than the exchange's limit of {limit:.0%} a day.",
    )


def _has_two_closes(panel: Panel) -> Mask:
    """Which shares have a positive close on the judged session and on the one before it."""
    both: Mask = (panel.close[-2:] > 0).sum(axis=0) == 2
    return both


def _check_volume(panel: Panel) -> Finding:
    """Compare the volume of every share that has a price with what is usual for it."""
    before, now = panel.volume[:-1], np.nan_to_num(panel.volume[-1])
    judged = np.isfinite(panel.close[-1]) & ((before > 0).sum(axis=0) >= MIN_USUAL_SESSIONS)
    if not judged.any():
        return _insufficient("volume", "no share has traded long enough to say which volume is usual.")
    usual = np.nanmedian(np.where(before > 0, before, np.nan)[:, judged], axis=0)
    is_abnormal = now[judged] < TINY_VOLUME * usual
    value = is_abnormal.mean()
    return _judge(
        "volume",
        value,
        MAX_ABNORMAL_VOLUME,
        panel.symbols[judged][is_abnormal],
        is_alarm=value > MAX_ABNORMAL_VOLUME,
        message=f"{value:.1%} of the shares traded nothing, or under {TINY_VOLUME:.0%} of their usual.",
    )


def _check_young(bars: pd.DataFrame, known: pd.DatetimeIndex) -> Finding:
    """Watch for waves of new listings; shares of the table's first session count as old."""
    position = pd.Series(np.searchsorted(known, bars["session"]), index=bars.index)
    first = position.groupby(bars["symbol"]).transform("min")
    is_young = (first > 0) & (position - first < YOUNG_SESSIONS)
    shares = is_young.groupby(position).mean()
    before, now = shares.iloc[-RECORD_SESSIONS - 1 : -1], shares.iloc[-1]
    if len(before) < MIN_RECORD_SESSIONS:
        return _insufficient("young", f"{len(before)} earlier sessions are too few to say what is usual.")
    threshold = before.max() + MAX_ABOVE_RECORD
    return _judge(
        "young",
        now,
        threshold,
        # A few new listings are nothing to set aside: they are named only when they are too many.
        bars["symbol"][is_young & (position == position.max()) & (now > threshold)],
        is_alarm=now > threshold,
        alarm=Status.AMBER,
        message=f"{now:.1%} of the shares have been listed for less than half a year; "
        f"in the two years before it was never more than {before.max():.1%}.",
    )


def _judge(
    rule: str,
    value: float,
    threshold: float,
    symbols: Iterable[str],
    *,
    is_alarm: bool,
    alarm: Status = Status.BLOCK,
    message: str,
) -> Finding:
    concerned = tuple(sorted(symbols))
    harmless = Status.INFO if concerned else Status.OK
    return Finding(rule, alarm if is_alarm else harmless, float(value), float(threshold), concerned, message)


def _insufficient(rule: str, message: str) -> Finding:
    return Finding(rule, Status.INSUFFICIENT_HISTORY, None, None, (), f"Not judged: {message}")


def _require_columns(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    absent = [column for column in columns if column not in frame]
    if absent:
        raise DriftInputError(
            f"A table to check lacks {len(absent)} of its columns.", which=absent, consequence=NO_VERDICT
        )
