"""The defects of real reports are found, counted and kept out of the features."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.contracts import BALANCE_COLUMNS, FLOW_COLUMNS
from bist_pipeline.market.point_in_time import settle_announcements
from bist_pipeline.sources.base import open_source

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reports(shared_prices) -> pd.DataFrame:
    path = shared_prices.with_name("fundamentals_quarterly.parquet")
    settings = Settings(source="files", source_path=str(shared_prices), fundamentals_path=str(path))
    facts = open_source(settings).fetch(dt.date(2024, 6, 28), bist_calendar()).fundamentals
    assert facts is not None
    return facts


def test_the_known_defects_are_found_and_counted(reports):
    counts = {rule.rule: (rule.count, len(rule.symbols)) for rule in settle_announcements(reports).rules}

    assert len(reports) == 1848
    assert counts == {
        "announced_before_period_end": (0, 0),
        "announcement_assumed": (124, 22),
        "restated_annual": (222, 111),
        "restated_flows": (439, 111),
        "empty_balance_sheet": (57, 20),
    }


def test_what_is_kept_was_known_when_it_says(reports):
    settled = settle_announcements(reports).facts
    later = settled[settled["period_end"] >= "2022-12-31"]

    assert settled["announced_at"].notna().all()
    assert (settled["announced_at"] > settled["period_end"]).all()
    assert not (later["period_end"].dt.month == 12).any()
    assert later[FLOW_COLUMNS].isna().all(axis=None)
    assert later[BALANCE_COLUMNS].notna().mean().min() > 0.99


def test_income_of_2023_was_overwritten_with_the_figures_of_a_year_later(reports):
    """Why `restated_flows` exists: sales in dollars cannot double everywhere and then fall again."""
    sales = reports.pivot_table(index="period_end", columns="symbol", values="revenue")
    growth = (sales / sales.shift(4)).median(axis=1)

    assert growth["2021-03-31":"2022-09-30"].between(1.0, 1.3).all()
    assert (growth["2022-12-31":"2023-09-30"] > 1.9).all()
    assert growth["2024-03-31"] < 0.9
