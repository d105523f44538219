"""What holds for every source, as one class to inherit."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import SyntheticSettings
from bist_pipeline.contracts import KEY, price_contract, quarantine, security_contract
from bist_pipeline.errors import BistError, NotASessionError, SessionOutOfRangeError
from bist_pipeline.sources.base import Source, newest_final

CALENDAR = bist_calendar()
FIRST, EARLY, LATE = dt.date(2024, 4, 1), dt.date(2024, 5, 15), dt.date(2024, 6, 28)
SMALL = SyntheticSettings(symbols=40, first_session=FIRST)
TOMORROW = CALENDAR.offset(newest_final(CALENDAR), 1)


class SourceContract:
    """Subclasses say how theirs is opened, so that it holds exactly the given market up to `LATE`."""

    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, tmp_path_factory: pytest.TempPathFactory, market: pd.DataFrame) -> Source:
        return cls.open(tmp_path_factory.mktemp("source"), market)

    def test_answers_the_same_when_opened_again(
        self, source: Source, tmp_path: Path, market: pd.DataFrame
    ) -> None:
        first, second = (opened.fetch(LATE, CALENDAR) for opened in (source, self.open(tmp_path, market)))
        pd.testing.assert_frame_equal(first.prices, second.prices, check_exact=True)
        assert first.notes == second.notes

    def test_keeps_the_contract_of_prices(self, source: Source) -> None:
        prices = source.fetch(LATE, CALENDAR).prices
        good, bad = quarantine(prices, price_contract(CALENDAR.between(FIRST, LATE)))
        assert len(good) >= 40
        assert bad.empty
        pd.testing.assert_frame_equal(good, prices)  # in order, too
        assert pd.MultiIndex.from_frame(prices[KEY]).is_unique

    def test_what_it_refuses_has_a_key_and_a_rule(self, source: Source) -> None:
        assert {*KEY, "rule"} <= {*source.fetch(LATE, CALENDAR).quarantined}

    def test_has_a_security_for_every_share(self, source: Source) -> None:
        fetch = source.fetch(LATE, CALENDAR)
        good, bad = quarantine(fetch.securities, security_contract())
        assert bad.empty
        assert good["symbol"].tolist() == sorted(fetch.prices["symbol"].unique())

    def test_its_newest_session_can_be_fetched(self, source: Source) -> None:
        latest = source.latest_session(CALENDAR)
        assert source.fetch(latest, CALENDAR).prices["session"].max() == pd.Timestamp(latest)

    @pytest.mark.parametrize(
        ("until", "error"),
        [
            (dt.date(2024, 6, 29), NotASessionError),
            (dt.date(2023, 2, 8), NotASessionError),  # cancelled by the exchange
            (TOMORROW, SessionOutOfRangeError),
            (dt.date(2035, 1, 2), SessionOutOfRangeError),
        ],
    )
    def test_refuses_sessions_it_cannot_deliver(
        self, source: Source, until: dt.date, error: type[BistError]
    ) -> None:
        with pytest.raises(error, match=str(until)) as caught:
            source.fetch(until, CALENDAR)
        assert caught.value.next_step


class HistoryContract(SourceContract):
    """What further holds for a source that has a history."""

    def test_delivers_exactly_the_market_it_holds(self, source: Source, market: pd.DataFrame) -> None:
        fetch = source.fetch(LATE, CALENDAR)
        pd.testing.assert_frame_equal(fetch.prices, market)
        assert len(fetch.prices) > 1000
        assert fetch.quarantined.empty
        assert [*fetch.quarantined] == [*market, "rule"]

    def test_delivers_every_session_up_to_the_requested_one(self, source: Source) -> None:
        sessions = source.fetch(EARLY, CALENDAR).prices["session"].unique()
        assert [day.date() for day in sessions] == CALENDAR.between(FIRST, EARLY).tolist()

    def test_the_past_does_not_change_as_time_goes_on(self, source: Source) -> None:
        early, late = (source.fetch(until, CALENDAR).prices for until in (EARLY, LATE))
        pd.testing.assert_frame_equal(early, late[late["session"] <= pd.Timestamp(EARLY)], check_exact=True)
        assert len(early) < len(late)

    def test_refuses_a_session_before_its_history(self, source: Source) -> None:
        with pytest.raises(SessionOutOfRangeError, match="2024-03-29") as caught:
            source.fetch(dt.date(2024, 3, 29), CALENDAR)
        assert caught.value.next_step
