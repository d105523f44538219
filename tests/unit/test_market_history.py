"""Closes and past gains for readers of today: at today's price level, and never invented."""

import numpy as np
import pytest

from bist_pipeline.features.cross_section import row_median
from bist_pipeline.market.cleaning import clean
from bist_pipeline.market.history import (
    CHART_SESSIONS,
    RETURN_WINDOWS,
    compute_past_returns,
    compute_price_series,
)
from bist_pipeline.market.panel import build_panel
from bist_pipeline.market.universe import compute_tradable
from tests.small_market import small_prices, tiny_panel


@pytest.fixture(scope="module")
def raw():
    return build_panel(*small_prices())


@pytest.fixture(scope="module")
def market(raw):
    return clean(raw)


@pytest.fixture(scope="module")
def gains(market):
    return compute_past_returns(market).set_index(["window_sessions", "symbol"])


@pytest.fixture(scope="module")
def series(raw, market):
    return compute_price_series(raw, market).set_index("symbol")["closes"]


def test_a_gain_is_measured_between_the_two_ends_of_its_window(market, gains):
    close = dict(zip(market.panel.symbols, market.panel.close.T, strict=True))

    assert set(gains.index.get_level_values(0)) == set(RETURN_WINDOWS)
    for (window, symbol), gain in gains["past_return"].items():
        assert gain == close[symbol][-1] / close[symbol][-1 - window] - 1


def test_the_excess_is_over_those_that_were_tradable_when_the_window_began(market, gains):
    close, tradable = market.panel.close, compute_tradable(market)
    for window in RETURN_WINDOWS:
        moves = close[-1] / close[-1 - window] - 1
        median = row_median(np.where(tradable[-1 - window], moves, np.nan)[None])[0]
        found = gains.loc[window]

        assert len(found) > 30
        assert np.allclose(found["past_return"] - found["excess_return"], median, rtol=0, atol=1e-12)


def test_a_delisted_share_has_no_gain_but_the_closes_it_had(raw, gains, series):
    assert "S34" not in gains.index.get_level_values("symbol")
    newest = series["S34"][-1][0]
    assert newest == str(raw.sessions[499])


def test_a_chart_ends_at_the_markets_price_after_a_split_that_the_feed_missed(raw, market, series):
    split = list(raw.symbols).index("S07")
    newest = raw.close[-1, split]

    assert market.panel.close[-1, split] > 3 * newest
    assert series["S07"][-1][1] == pytest.approx(newest, rel=1e-5)
    moves = np.diff(np.log([close for _, close in series["S07"]]))
    assert np.abs(moves).max() < 0.2


def test_a_chart_shows_the_last_year_and_leaves_out_what_had_no_bar(raw, market, series):
    shown = market.observed[-CHART_SESSIONS:]

    assert len(series) == len(raw.symbols)
    assert {symbol: len(closes) for symbol, closes in series.items()} == dict(
        zip(raw.symbols, shown.sum(axis=0), strict=True)
    )
    for closes in series:
        days = [day for day, _ in closes]
        assert days == sorted(set(days))


def test_a_young_market_has_the_windows_that_fit_and_no_benchmark_yet():
    gains = compute_past_returns(clean(tiny_panel([[10.0, 20.0]] * 5 + [[11.0, 20.0]] * 2)))

    assert gains["window_sessions"].tolist() == [5, 5]
    assert gains["past_return"].tolist() == pytest.approx([0.1, 0.0])
    assert gains["excess_return"].isna().all()
    assert compute_past_returns(clean(tiny_panel([[10.0, 20.0]]))).empty
