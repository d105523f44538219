"""What a drift report tells beside the checks: how they came about, and what that does to the model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.drift.calibration import SCORE
from bist_pipeline.drift.distribution import FeatureDriftReport, check_distribution
from bist_pipeline.drift.replays import CURRENT_SESSIONS, Replays, pool_known
from bist_pipeline.drift.status import Check
from bist_pipeline.drift.summary import Summary

WEEK = 5
WEEKS_SHOWN = 26
TOP_FEATURES, DRAWN_FEATURES = 5, 3
TOP_SHARE = 0.1

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Week:
    """The feature check as it is made at the end of one week, by the present calibration."""

    session: dt.date
    check: Check
    times: Mapping[str, float]


@dataclass(frozen=True)
class Samples:
    """Values of one feature in the training window and now, sorted, in the feature's unit."""

    feature: str
    then: Values
    now: Values


@dataclass(frozen=True)
class ScoreEffect:
    """What the model makes of it.

    `spread_*` are interquartile ranges of the scores; `changed` is the share of the top tenth that was not in
    it a week before, `changed_usually` the median of that share over the weeks before, None without any.
    """

    spread_then: float
    spread_now: float
    changed: float
    changed_usually: float | None


@dataclass(frozen=True)
class FeatureStory:
    """How the features came to where they are: the newest weekly check, the weeks before it, the samples."""

    newest: FeatureDriftReport
    weeks: tuple[Week, ...]
    samples: tuple[Samples, ...]
    importance: Mapping[str, float]


def tell_features(
    replays: Replays,
    summary: Summary,
    *,
    session: dt.date,
    champion_session: dt.date,
    importance: Mapping[str, float],
) -> FeatureStory:
    """Make the weekly check for the last half year, as far as the sessions lie after the training window.

    Parameters
    ----------
    replays : Replays
        Frozen with the champion.
    summary : Summary
        Of the watched features; the longer it reaches back, the more weeks are told.
    session : date
        Of the newest weekly check.
    champion_session : date
        Session the champion was trained at. Weeks before it are compared as in its first quarter.
    importance : mapping of str to float
        Share of each feature in what moves the scores.

    Raises
    ------
    DriftInputError
        As `check_distribution`.
    """
    last = summary.locate(session)
    champion = int(np.searchsorted(summary.sessions, np.datetime64(champion_session, "D")))
    trained = int(np.searchsorted(summary.sessions, np.datetime64(replays.reference_last, "D"), side="right"))
    earliest = max(trained + CURRENT_SESSIONS - 1, last - WEEK * (WEEKS_SHOWN - 1))
    ends = list(range(last, min(earliest, last) - 1, -WEEK))[::-1]
    reports = [_check(replays, summary, end, max(end - champion, 0)) for end in ends]
    days = [summary.sessions[end].item() for end in ends]
    newest = reports[-1]
    weeks = tuple(Week(day, report.check, _times(report)) for day, report in zip(days, reports, strict=True))
    return FeatureStory(newest, weeks, _sample(replays, summary, newest, last), importance)


def _check(replays: Replays, summary: Summary, end: int, age: int) -> FeatureDriftReport:
    day = summary.sessions[end].item()
    return check_distribution(replays, summary, name="features", session=day, age_sessions=age)


def _times(report: FeatureDriftReport) -> dict[str, float]:
    return {
        found.feature: found.distance / found.typical
        for found in report.features
        if found.typical is not None
    }


def _sample(replays: Replays, summary: Summary, newest: FeatureDriftReport, last: int) -> tuple[Samples, ...]:
    names = [found.feature for found in newest.features[:DRAWN_FEATURES]]
    window = np.arange(last - CURRENT_SESSIONS + 1, last + 1)
    now = pool_known(summary.only(names), window)
    then = replays.raw[:, [replays.columns.index(name) for name in names]]
    return tuple(Samples(name, then[:, i], now[:, i]) for i, name in enumerate(names))


def measure_scores(then: Values, scores: pd.DataFrame) -> ScoreEffect:
    """Compare the spread of the scores with that in training, and the best-ranked shares with a week before.

    Parameters
    ----------
    then : array
        Scores in the training window.
    scores : DataFrame
        `session, symbol, score` of the tradable shares, of the newest sessions.
    """
    tops = [_top_tenth(rows) for _, rows in scores.groupby("session")]
    changes = [_share_new(tops[i], tops[i - WEEK]) for i in range(len(tops) - 1, WEEK - 1, -WEEK)]
    return ScoreEffect(
        spread_then=_spread(then),
        spread_now=_spread(scores[SCORE].to_numpy(np.float64)),
        changed=changes[0] if changes else 0.0,
        changed_usually=float(np.median(changes[1:])) if changes[1:] else None,
    )


def _top_tenth(rows: pd.DataFrame) -> set[str]:
    return set(rows.nlargest(max(round(TOP_SHARE * len(rows)), 1), SCORE)["symbol"])


def _share_new(now: set[str], before: set[str]) -> float:
    return len(now - before) / len(now)


def _spread(values: Values) -> float:
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low)
