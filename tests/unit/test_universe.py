import numpy as np
import pytest

from bist_pipeline.market.cleaning import clean
from bist_pipeline.market.universe import compute_tradable
from tests.small_market import tiny_panel, without

SESSIONS, SYMBOLS = 150, 10


@pytest.fixture
def market():
    """Ten regular shares; the later in the alphabet, the more is traded."""
    rng = np.random.default_rng(1)
    close = 10 * np.cumprod(1 + rng.normal(0, 0.01, (SESSIONS, SYMBOLS)), axis=0)
    bar = {
        "high": close * 1.001,
        "low": close * 0.999,
        "volume": np.full(close.shape, 100.0) * np.arange(1, 11),
    }
    return tiny_panel(close, **bar)


def names(panel, row):
    return "".join(symbol[0] for symbol in panel.symbols[row])


def test_the_thinnest_fifth_and_the_first_126_sessions_are_left_out(market):
    tradable = compute_tradable(clean(market))

    assert not tradable[:125].any()
    assert names(market, tradable[125]) == names(market, tradable[-1]) == "CDEFGHIJ"


def test_a_young_share_is_left_out(market):
    market.close[:30, 9] = np.nan

    assert names(market, compute_tradable(clean(market))[-1]) == "CDEFGHI"


def test_a_share_that_missed_more_than_a_tenth_of_the_last_60_sessions_is_left_out(market):
    market.volume[100:106, 8] = 0
    market.volume[100:107, 9] = 0

    assert names(market, compute_tradable(clean(market))[-1]) == "CDEFGHI"


def test_a_share_that_nobody_can_buy_today_is_left_out(market):
    market.volume[-1, 9] = 0
    market.close[-1, 8] = market.high[-1, 8] = market.close[-2, 8] * 1.1

    assert names(market, compute_tradable(clean(market))[-1]) == "CDEFGH"


def test_without_volumes_every_regular_share_is_tradable(market):
    assert compute_tradable(clean(without(market, "volume")))[-1].all()
