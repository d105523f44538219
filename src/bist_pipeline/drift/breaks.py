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
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.drift.adapter import ks_distances
from bist_pipeline.drift.break_record import (
    LEVEL,
    ORDER,
    REACH,
    SHAPE,
    BreakRecord,
    Matrix,
    rank_correlation,
    relative,
    select,
)
from bist_pipeline.drift.data_quality import MAX_ABOVE_RECORD, MIN_RECORD_SESSIONS
from bist_pipeline.drift.status import Check, Status, worst
from bist_pipeline.drift.summary import MIN_SHARES, lacks_session, require_watched
from bist_pipeline.drift.wording import NO_ACTION, call_feature, call_features, tell_failure
from bist_pipeline.errors import DriftInputError
from bist_pipeline.wording import Wording, join, say, say_number, say_percent

AMBER_TIMES, RED_TIMES = 1.5, 3.0
AMBER_BELOW, RED_BELOW = 1.0, 3.0
# Smaller records are read as this: what never moved must not alarm at its first tremor.
LEAST_RECORD = 0.06
LEAST_ROOM = 0.03

_ACTIONS = {
    Status.OK: NO_ACTION,
    Status.INSUFFICIENT_HISTORY: Wording("none yet: collect more sessions", "şimdilik yok: seans biriktirin"),
    Status.AMBER: Wording(
        "look at the feature before trusting today's ranks",
        "bugünün sıralamasına güvenmeden önce özelliğe bakın",
    ),
    Status.RED: Wording(
        "scoring is held until a person releases it", "bir kişi serbest bırakana kadar puanlama bekletiliyor"
    ),
    Status.ERROR: Wording(
        "repair the features, then check again", "özellikleri onarın, sonra yeniden denetleyin"
    ),
    Status.BLOCK: Wording(
        "scoring is stopped until the features are repaired", "özellikler onarılana kadar puanlama durduruldu"
    ),
}

_NO_VALUES = Wording(
    "No feature has values on both sessions for enough shares.",
    "Hiçbir özelliğin her iki seansta da yeterince hisse için değeri yok.",
)


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


def check_break(
    record: BreakRecord,
    features: pd.DataFrame,
    columns: Mapping[str, int],
    *,
    ages: pd.Series,
    session: dt.date,
    apart: int = 1,
) -> BreakReport:
    """Compare a session with the last good one before it.

    Parameters
    ----------
    record : BreakRecord
        Frozen with the champion.
    features : DataFrame, shape (n_rows, >= 3)
        As in `build_break_record`, with the judged and the good session; older ones are ignored.
    columns : mapping of str to int
        As in `build_break_record`.
    ages : Series of int
        Sessions since the first row of every share, indexed by symbol, on `session`.
    session : date
        The session to judge.
    apart : int
        Sessions from the good one to the judged one: 1 unless those between were stopped.

    Returns
    -------
    BreakReport
        `break` is AMBER beyond 1.5 times a record of distance (or by 1 below one of order), RED beyond 3, and
        RED where the good session lies more than `REACH` back; `missing_values` BLOCKs where a feature lacks
        more than its record plus 5 points; both are ERROR with too few shares to judge, `break` also
        where alibi-detect is not installed.

    Raises
    ------
    DriftInputError
        If columns differ from those of the record, the session is not there, or a share has two rows on it.
    """
    require_watched(record.columns, columns)
    rows = select(features, list(columns), until=session, inclusive=True)
    sessions = np.unique(rows["session"])
    if not len(sessions) or sessions[-1] != np.datetime64(session, "ns"):
        raise lacks_session(session)
    before, now = (
        rows[rows["session"] == day].set_index("symbol") for day in (sessions[-2:][0], sessions[-1])
    )
    age = ages.reindex(now.index, fill_value=0).to_numpy()
    missing = _check_missing(record, now, age, columns)
    if len(sessions) < 2 or record.sessions < MIN_RECORD_SESSIONS:
        return BreakReport((_insufficient(record), missing), ())
    if apart > REACH:
        return BreakReport((_out_of_reach(apart), missing), ())
    try:
        measures, lacking = _measure_today(record, before, now, apart)
    except DriftInputError as error:  # missing values are judged all the same
        failed = Check("break", Status.ERROR, None, None, None, _ACTIONS[Status.ERROR], tell_failure(error))
        return BreakReport((failed, missing), ())
    unknown = np.array(record.columns)[np.isnan(record.level[apart - 1])].tolist()
    check = _mention_unknown(_conclude(record, measures, lacking, apart), unknown)
    return BreakReport((check, missing), tuple(measures))


def _measure_today(
    record: BreakRecord, before: pd.DataFrame, now: pd.DataFrame, apart: int
) -> tuple[list[FeatureBreak], list[str]]:
    shares = before.index.intersection(now.index)
    before, now = before.loc[shares], now.loc[shares]
    measures: list[FeatureBreak] = []
    lacking = []
    for i, name in enumerate(record.columns):
        pair = np.stack([before[name].to_numpy(np.float64), now[name].to_numpy(np.float64)])
        pair = pair[:, np.isfinite(pair).all(axis=0)]
        if np.isnan(record.level[apart - 1, i]):
            continue  # said by `_mention_unknown`
        if pair.shape[1] < MIN_SHARES:
            lacking.append(name)
        else:
            measures += _measure_feature(record, (apart - 1, i), pair)
    return sorted(measures, key=lambda m: -_urgency(m)), lacking


def _measure_feature(record: BreakRecord, i: tuple[int, int], pair: Matrix) -> list[FeatureBreak]:
    name = record.columns[i[1]]
    values, shape = _distance(name, pair), _distance(name, relative(pair))
    order = float(rank_correlation(pair[:1], pair[1:])[0])
    room = max(record.order_typical[i] - record.order[i], LEAST_ROOM)
    return [
        _grade(name, LEVEL, values, record.level[i], times=values / max(record.level[i], LEAST_RECORD)),
        _grade(name, SHAPE, shape, record.shape[i], times=shape / max(record.shape[i], LEAST_RECORD)),
        _grade(name, ORDER, order, record.order[i], times=(record.order[i] - order) / room),
    ]


def _distance(name: str, pair: Matrix) -> float:
    before, now = pair
    if np.ptp(pair) == 0:
        return 0.0  # one and the same value throughout: the adapter rightly refuses to judge it
    return float(ks_distances(pd.DataFrame({name: before}), pd.DataFrame({name: now}))[name])


def _grade(feature: str, measure: str, today: float, record: float, *, times: float) -> FeatureBreak:
    amber, red = _levels(measure)
    status = Status.RED if times > red else Status.AMBER if times > amber else Status.OK
    return FeatureBreak(feature, measure, today, float(record), float(times), status)


def _levels(measure: str) -> tuple[float, float]:
    return (AMBER_BELOW, RED_BELOW) if measure == ORDER else (AMBER_TIMES, RED_TIMES)


def _urgency(measure: FeatureBreak) -> float:
    """How far a measure is on the way to its amber level."""
    return measure.times / _levels(measure.measure)[0]


def _conclude(
    record: BreakRecord, measures: Sequence[FeatureBreak], lacking: Sequence[str], apart: int
) -> Check:
    if not measures:
        status, message = Status.ERROR, _NO_VALUES
        return Check("break", status, None, None, None, _ACTIONS[status], message)
    furthest = measures[0]
    status = worst([*(m.status for m in measures), *([Status.ERROR] if lacking else [])])
    message = _describe(furthest, record.sessions, apart)
    if lacking:
        told = say(
            "Not judged, for want of values: {names}.",
            "Değeri olmadığı için değerlendirilemeyen: {names}.",
            names=call_features(lacking),
        )
        message = join([message, told])
    threshold = _levels(furthest.measure)[0]
    return Check(
        "break", status, furthest.times, None, threshold, _ACTIONS[status], message, record=furthest.record
    )


def _mention_unknown(check: Check, unknown: Sequence[str]) -> Check:
    """Add features that had no values before the champion: silence about them would read as OK."""
    if not unknown:
        return check
    told = say(
        "Not judged, for want of values before the champion: {names}.",
        "Modelden önce değeri olmadığı için değerlendirilemeyen: {names}.",
        names=call_features(unknown),
    )
    status = worst([check.status, Status.INSUFFICIENT_HISTORY])
    return replace(check, status=status, action=_ACTIONS[status], message=join([check.message, told]))


def _describe(measure: FeatureBreak, sessions: int, apart: int) -> Wording:
    feature, since = call_feature(measure.feature), _say_since(apart)
    if measure.measure == ORDER:
        return say(
            "{feature} ranks the shares most differently from {since}: correlation {today}; "
            "in {sessions} sessions before the champion it was never below {record}.",
            "Hisseleri {since} en farklı sıralayan özellik: {feature}; korelasyon {today}, modelden "
            "önceki {sessions} seansta hiç {record} altına inmemişti.",
            feature=feature,
            today=say_number(measure.today, 3),
            sessions=sessions,
            record=say_number(measure.record, 3),
            since=since,
        )
    is_level = measure.measure == LEVEL
    return say(
        "The {of_what} of {feature} differ most from {since}: {times} times the record of "
        "{sessions} sessions before the champion.",
        "{of_what} {since} en çok ayrılan özellik: {feature}; modelden önceki {sessions} seansın "
        "rekorunun {times} katı.",
        of_what=Wording("values", "Değerleri") if is_level else Wording("shape", "Dağılımının biçimi"),
        feature=feature,
        times=say_number(measure.times, 1),
        sessions=sessions,
        since=since,
    )


def _say_since(apart: int) -> Wording:
    if apart == 1:
        return Wording("the session before", "önceki seanstan")
    return say("the last good session, {n} before", "{n} seans önceki son sağlam seanstan", n=apart)


def _out_of_reach(apart: int) -> Check:
    """Every session since was stopped: what lasts so long needs a person, and never passes by itself."""
    message = say(
        "The last good session lies {n} sessions back; how much changes in more than {reach} is not known.",
        "Son sağlam seans {n} seans geride; {reach} seanstan uzun sürede ne kadar değişeceği bilinmiyor.",
        n=apart,
        reach=REACH,
    )
    return Check("break", Status.RED, None, None, None, _ACTIONS[Status.RED], message)


def _insufficient(record: BreakRecord) -> Check:
    status = Status.INSUFFICIENT_HISTORY
    message = say(
        "{n} earlier pairs of sessions; {needed} are needed to say what is usual.",
        "Önceki {n} seans çifti var; neyin olağan olduğunu söylemek için {needed} gerekir.",
        n=record.sessions,
        needed=MIN_RECORD_SESSIONS,
    )
    return Check("break", status, None, None, None, _ACTIONS[status], message)


def _check_missing(
    record: BreakRecord, today: pd.DataFrame, age: NDArray[np.int64], columns: Mapping[str, int]
) -> Check:
    shares = np.array([today[name].isna()[age >= columns[name]].mean() for name in record.columns])
    judged = np.isfinite(shares) & np.isfinite(record.missing)
    if record.sessions < MIN_RECORD_SESSIONS or not judged.any():
        status, message = (
            Status.INSUFFICIENT_HISTORY,
            Wording(
                "Too little history to say how much is usually missing.",
                "Ne kadar değerin olağan olarak eksik olduğunu söyleyecek geçmiş yok.",
            ),
        )
        return Check("missing_values", status, None, None, None, _ACTIONS[status], message)
    beyond = np.where(judged, shares - record.missing - MAX_ABOVE_RECORD, -np.inf)
    i = int(beyond.argmax())
    name = record.columns[i]
    status = Status.BLOCK if beyond[i] > 0 else Status.OK
    lacking = today.index[today[name].isna() & (age >= columns[name])] if beyond[i] > 0 else ()
    message = say(
        "{feature} is missing for {now} of the shares old enough to have it; "
        "in {sessions} sessions before the champion it was never more than {record}.",
        "{feature}: değeri olacak kadar eski hisselerin {now} kadarında eksik; modelden önceki {sessions} "
        "seansta hiç {record} üstüne çıkmamıştı.",
        feature=call_feature(name),
        now=say_percent(shares[i]),
        sessions=record.sessions,
        record=say_percent(record.missing[i]),
    )
    check = Check(
        "missing_values",
        status,
        float(shares[i]),
        None,
        float(record.missing[i] + MAX_ABOVE_RECORD),
        _ACTIONS[status],
        message,
        record=float(record.missing[i]),
        shares=tuple(sorted(lacking)),
    )
    return _mention_unknown(check, np.array(record.columns)[np.isnan(record.missing)].tolist())
