"""Cleaning and features on real Borsa Istanbul prices: the known defects, and the known signal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.features.cross_section import row_rank
from bist_pipeline.features.feature import Inputs
from bist_pipeline.features.registry import REGISTRY
from bist_pipeline.market.cleaning import Cleaned
from bist_pipeline.market.labels import compute_forward_excess
from bist_pipeline.market.universe import compute_tradable
from tests.small_market import cleaned_market

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def market(shared_prices) -> Cleaned:
    prices = pd.read_parquet(shared_prices).rename(columns={"date": "session"})
    first, last = prices["session"].min().date(), prices["session"].max().date()
    return cleaned_market(prices, bist_calendar().between(first, last))


def test_the_known_defects_are_found_and_counted(market):
    counts = {rule.rule: (rule.count, len(rule.symbols)) for rule in market.rules}

    assert counts["not_a_session"] == (394, 394)  # 2023-02-08, cancelled
    assert counts["non_positive_price"] == (362, 1)  # 363 with the cancelled session's
    assert counts["thin_session"] == (182, 182)  # 2024-04-09, one more had a non-positive price
    assert counts["repeated_bar"] == (1, 1)
    assert counts["crossed_bar"] == (23, 22)
    assert counts["move_beyond_limit"] == (26, 22)
    assert counts["zero_volume"][0] == 1305


@pytest.mark.parametrize(("name", "low", "high"), [("vol_126", -0.15, -0.10), ("mom_252_21", 0.01, 0.06)])
def test_the_signal_that_research_measured_is_there(market, name, low, high):
    """Mean rank IC with the 63-session excess, every 5th session from 2022; published: -0.124 and 0.025."""
    (feature,) = [feature for feature in REGISTRY if feature.name == name]
    tradable = compute_tradable(market)
    label = compute_forward_excess(market.panel.close, tradable, 63)
    values = feature.compute(Inputs(market), feature.window, feature.min_history)
    both = tradable & np.isfinite(label) & np.isfinite(values)
    sessions = np.flatnonzero((market.panel.sessions >= np.datetime64("2022-01-01")) & both.any(axis=1))[::5]
    ranks = [row_rank(np.where(both, x, np.nan)[sessions]) for x in (values, label)]

    ics = [np.corrcoef(a[row], b[row])[0, 1] for a, b, row in zip(*ranks, both[sessions], strict=True)]

    assert len(ics) > 100
    assert low < np.mean(ics) < high
