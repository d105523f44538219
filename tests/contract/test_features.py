"""The features stage: what it stores keeps the contract of features, or nothing is stored."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from bist_pipeline.config import Settings, SyntheticSettings
from bist_pipeline.contracts import feature_contract, require
from bist_pipeline.errors import ContractError
from bist_pipeline.features import registry
from bist_pipeline.features.feature import Feature
from bist_pipeline.features.registry import PRICE_FAMILIES, REGISTRY, feature_columns, rank_columns
from bist_pipeline.lake import open_lake
from bist_pipeline.stages.features import features
from bist_pipeline.stages.ingest import ingest

SESSION = dt.date(2024, 6, 28)


@pytest.fixture
def settings(tmp_path) -> Settings:
    """A lake with half a year of prices."""
    market = SyntheticSettings(symbols=40, first_session=dt.date(2024, 1, 2))
    settings = Settings(home=tmp_path / "var", synthetic=market)
    ingest(settings, SESSION)
    return settings


def against_open(inputs, window, min_history):
    """As somebody writes it who forgot that a price may be 0, or that a share may stand still."""
    panel = inputs.cleaned.panel
    with np.errstate(divide="ignore", invalid="ignore"):
        return (panel.close - panel.low) / np.round(panel.close / panel.open - 1, 2)


def test_the_lake_holds_raw_values_and_ranks_of_every_family(settings):
    receipt = features(settings, SESSION)

    stored = open_lake(settings).read("features")
    require(stored, feature_contract(feature_columns(PRICE_FAMILIES), rank_columns(PRICE_FAMILIES)))
    assert receipt.rows == len(stored) > 4_000
    assert receipt.details["features"] == len(feature_columns())
    # Half a year: what takes longer has no value yet, everything else does.
    assert stored[["vol_63", "CORD60", "vol_63_rank", "CORD60_rank"]].notna().mean().min() > 0.3


def test_a_repeated_run_changes_nothing(settings):
    first, again = features(settings, SESSION), features(settings, SESSION)

    head = open_lake(settings).require("features")
    assert first.data_hash == again.data_hash
    assert head.number == 1


def test_an_infinite_feature_is_named_and_nothing_is_stored(settings, monkeypatch):
    row = Feature("odd_1", "long_horizon", 1, 1, "fraction", ("close",), "A slip.", "us", against_open)
    features(settings, SESSION)
    before = open_lake(settings).require("features").number
    monkeypatch.setattr(registry, "REGISTRY", (*REGISTRY, row))

    with pytest.raises(ContractError, match=r"odd_1 not_finite in [\d,]+ rows"):
        features(settings, SESSION)

    assert open_lake(settings).require("features").number == before
