"""Nothing that is said about a session may depend on what came after it: over every registered feature."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.features import registry
from bist_pipeline.features.feature import Feature
from bist_pipeline.features.registry import (
    ALL_FAMILIES,
    REGISTRY,
    compute_features,
    feature_columns,
    rank_columns,
)
from bist_pipeline.features.windows import lag
from bist_pipeline.market.point_in_time import attach_as_of
from tests.small_market import THIN, cleaned_market, small_facts, small_prices

# Just before, at and after defects: a split (450), a suspension (400-470), a thin session, a delisting (500).
CUTS = [260, 405, THIN, 449, 450, 502]
KEY = ["session", "symbol"]
COLUMNS = ["tradable", *feature_columns(ALL_FAMILIES), *rank_columns(ALL_FAMILIES)]
Market = tuple[pd.DataFrame, np.ndarray, pd.DataFrame]


def small_market() -> Market:
    prices, sessions = small_prices()
    return prices, sessions, small_facts()


def features_of(prices: pd.DataFrame, sessions: np.ndarray, facts: pd.DataFrame) -> pd.DataFrame:
    return compute_features(cleaned_market(prices, sessions), facts)


def cut(prices: pd.DataFrame, sessions: np.ndarray, facts: pd.DataFrame, t: int) -> Market:
    """The market as it was known after session number `t`: without reports of that day."""
    return (
        prices[prices["session"] <= sessions[t]],
        sessions[: t + 1],
        facts[facts["announced_at"] < sessions[t]],
    )


def shuffle_future(prices: pd.DataFrame, sessions: np.ndarray, facts: pd.DataFrame, t: int) -> Market:
    """The same market up to session number `t`; afterwards every bar and report is somebody else's."""
    shuffled = _shuffle(prices, prices["session"] > sessions[t], keep=KEY)
    return shuffled, sessions, _shuffle(facts, facts["announced_at"] >= sessions[t], keep=["announced_at"])


def _shuffle(rows: pd.DataFrame, later: pd.Series, *, keep: list[str]) -> pd.DataFrame:
    future = rows[later].copy()
    others = [name for name in rows.columns if name not in keep]
    order = np.random.default_rng(0).permutation(len(future))
    return pd.concat([rows[~later], future[keep].join(future[others].take(order).set_axis(future.index))])


def changed_columns(full: pd.DataFrame, other: pd.DataFrame, last: np.datetime64) -> set[str]:
    """Columns that differ, to the last bit, in any row up to the session `last`."""
    before, after = (frame[frame["session"] <= last].set_index(KEY) for frame in (full, other))
    assert len(before) > 5_000
    pd.testing.assert_index_equal(before.index, after.index)
    numbers = [frame.to_numpy(dtype=np.float64) for frame in (before, after)]  # exact, and not objects
    same = (numbers[0] == numbers[1]) | (np.isnan(numbers[0]) & np.isnan(numbers[1]))
    return set(before.columns[~same.all(axis=0)])


def leaks(change, cuts=CUTS) -> set[str]:
    """Columns of `compute_features` in which a change of the future shows up in the past."""
    market = small_market()
    full = features_of(*market)
    assert full.notna().any().all()
    found: set[str] = set()
    for t in cuts:
        found |= changed_columns(full, features_of(*change(*market, t)), market[1][t])
    return found


@pytest.fixture(scope="module")
def truncation_leaks() -> set[str]:
    return leaks(cut)


@pytest.fixture(scope="module")
def permutation_leaks() -> set[str]:
    return leaks(shuffle_future)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_history_cut_at_a_session_gives_the_same_value_there(column, truncation_leaks):
    assert column not in truncation_leaks


@pytest.mark.parametrize("column", COLUMNS)
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


@pytest.mark.parametrize("change", [cut, shuffle_future])
def test_reports_that_are_dated_too_early_are_caught(change, monkeypatch):
    """As if each figure had been known on the last day of its period."""
    early = "bist_pipeline.features.filings.attach_as_of"
    monkeypatch.setattr(early, lambda panel, facts, value: at_period_end(panel, facts, value=value))

    assert leaks(change, cuts=[405]) == {*feature_columns(["fundamentals"]), *rank_columns(["fundamentals"])}


def at_period_end(panel: pd.DataFrame, facts: pd.DataFrame, *, value: str) -> pd.Series:
    return attach_as_of(panel, facts.assign(announced_at=facts["period_end"]), value=value)


@pytest.mark.parametrize("t", CUTS)
def test_cleaning_says_the_same_of_a_session_whatever_follows(t):
    prices, sessions, facts = small_market()
    full, known = cleaned_market(prices, sessions), cleaned_market(*cut(prices, sessions, facts, t)[:2])
    column = np.searchsorted(full.panel.symbols, known.panel.symbols)

    for mask in ("observed", "traded", "filled", "suspended", "quarantined", "limit_up", "limit_down"):
        np.testing.assert_array_equal(getattr(known, mask), getattr(full, mask)[: t + 1, column], mask)
    for prices_of in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(
            getattr(known.panel, prices_of), getattr(full.panel, prices_of)[: t + 1, column], prices_of
        )
