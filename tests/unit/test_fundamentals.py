"""Ratios of reports, computed by hand for one company, and where they appear in the table of features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.contracts import BALANCE_COLUMNS, FLOW_COLUMNS
from bist_pipeline.features.fundamentals import FAMILY, FEATURES
from bist_pipeline.features.registry import compute_features, feature_columns, rank_columns
from bist_pipeline.market.cleaning import Cleaned, clean
from tests.small_market import cleaned_market, small_facts, small_prices, tiny_panel

NAMES = feature_columns([FAMILY])


@pytest.fixture(scope="module")
def market() -> Cleaned:
    """AAA and BBB, 300 sessions from 2021-01-04 on: to 2022-02-25."""
    return clean(tiny_panel(np.full((300, 2), 10.0)))


def reports(revenue: dict[str, float], **figures: dict[str, float]) -> pd.DataFrame:
    """Reports of AAA by period, each announced 40 days after it; figures not given are missing."""
    periods = pd.to_datetime(list(revenue))
    frame = pd.DataFrame(
        {"symbol": "AAA", "period_end": periods, "announced_at": periods + pd.Timedelta(40, "D")}
    )
    figures = {"revenue": revenue, **figures}
    return frame.assign(
        **{name: list(figures.get(name, dict.fromkeys(revenue, np.nan)).values()) for name in
           (*FLOW_COLUMNS, *BALANCE_COLUMNS)}
    )  # fmt: skip


def values_of(market: Cleaned, facts: pd.DataFrame, symbol: str = "AAA") -> pd.DataFrame:
    features = compute_features(market, facts)
    return features[features["symbol"] == symbol].set_index("session")[NAMES]


@pytest.fixture(scope="module")
def company(market) -> pd.Series:
    """The ratios on the day after the report of September 2021, from sums since January."""
    periods = ["2020-09-30", "2020-12-31", "2021-03-31", "2021-06-30", "2021-09-30"]
    table = {
        # Quarters of revenue: 30 (Q4 2020), 20, 40, 60; so the trailing year is 150.
        "revenue": [70, 100, 20, 60, 120],
        "gross_profit": [25, 35, 8, 24, 50],  # 10 + 8 + 16 + 26 = 60
        "operating_profit": [14, 20, 3, 13, 30],  # 6 + 3 + 10 + 17 = 36
        "net_income": [7, 10, 1, 6, 16],  # 3 + 1 + 5 + 10 = 19
        "operating_cash_flow": [5, 9, 2, 4, 9],  # 4 + 2 + 2 + 5 = 13
        "free_cash_flow": [1, 2, 0, -1, -3],  # 1 + 0 - 1 - 2 = -2
        "total_assets": [160, 170, 180, 190, 200],
        "equity": [80, 82, 84, 90, 95],
        "current_assets": [50, 50, 50, 50, 60],
        "current_liabilities": [30, 30, 30, 30, 40],
        "long_term_liabilities": [40, 40, 40, 50, 65],
        "cash": [10, 10, 10, 10, 12],
        "short_term_debt": [5, 5, 5, 5, 8],
        "long_term_debt": [30, 30, 30, 40, 54],
    }
    columns = {name: dict(zip(periods, map(float, values), strict=True)) for name, values in table.items()}
    return values_of(market, reports(**columns)).loc["2021-11-10"]


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "operating_margin_4q": 36 / 150,
        "net_margin_4q": 19 / 150,
        "roe_4q": 19 / 95,
        "gross_profitability_4q": 60 / 200,
        "asset_turnover_4q": 150 / 200,
        "accruals_4q": (19 - 13) / 200,
        "free_cash_4q": -2 / 200,
        "revenue_growth_4q": 120 / 70 - 1,
        "earnings_change_4q": (16 - 7) * 4 / 3 / 200,
        "margin_change_4q": 30 / 120 - 14 / 70,
        "asset_growth_4q": 200 / 160 - 1,
        "leverage_1q": (40 + 65) / 200,
        "net_debt_1q": (8 + 54 - 12) / 200,
        "current_ratio_1q": 60 / 40,
        "cash_share_1q": 12 / 200,
    }.items(),
)
def test_a_ratio_equals_its_calculation_by_hand(company, name, expected):
    assert company[name] == pytest.approx(expected, rel=1e-6)


def test_every_registered_ratio_was_calculated_by_hand(company):
    assert len(NAMES) == len(set(NAMES)) == 15
    assert company.notna().all()


def turnover(market: Cleaned, revenue: dict[str, float]) -> pd.Series:
    """Trailing revenue as the features see it: turnover of assets that are 1."""
    return values_of(market, reports(revenue, total_assets=dict.fromkeys(revenue, 1.0)))["asset_turnover_4q"]


def test_three_known_quarters_stand_for_a_year_and_two_do_not(market):
    """As where the annual report is lost, and with it the fourth quarter."""
    three = turnover(market, {"2020-03-31": 5, "2020-06-30": 20, "2020-09-30": 50, "2021-03-31": 9})
    two = turnover(market, {"2020-03-31": 5, "2020-06-30": 20, "2021-03-31": 9})

    assert three["2021-05-11"] == pytest.approx((15 + 30 + 9) * 4 / 3)
    assert np.isnan(two["2021-05-11"])


def test_a_figure_appears_on_the_session_after_its_announcement(market):
    facts = reports({"2021-03-31": 9.0}, total_assets={"2021-03-31": 4.0}, cash={"2021-03-31": 1.0})

    share = values_of(market, facts)["cash_share_1q"]

    assert share[:"2021-05-10"].isna().all()
    assert share["2021-05-11"] == 0.25


def test_a_late_restatement_of_an_old_quarter_leaves_the_newest_one_and_changes_what_is_made_of_both(market):
    assets = {"2020-03-31": 2.0, "2021-03-31": 8.0}
    facts = reports(dict.fromkeys(assets, 1.0), total_assets=assets, cash=dict.fromkeys(assets, 1.0))
    again = facts.iloc[[0]].assign(announced_at=pd.Timestamp("2021-06-01 12:00"), total_assets=4.0)

    values = values_of(market, pd.concat([facts, again]))

    assert values.loc["2021-06-01":"2021-06-02", "cash_share_1q"].tolist() == [1 / 8, 1 / 8]
    assert values.loc["2021-06-01":"2021-06-02", "asset_growth_4q"].tolist() == [8 / 2 - 1, 8 / 4 - 1]


def test_a_company_that_falls_silent_has_no_current_report_after_300_days(market):
    figure = {"2020-12-31": 1.0}

    share = values_of(market, reports(figure, total_assets=figure, cash=figure))["cash_share_1q"]

    assert share["2021-02-10":"2021-10-27"].notna().all()
    assert share["2021-10-28":].isna().all()


def test_the_currency_of_a_company_changes_no_ratio():
    market, facts = cleaned_market(*small_prices()), small_facts()
    figures = [*FLOW_COLUMNS, *BALANCE_COLUMNS]
    in_lira = facts.assign(**facts[figures].mul(np.where(facts["symbol"] < "S20", 32.0, 1.0), axis=0))

    before, after = (compute_features(market, table)[NAMES] for table in (facts, in_lira))

    assert before.notna().mean().min() > 0.2
    np.testing.assert_allclose(after, before, rtol=1e-5)


def test_no_ratio_divides_by_what_is_not_positive():
    market, facts = cleaned_market(*small_prices()), small_facts()
    debtor = facts.assign(**dict.fromkeys(["equity", "revenue", "total_assets", "current_liabilities"], -1.0))

    assert compute_features(market, debtor)[NAMES].isna().all(axis=None)


def test_shares_without_reports_have_no_ratio_and_the_middle_rank(market):
    features = compute_features(market, reports({"2021-03-31": 9.0}))
    silent = features[features["symbol"] == "BBB"]

    assert silent[NAMES].isna().all(axis=None)
    assert (silent[rank_columns([FAMILY])] == 0.5).all(axis=None)


def test_without_facts_the_family_is_left_out_and_nothing_else_changes():
    market = cleaned_market(*small_prices())

    without, beside = compute_features(market), compute_features(market, small_facts())

    assert set(beside) - set(without) == {*NAMES, *rank_columns([FAMILY])}
    pd.testing.assert_frame_equal(without, beside[without.columns])


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_registry_row_is_complete_and_its_name_tells_the_window(feature):
    assert feature.name.endswith(f"_{feature.window}q")
    assert 1 <= feature.min_history <= feature.window + 1
    assert set(feature.inputs) <= {*FLOW_COLUMNS, *BALANCE_COLUMNS}
    assert feature.reason.endswith(".")
    assert all([feature.unit, feature.source])
