"""The invented market looks like the exchange, hides what a model should find, and fails as it is told to."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.config import FaultName, SyntheticSettings
from bist_pipeline.contracts import KEY
from bist_pipeline.drift.data_quality import check_session
from bist_pipeline.drift.findings import QualityReport
from bist_pipeline.drift.status import Status
from bist_pipeline.market.cleaning import clean
from bist_pipeline.market.limits import NARROW_LIMIT
from bist_pipeline.market.panel import build_panel
from bist_pipeline.sources.base import Fetch, Source
from bist_pipeline.sources.faults import FAULTS
from bist_pipeline.sources.invented_market import Market, build_market, true_rank_ic
from bist_pipeline.sources.synthetic import SyntheticSource
from tests.contract.source_contract import CALENDAR, FIRST, LATE, SMALL, HistoryContract


class TestSynthetic(HistoryContract):
    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        return SyntheticSource(SMALL)


@pytest.fixture(scope="module")
def fetch() -> Fetch:
    return SyntheticSource(SyntheticSettings()).fetch(LATE, CALENDAR)


@pytest.fixture(scope="module")
def prices(fetch: Fetch) -> pd.DataFrame:
    return fetch.prices


def wide(prices: pd.DataFrame, column: str) -> pd.DataFrame:
    return prices.set_index(KEY)[column].unstack()  # noqa: PD010 - keys are unique


class TestMarket:
    def test_ranges_are_those_of_the_exchange(self, prices: pd.DataFrame) -> None:
        moves = wide(prices, "close").pct_change(fill_method=None)
        value = prices["close"] * prices["volume"]
        assert 100 < moves.shape[1] <= 120  # some are listed later
        assert 0.02 < moves.std().median() < 0.04
        assert (moves.abs() > NARROW_LIMIT + 0.001).to_numpy().sum() == len(missed_splits())
        assert (moves.abs() > NARROW_LIMIT - 0.0001).mean(axis=None) > 0.001
        assert value.quantile([0.05, 0.95]).between(5e6, 5e9).all()
        assert (prices["volume"] > 0).all()

    def test_bars_enclose_open_and_close(self, prices: pd.DataFrame) -> None:
        assert (prices["high"] >= prices[["open", "close"]].max(axis=1)).all()
        assert (prices["low"] <= prices[["open", "close"]].min(axis=1)).all()

    def test_it_has_listings_suspensions_and_thin_half_days(self, prices: pd.DataFrame) -> None:
        volume = wide(prices, "volume")
        listed = volume.ffill().notna()
        by_session = volume.median(axis=1)
        half_days = [CALENDAR.describe(day.date()).is_half_day for day in volume.index]
        assert 3 <= (~listed.iloc[0]).sum() <= 30
        assert (listed & volume.isna()).to_numpy().sum() > 50
        assert by_session[half_days].median() < 0.6 * by_session.median()

    def test_cleaning_finds_the_splits_that_the_feed_missed(self, prices: pd.DataFrame) -> None:
        cleaned = clean(build_panel(prices, CALENDAR.between(SyntheticSettings().first_session, LATE)))
        row, column = np.nonzero(cleaned.quarantined)
        found = set(zip(cleaned.panel.sessions[row], cleaned.panel.symbols[column], strict=True))
        assert found == missed_splits()
        assert len(found) > 3

    def test_the_cancelled_session_is_delivered_as_feeds_do(self, fetch: Fetch) -> None:
        refused = fetch.quarantined
        assert refused["rule"].unique().tolist() == ["not_a_session"]
        assert refused["session"].unique().tolist() == [pd.Timestamp("2023-02-08")]
        assert len(refused) > 100
        assert (refused[["open", "high", "low"]].eq(refused["close"], axis=0)).all(axis=None)
        assert refused["volume"].median() < 500

    def test_codes_are_no_real_shares(self, prices: pd.DataFrame) -> None:
        assert prices["symbol"].str.fullmatch("[A-Z]{4}Q").all()  # Turkish has no Q

    def test_another_seed_is_another_market(self, market: pd.DataFrame) -> None:
        other = SyntheticSource(SMALL.model_copy(update={"seed": 8})).fetch(LATE, CALENDAR)
        assert set(other.securities["symbol"]) != set(market["symbol"])

    def test_quality_rules_let_every_tenth_of_300_sessions_pass(self, prices: pd.DataFrame) -> None:
        days = CALENDAR.between(CALENDAR.first, LATE)[-300::10].tolist()
        reports = [check_session(prices, session=day, sessions=CALENDAR.sessions) for day in days]
        assert {report.status for report in reports} <= {Status.OK, Status.INFO}
        assert len(reports) == 30

    @pytest.mark.parametrize(("signal", "low", "high"), [(0.0, -0.05, 0.05), (0.8, 0.25, 0.4)])
    def test_its_note_states_the_strength_of_the_signal(self, signal: float, low: float, high: float) -> None:
        (note,) = SyntheticSource(SyntheticSettings(signal=signal)).fetch(LATE, CALENDAR).notes
        assert low < float(note.split("true rank IC ")[1].split(":")[0]) < high

    def test_a_history_without_results_states_no_strength(self) -> None:
        assert "too short a history" in SyntheticSource(SMALL).fetch(FIRST, CALENDAR).notes[0]


def missed_splits() -> set[tuple[np.datetime64, str]]:
    """Where the quoted price of the default market falls to half or less, and nobody loses anything."""
    sessions = CALENDAR.between(SyntheticSettings().first_session, LATE)
    market = build_market(SyntheticSettings(), sessions, np.zeros(len(sessions), dtype=bool))
    kept = pd.DataFrame(market.bars["close"] / market.total_return).ffill().pct_change(fill_method=None)
    row, column = np.nonzero(kept.to_numpy() < -0.4)
    return set(zip(sessions[row], market.symbols[column], strict=True))


FAULT_DAY = dt.date(2024, 6, 3)
BEFORE = CALENDAR.offset(FAULT_DAY, -1)
SOUND = SyntheticSettings(symbols=60, first_session=dt.date(2023, 6, 1))


def fetch_with(fault: FaultName, since: dt.date | None = FAULT_DAY, until: dt.date = LATE) -> Fetch:
    settings = SOUND.model_copy(update={"fault": fault, "fault_from": since})
    return SyntheticSource(settings).fetch(until, CALENDAR)


def judge(fetch: Fetch, session: dt.date) -> QualityReport:
    return check_session(fetch.prices, session=session, sessions=CALENDAR.sessions)


def from_fault(prices: pd.DataFrame, column: str) -> np.ndarray:
    return wide(prices, column).loc[str(FAULT_DAY) :].to_numpy()


class TestFaults:
    """What the settings tell to go wrong does, from that session on, and quality rules see what they can."""

    @pytest.fixture(scope="class")
    @classmethod
    def sound(cls) -> pd.DataFrame:
        return fetch_with("").prices

    @pytest.mark.parametrize("fault", FAULTS)
    def test_nothing_changes_before(self, sound: pd.DataFrame, fault: FaultName) -> None:
        prices = fetch_with(fault).prices
        assert (prices["session"] == pd.Timestamp(FAULT_DAY)).any()
        is_before = [table["session"] <= pd.Timestamp(BEFORE) for table in (prices, sound)]
        pd.testing.assert_frame_equal(prices[is_before[0]], sound[is_before[1]], check_exact=True)
        assert not prices.equals(sound)

    @pytest.mark.parametrize("fault", FAULTS)
    def test_its_own_past_does_not_change_as_time_goes_on(self, fault: FaultName) -> None:
        early, late = (fetch_with(fault, until=until).prices for until in (CALENDAR.offset(LATE, -9), LATE))
        pd.testing.assert_frame_equal(early, late.iloc[: len(early)], check_exact=True)

    @pytest.mark.parametrize(
        ("fault", "rule", "status"),
        [
            ("unit_change_x10", "moves", Status.BLOCK),
            ("volume_in_lots", "volume", Status.BLOCK),
            ("stale_feed", "unchanged", Status.BLOCK),
            ("missing_column", "columns", Status.BLOCK),
            ("nan_surge", "missing_values", Status.BLOCK),
            ("ipo_wave", "young", Status.AMBER),
        ],
    )
    def test_one_rule_sees_it_on_its_first_day(self, fault: FaultName, rule: str, status: Status) -> None:
        fetch = fetch_with(fault)
        assert judge(fetch, BEFORE).status in (Status.OK, Status.INFO)
        report = judge(fetch, FAULT_DAY)
        assert report.status is status
        assert [finding.rule for finding in report.having(status)] == [rule]

    @pytest.mark.parametrize("fault", ["volatility_x2", "sign_flip"])
    def test_no_rule_sees_a_market_that_behaves_differently(self, fault: FaultName) -> None:
        assert judge(fetch_with(fault), FAULT_DAY).status in (Status.OK, Status.INFO)

    def test_it_begins_in_the_newest_session_unless_told_otherwise(self, sound: pd.DataFrame) -> None:
        fetch = fetch_with("unit_change_x10", since=None)
        changed = fetch.prices["close"] != sound["close"]
        assert fetch.prices.loc[changed, "session"].unique().tolist() == [pd.Timestamp(LATE)]
        assert fetch.notes[-1] == "the fault unit_change_x10 was injected"

    def test_one_still_to_come_changes_nothing(self, sound: pd.DataFrame) -> None:
        pd.testing.assert_frame_equal(fetch_with("stale_feed", since=dt.date(2024, 7, 1)).prices, sound)

    def test_units(self, sound: pd.DataFrame) -> None:
        prices = fetch_with("unit_change_x10").prices
        np.testing.assert_allclose(from_fault(prices, "low"), 10 * from_fault(sound, "low"))
        np.testing.assert_array_equal(from_fault(prices, "volume"), from_fault(sound, "volume"))
        lots = from_fault(fetch_with("volume_in_lots").prices, "volume")
        np.testing.assert_array_equal(lots, np.floor(from_fault(sound, "volume") / 100))

    def test_what_is_missing(self, sound: pd.DataFrame) -> None:
        assert np.isnan(from_fault(fetch_with("missing_column").prices, "volume")).all()
        prices = fetch_with("nan_surge").prices
        has_bar = np.isfinite(from_fault(sound, "close"))
        np.testing.assert_array_equal(from_fault(prices, "close"), from_fault(sound, "close"))
        for name in ("open", "high", "low"):
            assert 0.25 < np.isnan(from_fault(prices, name))[has_bar].mean() < 0.35

    def test_stale_bars_repeat_the_last_good_ones(self) -> None:
        for name in ("open", "close", "volume"):
            values = wide(fetch_with("stale_feed").prices, name).loc[str(BEFORE) :].to_numpy()
            assert len(values) > 10
            np.testing.assert_array_equal(values, np.broadcast_to(values[0], values.shape))

    def test_newcomers_are_a_fifth_and_have_names_and_sectors(self, sound: pd.DataFrame) -> None:
        fetch = fetch_with("ipo_wave")
        new = set(fetch.prices["symbol"]) - set(sound["symbol"])
        assert 0.15 < len(new) / sound["symbol"].nunique() <= 0.2
        assert new < set(fetch.securities["symbol"])
        assert all(symbol.endswith("W") for symbol in new)

    def test_moves_double_within_the_price_limit(self, sound: pd.DataFrame) -> None:
        moves, doubled = (
            wide(prices, "close").pct_change(fill_method=None).loc[str(FAULT_DAY) :].stack()  # noqa: PD013
            for prices in (sound, fetch_with("volatility_x2").prices)
        )
        expected = np.clip(2 * moves, -NARROW_LIMIT, NARROW_LIMIT)
        is_split = moves < -0.4
        np.testing.assert_allclose(doubled[~is_split], expected[~is_split], atol=1e-3)

    def test_the_market_rewards_the_opposite(self) -> None:
        """The old expectations had a positive rank IC with the next quarter, and have a negative one now."""
        settings = SyntheticSettings(signal=3.0, fault_from=dt.date(2023, 1, 2))
        sessions = CALENDAR.between(settings.first_session, LATE)
        flip = np.searchsorted(sessions, np.datetime64(settings.fault_from or LATE))
        market = build_market(settings, sessions, np.zeros(len(sessions), dtype=bool))
        flipped = FAULTS["sign_flip"](market, int(flip))
        told_before = replace(flipped, expected=market.expected)
        assert true_rank_ic(slice_from(market, flip), 63) > 0.5
        assert true_rank_ic(slice_from(told_before, flip), 63) < -0.5
        assert true_rank_ic(slice_from(flipped, flip), 63) > 0.5


def slice_from(market: Market, row: int) -> Market:
    return replace(market, total_return=market.total_return[row:], expected=market.expected[row:])
