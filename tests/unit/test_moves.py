"""Returns against how far they lay apart shortly before."""

from __future__ import annotations

import numpy as np
import pytest

from bist_pipeline.drift.moves import BEFORE_SESSIONS, relate_to_before
from bist_pipeline.drift.replays import CURRENT_SESSIONS

FIRST_RELATED = BEFORE_SESSIONS // 2 + CURRENT_SESSIONS


@pytest.fixture
def moves() -> np.ndarray:
    moves = np.random.default_rng(3).normal(0, 0.02, (120, 30))
    moves[0] = np.nan  # as in every table of prices
    return moves


@pytest.mark.parametrize("session", [40, 80, 119])
def test_later_sessions_change_nothing(moves, session):
    np.testing.assert_array_equal(relate_to_before(moves)[:session], relate_to_before(moves[:session]))


def test_a_change_does_not_dull_its_own_measure_while_it_is_judged(moves):
    wilder = moves.copy()
    wilder[-CURRENT_SESSIONS:] *= 2

    related, usual = relate_to_before(wilder), relate_to_before(moves)

    np.testing.assert_allclose(related[-CURRENT_SESSIONS:], 2 * usual[-CURRENT_SESSIONS:])


def test_the_unit_of_the_market_does_not_matter(moves):
    np.testing.assert_allclose(relate_to_before(moves * 7), relate_to_before(moves))


def test_what_cannot_be_compared_is_unknown_and_never_infinite(moves):
    moves[50:70] = 0  # a feed that stands still
    moves[90, 3] = np.nan

    related = relate_to_before(moves)

    assert np.isnan(related[:FIRST_RELATED]).all()
    assert np.isnan(related[50 + CURRENT_SESSIONS + BEFORE_SESSIONS]).all()
    assert np.isnan(related[90, 3])
    assert not np.isinf(related).any()
