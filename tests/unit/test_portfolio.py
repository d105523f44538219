"""Twenty shares, what of them is replaced, and what that costs."""

import pandas as pd
import pytest

from bist_pipeline.model.portfolio import ROUND_TRIP_COST, accumulate, compute_turnover, deduct_costs

DAYS = pd.bdate_range("2024-01-01", periods=3)
SHARES = [f"S{i:02d}" for i in range(30)]


def ranked(*best):
    """Forecasts of one session each, the shares from `first` on at the top."""
    rows = [
        {"session": day, "symbol": share, "score": -((i - first) % 30)}
        for day, first in zip(DAYS, best, strict=True)
        for i, share in enumerate(SHARES)
    ]
    return pd.DataFrame(rows)


def test_turnover_counts_who_is_new_since_the_portfolio_was_last_renewed():
    # The best 20 start at share 0, then 5, then 8: five of 20 are new after one session, eight after two.
    assert compute_turnover(ranked(0, 5, 8), lag=1).tolist() == [1.0, 0.25, 0.15]
    assert compute_turnover(ranked(0, 5, 8), lag=2).tolist() == [1.0, 1.0, 0.4]


def test_costs_are_paid_for_what_is_replaced():
    excess = pd.Series([0.03, 0.03], index=DAYS[:2])
    net = deduct_costs(excess, pd.Series([1.0, 0.25], index=DAYS[:2]))
    assert net.tolist() == pytest.approx([0.03 - ROUND_TRIP_COST, 0.03 - ROUND_TRIP_COST / 4])


def test_portfolios_that_overlap_each_hold_a_part_of_the_money():
    # Thirteen portfolios that all earn 2 % over the same quarter earn 2 % together.
    assert accumulate(pd.Series([0.02] * 13), lag=13).iloc[-1] == pytest.approx(0.02)
