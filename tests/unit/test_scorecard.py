"""Scorecards count overlapping results for what they are worth, and judge baselines on the same rows."""

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.features.registry import rank_columns
from bist_pipeline.model.baselines import BASELINES as BACKTESTED
from bist_pipeline.model.scorecard import (
    BASELINES,
    MeanIC,
    describe_skill,
    judge_session,
    mean_rank_ic,
    pooled_coverage,
)

HORIZON = 63


def overlapping_ics(rng, *, sessions: int, mean: float) -> np.ndarray:
    """Daily ICs as overlapping results make them: a moving mean over the horizon."""
    noise = rng.normal(size=sessions + HORIZON - 1)
    return mean + 0.1 * np.convolve(noise, np.ones(HORIZON), "valid") / np.sqrt(HORIZON)


@pytest.mark.parametrize("sessions", [252, 756])
def test_the_interval_of_a_ranking_without_skill_holds_zero_as_often_as_it_says(sessions):
    rng = np.random.default_rng(0)
    found = [
        mean_rank_ic(overlapping_ics(rng, sessions=sessions, mean=0.0), np.arange(sessions), horizon=HORIZON)
        for _ in range(1000)
    ]

    holds_zero = np.mean([ic.lower <= 0 <= ic.upper for ic in found])
    assert 0.93 <= holds_zero <= 0.99


def test_a_real_skill_is_proven_in_a_few_years_and_never_in_a_month():
    rng = np.random.default_rng(1)
    daily = overlapping_ics(rng, sessions=756, mean=0.15)

    assert mean_rank_ic(daily, np.arange(756), horizon=HORIZON).skill == "proven"
    assert mean_rank_ic(daily[:21], np.arange(21), horizon=HORIZON).skill == "unproven"


def test_sessions_a_horizon_apart_are_all_independent():
    values = np.array([0.05, 0.1, 0.15, 0.1])

    found = mean_rank_ic(values, np.arange(4) * HORIZON, horizon=HORIZON)

    half = 3.182446 * values.std(ddof=1) / 2  # Student's t, three degrees of freedom
    assert found.independent == pytest.approx(4)
    assert (found.lower, found.upper) == pytest.approx((0.1 - half, 0.1 + half))


def test_one_session_says_nothing():
    assert mean_rank_ic(np.array([0.3]), np.array([0]), horizon=HORIZON) == MeanIC(0.3, -1.0, 1.0, 1.0)


def batch() -> pd.DataFrame:
    excess = np.linspace(-0.2, 0.3, 40)
    ranks = np.linspace(0.01, 0.99, 40)
    return pd.DataFrame(
        {
            "session": pd.Timestamp("2024-01-15"),
            "score": excess,
            "lower": -0.1,
            "upper": 0.1,
            "excess": excess,
            "vol_126_rank": ranks,
            "mom_252_21_rank": np.where(np.arange(40) % 2, ranks, np.nan),
            "mom_21_rank": 0.5,
        }
    )


def test_all_rankings_are_judged_on_the_same_shares_young_ones_in_the_middle():
    judged = {found.model: found for found in judge_session(batch(), published="published")}

    assert {found.symbols for found in judged.values()} == {40}
    assert judged["published"].rank_ic == pytest.approx(1)
    assert judged["published"].coverage == pytest.approx(16 / 40)
    assert judged["low_vol_126"].rank_ic == pytest.approx(-1)
    assert 0 < judged["momentum_252_21"].rank_ic < 1
    assert judged["reversal_21"].rank_ic is None  # it ranks nothing
    assert judged["low_vol_126"].coverage is None


def test_the_baselines_are_those_of_the_backtest_and_rank_by_features_that_exist():
    assert set(BASELINES) < set(BACKTESTED)
    assert {column for column, _ in BASELINES.values()} <= set(rank_columns())


def test_coverage_is_pooled_over_shares_not_over_sessions():
    judged = pd.DataFrame({"coverage": [1.0, 0.0, None], "symbols": [30, 10, 50]})

    assert pooled_coverage(judged) == pytest.approx(0.75)
    assert pooled_coverage(judged.iloc[2:]) is None


@pytest.mark.parametrize(
    ("lower", "english", "turkish"),
    [(0.01, "had skill", "kanıtlandı"), (-0.01, "had no proven skill", "kanıtlanamadı")],
)
def test_the_verdict_is_plain_in_both_languages(lower, english, turkish):
    words = describe_skill(MeanIC(0.1, lower, 0.2, 4.3), ["2023-03-29", "2024-03-28"])

    assert english in words["en"]
    assert turkish in words["tr"]
    assert "+0,100" in words["tr"]
