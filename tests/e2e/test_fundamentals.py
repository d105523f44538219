"""Reported figures on their way from a user's file into a published rank."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bist_pipeline.config import Settings
from bist_pipeline.features.fundamentals import FAMILY
from bist_pipeline.features.registry import ALL_FAMILIES, rank_columns
from bist_pipeline.tracking import Registry
from tests.command_line import SESSION, SMALL, Bist
from tests.small_market import small_facts

pytestmark = pytest.mark.slow


@pytest.fixture
def reports_file(small_prices_file: Path, tmp_path: Path) -> Path:
    """Reports of half of the shares, every quarter from 2021 on."""
    facts = small_facts()
    symbols = pd.read_parquet(small_prices_file, columns=["symbol"])["symbol"].unique()[:30]
    names = dict(zip(facts["symbol"].unique(), symbols, strict=True))
    moved = facts["period_end"] + pd.DateOffset(years=2)
    announced = moved + (facts["announced_at"] - facts["period_end"])
    path = tmp_path / "reports.parquet"
    facts.assign(symbol=facts["symbol"].map(names), period_end=moved, announced_at=announced).to_parquet(path)
    return path


def test_shares_are_ranked_by_a_model_that_read_the_reports(small_prices_file, reports_file, tmp_path):
    bist = Bist(tmp_path / "var", small_prices_file, {**SMALL, "BIST_FUNDAMENTALS_PATH": str(reports_file)})

    for command in ("ingest", "features", "train", "score"):
        result = bist(command, "--session", str(SESSION))
        assert result.exit_code == 0, result.output

    assert len(bist.published()) > 50
    registry = Registry(Settings(home=bist.home, source="files"))
    model = registry.load(registry.find_for(SESSION))
    assert model[0].columns_ == rank_columns(ALL_FAMILIES)
    assert set(rank_columns([FAMILY])) < set(model[0].columns_)
