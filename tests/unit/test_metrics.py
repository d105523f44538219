"""Metrics equal what a reader of their definitions would compute by hand, one session at a time."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.model import metrics


@pytest.fixture
def forecasts():
    """Forty sessions of 53 shares; scores know a little, and repeat so that ranks tie."""
    rng = np.random.default_rng(5)
    n_sessions, n_shares = 40, 53
    excess = rng.normal(0, 0.2, n_sessions * n_shares)
    score = np.round(excess + rng.normal(0, 0.4, excess.size), 1)
    sessions = np.repeat(pd.bdate_range("2023-01-02", periods=n_sessions).to_numpy(), n_shares)
    frame = pd.DataFrame({"session": sessions, "score": score, "excess": excess})
    frame["expected_excess_return"] = 0.2 * score
    frame["lower"], frame["upper"] = (
        frame["expected_excess_return"] - 0.2,
        frame["expected_excess_return"] + 0.3,
    )
    frame["vol_126"] = rng.permutation(np.arange(excess.size, dtype=float))
    return frame.sample(frac=1, random_state=1)


def by_session(forecasts):
    return [group for _, group in forecasts.groupby("session")]


def test_daily_rank_ic_is_spearmans_correlation(forecasts):
    expected = [spearmanr(day["score"], day["excess"]).statistic for day in by_session(forecasts)]
    np.testing.assert_allclose(metrics.daily_rank_ic(forecasts), expected, rtol=1e-12)


def test_a_perfect_order_has_rank_ic_one_and_its_reverse_minus_one(forecasts):
    perfect = forecasts.assign(score=np.exp(forecasts["excess"]))
    assert metrics.daily_rank_ic(perfect).to_numpy() == pytest.approx(1)
    assert metrics.daily_rank_ic(perfect.assign(score=-perfect["score"])).to_numpy() == pytest.approx(-1)


def test_sessions_without_an_order_are_left_out(forecasts):
    first = forecasts["session"].min()
    flat = forecasts.assign(score=forecasts["score"].where(forecasts["session"] != first, 0.5))
    assert first not in metrics.daily_rank_ic(flat).index
    assert len(metrics.daily_rank_ic(flat)) == 39


def test_forecasts_without_any_order_are_refused(forecasts):
    with pytest.raises(InsufficientDataError, match="None of 40 test sessions"):
        metrics.summarise(forecasts.assign(score=1.0), horizon=63, lag=13)


def test_newey_west_t_is_the_textbook_double_sum():
    x = np.random.default_rng(2).normal(0.1, 1, 60).cumsum() / 5
    lag, n, mean = 13, 60, x.mean()
    long_run = sum(
        max(0.0, 1 - abs(i - j) / (lag + 1)) * (x[i] - mean) * (x[j] - mean)
        for i in range(n)
        for j in range(n)
    )
    assert metrics.newey_west_t(x, lag=lag) == pytest.approx(mean / math.sqrt(long_run / n**2))


def test_newey_west_t_without_lags_is_the_plain_t_and_overlap_shrinks_it():
    steady = np.random.default_rng(3).normal(0.5, 1, 500)
    assert metrics.newey_west_t(steady, lag=0) == pytest.approx(
        steady.mean() / (steady.std() / math.sqrt(500))
    )
    overlapping = np.repeat(steady[:50], 10)
    assert metrics.newey_west_t(overlapping, lag=20) < 0.5 * metrics.newey_west_t(overlapping, lag=0)


@pytest.mark.parametrize("values", [[], [0.1], [0.1, 0.1]])
def test_newey_west_t_is_nan_where_nothing_varies(values):
    assert math.isnan(metrics.newey_west_t(np.array(values), lag=13))


def test_spread_and_top_20_follow_the_sorted_list(forecasts):
    forecasts = forecasts.assign(score=forecasts["score"] + forecasts["vol_126"] * 1e-9)  # no ties to break
    spreads, tops = [], []
    for day in by_session(forecasts):
        ordered = day.sort_values("score")["excess"].to_numpy()
        spreads.append(ordered[-5:].mean() - ordered[:5].mean())
        tops.append(ordered[-20:].mean() - ordered.mean())
    assert metrics.daily_decile_spread(forecasts).mean() == pytest.approx(np.mean(spreads))
    assert metrics.daily_top_excess(forecasts).mean() == pytest.approx(np.mean(tops))


def test_tenths_follow_the_sorted_list_too(forecasts):
    forecasts = forecasts.assign(score=forecasts["score"] + forecasts["vol_126"] * 1e-9)
    tenths = metrics.decile_returns(forecasts)
    expected = np.zeros(10)
    for day in by_session(forecasts):
        ordered = day.sort_values("score")["excess"].to_numpy()
        places = np.ceil(10 * np.arange(1, 54) / 53).astype(int) - 1
        expected += [ordered[places == tenth].mean() - ordered.mean() for tenth in range(10)]
    assert tenths == pytest.approx(expected / 40)


def test_twenty_shares_drawn_by_chance_earn_no_excess():
    rng = np.random.default_rng(4)
    days = np.repeat(pd.bdate_range("2023-01-02", periods=300).to_numpy(), 200)
    skewed = np.exp(rng.normal(0, 0.8, days.size)) - 1  # the mean lies far above the median, which is 0
    drawn = pd.DataFrame({"session": days, "score": rng.random(days.size), "excess": skewed})
    assert skewed.mean() > 0.3
    assert metrics.daily_top_excess(drawn).mean() == pytest.approx(0, abs=0.03)


def test_coverage_pooled_and_by_quintile(forecasts):
    inside = [row.lower <= row.excess <= row.upper for row in forecasts.itertuples()]
    assert 0 < metrics.coverage(forecasts) == np.mean(inside) < 1
    fifths = [[] for _ in range(5)]
    for day in by_session(forecasts):
        for place, row in enumerate(day.sort_values("vol_126").itertuples(), start=1):
            fifths[math.ceil(5 * place / len(day)) - 1].append(row.lower <= row.excess <= row.upper)
    expected = [np.mean(fifth) for fifth in fifths]
    assert metrics.coverage_by_quintile(forecasts, "vol_126") == pytest.approx(expected)


def test_summary_figures(forecasts):
    ic = metrics.daily_rank_ic(forecasts)
    error = forecasts["excess"] - forecasts["expected_excess_return"]
    summary = metrics.summarise(forecasts, horizon=21, lag=5)
    assert summary == pytest.approx(
        {
            "rank_ic": ic.mean(),
            "icir": ic.mean() / ic.std(ddof=1),
            "nw_t": metrics.newey_west_t(ic.to_numpy(), lag=5),
            "ic_positive": np.mean([value > 0 for value in ic]),
            "spread_quarter": 3 * metrics.daily_decile_spread(forecasts).mean(),
            "top20_quarter": 3 * metrics.daily_top_excess(forecasts).mean(),
            "r2": 1 - np.sum(error**2) / np.sum(forecasts["excess"] ** 2),
            "mae_excess": np.mean(np.abs(error)),
            "mae_zero": np.mean(np.abs(forecasts["excess"])),
            "coverage": metrics.coverage(forecasts),
            "dates": 40,
        }
    )
