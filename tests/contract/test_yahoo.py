"""Yahoo through yfinance: what arrives is joined to what is there, and what does not is told apart by cause.

yfinance is the real one. Only the addresses it asks, and the cookies it would fetch first, are replaced.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yfinance.data
import yfinance.scrapers.history
import yfinance.screener.screener

from bist_pipeline.config import Settings, SyntheticSettings, YahooSettings
from bist_pipeline.contracts import SYMBOL_PATTERN, UNKNOWN_SECTOR
from bist_pipeline.errors import (
    ConfigError,
    LakeUnavailableError,
    Policy,
    SourceContentError,
    SourceUnavailableError,
)
from bist_pipeline.lake import open_lake
from bist_pipeline.market.cleaning import LISTED_SESSIONS
from bist_pipeline.sources.base import Source, open_source
from bist_pipeline.sources.synthetic import SyntheticSource
from bist_pipeline.sources.yahoo import YahooSource, client, source
from bist_pipeline.sources.yahoo.held import OVERLAP_SESSIONS
from bist_pipeline.sources.yahoo.load import CONTROL_SHARES
from bist_pipeline.sources.yahoo.shares import read_symbols, shipped_symbols
from bist_pipeline.stages.ingest import ingest
from tests.contract.source_contract import CALENDAR, FIRST, LATE, HistoryContract
from tests.contract.yahoo_server import (
    BAD_GATEWAY,
    DOWN,
    OTHER_FORM,
    REFUSED_COOKIE,
    THROTTLED,
    Reply,
    Yahoo,
    serving,
)

START, BEFORE = dt.date(2023, 10, 2), CALENDAR.offset(LATE, -1)
OVERLAP = CALENDAR.offset(BEFORE, 1 - OVERLAP_SESSIONS)
CONTROL = CONTROL_SHARES[0]


def gently(**settings: Any) -> YahooSettings:
    return YahooSettings(
        **{"first_session": START, "pause_seconds": 0, "backoff_seconds": 0, "tries": 2} | settings
    )


def with_control(prices: pd.DataFrame) -> pd.DataFrame:
    """Add a share that always trades."""
    sessions = CALENDAR.between(dt.date(2023, 1, 2), LATE).astype("datetime64[ns]")
    bars = pd.DataFrame({"session": sessions, "symbol": CONTROL, "open": 300.0, "high": 305.0, "low": 299.0})
    return pd.concat([prices, bars.assign(close=301.0, volume=1e7)], ignore_index=True)


@contextmanager
def answering(yahoo: Yahoo) -> Iterator[Yahoo]:
    with serving(yahoo) as address, pytest.MonkeyPatch.context() as patch:
        patch.setattr(yfinance.scrapers.history, "_BASE_URL_", address)
        patch.setattr(yfinance.screener.screener, "_SCREENER_URL_", address)
        patch.setattr(yfinance.data.YfData, "_get_cookie_and_crumb", lambda *_: (None, "basic"))
        patch.setattr(source, "newest_final", lambda _calendar: LATE)
        yield yahoo


class TestYahoo(HistoryContract):
    @pytest.fixture(scope="class")
    @classmethod
    def market(cls, market: pd.DataFrame) -> pd.DataFrame:
        """Twenty of the forty shares: each is a request."""
        return market[market["symbol"].isin(market["symbol"].unique()[:20])].reset_index(drop=True)

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls, market: pd.DataFrame) -> Iterator[None]:
        with answering(Yahoo(with_control(market))):
            yield

    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        symbols = folder / "symbols.txt"
        symbols.write_text("\n".join(f"{symbol}.IS" for symbol in market["symbol"].unique()))
        return YahooSource(gently(first_session=FIRST), folder / "yahoo", symbols_path=str(symbols))


@pytest.fixture(scope="module")
def shares() -> pd.DataFrame:
    """Five shares over nine months, more than increments overlap."""
    prices = SyntheticSource(SyntheticSettings(symbols=40, first_session=START)).fetch(LATE, CALENDAR).prices
    counts = prices["symbol"].value_counts()
    whole = sorted(counts.index[counts == counts.max()])[:5]
    return prices[prices["symbol"].isin(whole)].reset_index(drop=True)


@pytest.fixture
def symbols(shares: pd.DataFrame) -> list[str]:
    return sorted(shares["symbol"].unique())


@pytest.fixture
def yahoo(shares: pd.DataFrame) -> Iterator[Yahoo]:
    with answering(Yahoo(with_control(shares))) as server:
        yield server


Open = Callable[..., YahooSource]


@pytest.fixture
def opened(tmp_path: Path, symbols: list[str]) -> Open:
    """Open the source for the five shares, with what is held before."""

    def open_it(
        held: pd.DataFrame | None = None, *, only: tuple[str, ...] = (), **settings: Any
    ) -> YahooSource:
        listed = tmp_path / "symbols.txt"
        listed.write_text("\n".join(symbols))
        return YahooSource(
            gently(**settings),
            tmp_path / "yahoo",
            symbols_path=str(listed),
            read_held=lambda: held,
            only=only,
        )

    return open_it


def up_to(session: dt.date, prices: pd.DataFrame) -> pd.DataFrame:
    return prices[prices["session"] <= pd.Timestamp(session)].reset_index(drop=True)


def since(session: dt.date, prices: pd.DataFrame) -> pd.DataFrame:
    return prices[prices["session"] >= pd.Timestamp(session)].reset_index(drop=True)


def without(symbol: str, session: dt.date, prices: pd.DataFrame) -> pd.DataFrame:
    """Drop a share's bars from a session on."""
    gone = (prices["symbol"] == symbol) & (prices["session"] >= pd.Timestamp(session))
    return prices[~gone].reset_index(drop=True)


class TestIncrements:
    def test_a_share_is_asked_only_for_what_is_new_and_the_overlap(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str]
    ) -> None:
        fetch = opened(up_to(BEFORE, shares)).fetch(LATE, CALENDAR)
        assert {since for symbol, since in yahoo.asked if symbol in symbols} == {str(OVERLAP)}
        pd.testing.assert_frame_equal(fetch.prices, since(OVERLAP, shares))

    def test_a_share_that_is_not_held_comes_with_its_history(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str]
    ) -> None:
        held = shares[shares["symbol"] != symbols[0]]
        fetch = opened(up_to(BEFORE, held)).fetch(LATE, CALENDAR)
        assert (symbols[0], str(START)) in yahoo.asked
        pd.testing.assert_frame_equal(fetch.prices, shares)

    @pytest.mark.parametrize("days_ago", [0, 1, 30])
    def test_a_history_that_was_adjusted_anew_is_loaded_as_a_whole(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str], days_ago: int
    ) -> None:
        ex_date = CALENDAR.offset(LATE, -days_ago)
        yahoo.factors[symbols[1]] = (pd.Timestamp(ex_date), 0.98)
        # A bar that Yahoo has dropped since: the held one is adjusted otherwise, so it must not stay.
        dropped = (yahoo.prices["symbol"] == symbols[1]) & (
            yahoo.prices["session"] == pd.Timestamp("2023-11-01")
        )
        yahoo.prices = yahoo.prices[~dropped]
        fetch = opened(up_to(BEFORE, shares)).fetch(LATE, CALENDAR)
        expected = yahoo.adjusted().query("symbol != @CONTROL").reset_index(drop=True)
        pd.testing.assert_frame_equal(fetch.prices, expected, rtol=1e-12)
        assert len(fetch.prices) == len(shares) - 1
        assert fetch.notes == (
            f"1 share(s), {symbols[1]}: adjusted anew by a dividend or split, and loaded as a whole",
        )
        assert [symbol for symbol, since in yahoo.asked if since == str(START)] == [symbols[1]]

    def test_a_bar_that_was_corrected_is_replaced_and_nothing_loaded_anew(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame
    ) -> None:
        held = up_to(BEFORE, shares)
        held.loc[held.index[-1], ["close", "volume"]] *= 1.01
        fetch = opened(held).fetch(LATE, CALENDAR)
        pd.testing.assert_frame_equal(fetch.prices, since(OVERLAP, shares))
        assert str(START) not in dict(yahoo.asked).values()

    def test_held_bars_stay_where_yahoo_is_silent(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str]
    ) -> None:
        yahoo.prices = without(symbols[0], START, yahoo.prices)
        hole = (yahoo.prices["symbol"] == symbols[1]) & (
            yahoo.prices["session"] == pd.Timestamp("2024-06-03")
        )
        yahoo.prices = yahoo.prices[~hole]
        fetch = opened(up_to(BEFORE, shares)).fetch(LATE, CALENDAR)
        pd.testing.assert_frame_equal(fetch.prices, without(symbols[0], LATE, since(OVERLAP, shares)))

    def test_a_history_that_comes_short_replaces_nothing(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str]
    ) -> None:
        yahoo.prices = yahoo.prices[
            (yahoo.prices["symbol"] != symbols[0]) | (yahoo.prices["session"] >= pd.Timestamp(OVERLAP))
        ]
        yahoo.factors[symbols[0]] = (pd.Timestamp(LATE), 0.5)
        fetch = opened(up_to(BEFORE, shares)).fetch(LATE, CALENDAR)
        pd.testing.assert_frame_equal(fetch.prices, without(symbols[0], LATE, since(OVERLAP, shares)))
        assert f"{symbols[0]} was adjusted anew, but {OVERLAP_SESSIONS + 1} of " in fetch.notes[-1]

    def test_only_the_newest_session_loads_histories_anew(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str]
    ) -> None:
        """Otherwise prices before and after an older session would be adjusted differently."""
        yahoo.factors[symbols[0]] = (pd.Timestamp(LATE), 0.5)
        held = without(symbols[1], LATE, shares)
        older = opened(held).fetch(BEFORE, CALENDAR)
        gaps = opened(held, only=(symbols[0], symbols[1])).fetch(LATE, CALENDAR)
        for fetch in (older, gaps):
            assert "adjusted anew; to be loaded with the newest session" in fetch.notes[-1]
        pd.testing.assert_frame_equal(
            older.prices, up_to(BEFORE, since(older.prices["session"].min(), shares))
        )
        pd.testing.assert_frame_equal(gaps.prices, since(gaps.prices["session"].min(), shares))
        assert {symbol for symbol, _ in yahoo.asked[-3:]} <= {CONTROL, symbols[0], symbols[1]}

    def test_the_lake_ends_up_with_what_yahoo_has(
        self, yahoo: Yahoo, settings: Settings, shares: pd.DataFrame, symbols: list[str], tmp_path: Path
    ) -> None:
        (tmp_path / "symbols.txt").write_text("\n".join(symbols))
        chosen = settings.model_copy(
            update={"source": "yahoo", "source_path": str(tmp_path / "symbols.txt"), "yahoo": gently()}
        )
        ingest(chosen, BEFORE)
        yahoo.factors[symbols[2]] = (pd.Timestamp(LATE), 0.1)
        receipt = ingest(chosen, LATE)
        expected = yahoo.adjusted().query("symbol != @CONTROL").reset_index(drop=True)
        pd.testing.assert_frame_equal(open_lake(chosen).read("prices"), expected, rtol=1e-12)
        assert any(symbols[2] in warning for warning in receipt.warnings)


class TestAbsence:
    def test_what_is_missing_is_told_apart_by_what_else_is_there(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str]
    ) -> None:
        suspended, delisted, unknown, *_ = symbols
        yahoo.prices = without(suspended, CALENDAR.offset(LATE, 2 - LISTED_SESSIONS), yahoo.prices)
        yahoo.prices = without(delisted, CALENDAR.offset(LATE, 1 - LISTED_SESSIONS), yahoo.prices)
        yahoo.prices = without(unknown, START, yahoo.prices)
        assert set(opened().fetch(LATE, CALENDAR).notes) == {
            f"1 share(s), {suspended}: no price of 2024-06-28",
            f"1 share(s), {delisted}: possibly delisted, no price for 60 sessions or more",
            f"1 share(s), {unknown}: unknown to Yahoo",
        }

    def test_a_session_that_yahoo_does_not_have_yet_is_nobodys_delisting(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame
    ) -> None:
        yahoo.prices = up_to(BEFORE, yahoo.prices)
        with pytest.raises(SourceUnavailableError, match="no price of 2024-06-28 for any") as caught:
            opened(up_to(BEFORE, shares)).fetch(LATE, CALENDAR)
        assert caught.value.policy is Policy.RETRY
        assert opened().latest_session(CALENDAR) == BEFORE

    @pytest.mark.parametrize("reply", [REFUSED_COOKIE, THROTTLED, BAD_GATEWAY, DOWN])
    def test_when_yahoo_stops_answering_no_share_is_blamed(
        self, yahoo: Yahoo, opened: Open, symbols: list[str], reply: Reply
    ) -> None:
        answered = {CONTROL, *symbols[:2]}
        yahoo.refuse = lambda symbol: reply if symbol not in answered or len(yahoo.asked) > 4 else None
        with pytest.raises(SourceUnavailableError, match="2 of 5 shares arrived") as caught:
            opened().fetch(LATE, CALENDAR)
        assert caught.value.which == tuple(symbols[2:])
        assert "kept for the next try" in caught.value.consequence

    @pytest.mark.parametrize("reply", [OTHER_FORM, BAD_GATEWAY, (200, '{"chart": {"result": [')])
    def test_one_share_without_a_usable_answer_does_not_stop_the_others(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str], reply: Reply
    ) -> None:
        yahoo.refuse = lambda symbol: reply if symbol == symbols[3] else None
        fetch = opened(up_to(BEFORE, shares)).fetch(LATE, CALENDAR)
        pd.testing.assert_frame_equal(fetch.prices, without(symbols[3], LATE, since(OVERLAP, shares)))
        assert len(fetch.notes) == 1
        assert fetch.notes[0].startswith("no usable answer: Yahoo")
        assert symbols[3] in fetch.notes[0]

    def test_without_a_network_the_task_is_tried_again(
        self, opened: Open, yahoo: Yahoo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(yfinance.scrapers.history, "_BASE_URL_", "http://127.0.0.1:9")
        for ask in (opened().latest_session, lambda calendar: opened().fetch(LATE, calendar)):
            with pytest.raises(SourceUnavailableError, match=r"in 2 tries.*onnect") as caught:
                ask(CALENDAR)
            assert caught.value.next_step

    def test_a_list_of_nothing_but_unknown_symbols_is_an_error(self, yahoo: Yahoo, opened: Open) -> None:
        yahoo.prices = yahoo.prices[yahoo.prices["symbol"] == CONTROL]
        with pytest.raises(SourceContentError, match="no price of 2024-06-28 for any of 5 shares"):
            opened().fetch(LATE, CALENDAR)


class TestPatience:
    def test_the_wait_doubles_and_part_of_it_is_chance(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[float] = []
        monkeypatch.setattr("time.sleep", waits.append)
        # yfinance asks twice before it gives up on an answer.
        yahoo.refuse = lambda _symbol: THROTTLED if len(yahoo.asked) <= 6 else None
        fetch = opened(tries=4, backoff_seconds=8, pause_seconds=0).fetch(LATE, CALENDAR)
        pd.testing.assert_frame_equal(fetch.prices, shares)
        waits = [wait for wait in waits if wait >= 1]
        assert len(waits) == 3
        assert all(2**i * 4 <= wait < 2**i * 8 for i, wait in enumerate(waits))
        assert len({wait / 2**i for i, wait in enumerate(waits)}) == 3

    def test_after_an_interruption_only_the_rest_is_asked_for(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str], tmp_path: Path
    ) -> None:
        yahoo.factors[symbols[1]] = (pd.Timestamp(LATE), 0.5)
        yahoo.refuse = lambda symbol: THROTTLED if symbol == symbols[3] or len(yahoo.asked) > 7 else None
        held = up_to(BEFORE, shares)
        with pytest.raises(SourceUnavailableError, match="3 of 5"):
            opened(held).fetch(LATE, CALENDAR)
        yahoo.asked.clear()
        yahoo.refuse = lambda _symbol: None
        resumed = opened(held).fetch(LATE, CALENDAR)
        assert {symbol for symbol, _ in yahoo.asked} == {CONTROL, *symbols[3:]}
        anew = opened(held).fetch(LATE, CALENDAR)
        pd.testing.assert_frame_equal(resumed.prices, anew.prices)
        assert resumed.notes == anew.notes
        assert not (tmp_path / "yahoo/unfinished").exists()

    def test_an_answer_that_was_damaged_on_disk_is_asked_for_again(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str], tmp_path: Path
    ) -> None:
        yahoo.refuse = lambda symbol: THROTTLED if symbol == symbols[1] or len(yahoo.asked) > 3 else None
        with pytest.raises(SourceUnavailableError, match="1 of 5"):
            opened().fetch(LATE, CALENDAR)
        (kept,) = (tmp_path / "yahoo/unfinished").glob("*/*.parquet")
        kept.write_bytes(b"")
        yahoo.refuse = lambda _symbol: None
        pd.testing.assert_frame_equal(opened().fetch(LATE, CALENDAR).prices, shares)

    def test_a_folder_that_cannot_be_written_is_named(
        self, yahoo: Yahoo, opened: Open, tmp_path: Path
    ) -> None:
        (tmp_path / "yahoo").write_text("a file where the folder should be")
        with pytest.raises(LakeUnavailableError, match=r"cannot be kept in .*yahoo"):
            opened().fetch(LATE, CALENDAR)


class TestContent:
    def test_bars_outside_sessions_and_without_a_close_are_quarantined(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame, symbols: list[str]
    ) -> None:
        holiday = shares.iloc[[50]].assign(session=pd.Timestamp("2023-10-29"))  # Republic Day
        yahoo.prices.loc[60, "close"] = np.nan
        yahoo.prices = pd.concat([yahoo.prices, holiday]).sort_values("session")
        fetch = opened().fetch(LATE, CALENDAR)
        assert sorted(fetch.quarantined["rule"]) == ["close_missing", "not_a_session"]
        assert len(fetch.prices) == len(shares) - 1

    def test_bars_after_the_wanted_session_wait_for_their_own(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame
    ) -> None:
        pd.testing.assert_frame_equal(opened().fetch(BEFORE, CALENDAR).prices, up_to(BEFORE, shares))

    def test_missing_prices_stay_missing(self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame) -> None:
        yahoo.prices.loc[10, ["open", "high"]] = np.nan
        prices = opened().fetch(LATE, CALENDAR).prices
        assert prices[["open", "high"]].isna().sum().tolist() == [1, 1]
        assert len(prices) == len(shares)


class TestUniverse:
    def test_yahoos_list_gives_names_sectors_and_new_shares(
        self,
        yahoo: Yahoo,
        opened: Open,
        symbols: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        banks = {"AKBAQ": "Ak Banka", "BURBQ": "Bur Banka", "GELBQ": "Gel Banka"}
        yahoo.sectors = {"Financial Services": banks, "Energy": {symbols[0]: "Enerji A.Ş."}}
        monkeypatch.setattr(client, "_PAGE", 2)
        securities = opened().fetch(LATE, CALENDAR).securities.set_index("symbol")
        assert securities.loc[symbols[0]].tolist() == ["Enerji A.Ş.", "Energy"]
        assert securities.loc[symbols[1]].tolist() == [symbols[1], UNKNOWN_SECTOR]

        monkeypatch.setattr(source, "shipped_symbols", lambda: [CONTROL])
        chosen = Settings(home=tmp_path / "var", source="yahoo", yahoo=gently())
        notes = open_source(chosen).fetch(LATE, CALENDAR).notes
        assert notes == ("3 share(s), AKBAQ, BURBQ, GELBQ: unknown to Yahoo",)

    def test_without_the_list_prices_come_and_a_note(
        self, yahoo: Yahoo, opened: Open, shares: pd.DataFrame
    ) -> None:
        yahoo.refuse = lambda symbol: None if symbol else BAD_GATEWAY
        fetch = opened().fetch(LATE, CALENDAR)
        pd.testing.assert_frame_equal(fetch.prices, shares)
        assert "names, sectors and new shares" in fetch.notes[0]

    def test_the_list_is_asked_for_once_a_week(self, yahoo: Yahoo, opened: Open, symbols: list[str]) -> None:
        yahoo.sectors = {"Energy": {symbols[0]: "Enerji"}}
        first = opened().fetch(LATE, CALENDAR).securities
        yahoo.refuse = lambda symbol: None if symbol else BAD_GATEWAY
        second = opened().fetch(LATE, CALENDAR)
        pd.testing.assert_frame_equal(first, second.securities)
        assert second.notes == ()

    def test_shipped_symbols_are_those_of_the_exchange(self) -> None:
        symbols = shipped_symbols()
        assert len(symbols) > 500
        assert all(SYMBOL_PATTERN.fullmatch(symbol) for symbol in symbols)
        assert set(CONTROL_SHARES) < set(symbols)

    @pytest.mark.parametrize("text", ["", "# nothing\n", "THYAO\nTurk Hava Yollari\n", "THYAO,GARAN"])
    def test_a_file_that_is_no_list_of_symbols_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "list.txt").write_text(text)
        with pytest.raises(SourceContentError, match="one symbol a line"):
            read_symbols(tmp_path / "list.txt")

    def test_a_file_of_symbols_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SourceUnavailableError, match=r"none\.txt"):
            read_symbols(tmp_path / "none.txt")

    def test_without_yfinance_the_error_says_what_to_install(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in [name for name in sys.modules if name.startswith("bist_pipeline.sources.yahoo")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "yfinance", None)
        with pytest.raises(ConfigError, match=r"bist-pipeline\[yahoo\]"):
            open_source(settings.model_copy(update={"source": "yahoo"}))
