"""Intervals hold their share of new results, and expected excess is no bolder than the evidence."""

import numpy as np
import pytest

from bist_pipeline.model.intervals import conformal_margin, conformalise, shrunk_slope, typical_spread


def test_conformalised_ends_hold_their_share_of_new_results_on_each_side():
    rng = np.random.default_rng(0)
    seen, new = rng.lognormal(size=(2, 4000))  # skewed, as returns are
    lower, upper = 0.9, 1.1  # far too narrow
    margins = [conformal_margin(miss, share=0.9) for miss in (lower - seen, seen - upper)]
    low, high = conformalise(np.full(4000, lower), np.full(4000, upper), margins=margins, point=np.ones(4000))
    assert np.mean(new < low) == pytest.approx(0.1, abs=0.015)
    assert np.mean(new > high) == pytest.approx(0.1, abs=0.015)


def test_an_interval_that_was_too_wide_is_narrowed():
    assert conformal_margin(np.full(50, -3.0), share=0.9) == -3.0


def test_a_share_beyond_the_sample_takes_the_largest_miss():
    assert conformal_margin(np.array([0.1, 0.4]), share=0.9) == 0.4


@pytest.mark.parametrize("margins", [(0.1, 0.1), (-0.5, -0.5)])
def test_ends_never_cross_and_enclose_the_point(margins):
    rng = np.random.default_rng(1)
    lower, upper, point = rng.normal(size=(3, 500))  # crossing quantiles, points anywhere
    low, high = conformalise(lower, upper, margins=margins, point=point)
    assert np.all(low <= point)
    assert np.all(point <= high)


def scored(rng, *, true_slope, noise, n_sessions=200, n_shares=50):
    groups = np.repeat(np.arange(n_sessions), n_shares)
    score = rng.normal(0, 0.3, groups.size)
    return score, true_slope * score + rng.normal(0, noise, groups.size), groups


def test_slope_is_found_where_evidence_is_strong():
    score, rank, groups = scored(np.random.default_rng(2), true_slope=0.5, noise=0.1)
    assert shrunk_slope(score, rank, groups, horizon=20) == pytest.approx(0.5, rel=0.02)


def test_slope_shrinks_as_labels_overlap_more():
    score, rank, groups = scored(np.random.default_rng(3), true_slope=0.5, noise=1.0)
    by_horizon = [shrunk_slope(score, rank, groups, horizon=horizon) for horizon in (1, 20, 100)]
    assert by_horizon == sorted(by_horizon, reverse=True)
    assert 0 < by_horizon[-1] < 0.95 * by_horizon[0]


def test_slope_of_a_model_that_ranks_upside_down_is_zero():
    score, rank, groups = scored(np.random.default_rng(4), true_slope=-0.5, noise=0.1)
    assert shrunk_slope(score, rank, groups, horizon=20) == 0


def test_slope_of_one_session_or_of_constant_scores_is_zero():
    score, rank, groups = scored(np.random.default_rng(5), true_slope=0.5, noise=0.1, n_sessions=1)
    assert shrunk_slope(score, rank, groups, horizon=20) == 0
    assert shrunk_slope(np.zeros(50), rank, np.repeat([0, 1], 25), horizon=20) == 0


def test_typical_spread_is_the_standard_deviation_of_normal_sessions_and_ignores_wild_ones():
    rng = np.random.default_rng(6)
    excess, groups = rng.normal(0, 0.2, (51, 400)), np.repeat(np.arange(51), 400)
    excess[:5] *= 30
    excess[:, 0] = 9.0
    shuffled = rng.permutation(groups.size)
    assert typical_spread(excess.ravel()[shuffled], groups[shuffled]) == pytest.approx(0.2, rel=0.05)
