"""Contracts: each rule sets aside the rows it should, under its name, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.contracts import (
    KEY,
    PRICE_COLUMNS,
    feature_contract,
    price_contract,
    quarantine,
    require,
    security_contract,
)
from bist_pipeline.errors import ContractError

SESSIONS = np.array(["2024-06-26", "2024-06-27", "2024-06-28"], dtype="datetime64[D]")
PRICES, SECURITIES = price_contract(SESSIONS), security_contract()


def table(*changes: dict[str, object]) -> pd.DataFrame:
    """One good row for each share AAA, BBB, …, with these changes."""
    good = {"session": "2024-06-27", "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10.0}
    rows = pd.DataFrame([{**good, "symbol": 3 * chr(65 + i), **change} for i, change in enumerate(changes)])
    return rows.astype({"session": "datetime64[ns]", **dict.fromkeys(PRICE_COLUMNS, "float64")})


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"session": None}, "session_missing"),
        ({"session": "2024-06-29"}, "in_the_future"),
        ({"session": "2024-06-25"}, "not_a_session"),
        ({"session": "2024-06-27 10:00"}, "not_a_session"),
        ({"symbol": None}, "symbol_malformed"),
        ({"symbol": ""}, "symbol_malformed"),
        ({"symbol": "THYAO.IS"}, "symbol_malformed"),
        ({"symbol": "thyao"}, "symbol_malformed"),
        ({"symbol": 7.5}, "symbol_malformed"),
        ({"close": np.nan}, "close_missing"),
        ({"low": -np.inf}, "price_not_finite"),
        ({"open": 1.1e7}, "price_absurd"),
        ({"open": -1.1e7}, "price_absurd"),
        ({"volume": np.inf}, "volume_absurd"),
        ({"volume": -1}, "volume_absurd"),
        ({"volume": 1.1e13}, "volume_absurd"),
        ({"symbol": "AAA", "close": 1.6}, "duplicate_key"),
        ({"symbol": "AAA"}, "repeated_row"),
    ],
)
def test_a_row_that_breaks_a_rule_is_filed_under_it(change: dict[str, object], rule: str) -> None:
    good, bad = quarantine(table({}, change, {}), PRICES)
    assert rule in bad["rule"].tolist()
    # Two rows that contradict each other are both set aside.
    kept = ["CCC"] if rule == "duplicate_key" else ["AAA", "CCC"]
    assert good["symbol"].tolist() == kept
    assert len(good) + len(bad) == 3


@pytest.mark.parametrize(
    "change",
    [{"close": 0.0}, {"low": -3.0}, {"high": 0.1}, {"open": np.nan}, {"volume": np.nan}, {"volume": 0.0}],
)
def test_what_cleaning_repairs_is_let_in(change: dict[str, object]) -> None:
    good, bad = quarantine(table(change), PRICES)
    assert len(good) == 1
    assert bad.empty


def test_a_row_that_breaks_several_rules_is_filed_once() -> None:
    _, bad = quarantine(table({"session": None, "symbol": "?", "close": np.inf}), PRICES)
    assert bad["rule"].tolist() == ["session_missing"]


def test_a_bad_row_contradicts_nothing() -> None:
    good, bad = quarantine(table({}, {"symbol": "AAA", "close": np.nan}), PRICES)
    assert good["close"].tolist() == [1.5]
    assert bad["rule"].tolist() == ["close_missing"]


def test_copies_with_equal_gaps_are_copies() -> None:
    good, bad = quarantine(table({"open": np.nan}, {"open": np.nan, "symbol": "AAA"}), PRICES)
    assert good["symbol"].tolist() == ["AAA"]
    assert bad["rule"].tolist() == ["repeated_row"]


def test_two_copies_and_a_contradiction_leave_nothing() -> None:
    good, bad = quarantine(table({}, {"symbol": "AAA"}, {"symbol": "AAA", "close": 1.0}), PRICES)
    assert good.empty
    assert sorted(bad["rule"]) == ["duplicate_key", "duplicate_key", "repeated_row"]


def test_both_parts_are_ordered_and_numbered_anew() -> None:
    shuffled = table(
        {}, {"session": "2024-06-26"}, {"symbol": "?"}, {"session": "2024-06-26"}, {"symbol": "!"}
    )
    good, bad = quarantine(shuffled.iloc[::-1], PRICES)
    assert good[KEY].equals(good[KEY].sort_values(KEY))
    assert good["symbol"].tolist() == ["BBB", "DDD", "AAA"]
    assert bad["symbol"].tolist() == ["!", "?"]
    assert [list(part.index) for part in (good, bad)] == [[0, 1, 2], [0, 1]]
    assert [*good.columns, "rule"] == list(bad.columns)


def test_no_rows_keep_the_contract() -> None:
    good, bad = quarantine(table({}).head(0), PRICES)
    assert good.empty
    assert bad.empty
    assert good.dtypes["close"] == "float64"


def test_the_given_table_is_left_as_it_was() -> None:
    given = table({}, {"symbol": "?"})
    before = given.copy()
    quarantine(given, PRICES)
    pd.testing.assert_frame_equal(given, before)


def test_columns_that_are_missing_or_unknown_are_named() -> None:
    with pytest.raises(ContractError, match="low is missing, note is unknown") as caught:
        quarantine(table({}).drop(columns="low").assign(note=""), PRICES)
    assert caught.value.next_step == "deliver the columns session, symbol, open, high, low, close, volume"


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("close", "int64"),
        ("close", "float32"),
        ("open", "object"),
        ("volume", "Float64"),
        ("session", "datetime64[s]"),
        ("session", "object"),
        ("symbol", "string"),
    ],
)
def test_wrong_types_are_named(column: str, kind: str) -> None:
    with pytest.raises(ContractError) as caught:
        quarantine(table({}).astype({column: kind}), PRICES)
    (fault,) = caught.value.which
    assert fault.startswith(f"{column} is {kind}, not ")


def test_sessions_in_a_time_zone_are_refused() -> None:
    given = table({})
    with pytest.raises(ContractError, match="UTC"):
        quarantine(given.assign(session=given["session"].dt.tz_localize("UTC")), PRICES)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"symbol": "THYAO.IS"}, "symbol_malformed"),
        ({"name": None}, "name_missing"),
        ({"sector": ""}, "sector_missing"),
        ({"symbol": "GARAN", "sector": "Energy"}, "duplicate_key"),
    ],
)
def test_securities_without_symbol_name_or_sector_are_set_aside(change: dict[str, object], rule: str) -> None:
    rows = [{"symbol": symbol, "name": "Invented", "sector": "unknown"} for symbol in ("THYAO", "GARAN")]
    good, bad = quarantine(pd.DataFrame([{**rows[0], **change}, rows[1]]), SECURITIES)
    assert bad["rule"].unique().tolist() == [rule]
    assert len(good) + len(bad) == 2


def features(*, symbol: str = "GARAN", **change: object) -> pd.DataFrame:
    """Two shares with one feature, the second one changed."""
    good = {"session": pd.Timestamp("2024-06-28"), "tradable": True, "mom_5": 0.1, "mom_5_rank": 0.25}
    rows = pd.DataFrame([{**good, "symbol": "THYAO"}, {**good, "symbol": symbol, **change}])
    return rows.astype({"mom_5": "float32", "mom_5_rank": "float32"})


FEATURES = feature_contract(["mom_5"], ["mom_5_rank"])


@pytest.mark.parametrize("change", [{}, {"mom_5": np.nan, "mom_5_rank": np.nan}, {"mom_5": -1e30}])
def test_features_may_be_missing_or_far_from_usual(change: dict[str, float]) -> None:
    require(features(**change), FEATURES)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"mom_5": np.inf}, "mom_5 not_finite in 1 row"),
        ({"mom_5": -np.inf}, "mom_5 not_finite in 1 row"),
        ({"mom_5_rank": 0.0}, "mom_5_rank not_between_0_and_1 in 1 row"),
        ({"mom_5_rank": 1.0}, "mom_5_rank not_between_0_and_1 in 1 row"),
        ({"mom_5_rank": np.inf}, "mom_5_rank not_between_0_and_1 in 1 row"),
        ({"session": pd.NaT}, "session session_missing in 1 row"),
        ({"symbol": "garan"}, "symbol symbol_malformed in 1 row"),
        ({"symbol": "THYAO"}, "session, symbol not_unique in 2 rows"),
    ],
)
def test_a_feature_table_with_a_wrong_cell_is_refused_by_name(change: dict[str, object], fault: str) -> None:
    with pytest.raises(ContractError) as caught:
        require(features(**change), FEATURES)
    assert caught.value.which == (fault,)


def test_features_of_another_type_or_name_are_refused() -> None:
    with pytest.raises(ContractError) as caught:
        require(features().astype({"mom_5": "float64"}).assign(mom_9=1.0), FEATURES)
    assert caught.value.which == ("mom_9 is unknown", "mom_5 is float64, not float32")
