"""Whether the newest values still look like those the champion learned from.

The measure is alibi-detect's Kolmogorov-Smirnov distance between the last 21 sessions and the champion's
training window. Its textbook p-value is useless here: the shares of one session move together, and so do
neighbouring sessions, so it alarms nearly always. Instead the identical check is replayed on past weeks, with
the same gap between the two windows, and today's distance is ranked among theirs.

`features` and `scores` look at each session's values relative to their own median and spread: what changes
there is the data or the way shares differ, and the model is concerned. `regime` looks at how far the daily
returns of the shares lie apart, `regime_change` at the same against shortly before, `score_spread` at how far
their scores lie apart: whether the market is calmer or wilder than in training, or has just become so, is
worth knowing, and no fault. Each is one measure alone: in a maximum over all raw features it would drown, for
most of them follow the level of the market, which wanders.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.drift.adapter import ks_distances
from bist_pipeline.drift.effects import population_stability, wasserstein
from bist_pipeline.drift.replays import (
    AGE_STEP,
    AGES,
    CURRENT_SESSIONS,
    VIEWS,
    Replays,
    is_lacking,
    mean_missing,
    pool_known,
)
from bist_pipeline.drift.status import NO_VERDICT, Check, Status, worst
from bist_pipeline.drift.summary import Summary, require_watched
from bist_pipeline.drift.wording import NO_ACTION, call_feature, call_features
from bist_pipeline.errors import DriftInputError
from bist_pipeline.wording import Wording, join, say, say_number

MIN_REPLAYS = 52
# Smaller distances are read as this one: a feature that never moves must not alarm at its first tremor.
NEGLIGIBLE = 0.03

AMBER_P_VALUE = 0.03
RED_TIMES_RECORD = 2.0
# What is worth knowing and no fault.
INFORMING = ("regime", "regime_change", "score_spread")

_ACTIONS = {
    Status.OK: NO_ACTION,
    Status.INFO: Wording("none: know that the market has changed", "yok: piyasanın değiştiğini bilin"),
    Status.INSUFFICIENT_HISTORY: Wording("none yet: collect more sessions", "şimdilik yok: seans biriktirin"),
    Status.AMBER: Wording(
        "watch: a second week in a row is a warning", "izleyin: üst üste ikinci hafta bir uyarıdır"
    ),
    Status.RED: Wording("review whether to retrain", "yeniden eğitimi değerlendirin"),
    Status.ERROR: Wording(
        "repair the features, then check again", "özellikleri onarın, sonra yeniden denetleyin"
    ),
}


@dataclass(frozen=True)
class FeatureDistance:
    """How far one feature is from the training window, then what it looked like there and looks like now.

    `typical` and `record` are the median distance of the replays, or what is negligible if that is more, and
    the largest; None without any. Medians, interquartile ranges and shares of missing values are those of the
    raw values; `psi` and `wasserstein` are effect sizes of the standardised ones and alarm nobody.
    """

    feature: str
    distance: float
    typical: float | None
    record: float | None
    median_then: float
    median_now: float
    iqr_then: float
    iqr_now: float
    missing_then: float
    missing_now: float
    psi: float
    wasserstein: float


@dataclass(frozen=True)
class FeatureDriftReport:
    """Outcome of a check, and what is behind it.

    `features` holds the distances, the most unusual first, without those that cannot be judged; `replays` is
    the number of past weeks they are compared with.
    """

    check: Check
    features: tuple[FeatureDistance, ...]
    reference_first: dt.date
    reference_last: dt.date
    replays: int


def check_distribution(
    replays: Replays,
    current: Summary,
    *,
    name: str,
    session: dt.date,
    age_sessions: int,
) -> FeatureDriftReport:
    """Compare the newest values with the champion's training window, and with past comparisons.

    Parameters
    ----------
    replays : Replays
        From `build_replays`, frozen with the champion.
    current : Summary
        Of the columns of the replays, judged and unjudged; needs the 21 sessions up to `session`.
    name : str
        What to call the check; those of `INFORMING` never alarm.
    session : date
        Last of the 21 sessions judged.
    age_sessions : int
        Sessions since the champion was trained.

    Returns
    -------
    FeatureDriftReport
        AMBER where at most 3 % of quiet weeks are as unusual, RED where it is beyond twice the record as well
        (INFO where the check only informs), ERROR where a feature has no values now, INSUFFICIENT_HISTORY
        below 52 replays.

    Raises
    ------
    DriftInputError
        If columns differ from those of the replays, `session` is not in the table or before the champion.
    """
    require_watched((*replays.columns, *replays.unjudged), current.columns)
    if age_sessions < 0:
        raise DriftInputError(
            say(
                "{session} is {n} sessions before the one on which the champion was trained.",
                "{session}, modelin eğitildiği seanstan {n} seans önce.",
                session=session,
                n=-age_sessions,
            ),
            consequence=NO_VERDICT,
        )
    window = np.arange(CURRENT_SESSIONS) + current.locate(session) - CURRENT_SESSIONS + 1
    lacks_now = is_lacking(current.only(replays.columns), window)
    kept = np.flatnonzero(~lacks_now)
    judged = current.only([replays.columns[i] for i in kept])
    age = min(age_sessions // AGE_STEP, AGES - 1)
    ends = replays.ends[age][replays.ends[age] >= 0]
    past = replays.distances[age, : len(ends)][:, kept]
    then, now = replays.reference[:, kept], pool_known(VIEWS[replays.view](judged), window)
    today = _compute_distances(judged.columns, then, now)
    check = _conclude(name, judged.columns, today, past, ends)
    check = _mention(check, Status.INSUFFICIENT_HISTORY, replays.unjudged)
    check = _mention(check, Status.ERROR, [replays.columns[i] for i in np.flatnonzero(lacks_now)])
    effects = {
        **_describe_values(judged.columns, replays.raw[:, kept], pool_known(judged, window)),
        **_measure_effects(judged.columns, then, now),
        "missing_then": replays.missing[kept],
        "missing_now": mean_missing(judged, window),
    }
    return FeatureDriftReport(
        check=check,
        features=_describe(judged.columns, today, past, effects),
        reference_first=replays.reference_first,
        reference_last=replays.reference_last,
        replays=len(ends),
    )


def _compute_distances(
    columns: Sequence[str], then: NDArray[np.float64], now: NDArray[np.float64]
) -> NDArray[np.float64]:
    distances = np.zeros(then.shape[1])
    # What has one and the same value throughout has not moved; the adapter rightly refuses to judge it.
    varies = (np.ptp(np.concatenate([then, now]), axis=0) > 0) if then.size else np.zeros(0, dtype=bool)
    if varies.any():
        names = [columns[i] for i in np.flatnonzero(varies)]
        distances[varies] = ks_distances(
            *(pd.DataFrame(values[:, varies], columns=names) for values in (then, now))
        )
    return distances


def _conclude(
    name: str,
    columns: Sequence[str],
    today: NDArray[np.float64],
    past: NDArray[np.float32],
    ends: NDArray[np.int64],
) -> Check:
    """Rank today's furthest feature among the replays'."""
    if len(past) < MIN_REPLAYS or not columns:
        status = Status.INSUFFICIENT_HISTORY
        message = say(
            "{n} past weeks to compare with; {needed} are needed to say what is usual.",
            "Karşılaştırılacak {n} geçmiş hafta var; neyin olağan olduğunu söylemek için {needed} gerekir.",
            n=len(past),
            needed=MIN_REPLAYS,
        )
        return Check(name, status, None, None, None, _ACTIONS[status], message)
    ratios = today / _typical(past)
    statistic, furthest = float(ratios.max()), columns[int(ratios.argmax())]
    replayed = _replay_statistics(past, ends)
    record = float(replayed.max())
    p_value = float((1 + (replayed >= statistic).sum()) / (1 + len(replayed)))
    # The rank at which p reaches the amber level: the third of 104 replays, the first of 52.
    threshold = float(np.sort(replayed)[-int(AMBER_P_VALUE * (1 + len(replayed)))])
    status = _grade(name, p_value=p_value, times_record=statistic / record)
    furthest_of_many = Wording("{feature} differs most: ", "En çok ayrılan: {feature}; ")
    the_only_one = Wording("{feature}: ", "{feature}: ")
    named = furthest_of_many if len(columns) > 1 else the_only_one
    message = say(
        f"{named.en}{{times}} times its usual distance from the training window. "
        "A quiet market shows as much in {some} of {of} checks; the record of {weeks} past weeks is {record} "
        "times.",
        f"{named.tr}eğitim dönemine uzaklığı olağanın {{times}} katı. Sakin bir piyasa bunu "
        "{of} denetimin {some} tanesinde gösterir; geçmiş {weeks} haftanın rekoru {record} kat.",
        feature=call_feature(furthest),
        times=say_number(statistic, 1),
        some=as_rate(p_value)[0],
        of=as_rate(p_value)[1],
        weeks=len(past),
        record=say_number(record, 1),
    )
    return Check(name, status, statistic, p_value, threshold, _ACTIONS[status], message, record)


def _grade(name: str, *, p_value: float, times_record: float) -> Status:
    if p_value > AMBER_P_VALUE:
        return Status.OK
    if name in INFORMING:
        return Status.INFO
    return Status.RED if times_record > RED_TIMES_RECORD else Status.AMBER


def _typical(past: NDArray[np.float32]) -> NDArray[np.float64]:
    typical: NDArray[np.float64] = np.maximum(np.median(past, axis=0), NEGLIGIBLE)
    return typical


def _replay_statistics(past: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Furthest feature of each replay, against what is typical of the replays that share no session with it.

    Today's distances had no part in what they are measured by; so must it be for every replay.
    """
    is_apart = np.abs(ends[:, None] - ends) >= CURRENT_SESSIONS
    return np.array([(row / _typical(past[apart])).max() for row, apart in zip(past, is_apart, strict=True)])


def as_rate(p_value: float) -> tuple[int, int]:
    """Say a p-value as so many of so many checks.

    >>> as_rate(0.03), as_rate(0.42)
    ((1, 33), (4, 10))
    """
    return (1, round(1 / p_value)) if p_value < 0.1 else (round(10 * p_value), 10)


def _mention(check: Check, status: Status, names: Sequence[str]) -> Check:
    """Add features that could not be judged: silence about them would read as OK."""
    if not names:
        return check
    is_now = status is Status.ERROR
    told = say(
        "Not judged, for want of values {when}: {names}.",
        "{when} değeri olmadığı için değerlendirilemeyen: {names}.",
        when=Wording("in the newest sessions", "En yeni seanslarda")
        if is_now
        else Wording("in the training window", "Eğitim döneminde"),
        names=call_features(names),
    )
    message = join([check.message, told])
    status = worst([check.status, status])
    return replace(check, status=status, action=_ACTIONS[status], message=message)


def _describe_values(
    columns: Sequence[str], then: NDArray[np.float64], now: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    if not columns:
        return dict.fromkeys(("median_then", "median_now", "iqr_then", "iqr_now"), np.zeros(0))
    quartiles = [np.quantile(values, [0.25, 0.5, 0.75], axis=0) for values in (then, now)]
    (low_then, median_then, high_then), (low_now, median_now, high_now) = quartiles
    return {
        "median_then": median_then,
        "median_now": median_now,
        "iqr_then": high_then - low_then,
        "iqr_now": high_now - low_now,
    }


def _measure_effects(
    columns: Sequence[str], then: NDArray[np.float64], now: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    if not columns:
        return dict.fromkeys(("psi", "wasserstein"), np.zeros(0))
    return {"psi": population_stability(then, now), "wasserstein": wasserstein(then, now)}


def _describe(
    columns: Sequence[str],
    today: NDArray[np.float64],
    past: NDArray[np.float32],
    effects: dict[str, NDArray[np.float64]],
) -> tuple[FeatureDistance, ...]:
    has_past = len(past) > 0
    typical, record = (_typical(past), past.max(axis=0)) if has_past else (today, today)
    order = np.argsort(-today / typical, kind="stable")
    return tuple(
        FeatureDistance(
            columns[i],
            float(today[i]),
            float(typical[i]) if has_past else None,
            float(record[i]) if has_past else None,
            **{name: float(values[i]) for name, values in effects.items()},
        )
        for i in order
    )
