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

from bist_pipeline.drift.adapter import CVM_RUN_TIME, CVM_WINDOWS, cvm_statistics
from bist_pipeline.drift.status import Check, Status

# Daily ICs that a stream is compared with; the thresholds hold for this number.
REFERENCE_ICS = 252
DAILY_ICS = 126
QUARTER_ICS = 252
# With a smaller mean daily IC, monitoring performance finds nothing in useful time (measured).
LEAST_SKILL = 0.01
MIN_SHARES = 20

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
    Status.OK: "none",
    Status.INFO: "none: there is too little skill to watch",
    Status.INSUFFICIENT_HISTORY: "none yet: collect more results",
    Status.AMBER: "watch: compare with the scorecard",
    Status.RED: "review whether to retrain",
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
        Daily ICs of the champion's scores on sessions before it, oldest first.
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
        their mean is lower. `performance_daily`: RED where the mean of the last 126 is negative.
        `performance_quarter`: RED where the mean of the last 252 is, and states how many independent quarters
        that is.
    """
    return (
        _mention_skill(_check_change(reference, since_champion), reference),
        _mention_skill(_check_daily(daily), reference),
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
            f"{len(stream)} daily results since the champion and {len(reference)} before it; "
            f"{needed} and {REFERENCE_ICS} are needed.",
        )
    reference = reference[-REFERENCE_ICS:]
    thresholds = cvm_thresholds()
    statistics = np.nanmax(cvm_statistics(reference, stream, thresholds=thresholds)[-1])
    threshold = float(thresholds[min(len(stream), len(thresholds)) - 1])
    recent = float(stream[-max(CVM_WINDOWS) :].mean())
    has_fallen = recent < reference.mean()
    status = Status.AMBER if statistics > threshold and has_fallen else Status.OK
    message = (
        f"Daily rank IC {recent:+.3f} over the last {min(len(stream), max(CVM_WINDOWS))} sessions, "
        f"{reference.mean():+.3f} before the champion. A quiet market passes the threshold once in "
        f"{CVM_RUN_TIME:,} sessions."
    )
    return Check(name, status, float(statistics), None, threshold, _ACTIONS[status], message)


def _check_daily(daily: NDArray[np.float64]) -> Check:
    name = "performance_daily"
    if len(daily) < DAILY_ICS:
        return _insufficient(name, f"{len(daily)} daily results; {DAILY_ICS} are needed.")
    mean = float(daily[-DAILY_ICS:].mean())
    status = Status.RED if mean < 0 else Status.OK
    message = f"Mean daily rank IC {mean:+.3f} over the last {DAILY_ICS} sessions."
    return Check(name, status, mean, None, 0.0, _ACTIONS[status], message)


def _check_quarter(quarterly: NDArray[np.float64], horizon: int) -> Check:
    name = "performance_quarter"
    independent = len(quarterly[-QUARTER_ICS:]) / horizon
    rests_on = f"They overlap: that is {independent:.1f} independent periods of {horizon} sessions."
    if len(quarterly) < QUARTER_ICS:
        return _insufficient(
            name, f"{len(quarterly)} published sessions have matured; {QUARTER_ICS} are needed. {rests_on}"
        )
    mean = float(quarterly[-QUARTER_ICS:].mean())
    status = Status.RED if mean < 0 else Status.OK
    message = f"Mean rank IC {mean:+.3f} over {horizon} sessions, of {QUARTER_ICS} published ones. {rests_on}"
    return Check(name, status, mean, None, 0.0, _ACTIONS[status], message)


def _mention_skill(check: Check, reference: NDArray[np.float64]) -> Check:
    if not len(reference) or reference.mean() > LEAST_SKILL:
        return check
    message = (
        f"{check.message} The model's mean daily rank IC, {reference.mean():+.3f}, is too small to "
        f"be monitored: below {LEAST_SKILL} neither an alarm nor its absence says much."
    )
    status = Status.INFO if check.status is Status.OK else check.status
    return replace(check, status=status, action=_ACTIONS[status], message=message)


def _insufficient(name: str, message: str) -> Check:
    status = Status.INSUFFICIENT_HISTORY
    return Check(name, status, None, None, None, _ACTIONS[status], message)
