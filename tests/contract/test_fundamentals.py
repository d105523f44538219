"""Reported figures from a user's file: what arrives, and what is refused by name."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.contracts import BALANCE_COLUMNS, FLOW_COLUMNS, fundamental_contract, quarantine
from bist_pipeline.errors import BistError, SourceContentError, SourceUnavailableError
from bist_pipeline.features.registry import ALL_FAMILIES, feature_columns, rank_columns
from bist_pipeline.lake import open_lake
from bist_pipeline.sources.base import Fetch, open_source
from bist_pipeline.stages.features import features
from bist_pipeline.stages.ingest import ingest

SESSION = dt.date(2024, 6, 28)
UNTIL = dt.date(2024, 7, 31)


@pytest.fixture
def reports() -> pd.DataFrame:
    """Two reports of two shares of the synthetic market."""
    figures = dict.fromkeys([*FLOW_COLUMNS, *BALANCE_COLUMNS], 2.5)
    return pd.DataFrame(
        {
            "symbol": ["BAHAQ", "BELEQ"],
            "period_end": pd.to_datetime(["2024-03-31", "2024-03-31"]),
            "announced_at": pd.to_datetime(["2024-05-06 18:30", None]),
            **figures,
            "auditor": "not read",
        }
    )


def fetch(path: Path, reports: pd.DataFrame) -> Fetch:
    source = open_source(Settings(fundamentals_path=str(path), synthetic={"symbols": 40}))
    write(path, reports)
    return source.fetch(SESSION, bist_calendar())


def write(path: Path, reports: pd.DataFrame) -> None:
    if path.suffix == ".parquet":
        reports.to_parquet(path)
    elif path.name.startswith("turkish"):
        reports.to_csv(path, sep=";", decimal=",", index=False, encoding="utf-8-sig")
    else:
        reports.to_csv(path, index=False)


@pytest.mark.parametrize("name", ["reports.parquet", "reports.csv", "reports.csv.gz", "turkish.csv"])
def test_a_table_of_reports_is_delivered_beside_the_prices_of_any_source(tmp_path, reports, name):
    delivered = fetch(tmp_path / name, reports)

    assert len(delivered.prices) > 10_000
    assert delivered.fundamentals is not None
    pd.testing.assert_frame_equal(delivered.fundamentals, reports.drop(columns="auditor"))


def test_a_time_with_a_zone_becomes_istanbul_time_and_a_vendors_suffix_goes(tmp_path, reports):
    elsewhere = reports.assign(
        symbol=reports["symbol"] + ".IS", announced_at=["2024-05-06T22:30:00+00:00", "2024-05-06T12:00:00Z"]
    )

    facts = fetch(tmp_path / "reports.csv", elsewhere).fundamentals

    assert facts is not None
    assert facts["symbol"].tolist() == ["BAHAQ", "BELEQ"]
    assert facts["announced_at"].astype(str).tolist() == ["2024-05-07 01:30:00", "2024-05-06 15:00:00"]


def test_without_a_path_there_are_none():
    source = open_source(Settings(synthetic={"symbols": 40}))

    assert source.fetch(SESSION, bist_calendar()).fundamentals is None


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda r: r.drop(columns=["equity", "cash"]), SourceContentError, "lacks 2 of 16 columns"),
        (lambda r: r.drop(columns="symbol"), SourceContentError, "no column symbol"),
        (lambda r: r.assign(revenue="much"), SourceContentError, "revenue holds 1 different values"),
        (lambda r: r.assign(announced_at="soon"), SourceContentError, "'soon' is no time"),
        (lambda r: r.assign(announced_at="0001-01-01"), SourceContentError, "is no time of announcement"),
    ],
)
def test_what_is_no_table_of_reports_is_refused(tmp_path, reports, change, error, message):
    with pytest.raises(error, match=message):
        fetch(tmp_path / "reports.csv", change(reports))


def test_a_missing_file_says_which_setting_names_it(tmp_path):
    source = open_source(Settings(fundamentals_path=str(tmp_path / "none.csv"), synthetic={"symbols": 40}))

    with pytest.raises(SourceUnavailableError, match=r"none\.csv cannot be opened.*") as caught:
        source.fetch(SESSION, bist_calendar())
    assert "BIST_FUNDAMENTALS_PATH" in caught.value.next_step


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("symbol_malformed", {"symbol": "BAH AQ"}),
        ("period_end_missing", {"period_end": pd.NaT}),
        ("period_in_the_future", {"period_end": pd.Timestamp("2024-09-30")}),
        ("not_a_calendar_quarter", {"period_end": pd.Timestamp("2024-05-31")}),
        ("not_a_calendar_quarter", {"period_end": pd.Timestamp("2024-03-31 18:00")}),
        ("figure_not_finite", {"equity": float("inf")}),
        ("duplicate_key", {"symbol": "BELEQ", "announced_at": pd.NaT, "cash": 1.0}),
        ("repeated_row", {"symbol": "BELEQ", "announced_at": pd.NaT}),
    ],
)
def test_a_report_that_breaks_its_contract_goes_to_quarantine_with_the_rule(reports, rule, change):
    table = reports.drop(columns="auditor")
    broken = table.iloc[[0]].assign(**change).astype(table.dtypes.to_dict())

    good, bad = quarantine(pd.concat([table, broken], ignore_index=True), fundamental_contract(UNTIL))

    assert set(bad["rule"]) == {rule}
    assert len(good) + len(bad) == 3
    assert "BAHAQ" in set(good["symbol"])


def test_a_quarantined_report_is_noted_with_its_rule(tmp_path, reports):
    delivered = fetch(tmp_path / "reports.csv", reports.assign(period_end=["2024-03-31", "2024-05-31"]))

    assert delivered.fundamentals is not None
    assert delivered.fundamentals["symbol"].tolist() == ["BAHAQ"]
    assert "1 reports refused: not_a_calendar_quarter (first: BELEQ)" in delivered.notes


def settings_of(tmp_path: Path, reports: pd.DataFrame) -> Settings:
    write(tmp_path / "reports.parquet", reports)
    market = {"symbols": 40, "first_session": dt.date(2023, 1, 2)}
    return Settings(
        home=tmp_path / "var", fundamentals_path=str(tmp_path / "reports.parquet"), synthetic=market
    )


def test_ingest_files_a_report_under_the_first_session_that_may_use_it(tmp_path, reports):
    settings = settings_of(tmp_path, reports)

    receipt = ingest(settings, SESSION)

    stored = open_lake(settings).read("fundamentals")
    # The other announcement is assumed for 29 June: after the session, so nobody may know it yet.
    assert stored[["session", "symbol"]].astype(str).to_numpy().tolist() == [["2024-05-07", "BAHAQ"]]
    assert receipt.details["fundamentals"]["announcement_assumed"] == 1
    assert receipt.details["fundamentals"]["restated_flows"] == 2
    assert "1 reports of 1 shares: announcement_assumed" in receipt.warnings


def test_the_features_stage_adds_the_family_once_reports_were_ingested(tmp_path, reports):
    settings = settings_of(tmp_path, reports)
    ingest(settings, SESSION)

    receipt = features(settings, SESSION)

    frame = open_lake(settings).read("features")
    share = frame[frame["symbol"] == "BAHAQ"].set_index("session")["cash_share_1q"]
    assert {*feature_columns(ALL_FAMILIES), *rank_columns(ALL_FAMILIES)} < set(frame)
    assert share["2024-04-01":"2024-05-06"].isna().sum() > 15
    assert share["2024-05-07":].tolist() == [1.0] * 36
    assert any("no share has a current report for: operating_margin_4q" in note for note in receipt.warnings)


def test_a_file_that_cannot_be_read_leaves_the_lake_as_it_was(tmp_path, reports):
    settings = settings_of(tmp_path, reports)
    ingest(settings, SESSION)
    write(tmp_path / "reports.parquet", reports.drop(columns="equity"))

    with pytest.raises(BistError, match="equity"):
        ingest(settings, SESSION)

    assert open_lake(settings).read("fundamentals")["symbol"].tolist() == ["BAHAQ"]
