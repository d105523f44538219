"""Nothing that is said about a session may depend on what came after it: over every registered feature."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.features import registry
from bist_pipeline.features.feature import Feature
from bist_pipeline.features.registry import REGISTRY, compute_features, feature_columns, rank_columns
from bist_pipeline.features.windows import lag
from tests.small_market import THIN, cleaned_market, small_prices

# Just before, at and after defects: a split (450), a suspension (400-470), a thin session, a delisting (500).
CUTS = [260, 405, THIN, 449, 450, 502]
KEY = ["session", "symbol"]


def cut(prices: pd.DataFrame, sessions: np.ndarray, t: int) -> tuple[pd.DataFrame, np.ndarray]:
    """The market as it was known after session number `t`."""
    return prices[prices["session"] <= sessions[t]], sessions[: t + 1]


def shuffle_future(prices: pd.DataFrame, sessions: np.ndarray, t: int) -> tuple[pd.DataFrame, np.ndarray]:
    """The same market up to session number `t`; afterwards every bar belongs to somebody else."""
    known = prices[prices["session"] <= sessions[t]]
    future = prices[prices["session"] > sessions[t]].copy()
    bars = [name for name in future.columns if name not in KEY]
    future[bars] = future[bars].to_numpy()[np.random.default_rng(0).permutation(len(future))]
    return pd.concat([known, future]), sessions


def changed_columns(full: pd.DataFrame, other: pd.DataFrame, last: np.datetime64) -> set[str]:
    """Columns that differ, to the last bit, in any row up to the session `last`."""
    before, after = (frame[frame["session"] <= last].set_index(KEY) for frame in (full, other))
    assert len(before) > 5_000
    pd.testing.assert_index_equal(before.index, after.index)
    same = (before.to_numpy() == after.to_numpy()) | (before.isna() & after.isna()).to_numpy()
    return set(before.columns[~same.all(axis=0)])


def leaks(change, cuts=CUTS) -> set[str]:
    """Columns of `compute_features` in which a change of the future shows up in the past."""
    prices, sessions = small_prices()
    full = compute_features(cleaned_market(prices, sessions))
    found: set[str] = set()
    for t in cuts:
        other = compute_features(cleaned_market(*change(prices, sessions, t)))
        found |= changed_columns(full, other, sessions[t])
    return found


@pytest.fixture(scope="module")
def truncation_leaks() -> set[str]:
    return leaks(cut)


@pytest.fixture(scope="module")
def permutation_leaks() -> set[str]:
    return leaks(shuffle_future)


@pytest.mark.parametrize("column", ["tradable", *feature_columns(), *rank_columns()])
def test_a_history_cut_at_a_session_gives_the_same_value_there(column, truncation_leaks):
    assert column not in truncation_leaks


@pytest.mark.parametrize("column", ["tradable", *feature_columns(), *rank_columns()])
def test_shuffling_the_future_changes_no_past_value(column, permutation_leaks):
    assert column not in permutation_leaks


def tomorrow(inputs, window, min_history):
    close = inputs.cleaned.panel.close
    return lag(close[::-1], 1)[::-1] / close - 1


def against_all_time_mean(inputs, window, min_history):
    close = inputs.cleaned.panel.close
    return close / np.nanmean(close, axis=0)


def leaky(compute) -> Feature:
    return Feature("leaky_1", "test", 1, 1, "fraction", ("close",), "It knows the future.", "us", compute)


@pytest.mark.parametrize("compute", [tomorrow, against_all_time_mean])
@pytest.mark.parametrize("change", [cut, shuffle_future])
def test_a_leaky_feature_is_caught_and_nothing_else_is(compute, change, monkeypatch):
    monkeypatch.setattr(registry, "REGISTRY", (*REGISTRY, leaky(compute)))

    assert leaks(change, cuts=[405]) == {"leaky_1", "leaky_1_rank"}


@pytest.mark.parametrize("t", CUTS)
def test_cleaning_says_the_same_of_a_session_whatever_follows(t):
    prices, sessions = small_prices()
    full, known = cleaned_market(prices, sessions), cleaned_market(*cut(prices, sessions, t))
    column = np.searchsorted(full.panel.symbols, known.panel.symbols)

    for mask in ("observed", "traded", "filled", "suspended", "quarantined", "limit_up", "limit_down"):
        np.testing.assert_array_equal(getattr(known, mask), getattr(full, mask)[: t + 1, column], mask)
    for prices_of in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(
            getattr(known.panel, prices_of), getattr(full.panel, prices_of)[: t + 1, column], prices_of
        )
