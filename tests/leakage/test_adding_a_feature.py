"""The guide's example of a new feature works as printed, in both languages, and passes what it promises."""

from __future__ import annotations

import re
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.features import long_horizon, registry, risk
from bist_pipeline.features.feature import Feature
from bist_pipeline.features.registry import REGISTRY, compute_features
from tests.guides import blocks
from tests.leakage.test_features_causal import cut, leaks, shuffle_future
from tests.small_market import cleaned_market, small_prices
from tests.unit import test_features

GUIDES = ["docs/en/adding-a-feature.md", "docs/tr/ozellik-ekleme.md"]


def inside(module: ModuleType, **names: object) -> dict[str, object]:
    """What code sees that is pasted into a module."""
    return {**vars(module), **names}


@pytest.fixture
def feature(monkeypatch) -> Feature:
    """The example's row, registered."""
    function, row, _, _ = blocks(GUIDES[0])
    module = inside(risk)
    exec(function, module)  # noqa: S102 (our own guide)
    monkeypatch.setattr(risk, "mean_gap", module["mean_gap"], raising=False)
    feature = eval(row, inside(long_horizon))  # noqa: S307
    monkeypatch.setattr(registry, "REGISTRY", (*REGISTRY, feature))
    return feature


def test_both_languages_show_the_same_code():
    assert len(blocks(GUIDES[0])) == 4
    assert blocks(GUIDES[0]) == blocks(GUIDES[1])


def test_the_example_equals_its_plain_computation(feature, monkeypatch):
    market = cleaned_market(*small_prices())
    monkeypatch.setitem(test_features.FEATURES, feature.name, feature)
    oracle = eval(blocks(GUIDES[0])[3], inside(test_features))[feature.name]  # noqa: S307
    panel = market.panel

    features = compute_features(market)
    computed = test_features.by_symbol(features, feature.name)

    shares = (pd.DataFrame({"open": o, "close": c}) for o, c in zip(panel.open.T, panel.close.T, strict=True))
    expected = np.column_stack([oracle(share) for share in shares])
    assert computed.notna().to_numpy().mean() > 0.4
    np.testing.assert_allclose(computed, np.where(np.isfinite(panel.close), expected, np.nan), rtol=1e-5)
    assert features[f"{feature.name}_rank"].between(0, 1).mean() > 0.4


def test_the_example_has_words_in_both_languages(feature):
    (shape, names), *others = eval(blocks(GUIDES[0])[2]).items()  # noqa: S307

    assert not others
    assert re.sub(r"\d+", "#", feature.name) == shape
    assert [text.format(feature.window) for text in names] == [
        "Mean gap at the open over 21 sessions",
        "21 seanslık ortalama açılış farkı",
    ]


@pytest.mark.parametrize("change", [cut, shuffle_future])
def test_the_example_does_not_leak(feature, change):
    assert leaks(change, cuts=[405]) == set()
