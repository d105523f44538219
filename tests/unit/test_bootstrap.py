"""Intervals from blocks of neighbouring sessions are as wide as overlapping results make them."""

import numpy as np
import pytest

from bist_pipeline.model.bootstrap import draw_weights, interval


def test_sessions_are_drawn_in_whole_blocks_and_as_many_as_there_are():
    weights = draw_weights(40, block=10, draws=500)
    assert weights.shape == (500, 40)
    assert (weights.sum(axis=1) == 40).all()
    # Four blocks on a ring of 40: what is drawn changes at most at their eight ends.
    changes = (weights != np.roll(weights, 1, axis=1)).sum(axis=1)
    assert changes.max() <= 8
    assert weights.std() > 0


def test_every_session_counts_alike_on_average():
    weights = draw_weights(30, block=7, draws=20_000)
    assert weights.mean(axis=0) == pytest.approx(1, abs=0.05)


def test_the_same_series_gets_the_same_draws():
    assert (draw_weights(50, block=13) == draw_weights(50, block=13)).all()


def test_for_independent_values_the_interval_is_the_textbook_one():
    values = np.random.default_rng(1).normal(0.1, 1, 400)
    low, high = interval(draw_weights(400, block=1) @ values / 400)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_overlap_widens_the_interval_nearly_as_much_as_it_should():
    rng, overlap, n = np.random.default_rng(2), np.ones(13) / 13, 800
    widths = {1: [], 13: []}
    for _ in range(30):
        values = np.convolve(
            rng.normal(0, 1, n + 12), overlap, mode="valid"
        )  # neighbours share 12 of 13 parts
        for block, found in widths.items():
            found.append(np.ptp(interval(draw_weights(n, block=block, draws=500) @ values / n)))
    # The mean of overlapping means varies as the mean of what they are made of; blocks as long as the overlap
    # find most of that (their ends are torn from their neighbours), single sessions a quarter.
    true = 2 * 1.96 / np.sqrt(n)
    assert 0.7 * true < np.mean(widths[13]) < 1.05 * true
    assert np.mean(widths[1]) < 0.35 * true
