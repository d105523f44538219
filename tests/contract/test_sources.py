"""Every source keeps one contract; anything else in a user's files ends in a named error or in quarantine."""

from __future__ import annotations

import datetime as dt
import gzip
import math
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings, SyntheticSettings
from bist_pipeline.contracts import KEY, PRICE_COLUMNS, SECURITY_COLUMNS
from bist_pipeline.drift.data_quality import check_session
from bist_pipeline.drift.status import Status
from bist_pipeline.errors import (
    BistError,
    ConfigError,
    NotASessionError,
    SessionOutOfRangeError,
    SourceContentError,
    SourceUnavailableError,
)
from bist_pipeline.market.limits import NARROW_LIMIT
from bist_pipeline.sources import base
from bist_pipeline.sources.base import Source, newest_final, open_source
from bist_pipeline.sources.files import FileSource
from bist_pipeline.sources.synthetic import SyntheticSource

CALENDAR = bist_calendar()
FIRST, EARLY, LATE = dt.date(2024, 4, 1), dt.date(2024, 5, 15), dt.date(2024, 6, 28)
SMALL = SyntheticSettings(symbols=40, first_session=FIRST)
COLUMNS = [*KEY, *PRICE_COLUMNS]
TOMORROW = CALENDAR.offset(newest_final(CALENDAR), 1)


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    """Forty shares over a quarter, as every source below should deliver them."""
    return SyntheticSource(SMALL).fetch(LATE, CALENDAR).prices


class SourceContract:
    """What holds for every source; subclasses say how theirs is opened."""

    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, tmp_path_factory: pytest.TempPathFactory, market: pd.DataFrame) -> Source:
        return cls.open(tmp_path_factory.mktemp("source"), market)

    def test_delivers_exactly_the_market_it_holds(self, source: Source, market: pd.DataFrame) -> None:
        fetch = source.fetch(LATE, CALENDAR)
        pd.testing.assert_frame_equal(fetch.prices, market)
        assert len(fetch.prices) > 1000
        assert fetch.quarantined.empty
        assert "rule" in fetch.quarantined

    def test_answers_the_same_when_opened_again(
        self, source: Source, tmp_path: Path, market: pd.DataFrame
    ) -> None:
        first, second = (opened.fetch(LATE, CALENDAR) for opened in (source, self.open(tmp_path, market)))
        pd.testing.assert_frame_equal(first.prices, second.prices)
        assert first.notes == second.notes

    def test_until_is_respected_and_reached(self, source: Source) -> None:
        sessions = source.fetch(EARLY, CALENDAR).prices["session"]
        assert (sessions.min(), sessions.max()) == (pd.Timestamp(FIRST), pd.Timestamp(EARLY))

    def test_the_past_does_not_change_as_time_goes_on(self, source: Source) -> None:
        early, late = (source.fetch(until, CALENDAR).prices for until in (EARLY, LATE))
        pd.testing.assert_frame_equal(early, late[late["session"] <= pd.Timestamp(EARLY)])
        assert len(early) < len(late)

    def test_keys_are_unique_ordered_bare_and_on_sessions(self, source: Source) -> None:
        prices = source.fetch(LATE, CALENDAR).prices
        keys = pd.MultiIndex.from_frame(prices[KEY])
        assert keys.is_unique
        assert keys.is_monotonic_increasing
        assert prices["symbol"].str.fullmatch("[A-Z0-9]+").all()
        assert np.isin(prices["session"].to_numpy().astype("datetime64[D]"), CALENDAR.sessions).all()

    def test_securities_are_those_with_prices(self, source: Source) -> None:
        fetch = source.fetch(LATE, CALENDAR)
        assert list(fetch.securities) == SECURITY_COLUMNS
        assert fetch.securities["symbol"].tolist() == sorted(fetch.prices["symbol"].unique())
        assert fetch.securities.notna().all(axis=None)

    def test_its_newest_session_can_be_fetched(self, source: Source) -> None:
        latest = source.latest_session(CALENDAR)
        assert source.fetch(latest, CALENDAR).prices["session"].max() == pd.Timestamp(latest)

    @pytest.mark.parametrize(
        ("until", "error"),
        [
            (dt.date(2024, 6, 29), NotASessionError),
            (dt.date(2023, 2, 8), NotASessionError),  # cancelled by the exchange
            (dt.date(2024, 3, 29), SessionOutOfRangeError),  # before the history
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


class TestSynthetic(SourceContract):
    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        return SyntheticSource(SMALL)


class TestParquet(SourceContract):
    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        long = market.rename(columns={"session": "Date"}).assign(symbol=market["symbol"] + ".IS", note="x")
        long.sample(frac=1, random_state=1).set_index("Date").to_parquet(folder / "prices.parquet")
        return FileSource(str(folder / "prices.parquet"))


class TestCsvWithByteOrderMark(SourceContract):
    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        market.to_csv(folder / "prices.csv", index=False, encoding="utf-8-sig")
        return FileSource(str(folder / "prices.csv"))


class TestGzip(SourceContract):
    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        market.rename(columns=str.upper).to_csv(folder / "prices.csv.gz", index=False)
        return FileSource(str(folder / "prices.csv.gz"))


class TestDecimalComma(SourceContract):
    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        named = market.rename(columns={"session": "Tarih", "symbol": "Hisse"})
        volume = market["volume"].map("{:,.0f}".format).str.replace(",", ".")
        named.assign(volume=volume).to_csv(folder / "p.zip", sep=";", decimal=",", index=False)
        return FileSource(str(folder / "p.zip"))


class TestYfinanceFolder(SourceContract):
    """One file a share, Istanbul midnights with their offsets, columns in yfinance's order."""

    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        days = market["session"].dt.strftime("%Y-%m-%d 00:00:00+03:00")
        named = market.assign(session=days).rename(columns=str.title).rename(columns={"Session": "Date"})
        for symbol, share in named.groupby("Symbol"):
            columns = ["Date", "Close", "High", "Low", "Open", "Volume"]
            share[columns].to_csv(folder / f"{symbol}.IS.csv", index=False)
        return FileSource(str(folder))


class TestYfinanceTwoLineHeader(SourceContract):
    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        for symbol, share in market.groupby("symbol"):
            lines = [
                "Price,Close,High,Low,Open,Volume",
                f"Ticker,{','.join([f'{symbol}.IS'] * 5)}",
                "Date,,,,,",
                *(
                    f"{r.session:%Y-%m-%d},{r.close},{r.high},{r.low},{r.open},{r.volume}"
                    for r in share.itertuples()
                ),
            ]
            (folder / f"{symbol}.csv").write_text("\n".join(lines))
        return FileSource(str(folder))


class TestSyntheticMarket:
    """The invented market looks like the exchange, and hides what a model should find."""

    @pytest.fixture(scope="class")
    @classmethod
    def prices(cls) -> pd.DataFrame:
        return SyntheticSource(SyntheticSettings()).fetch(LATE, CALENDAR).prices

    def test_ranges_are_those_of_the_exchange(self, prices: pd.DataFrame) -> None:
        close = prices.set_index(KEY)["close"].unstack()  # noqa: PD010 - keys are unique
        moves = close.pct_change(fill_method=None)
        value = prices["close"] * prices["volume"]
        assert 100 < close.shape[1] <= 120  # some are listed later
        assert 0.02 < moves.std().median() < 0.04
        assert moves.abs().max(axis=None) < NARROW_LIMIT + 0.001
        assert (moves.abs() > NARROW_LIMIT - 0.0001).mean(axis=None) > 0.001
        assert value.quantile([0.05, 0.95]).between(5e6, 5e9).all()
        assert (prices["volume"] > 0).all()

    def test_bars_enclose_open_and_close(self, prices: pd.DataFrame) -> None:
        assert (prices["high"] >= prices[["open", "close"]].max(axis=1)).all()
        assert (prices["low"] <= prices[["open", "close"]].min(axis=1)).all()

    def test_it_has_listings_suspensions_and_thin_half_days(self, prices: pd.DataFrame) -> None:
        volume = prices.set_index(KEY)["volume"].unstack()  # noqa: PD010
        listed = volume.ffill().notna()
        by_session = volume.median(axis=1)
        half_days = [CALENDAR.describe(day.date()).is_half_day for day in volume.index]
        assert 3 <= (~listed.iloc[0]).sum() <= 30
        assert (listed & volume.isna()).to_numpy().sum() > 50
        assert by_session[half_days].median() < 0.6 * by_session.median()

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
        fetch = SyntheticSource(SyntheticSettings(signal=signal)).fetch(LATE, CALENDAR)
        stated = float(fetch.notes[0].split("true rank IC ")[1].split(":")[0])
        assert low < stated < high

    def test_a_history_without_results_states_no_strength(self) -> None:
        assert "too short a history" in SyntheticSource(SMALL).fetch(FIRST, CALENDAR).notes[0]


ROW = {
    "date": "2024-06-28",
    "symbol": "THYAO",
    "open": "1",
    "high": "2",
    "low": "1",
    "close": "2",
    "volume": "9",
}
HEAD = ",".join(ROW)
LINE = ",".join(ROW.values())


def fetch_text(folder: Path, *lines: str, name: str = "prices.csv") -> base.Fetch:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return FileSource(str(path)).fetch(LATE, CALENDAR)


class TestBadFiles:
    """Each fault of a file is one error with its name, the file and what to do."""

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            ([HEAD], "holds no rows"),
            (["", ""], "cannot be read"),
            (["date,symbol,open,close", "2024-06-28,THYAO,1,2"], "lacks 3 of 5"),
            ([HEAD.replace("symbol", "name"), LINE], "no column symbol or ticker"),
            ([HEAD.replace("date", "day"), LINE], "no column date or session"),
            ([f"{HEAD},Close", f"{LINE},3"], "same name.*close"),
            ([f"{HEAD},close", f"{LINE},3"], "same name.*close"),
            ([HEAD, LINE, "2024-06-28,AKBNK,1,2,1,n.a.,9"], "close holds 1 .*'n.a.'"),
            ([HEAD, LINE, "2024-06-28,AKBNK,1,2,1,True,9"], "close holds 1 .*'True'"),
            ([HEAD, '2024-06-28,THYAO,"1,5",2,1,2,9'], "decimal commas need"),
            ([HEAD, LINE, "28.06.2024,AKBNK,1,2,1,2,9"], "no date.*'28.06.2024'"),
            ([HEAD, LINE, "2024-06-31,AKBNK,1,2,1,2,9"], "no date"),
            ([HEAD, LINE, "2024-06,AKBNK,1,2,1,2,9"], "no date.*'2024-06'"),
            ([HEAD, LINE, "9999-06-28,AKBNK,1,2,1,2,9"], "no date"),
            ([HEAD, "20240628,THYAO,1,2,1,2,9"], "no date.*'20240628'"),
            ([HEAD, f"{LINE},7"], "cannot be read"),
            ([HEAD, "2024-06-28,THYAO,1,2,1,,9"], "every row of 2024-06-28.*close_missing"),
            (
                [HEAD.replace(",", ";"), "2024-06-28;THYAO;1,5;2.25;1;2,5;9", "2024-06-28;AKBNK;1;2,5;1;2;9"],
                "high",
            ),
        ],
    )
    def test_is_named(self, tmp_path: Path, lines: list[str], message: str) -> None:
        with pytest.raises(SourceContentError, match=f"(?s)prices.csv.*{message}") as caught:
            fetch_text(tmp_path, *lines)
        assert caught.value.next_step

    @pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.csv.gz", "p.zip"])
    @pytest.mark.parametrize("content", [b"", b"\x00", b"\xff\xfe\x00garbage", b"PAR1PAR1"])
    def test_nonsense_is_named(self, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceContentError, match=name):
            FileSource(str(tmp_path / name)).latest_session(CALENDAR)

    @pytest.mark.parametrize("path", ["missing.parquet", "no/such/folder", "x" * 300, "file.csv/below"])
    def test_missing_path(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "file.csv").write_text(f"{HEAD}\n{LINE}\n")
        with pytest.raises(SourceUnavailableError, match="cannot be opened") as caught:
            FileSource(str(tmp_path / path)).fetch(LATE, CALENDAR)
        assert "--source-path" in caught.value.next_step

    def test_locked_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(pd, "read_csv", refuse)  # root may read everything, so no file can refuse it
        with pytest.raises(SourceUnavailableError, match="Permission denied"):
            fetch_text(tmp_path, HEAD, LINE)

    def test_folder_without_tables(self, tmp_path: Path) -> None:
        (tmp_path / "readme.txt").write_text("no prices")
        with pytest.raises(SourceContentError, match=r"no \.csv or \.parquet"):
            FileSource(str(tmp_path)).fetch(LATE, CALENDAR)

    def test_crowded_archive(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
            archive.writestr("a.csv", HEAD)
            archive.writestr("b.csv", HEAD)
        with pytest.raises(SourceContentError, match=r"two\.zip"):
            FileSource(str(tmp_path / "two.zip")).fetch(LATE, CALENDAR)

    def test_encrypted_archive(self, tmp_path: Path) -> None:
        path = tmp_path / "p.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("p.csv", f"{HEAD}\n{LINE}\n")
        content = bytearray(path.read_bytes())
        for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(signature) + flags] |= 1
        path.write_bytes(content)
        with pytest.raises(SourceContentError, match="encrypted"):
            FileSource(str(path)).fetch(LATE, CALENDAR)

    def test_data_that_end_before_the_session(self, tmp_path: Path) -> None:
        with pytest.raises(SessionOutOfRangeError, match="from 2024-06-27 to 2024-06-27") as caught:
            fetch_text(tmp_path, HEAD, LINE.replace("06-28", "06-27"))
        assert "2024-06-27" in caught.value.next_step

    def test_a_file_of_weekends_has_no_newest_session(self, tmp_path: Path) -> None:
        (tmp_path / "p.csv").write_text(f"{HEAD}\n{LINE.replace('06-28', '06-29')}\n")
        with pytest.raises(SourceContentError, match="none of its 1 dates"):
            FileSource(str(tmp_path / "p.csv")).latest_session(CALENDAR)

    @pytest.mark.parametrize(
        "column",
        [
            ("close", pa.array([dt.date(2024, 6, 28)])),
            ("close", pa.array([[1.0]])),
            ("close", pa.array([{"a": 1}])),
            ("close", pa.array([True])),
            ("date", pa.array([dt.datetime(9999, 1, 1)], pa.timestamp("us"))),
            ("date", pa.array([45000])),
            ("date", pa.array([["2024-06-28"]])),
        ],
        ids=str,
    )
    def test_parquet_columns_of_other_types(self, tmp_path: Path, column: tuple[str, pa.Array]) -> None:
        values = {name: pa.array([value]) for name, value in ROW.items()} | dict([column])
        parquet.write_table(pa.table(values), tmp_path / "p.parquet")
        with pytest.raises(SourceContentError, match=r"p.parquet"):
            FileSource(str(tmp_path / "p.parquet")).fetch(LATE, CALENDAR)


class TestQuarantine:
    """Single bad rows are set aside by the name of the rule they break; the others are delivered."""

    @pytest.mark.parametrize(
        ("row", "rule"),
        [
            (",AKBNK,1,2,1,2,9", "session_missing"),
            ("2024-06-28,,1,2,1,2,9", "symbol_malformed"),
            ("2024-06-28,AK BNK,1,2,1,2,9", "symbol_malformed"),
            (f"{TOMORROW},AKBNK,1,2,1,2,9", "in_the_future"),
            ("2262-01-01,AKBNK,1,2,1,2,9", "in_the_future"),
            ("2023-02-08,AKBNK,1,2,1,2,9", "not_a_session"),
            ("2024-06-28,AKBNK,1,2,1,,9", "close_missing"),
            ("2024-06-28,AKBNK,1,inf,1,2,9", "price_not_finite"),
            ("2024-06-28,AKBNK,1,2e9,1,2,9", "price_absurd"),
            ("2024-06-28,AKBNK,1,2,1,2,-9", "volume_absurd"),
            ("2024-06-28,AKBNK,1,2,1,2,9e15", "volume_absurd"),
            ("2024-06-28,THYAO,1,2,1,2,9", "repeated_row"),
        ],
    )
    def test_of_one_row(self, tmp_path: Path, row: str, rule: str) -> None:
        fetch = fetch_text(tmp_path, HEAD, LINE, row)
        assert fetch.quarantined["rule"].tolist() == [rule]
        assert fetch.prices["symbol"].tolist() == ["THYAO"]
        assert fetch.securities["symbol"].tolist() == ["THYAO"]

    def test_of_rows_that_contradict_each_other(self, tmp_path: Path) -> None:
        fetch = fetch_text(
            tmp_path, HEAD, LINE.replace("THYAO", "AKBNK"), LINE, LINE.replace("THYAO,1", "thyao.is,1.5")
        )
        assert fetch.quarantined["rule"].tolist() == ["duplicate_key"] * 2
        assert fetch.prices["symbol"].tolist() == ["AKBNK"]

    def test_a_missing_volume_is_allowed(self, tmp_path: Path) -> None:
        fetch = fetch_text(tmp_path, HEAD, LINE.removesuffix("9"))
        assert fetch.prices["volume"].isna().tolist() == [True]

    def test_future_rows_do_not_make_a_newest_session(self, tmp_path: Path) -> None:
        (tmp_path / "p.csv").write_text(f"{HEAD}\n{LINE}\n{LINE.replace('2024-06-28', str(TOMORROW))}\n")
        assert FileSource(str(tmp_path / "p.csv")).latest_session(CALENDAR) == LATE


class TestMeaningOfFiles:
    """What is written differently but means the same, and what looks alike but does not."""

    @pytest.mark.parametrize(
        "written",
        [
            "2024-06-28",
            "2024-06-28 18:10:00",
            "2024-06-28T00:00:00+03:00",
            "2024-06-27 21:00:00+00:00",
            "2024-06-27T21:00:00Z",
        ],
    )
    def test_a_moment_belongs_to_its_day_in_istanbul(self, tmp_path: Path, written: str) -> None:
        other = "2015-07-01 00:00:00+03:00,THYAO,1,2,1,2,9"  # summer time, which Turkey gave up in 2016
        winter = "2015-01-02 00:00:00+02:00,THYAO,1,2,1,2,9"
        fetch = fetch_text(tmp_path, HEAD, winter, other, LINE.replace("2024-06-28", written))
        assert fetch.prices["session"].dt.strftime("%Y-%m-%d").tolist() == [
            "2015-01-02",
            "2015-07-01",
            "2024-06-28",
        ]

    @pytest.mark.parametrize(
        ("line", "close", "volume"),
        [
            ("2024-06-28;THYAO;1;2000;1;1.234,5;9.000.000", 1234.5, 9e6),
            ("2024-06-28;THYAO;1;2000;1;12,5;9000", 12.5, 9e3),
            ("2024-06-28;THYAO;1;2000;1;12.5;9000", 12.5, 9e3),
            ("2024-06-28;THYAO;1;2000;1;1.234;9000", 1.234, 9e3),
        ],
    )
    def test_a_point_is_only_a_thousands_mark_beside_decimal_commas(
        self, tmp_path: Path, line: str, close: float, volume: float
    ) -> None:
        prices = fetch_text(tmp_path, HEAD.replace(",", ";"), line).prices
        assert (prices["close"].item(), prices["volume"].item()) == (close, volume)

    def test_adjusted_closes_adjust_the_whole_bar(self, tmp_path: Path) -> None:
        (tmp_path / "THYAO.csv").write_text(
            "Date,Open,High,Low,Close,Adj Close,Volume\n2024-06-28,8,12,6,10,5,100\n"
        )
        prices = FileSource(str(tmp_path)).fetch(LATE, CALENDAR).prices
        assert prices[PRICE_COLUMNS].iloc[0].tolist() == [4, 6, 3, 5, 100]

    def test_a_long_table_in_a_folder_keeps_its_symbols(self, tmp_path: Path) -> None:
        (tmp_path / "PRICES.csv").write_text(f"{HEAD}\n{LINE}\n")
        assert FileSource(str(tmp_path)).fetch(LATE, CALENDAR).prices["symbol"].tolist() == ["THYAO"]


class TestOpening:
    def test_by_the_settings(self, settings: Settings) -> None:
        assert open_source(settings).name == settings.source == "synthetic"
        files = settings.model_copy(update={"source": "files", "source_path": "p.csv"})
        assert open_source(files).name == "files"

    def test_files_need_a_path(self, settings: Settings) -> None:
        with pytest.raises(ConfigError, match="needs a path"):
            open_source(settings.model_copy(update={"source": "files"}))

    def test_a_source_of_later_versions_is_refused(self, settings: Settings) -> None:
        with pytest.raises(ConfigError, match="'yahoo' is not available"):
            open_source(settings.model_copy(update={"source": "yahoo"}))

    def test_the_newest_session_waits_for_the_closing_auction(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Clock(dt.datetime):
            moment: ClassVar[dt.datetime]

            @classmethod
            def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
                return cls.moment.astimezone(tz)

        monkeypatch.setattr(base.dt, "datetime", Clock)
        for minute, expected in ((9, dt.date(2024, 6, 27)), (10, LATE)):
            Clock.moment = dt.datetime.fromisoformat(f"2024-06-28T18:{minute:02}+03:00")
            assert newest_final(CALENDAR) == expected


FUZZ = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
DAYS = st.sampled_from(
    [
        "2024-06-28",
        "2024-06-27",
        "2024-06-28 00:00:00+03:00",
        "2024-06-23",
        "2023-02-08",
        "1990-01-02",
        "2027-06-01",
        "",
    ]
)
ODD_DAYS = DAYS | st.sampled_from(
    ["0001-01-01", "9999-12-31", "2024-13-01", "28.06.2024", "now", "45000", "NaT", "None"]
)
NUMBERS = (
    st.floats().map(repr)
    | st.integers(-(10**30), 10**30).map(str)
    | st.floats(0.01, 1000).map(repr)
    | st.sampled_from(["", "0", "-1", "1e400", "-inf", "nan"])
)
ODD_NUMBERS = (
    NUMBERS
    | st.sampled_from(["1_000", "0x10", "True", "1,5", "12.5.1", "٣", "9" * 400, " 3 "])
    | st.text(max_size=4)
)
SYMBOLS = st.sampled_from(["THYAO", "thyao.is", " AKBNK ", "", "NA", "İŞCTR", "A B", "X" * 40, "1"])


def rows_of(
    days: st.SearchStrategy[str], numbers: st.SearchStrategy[str]
) -> st.SearchStrategy[list[tuple[str, ...]]]:
    return st.lists(st.tuples(days, SYMBOLS, *[numbers] * 5), max_size=6)


def answer(path: Path) -> base.Fetch | None:
    """What a source delivers; None where it refuses with a named error. Any other error fails the test."""
    try:
        return FileSource(str(path)).fetch(LATE, CALENDAR)
    except BistError:
        return None


def as_row(day: str, symbol: str, *numbers: str) -> tuple[object, ...] | None:
    """Read one row of text by other means; None where it cannot be a good one."""
    bare = symbol.strip().upper().removesuffix(".IS")
    if day[:10] not in ("2024-06-28", "2024-06-27", "1990-01-02"):
        return None
    values = [float(number) if number else math.nan for number in numbers]
    return day[:10], bare, *(None if math.isnan(value) else value for value in values)


class TestFuzz:
    @FUZZ
    @given(rows=rows_of(DAYS, NUMBERS), form=st.sampled_from(["csv", "parquet"]))
    def test_every_row_is_delivered_as_written_or_quarantined(
        self, tmp_path: Path, rows: list[tuple[str, ...]], form: str
    ) -> None:
        path = tmp_path / f"p.{form}"
        table = pd.DataFrame([("2024-06-28", "GOOD", *"12129"), *rows], columns=list(ROW), dtype=object)
        table.replace("", None).to_parquet(path) if form == "parquet" else table.to_csv(path, index=False)
        fetch = answer(path)
        if fetch is None:
            return
        assert len(fetch.prices) + len(fetch.quarantined) == len(table)
        written = {as_row(*row) for row in table.itertuples(index=False)}
        days = fetch.prices["session"].dt.strftime("%Y-%m-%d")
        read = fetch.prices.assign(session=days).astype(object)
        for row in read.where(read.notna(), None).itertuples(index=False):
            # pandas' fast parser may differ from Python's in the last digit.
            near = [w for w in written if w and w[:2] == row[:2] and _is_near(w[2:], row[2:])]
            assert near, (row, written)

    @FUZZ
    @given(rows=rows_of(ODD_DAYS, ODD_NUMBERS), separator=st.sampled_from(",;"))
    def test_odd_text_never_breaks_out(
        self, tmp_path: Path, rows: list[tuple[str, ...]], separator: str
    ) -> None:
        path = tmp_path / "p.csv"
        pd.DataFrame(rows, columns=list(ROW), dtype=object).to_csv(path, index=False, sep=separator)
        fetch = answer(path)
        assert fetch is None or len(fetch.prices) + len(fetch.quarantined) == len(rows)

    @FUZZ
    @given(
        content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode),
        name=st.sampled_from(["p.csv", "p.parquet", "p.zip", "p.csv.gz"]),
    )
    def test_random_bytes_never_break_out(self, tmp_path: Path, content: bytes, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        assert answer(path) is None

    @FUZZ
    @given(data=st.data(), form=st.sampled_from(["parquet", "csv.gz", "csv.zip"]))
    def test_damaged_files_never_break_out(
        self, tmp_path: Path, market: pd.DataFrame, data: st.DataObject, form: str
    ) -> None:
        path = tmp_path / f"p.{form}"
        if not path.exists():
            market.to_parquet(path) if form == "parquet" else market.to_csv(path, index=False)
        whole = path.read_bytes()
        cut = data.draw(st.integers(1, len(whole) - 1))
        damaged = tmp_path / f"damaged.{form}"
        damaged.write_bytes(whole[:cut])
        assert answer(damaged) is None
        flipped = bytes([whole[cut] ^ data.draw(st.integers(1, 255))])
        damaged.write_bytes(whole[:cut] + flipped + whole[cut + 1 :])
        fetch = answer(damaged)
        if form != "parquet":  # whose pages carry no checksum by default
            assert fetch is None or fetch.prices.equals(market)


def _is_near(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return all(
        a is b if a is None or b is None else math.isclose(a, b, rel_tol=1e-14)  # type: ignore[arg-type]
        for a, b in zip(one, other, strict=True)
    )
