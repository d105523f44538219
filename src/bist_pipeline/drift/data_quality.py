"""Whether the newest session is fit to be scored: seven deterministic rules over the daily prices.

Only such rules may stop scoring, because a person can look at what they found and agree. Single shares that
break a rule are named, to be set aside, and stop nothing. A rule that lacks the history to judge says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.contracts import KEY, PRICE_COLUMNS
from bist_pipeline.drift.findings import Finding, QualityReport, judge, not_judged
from bist_pipeline.drift.status import NO_VERDICT, Status
from bist_pipeline.errors import DriftInputError
from bist_pipeline.market.cleaning import find_repeated_bars
from bist_pipeline.market.limits import compute_price_limits
from bist_pipeline.market.panel import Mask, Panel, build_panel
from bist_pipeline.wording import Wording, join, say, say_number, say_percent

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

_NO_PRICE = Wording("No share has a price.", "Hiçbir hissenin fiyatı yok.")
_NO_SESSION_BEFORE = Wording(
    "there is no session before to compare with.", "karşılaştırılacak önceki bir seans yok."
)
_ALL_COLUMNS = Wording(
    "All price columns are there, and differ from share to share.",
    "Bütün fiyat sütunları yerinde ve hisseden hisseye değişiyor.",
)


def check_session(
    prices: pd.DataFrame,
    *,
    session: dt.date,
    sessions: NDArray[np.datetime64],
    stopped: Collection[dt.date] = (),
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
    stopped : collection of date
        Earlier sessions that a check stopped and nobody released. Their bars are no yardstick: "the session
        before" is the last one that was good, and a fault that lasts never becomes what is usual.

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
    good = _leave_out(sessions, stopped, session=session)
    bars, known = _select_history(prices, session=session, sessions=good)
    rows, columns = _check_rows(bars, known), _check_columns(bars, known)
    if columns.status is Status.BLOCK:
        return QualityReport(session, (rows, columns))
    panel = build_panel(bars, known[-USUAL_SESSIONS - 1 :].to_numpy().astype("datetime64[D]"))
    others = (
        check_missing(bars, session=session, min_history=dict.fromkeys(PRICE_COLUMNS, 0)),
        _check_unchanged(panel),
        _check_moves(panel, _sessions_apart(sessions, known)),
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
            say(
                "The table to check for missing values has no row of {day}.",
                "Eksik değerleri aranacak tabloda {day} seansının satırı yok.",
                day=session,
            ),
            consequence=NO_VERDICT,
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
        return not_judged(
            "missing_values",
            say(
                "{few} of {all} columns have under {needed} sessions to say how many missing values are "
                "usual.",
                "{all} sütunun {few} tanesinde, kaç eksik değerin olağan olduğunu söyleyecek {needed} seans "
                "yok.",
                few=(~judged).sum(),
                all=len(judged),
                needed=MIN_RECORD_SESSIONS,
            ),
        )
    allowed = before.max() + MAX_ABOVE_RECORD
    column = (now - allowed).idxmax()
    return judge(
        "missing_values",
        now[column],
        allowed[column],
        symbols,
        is_alarm=now[column] > allowed[column],
        message=say(
            "{column} is missing for {now} of the shares that should have it; "
            "in the two years before it was never more than {before}.",
            "{column}: değeri olması gereken hisselerin {now} kadarında eksik; önceki iki yılda hiç {before} "
            "üstüne çıkmamıştı.",
            column=column,
            now=say_percent(now[column]),
            before=say_percent(before[column].max()),
        ),
    )


def _select_history(
    prices: pd.DataFrame, *, session: dt.date, sessions: NDArray[np.datetime64]
) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    """Return the bars on calendar sessions up to `session`, and those sessions from the first bar on."""
    _require_columns(prices, KEY)
    calendar = pd.DatetimeIndex(sessions)
    day = pd.Timestamp(session)
    if day not in calendar:
        told = say(
            "{day} is no session of the trading calendar.", "{day}, takvimde bir seans değil.", day=session
        )
        raise DriftInputError(told, consequence=NO_VERDICT)
    bars = prices[(prices["session"] <= day) & prices["session"].isin(calendar)]
    first = bars["session"].min() if len(bars) else day
    return bars, calendar[(calendar >= first) & (calendar <= day)]


def _leave_out(
    sessions: NDArray[np.datetime64], stopped: Collection[dt.date], *, session: dt.date
) -> NDArray[np.datetime64]:
    others = np.array([day for day in stopped if day != session], dtype="datetime64[D]")
    return sessions[~np.isin(sessions, others)]


def _sessions_apart(sessions: NDArray[np.datetime64], known: pd.DatetimeIndex) -> int:
    """Trading sessions from the session that is compared with to the judged one; 1 where none was stopped."""
    first, last = np.searchsorted(sessions, known[[-2, -1]].to_numpy()) if len(known) > 1 else (0, 1)
    return int(last - first)


def _check_rows(bars: pd.DataFrame, known: pd.DatetimeIndex) -> Finding:
    counts = bars.groupby("session").size().reindex(known[-USUAL_SESSIONS - 1 :], fill_value=0)
    before, now = counts.iloc[:-1], counts.iloc[-1]
    before = before[before > 0]
    if not now:
        return judge("rows", 0.0, MIN_COMPLETENESS, (), is_alarm=True, message=_NO_PRICE)
    if len(before) < MIN_USUAL_SESSIONS:
        return not_judged("rows", _say_too_few(len(before)))
    value = now / before.median()
    last, previous = (set(bars.loc[bars["session"] == day, "symbol"]) for day in known[[-1, -2]])
    return judge(
        "rows",
        value,
        MIN_COMPLETENESS,
        previous - last,
        is_alarm=value < MIN_COMPLETENESS,
        message=say(
            "{now} shares have prices; on a usual day {usual} do.",
            "{now} hissenin fiyatı var; olağan bir günde {usual} hissenin olur.",
            now=now,
            usual=say_number(before.median()),
        ),
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
    told = [
        (broken, "Missing, or the same for every share: {names}.", "Eksik ya da her hissede aynı: {names}."),
        (never, "Never delivered by this source: {names}.", "Bu kaynağın hiç vermediği: {names}."),
    ]
    messages = [say(en, tr, names=", ".join(names)) for names, en, tr in told if names]
    finding = judge(
        "columns",
        len(broken),
        0,
        (),
        is_alarm=bool(broken),
        message=join(messages or [_ALL_COLUMNS]),
    )
    return replace(finding, status=Status.INFO) if never and not broken else finding


def _is_blank(values: pd.Series) -> bool:
    return bool(values.nunique() < min(2, max(1, len(values))))


def _check_unchanged(panel: Panel) -> Finding:
    """Yesterday's bar again, share by share."""
    both = _has_two_closes(panel)
    if not both.any():
        return not_judged("unchanged", _NO_SESSION_BEFORE)
    same = both & find_repeated_bars(panel)[-1]
    value = same.sum() / both.sum()
    return judge(
        "unchanged",
        value,
        MAX_UNCHANGED,
        panel.symbols[same],
        is_alarm=value > MAX_UNCHANGED,
        message=say(
            "{share} of the shares repeat the price and volume of the session before.",
            "Hisselerin {share} kadarı, önceki seansın fiyat ve hacmini yineliyor.",
            share=say_percent(value),
        ),
    )


def _check_moves(panel: Panel, apart: int) -> Finding:
    """Find price changes the exchange does not allow: corporate actions not adjusted for, or bad prices.

    Over several sessions it allows a limit after the other.
    """
    both = _has_two_closes(panel)
    if not both.any():
        return not_judged("moves", _NO_SESSION_BEFORE)
    limit = compute_price_limits(panel.sessions[-1:])[0]
    lowest, highest = ((1 + sign * (limit + LIMIT_TOLERANCE)) ** apart for sign in (-1, 1))
    before, now = panel.close[-2:]
    beyond = both & ((now > highest * before) | (now < lowest * before))
    value = beyond.sum() / both.sum()
    return judge(
        "moves",
        value,
        MAX_BEYOND_LIMIT,
        panel.symbols[beyond],
        is_alarm=value > MAX_BEYOND_LIMIT,
        message=say(
            "{share} of the shares moved further than the exchange's limit of {limit} a day.",
            "Hisselerin {share} kadarı, borsanın günlük {limit} sınırından fazla oynadı.",
            share=say_percent(value),
            limit=say_percent(limit, 0),
        ),
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
        return not_judged(
            "volume",
            Wording(
                "no share has traded long enough to say which volume is usual.",
                "hiçbir hisse, olağan hacmini söyleyecek kadar uzun süre işlem görmedi.",
            ),
        )
    usual = np.nanmedian(np.where(before > 0, before, np.nan)[:, judged], axis=0)
    is_abnormal = now[judged] < TINY_VOLUME * usual
    value = is_abnormal.mean()
    return judge(
        "volume",
        value,
        MAX_ABNORMAL_VOLUME,
        panel.symbols[judged][is_abnormal],
        is_alarm=value > MAX_ABNORMAL_VOLUME,
        message=say(
            "{share} of the shares traded nothing, or under {tiny} of their usual.",
            "Hisselerin {share} kadarı hiç işlem görmedi ya da olağan hacminin {tiny} altında kaldı.",
            share=say_percent(value),
            tiny=say_percent(TINY_VOLUME, 0),
        ),
    )


def _check_young(bars: pd.DataFrame, known: pd.DatetimeIndex) -> Finding:
    """Watch for waves of new listings; shares of the table's first session count as old."""
    position = pd.Series(np.searchsorted(known, bars["session"]), index=bars.index)
    first = position.groupby(bars["symbol"]).transform("min")
    is_young = (first > 0) & (position - first < YOUNG_SESSIONS)
    shares = is_young.groupby(position).mean()
    before, now = shares.iloc[-RECORD_SESSIONS - 1 : -1], shares.iloc[-1]
    if len(before) < MIN_RECORD_SESSIONS:
        return not_judged("young", _say_too_few(len(before)))
    threshold = before.max() + MAX_ABOVE_RECORD
    return judge(
        "young",
        now,
        threshold,
        # A few new listings are nothing to set aside: they are named only when they are too many.
        bars["symbol"][is_young & (position == position.max()) & (now > threshold)],
        is_alarm=now > threshold,
        alarm=Status.AMBER,
        message=say(
            "{now} of the shares have been listed for less than half a year; "
            "in the two years before it was never more than {before}.",
            "Hisselerin {now} kadarı yarım yıldan az süredir borsada; önceki iki yılda bu pay hiç {before} "
            "üstüne çıkmamıştı.",
            now=say_percent(now),
            before=say_percent(before.max()),
        ),
    )


def _say_too_few(sessions: int) -> Wording:
    return say(
        "{n} earlier sessions are too few to say what is usual.",
        "önceki {n} seans, neyin olağan olduğunu söylemeye yetmez.",
        n=sessions,
    )


def _require_columns(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    absent = [column for column in columns if column not in frame]
    if absent:
        raise DriftInputError(
            say(
                "A table to check lacks {n} of its columns.",
                "Denetlenecek tablonun {n} sütunu eksik.",
                n=len(absent),
            ),
            which=absent,
            consequence=NO_VERDICT,
        )
