"""A label uses the closes of its own session and of the one it matures on, and exists only from then on."""

from __future__ import annotations

import numpy as np
import pytest

from bist_pipeline.market.labels import compute_forward_excess
from bist_pipeline.market.universe import compute_tradable
from tests.small_market import cleaned_market, small_prices

HORIZON = 63
T = 300


@pytest.fixture(scope="module")
def market():
    cleaned = cleaned_market(*small_prices())
    return cleaned.panel.close, compute_tradable(cleaned)


def test_a_label_needs_the_session_it_matures_on_and_no_later_one(market):
    close, tradable = market
    full = compute_forward_excess(close, tradable, HORIZON)
    matured, early = T + HORIZON + 1, T + HORIZON

    assert np.isfinite(full[T]).sum() > 20
    np.testing.assert_array_equal(
        compute_forward_excess(close[:matured], tradable[:matured], HORIZON)[T], full[T]
    )
    assert np.isnan(compute_forward_excess(close[:early], tradable[:early], HORIZON)[T]).all()


@pytest.mark.parametrize(
    ("distance", "overlaps"), [(0, True), (1, False), (HORIZON, True), (HORIZON + 1, False)]
)
def test_only_the_closes_at_both_ends_of_the_horizon_move_a_label(market, distance, overlaps):
    close, tradable = market
    other = close.copy()
    other[T + distance] *= np.linspace(0.5, 2.0, close.shape[1])

    before, after = (compute_forward_excess(c, tradable, HORIZON)[T] for c in (close, other))

    assert np.array_equal(before, after, equal_nan=True) is not overlaps


def test_labels_of_sessions_less_than_a_horizon_apart_share_the_same_days(market):
    close, tradable = market
    crash = close.copy()
    crash[T + HORIZON :] *= np.linspace(0.5, 2.0, close.shape[1])
    before, after = (compute_forward_excess(c, tradable, HORIZON) for c in (close, crash))
    moved = ~((before == after) | (np.isnan(before) & np.isnan(after))).all(axis=1)

    # Whoever trains on labels up to T must stop a whole horizon before what is tested.
    assert np.flatnonzero(moved).min() == T
    assert not moved[:T].any()
    assert moved[T : T + HORIZON].all()
