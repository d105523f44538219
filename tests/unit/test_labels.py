import numpy as np
import pytest
from scipy.stats import norm, rankdata

from bist_pipeline.features.cross_section import row_median, row_rank
from bist_pipeline.market.labels import compute_forward_excess, gaussian_rank

NAN = np.nan


def test_the_excess_is_over_the_median_of_the_tradable_shares_at_the_start():
    close = np.array([[10.0, 10, 10, 10], [1, 1, 1, 1], [11, 12, 16, 5]])
    tradable = np.array([[True, True, True, False], [False] * 4, [False] * 4])

    excess = compute_forward_excess(close, tradable, 2)

    np.testing.assert_allclose(excess[0], [-0.1, 0.0, 0.4, -0.7])
    assert np.isnan(excess[1:]).all()


def test_a_share_without_a_price_at_either_end_has_no_label_and_does_not_move_the_median():
    close = np.array([[10.0, 10, 10, NAN], [11, 13, NAN, 7]])

    np.testing.assert_allclose(
        compute_forward_excess(close, np.ones((2, 4), bool), 1)[0], [-0.1, 0.1, NAN, NAN]
    )


@pytest.mark.parametrize("horizon", [3, 4, 63])
def test_a_horizon_as_long_as_the_history_leaves_no_label(horizon):
    assert np.isnan(compute_forward_excess(np.ones((3, 2)), np.ones((3, 2), bool), horizon)).all()


def test_gaussian_ranks_are_normal_quantiles_of_the_average_rank():
    values = np.array([[0.5, -1.0, NAN, 0.5, 2.0]])

    expected = norm.ppf((rankdata([0.5, -1.0, 0.5, 2.0]) - 0.5) / 4)

    np.testing.assert_allclose(gaussian_rank(values)[0, [0, 1, 3, 4]], expected, atol=1e-6)
    assert np.isnan(gaussian_rank(values)[0, 2])


@pytest.mark.parametrize("levels", [2, 7, 10**6])
def test_row_ranks_equal_scipys_whatever_the_ties(levels):
    rng = np.random.default_rng(levels)
    values = rng.integers(-levels, levels, (60, 101)) / 7
    values[rng.random(values.shape) < 0.3] = NAN
    values[0] = NAN
    values[1, 0], values[1, 1:] = 3.0, NAN

    ranks = row_rank(values)

    for row, given in zip(ranks[1:], values[1:], strict=True):
        known = np.isfinite(given)
        np.testing.assert_allclose(row[known], (rankdata(given[known]) - 0.5) / known.sum(), rtol=1e-6)
        assert np.isnan(row[~known]).all()
    assert np.isnan(ranks[0]).all()
    assert ranks[1, 0] == 0.5


def test_signed_zeros_tie_and_infinities_are_missing():
    np.testing.assert_array_equal(
        row_rank(np.array([[0.0, -0.0, np.inf, -np.inf, 1e-40, -5.0]])),
        np.float32([[0.5, 0.5, NAN, NAN, 0.875, 0.125]]),
    )


def test_row_medians_equal_numpys():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(40, 9))
    values[rng.random(values.shape) < 0.4] = NAN

    np.testing.assert_array_equal(row_median(values), np.nanmedian(values, axis=1))
