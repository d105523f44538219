"""Whether the scores still say something about what happens next.

Two yardsticks. The daily one is the rank correlation of a session's scores with the next session's returns:
noisy, but there is a new one every session. The quarterly one is what the model promises, and overlaps: 252
of them rest on four independent quarters. Where a model's skill is small, neither can tell its end from
chance in useful time, and the checks say so.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from bist_pipeline.drift.adapter import CVM_RUN_TIME, CVM_WINDOWS, cvm_statistics
from bist_pipeline.drift.distribution import as_rate
from bist_pipeline.drift.status import Check, Status
from bist_pipeline.drift.wording import NO_ACTION, tell_failure
from bist_pipeline.errors import DriftInputError
from bist_pipeline.wording import Wording, join, say, say_number

# Daily ICs that a stream is compared with; the thresholds hold for this number.
REFERENCE_ICS = 252
DAILY_ICS = 126
QUARTER_ICS = 252
# With a smaller mean daily IC, monitoring performance finds nothing in useful time (measured).
LEAST_SKILL = 0.01
MIN_SHARES = 20
# What is rarer than once in so many is said to be just that.
LEAST_OFTEN = 1_000

# From alibi-detect 0.13, `simulate_cvm_thresholds(252, simulations=40_000, seed=20260101)`, from the 21st
# step on: what a stream without drift passes once in 1,000 steps.
_FIRST = min(CVM_WINDOWS) - 1
# fmt: off
_THRESHOLDS = (
    6.31, 5.81, 5.53, 5.57, 5.43, 5.42, 5.15, 5.16, 5.26, 5.17, 5.30, 5.13, 5.21, 5.13, 4.97, 5.00,
    5.21, 5.28, 5.24, 5.01, 5.12, 5.03, 4.94, 5.09, 5.14, 5.16, 5.10, 5.06, 5.08, 4.99, 5.09, 5.00,
    5.19, 5.08, 4.99, 5.16, 5.10, 5.05, 4.96, 4.88, 5.18, 5.12, 5.74, 5.45, 5.20, 5.35, 5.25, 5.27,
    5.17, 5.26, 5.19, 5.42, 5.20, 5.43, 5.29, 5.19, 5.08, 5.25, 5.22, 5.18, 5.36, 5.21, 5.31, 5.16,
    5.23, 5.23, 5.13, 5.22, 5.14, 5.27, 5.17, 5.05, 5.04, 5.16, 5.22, 5.29, 5.23, 5.06, 5.13, 5.09,
    5.03, 5.12, 5.13, 5.25, 5.19, 5.07, 5.15, 5.09, 5.17, 5.34, 5.17, 5.31, 5.13, 5.16, 5.28, 5.08,
    5.22, 4.93, 5.15, 5.05, 5.18, 5.20, 5.09, 5.12, 5.09,
)
# fmt: on

_ACTIONS = {
    Status.OK: NO_ACTION,
    Status.INFO: Wording("none: there is too little skill to watch", "yok: izlenecek kadar isabet yok"),
    Status.INSUFFICIENT_HISTORY: Wording("none yet: collect more results", "şimdilik yok: sonuç biriktirin"),
    Status.AMBER: Wording("watch: compare with the scorecard", "izleyin: karneyle karşılaştırın"),
    Status.RED: Wording("review whether to retrain", "yeniden eğitimi değerlendirin"),
}


def compute_daily_ic(rows: pd.DataFrame) -> pd.Series:
    """Rank correlation of scores with the returns that followed, session by session.

    Parameters
    ----------
    rows : DataFrame
        `session`, `score` and `excess`, the return to the next session; rows without a return do not count.

    Returns
    -------
    Series
        Indexed by session, in order; without sessions of fewer than 20 shares or without any spread.
    """
    known = rows.dropna(subset=["score", "excess"])
    by_session = known.groupby("session")
    ranks = by_session[["score", "excess"]].rank()
    centred = ranks - ranks.groupby(known["session"]).transform("mean")
    sums = (
        pd.DataFrame(
            {
                "both": centred["score"] * centred["excess"],
                "score": centred["score"] ** 2,
                "excess": centred["excess"] ** 2,
            }
        )
        .groupby(known["session"])
        .sum()
    )
    is_usable = (by_session.size() >= MIN_SHARES) & (sums["score"] > 0) & (sums["excess"] > 0)
    sums = sums[is_usable]
    ic: pd.Series = sums["both"] / np.sqrt(sums["score"] * sums["excess"])
    return ic.rename("ic")


def check_performance(
    reference: NDArray[np.float64],
    since_champion: NDArray[np.float64],
    *,
    daily: NDArray[np.float64],
    quarterly: NDArray[np.float64],
    horizon: int,
) -> tuple[Check, Check, Check]:
    """Judge the newest results.

    Parameters
    ----------
    reference : array, shape (n_reference,)
        Daily ICs before the champion, oldest first: of models of its recipe on sessions that they had not
        seen. What the champion itself learned from would look better than anything to come.
    since_champion : array
        Daily ICs of published scores since the champion, oldest first.
    daily : array
        Daily ICs of published scores, whoever was champion, oldest first.
    quarterly : array
        ICs of published scores over the horizon, of every matured session, oldest first.
    horizon : int
        Sessions of the horizon.

    Returns
    -------
    three Checks
        `performance_change`: AMBER where alibi-detect's online detector sees other daily ICs than before, and
        their mean is lower; ERROR where it is not installed or cannot judge them. `performance_daily`: RED
        where the mean of the last 126 is negative; its p is how often a model as good as before the champion
        has so low a mean, by the normal distribution.
        `performance_quarter`: RED where the mean of the last 252 is, and states how many independent quarters
        that is.
    """
    return (
        _mention_skill(_check_change(reference, since_champion), reference),
        _mention_skill(_check_daily(daily, reference), reference),
        _check_quarter(quarterly, horizon),
    )


def cvm_thresholds() -> NDArray[np.float64]:
    """Return the thresholds of the online detector by step, NaN before its first window is full."""
    return np.concatenate([np.full(_FIRST, np.nan), _THRESHOLDS])


def _check_change(reference: NDArray[np.float64], stream: NDArray[np.float64]) -> Check:
    name, needed = "performance_change", min(CVM_WINDOWS)
    if len(reference) < REFERENCE_ICS or len(stream) < needed:
        return _insufficient(
            name,
            say(
                "{since} daily results since the champion and {before} before it; {needed} and {reference} "
                "are needed.",
                "Modelden bu yana {since}, öncesinde {before} günlük sonuç var; {needed} ve {reference} "
                "gerekir.",
                since=len(stream),
                before=len(reference),
                needed=needed,
                reference=REFERENCE_ICS,
            ),
        )
    reference = reference[-REFERENCE_ICS:]
    thresholds = cvm_thresholds()
    try:
        statistics = np.nanmax(cvm_statistics(reference, stream, thresholds=thresholds)[-1])
    except DriftInputError as error:
        return Check(name, Status.ERROR, None, None, None, NO_ACTION, tell_failure(error))
    threshold = float(thresholds[min(len(stream), len(thresholds)) - 1])
    recent = float(stream[-max(CVM_WINDOWS) :].mean())
    has_fallen = recent < reference.mean()
    status = Status.AMBER if statistics > threshold and has_fallen else Status.OK
    message = say(
        "Daily rank IC {recent} over the last {n} sessions, {before} out of sample before the champion. A "
        "quiet market passes the threshold once in {run_time} sessions.",
        "Günlük sıra IC'si son {n} seansta {recent}, modelden önce örneklem dışında {before}. Sakin bir "
        "piyasa sınırı {run_time} seansta bir aşar.",
        recent=say_number(recent, 3, signed=True),
        n=min(len(stream), max(CVM_WINDOWS)),
        before=say_number(reference.mean(), 3, signed=True),
        run_time=say_number(CVM_RUN_TIME),
    )
    return Check(name, status, float(statistics), None, threshold, _ACTIONS[status], message)


def _check_daily(daily: NDArray[np.float64], reference: NDArray[np.float64]) -> Check:
    name = "performance_daily"
    if len(daily) < DAILY_ICS:
        told = say(
            "{n} daily results; {needed} are needed.",
            "{n} günlük sonuç var; {needed} gerekir.",
            n=len(daily),
            needed=DAILY_ICS,
        )
        return _insufficient(name, told)
    mean = float(daily[-DAILY_ICS:].mean())
    status = Status.RED if mean < 0 else Status.OK
    message = say(
        "Mean daily rank IC {mean} over the last {n} sessions.",
        "Son {n} seansın ortalama günlük sıra IC'si {mean}.",
        mean=say_number(mean, 3, signed=True),
        n=DAILY_ICS,
    )
    p_value = _rarity(mean, reference)
    if p_value is not None:
        message = join([message, _say_rarity(p_value)])
    return Check(name, status, mean, p_value, 0.0, _ACTIONS[status], message)


def _rarity(mean: float, reference: NDArray[np.float64]) -> float | None:
    """How often the mean of 126 daily ICs like those of the reference is as low; None without a full one."""
    if len(reference) < REFERENCE_ICS or np.ptp(reference) == 0:
        return None
    error = reference.std(ddof=1) / np.sqrt(DAILY_ICS)
    return float(norm.cdf((mean - reference.mean()) / error))


def _say_rarity(p_value: float) -> Wording:
    if p_value < 1 / LEAST_OFTEN:
        return say(
            "A model as good as before has so low a mean in fewer than 1 of {least} half years.",
            "Eskisi kadar iyi bir modelin ortalaması bu kadar düşük {least} yarım yılın 1 tanesinden azında "
            "olur.",
            least=say_number(LEAST_OFTEN),
        )
    some, of = as_rate(p_value)
    return say(
        "A model as good as before has so low a mean in about {some} of {of} half years.",
        "Eskisi kadar iyi bir modelin ortalaması yaklaşık {of} yarım yılın {some} tanesinde bu kadar düşük "
        "olur.",
        some=some,
        of=of,
    )


def _check_quarter(quarterly: NDArray[np.float64], horizon: int) -> Check:
    name = "performance_quarter"
    independent = len(quarterly[-QUARTER_ICS:]) / horizon
    rests_on = say(
        "They overlap: that is {n} independent periods of {horizon} sessions.",
        "Bunlar örtüşür: {horizon} seanslık {n} bağımsız döneme denktir.",
        n=say_number(independent, 1),
        horizon=horizon,
    )
    if len(quarterly) < QUARTER_ICS:
        told = say(
            "{n} published sessions have matured; {needed} are needed. {rests_on}",
            "Yayımlanan {n} seansın sonucu belli; {needed} gerekir. {rests_on}",
            n=len(quarterly),
            needed=QUARTER_ICS,
            rests_on=rests_on,
        )
        return _insufficient(name, told)
    mean = float(quarterly[-QUARTER_ICS:].mean())
    status = Status.RED if mean < 0 else Status.OK
    message = say(
        "Mean rank IC {mean} over {horizon} sessions, of {n} published ones. {rests_on} Ranks without any "
        "skill are below zero in 1 of 2 such years.",
        "Yayımlanan {n} seansın {horizon} seanslık ortalama sıra IC'si {mean}. {rests_on} Hiçbir isabeti "
        "olmayan sıralama, böyle 2 yılın 1 tanesinde sıfırın altında kalır.",
        mean=say_number(mean, 3, signed=True),
        horizon=horizon,
        n=QUARTER_ICS,
        rests_on=rests_on,
    )
    return Check(name, status, mean, None, 0.0, _ACTIONS[status], message)


def _mention_skill(check: Check, reference: NDArray[np.float64]) -> Check:
    if not len(reference) or reference.mean() > LEAST_SKILL:
        return check
    told = say(
        "The model's mean daily rank IC, {mean}, is too small to be monitored: below {least} neither an "
        "alarm nor its absence says much.",
        "Modelin ortalama günlük sıra IC'si, {mean}, izlenemeyecek kadar küçük: {least} altında ne alarm ne "
        "de alarmın yokluğu bir şey söyler.",
        mean=say_number(reference.mean(), 3, signed=True),
        least=say_number(LEAST_SKILL, 2),
    )
    message = join([check.message, told])
    status = Status.INFO if check.status is Status.OK else check.status
    return replace(check, status=status, action=_ACTIONS[status], message=message)


def _insufficient(name: str, message: Wording) -> Check:
    status = Status.INSUFFICIENT_HISTORY
    return Check(name, status, None, None, None, _ACTIONS[status], message)
