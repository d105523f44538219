"""A user's files end in exactly the prices they hold, in quarantine, or in one error with a name."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyarrow import parquet

from bist_pipeline.contracts import PRICE_COLUMNS
from bist_pipeline.errors import (
    BistError,
    SessionOutOfRangeError,
    SourceContentError,
    SourceUnavailableError,
)
from bist_pipeline.sources import tables
from bist_pipeline.sources.base import Fetch, Source
from bist_pipeline.sources.files import FileSource
from tests.contract.source_contract import CALENDAR, LATE, TOMORROW, HistoryContract

ROW = {
    "date": "2024-06-28",
    "symbol": "THYAO",
    "open": "1",
    "high": "2",
    "low": "1",
    "close": "2",
    "volume": "9",
}
HEAD, LINE = ",".join(ROW), ",".join(ROW.values())


def fetch_from(path: Path) -> Fetch:
    return FileSource(str(path)).fetch(LATE, CALENDAR)


def fetch_text(folder: Path, *lines: str, name: str = "prices.csv") -> Fetch:
    (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return fetch_from(folder / name)


def as_csv(table: pd.DataFrame, **options: str) -> bytes:
    return str(table.to_csv(index=False, **options)).encode()


def in_zip(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.csv", data)
    return packed.getvalue()


def like_yfinance(share: pd.DataFrame, *, header: str = "plain") -> bytes:
    """Write a share as yfinance's users do: `plain`, or with a line of tickers and perhaps one more."""
    symbol = f"{share['symbol'].iloc[0]}.IS"
    names = ["Close", "High", "Low", "Open", "Volume"]
    head = {
        "plain": [["Date", *names]],
        "price first": [["Price", *names], ["Ticker", *[symbol] * 5], ["Date", *[""] * 5]],
        "date first": [["Date", *names], ["", *[symbol] * 5]],
    }[header]
    lines = [",".join(cells) for cells in head]
    for row in share.itertuples():
        lines.append(f"{row.session:%Y-%m-%d},{row.close},{row.high},{row.low},{row.open},{row.volume}")
    return "".join(f"{line}\n" for line in lines).encode()


class TestParquet(HistoryContract):
    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        long = market.rename(columns={"session": "Date"}).assign(symbol=market["symbol"] + ".IS", note="x")
        long.sample(frac=1, random_state=1).set_index("Date").to_parquet(folder / "prices.parquet")
        return FileSource(str(folder / "prices.parquet"))


class TestTurkishExcel(HistoryContract):
    """As Excel in Turkish saves a sheet."""

    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        named = market.rename(columns={"session": "Tarih", "symbol": "Hisse"})
        volume = market["volume"].map("{:,.0f}".format).str.replace(",", ".")
        days = market["session"].map("{0.day}.{0:%m.%Y}".format)
        sheet = named.assign(Tarih=days, volume=volume)
        sheet.to_csv(folder / "p.csv", sep=";", decimal=",", index=False, encoding="utf-8-sig")
        return FileSource(str(folder / "p.csv"))


class TestYfinanceFolder(HistoryContract):
    """One file for each share, and every kind of header that yfinance has had."""

    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        kinds = ("plain", "price first", "date first")
        for i, (symbol, share) in enumerate(market.groupby("symbol")):
            (folder / f"{symbol}.IS.csv").write_bytes(like_yfinance(share, header=kinds[i % 3]))
        return FileSource(str(folder))


def in_utc(sessions: pd.Series) -> pd.Series:
    return sessions.dt.tz_localize("Europe/Istanbul").dt.tz_convert("UTC")


FORMS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "byte order mark": lambda m: b"\xef\xbb\xbf" + as_csv(m),
    "tab": lambda m: as_csv(m, sep="\t"),
    "semicolon, decimal point": lambda m: as_csv(m, sep=";"),
    "Windows line ends": lambda m: as_csv(m).replace(b"\n", b"\r\n"),
    "shuffled": lambda m: as_csv(m.sample(frac=1, random_state=1)),
    "names in capitals": lambda m: as_csv(m.rename(columns=str.upper)),
    "further columns": lambda m: as_csv(m.assign(note="Şirket; 1,5")),
    "compact dates": lambda m: as_csv(m, date_format="%Y%m%d"),
    "with an offset": lambda m: as_csv(m, date_format="%Y-%m-%d 00:00:00+03:00"),
    "in UTC": lambda m: as_csv(m.assign(session=in_utc(m["session"]))),
    "gzip": lambda m: gzip.compress(as_csv(m)),
    "zip": lambda m: in_zip(prices=as_csv(m)),
    "zip of shares": lambda m: in_zip(**{str(s): like_yfinance(t) for s, t in m.groupby("symbol")}),
    "Parquet in UTC": lambda m: bytes(m.assign(session=in_utc(m["session"])).to_parquet()),
    "Parquet of texts": lambda m: bytes(m.astype(str).to_parquet()),
    "Parquet of categories": lambda m: bytes(m.astype({"symbol": "category"}).to_parquet()),
    "Parquet packed": lambda m: gzip.compress(m.to_parquet()),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_market_is_recognised_by_its_content(
    tmp_path: Path, market: pd.DataFrame, form: str
) -> None:
    (tmp_path / "prices").write_bytes(FORMS[form](market))
    pd.testing.assert_frame_equal(fetch_from(tmp_path / "prices").prices, market)


class TestMeaning:
    """What is written differently but means the same, and what looks alike but does not."""

    @pytest.mark.parametrize(
        ("written", "day"),
        [
            ("2024-06-28T00:00:00+03:00", "2024-06-28"),
            ("2024-06-28 18:10:00+03:00", "2024-06-28"),
            ("2024-06-27 21:00:00+00:00", "2024-06-28"),
            ("2024-06-27T21:00:00Z", "2024-06-28"),
            ("2024-06-27T17:00:00-0400", "2024-06-28"),
            ("2015-07-01 00:00:00+03:00", "2015-07-01"),  # summer time, which Turkey gave up in 2016
            ("2015-01-02 00:00:00+02:00", "2015-01-02"),
            ("2024-06-28 00:00:00", "2024-06-28"),
            ("28.06.2024", "2024-06-28"),
            ("3.06.2024", "2024-06-03"),
        ],
    )
    def test_a_moment_belongs_to_its_day_in_istanbul(self, tmp_path: Path, written: str, day: str) -> None:
        fetch = fetch_text(tmp_path, HEAD, LINE, LINE.replace("2024-06-28,THYAO", f"{written},AKBNK"))
        assert fetch.prices.set_index("symbol").loc["AKBNK", "session"] == pd.Timestamp(day)

    @pytest.mark.parametrize(
        "written",
        [
            "2024-06-27 21:00:00",  # midnight in Istanbul, if it is UTC
            "2024-06-28 18:10:00",
            "2015-01-06 00:00:00+03:00",  # an hour before midnight by the winter time of then
            "06/28/2024",
            "2024-06-31",
            "2024-06",
            "2024-W26-5",
            "0001-01-01",
            "9999-06-28",
            "45471",  # as Excel counts
            "now",
        ],
    )
    def test_what_does_not_say_its_day_is_set_aside(self, tmp_path: Path, written: str) -> None:
        fetch = fetch_text(tmp_path, HEAD, LINE, LINE.replace("2024-06-28,THYAO", f"{written},AKBNK"))
        assert fetch.quarantined["rule"].tolist() == ["session_missing"]
        assert fetch.prices["symbol"].tolist() == ["THYAO"]

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
        head = "Date,Open,High,Low,Close,Adj Close,Volume"
        prices = fetch_text(tmp_path, head, "2024-06-28,8,12,6,10,5,100", name="THYAO.IS.csv").prices
        assert prices[PRICE_COLUMNS].iloc[0].tolist() == [4, 6, 3, 5, 100]

    def test_a_long_table_in_a_folder_keeps_its_symbols(self, tmp_path: Path) -> None:
        fetch_text(tmp_path, HEAD, LINE, name="PRICES.csv")
        assert fetch_from(tmp_path).prices["symbol"].tolist() == ["THYAO"]

    def test_a_share_is_named_by_its_ticker_line_or_its_file(
        self, tmp_path: Path, market: pd.DataFrame
    ) -> None:
        share = market[market["symbol"] == market["symbol"].iloc[0]]
        (tmp_path / "anything.csv").write_bytes(like_yfinance(share, header="price first"))
        (tmp_path / "GARAN.IS.csv").write_bytes(like_yfinance(share))
        (tmp_path / "GARAN.csv").write_bytes(like_yfinance(share))
        assert set(fetch_from(tmp_path / "anything.csv").prices["symbol"]) == {share["symbol"].iloc[0]}
        assert set(fetch_from(tmp_path / "GARAN.IS.csv").prices["symbol"]) == {"GARAN"}
        with pytest.raises(SourceContentError, match="no column symbol"):  # any word could be a share's code
            fetch_from(tmp_path / "GARAN.csv")

    def test_what_a_folder_holds_besides_prices_is_noted(self, tmp_path: Path, market: pd.DataFrame) -> None:
        share = market[market["symbol"] == market["symbol"].iloc[0]]
        (tmp_path / "GARAN.csv").write_bytes(like_yfinance(share))
        (tmp_path / "SASA.csv").write_bytes(like_yfinance(share).splitlines(keepends=True)[0])
        (tmp_path / "readme.txt").write_text("no prices")
        fetch = fetch_from(tmp_path)
        assert set(fetch.prices["symbol"]) == {"GARAN"}
        assert [note.split("/")[-1] for note in fetch.notes] == [
            "readme.txt was not read: by its name it is no table",
            "SASA.csv holds no rows",
        ]

    def test_a_last_line_that_may_be_cut_is_noted(self, tmp_path: Path) -> None:
        (tmp_path / "p.csv").write_text(f"{HEAD}\n{LINE}")
        fetch = fetch_from(tmp_path / "p.csv")
        assert len(fetch.prices) == 1
        assert fetch.notes == (f"{tmp_path}/p.csv may be cut: its last line has no line break",)


class TestQuarantine:
    """Single bad rows are set aside by the name of the rule they break; the others are delivered."""

    @pytest.mark.parametrize(
        ("row", "rule"),
        [
            (",AKBNK,1,2,1,2,9", "session_missing"),
            ("2024-06-28,,1,2,1,2,9", "symbol_malformed"),
            ("2024-06-28,AK BNK,1,2,1,2,9", "symbol_malformed"),
            ("2024-06-28,THYAß,1,2,1,2,9", "symbol_malformed"),
            (f"{TOMORROW},AKBNK,1,2,1,2,9", "in_the_future"),
            ("2261-01-01,AKBNK,1,2,1,2,9", "in_the_future"),
            ("1990-01-02,AKBNK,1,2,1,2,9", "not_a_session"),
            ("2023-02-08,AKBNK,1,2,1,2,9", "not_a_session"),
            ("2024-06-28,AKBNK,1,2,1,,9", "close_missing"),
            ("2024-06-28,AKBNK,1,inf,1,2,9", "price_not_finite"),
            ("2024-06-28,AKBNK,1,2e9,1,2,9", "price_absurd"),
            ("2024-06-28,AKBNK,1,2,-1e300,2,9", "price_absurd"),
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
        other = LINE.replace("THYAO", "AKBNK")
        fetch = fetch_text(tmp_path, HEAD, other, LINE, LINE.replace("THYAO,1", "thyao.is,1.5"))
        assert fetch.quarantined["rule"].tolist() == ["duplicate_key"] * 2
        assert fetch.prices["symbol"].tolist() == ["AKBNK"]

    def test_of_an_earlier_session_knows_nothing_of_later_ones(self, tmp_path: Path) -> None:
        broken = LINE.removesuffix("2,9") + ",9"
        fetch_text(tmp_path, HEAD, LINE, LINE.replace("28", "26"), broken.replace("THYAO", "AKBNK"))
        early = FileSource(str(tmp_path / "prices.csv")).fetch(dt.date(2024, 6, 26), CALENDAR)
        assert len(early.prices) == 1
        assert early.quarantined.empty

    def test_a_missing_volume_is_allowed(self, tmp_path: Path) -> None:
        fetch = fetch_text(tmp_path, HEAD, LINE.removesuffix("9"))
        assert fetch.prices["volume"].isna().tolist() == [True]

    def test_bad_rows_do_not_make_a_newest_session(self, tmp_path: Path) -> None:
        broken = LINE.replace("28", "27").removesuffix("2,9") + ",9"
        fetch_text(
            tmp_path, HEAD, LINE, LINE.replace("28", "26"), LINE.replace("2024-06-28", str(TOMORROW)), broken
        )
        source = FileSource(str(tmp_path / "prices.csv"))
        assert source.latest_session(CALENDAR) == LATE
        with pytest.raises(SourceContentError, match=r"every row of 2024-06-27.*close_missing"):
            source.fetch(dt.date(2024, 6, 27), CALENDAR)


@pytest.mark.parametrize("head", ["date,symbol,close", "date,symbol,close,volume"])
def test_closes_alone_are_taken_in_and_said_to_be_alone(tmp_path, head):
    delivered = fetch_text(tmp_path, head, "2024-06-28,THYAO,2" + (",9" if "volume" in head else ""))
    (row,) = delivered.prices.to_dict("records")
    assert row["close"] == 2
    assert pd.isna([row["open"], row["high"], row["low"]]).all()
    assert pd.isna(row["volume"]) == ("volume" not in head)
    assert delivered.notes[0].endswith("prices.csv holds closes only: what needs other prices is left out")


class TestRefusal:
    """Each fault of a file is one error with its name, the file and what to do."""

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            ([HEAD], "holds no rows"),
            (["", ""], "is empty"),
            (["date,symbol,open,close", "2024-06-28,THYAO,1,2"], "lacks 3 of 5.*high, low, volume"),
            ([HEAD.replace("symbol", "name"), LINE], "no column symbol or ticker"),
            ([HEAD.replace("date", "day"), LINE], "no column date or session"),
            ([f"{HEAD},ticker", f"{LINE},AKBNK"], "columns symbol and ticker"),
            ([f"{HEAD},Close", f"{LINE},3"], "same name.*close"),
            ([HEAD, LINE, "2024-06-28,AKBNK,1,2,1,n.a.,9"], "close holds 1 .*'n.a.'"),
            ([HEAD, LINE, "2024-06-28,AKBNK,1,2,1,True,9"], "close holds 1 .*'True'"),
            ([HEAD, '2024-06-28,THYAO,"1,5",2,1,2,9'], "decimal commas need"),
            ([HEAD, f"{LINE},7"], "cannot be read"),
            ([HEAD, LINE, "2024-06-28,AKBNK,1"], "cannot be read"),
            ([HEAD, "2024-06-29,THYAO,1,2,1,2,9"], r"none of 1 rows.*not_a_session \(1\)"),
            ([HEAD, "06/28/2024,THYAO,1,2,1,2,9"], r"none of 1 rows.*session_missing \(1\).*YYYY-MM-DD"),
            ([HEAD.replace(",", ";"), "2024-06-28;THYAO;1,5;2.25;1;2,5;9"], "high holds 1 .*'2.25'"),
            (["Price,Close,Close", "Ticker,THYAO.IS,AKBNK.IS"], "2 shares side by side.*AKBNK.IS, THYAO.IS"),
            ([",".join(map(str, range(10**6)))], "1,000,000 columns"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_of_a_text(self, tmp_path: Path, lines: list[str], message: str) -> None:
        with pytest.raises(SourceContentError, match=f"(?s)prices.csv.*{message}") as caught:
            fetch_text(tmp_path, *lines)
        assert caught.value.next_step

    @pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.csv.gz", "p.zip"])
    @pytest.mark.parametrize("content", [b"", b"\x00", b"\xff\xfe\x00garbage", b"PAR1PAR1", in_zip()])
    def test_of_nonsense(self, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceContentError, match=name):
            FileSource(str(tmp_path / name)).latest_session(CALENDAR)

    @pytest.mark.parametrize(
        ("column", "values"),
        [
            ("close", pa.array([dt.date(2024, 6, 28)])),
            ("close", pa.array([[1.0]])),
            ("close", pa.array([{"a": 1}])),
            ("close", pa.array([True])),
            ("close", pa.array(["1,5"])),
            ("date", pa.array([dt.datetime(2024, 6, 27, 21)], pa.timestamp("us"))),
            ("date", pa.array([2**50], pa.timestamp("s"))),
            ("date", pa.array([45000])),
            ("date", pa.array([["2024-06-28"]])),
            ("symbol", pa.array([b"THYAO"])),
        ],
        ids=str,
    )
    def test_of_parquet_columns_of_other_types(self, tmp_path: Path, column: str, values: pa.Array) -> None:
        texts = {name: pa.array([value]) for name, value in ROW.items()}
        parquet.write_table(pa.table({**texts, column: values}), tmp_path / "p.parquet")
        with pytest.raises(SourceContentError, match=r"p\.parquet"):
            fetch_from(tmp_path / "p.parquet")

    @pytest.mark.parametrize("pack", [gzip.compress, lambda data: in_zip(a=data[: 2**20], b=data[2**20 :])])
    def test_of_what_unpacks_to_more_than_the_limit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
    ) -> None:
        monkeypatch.setattr(tables, "MAX_BYTES", 2**20)
        (tmp_path / "bomb").write_bytes(pack(bytes(2**20 + 1)))
        with pytest.raises(SourceContentError, match="more than 1 MiB unpacked"):
            fetch_from(tmp_path / "bomb")

    @pytest.mark.parametrize("close", [pa.nulls(10**6, pa.float64()), pa.array(["9" * 10**4] * 200)])
    def test_of_small_parquet_that_says_much(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, close: pa.Array
    ) -> None:
        monkeypatch.setattr(tables, "MAX_BYTES", 2**20)
        parquet.write_table(
            pa.table({"close": close}), tmp_path / "bomb", use_dictionary=False, compression="zstd"
        )
        assert (tmp_path / "bomb").stat().st_size < 10**4
        with pytest.raises(SourceContentError, match="more than 1 MiB unpacked"):
            fetch_from(tmp_path / "bomb")

    def test_of_a_locked_archive(self, tmp_path: Path) -> None:
        content = bytearray(in_zip(p=f"{HEAD}\n{LINE}\n".encode()))
        for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(signature) + flags] |= 1
        (tmp_path / "p.zip").write_bytes(content)
        with pytest.raises(SourceContentError, match="encrypted"):
            fetch_from(tmp_path / "p.zip")

    @pytest.mark.parametrize("path", ["missing.parquet", "no/such/folder", "x" * 300, "file.csv/below", "\0"])
    def test_of_a_path_that_leads_nowhere(self, tmp_path: Path, path: str) -> None:
        fetch_text(tmp_path, HEAD, LINE, name="file.csv")
        with pytest.raises(SourceUnavailableError, match="cannot be opened") as caught:
            fetch_from(tmp_path / path)
        assert "--source-path" in caught.value.next_step

    def test_of_a_file_that_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so no file can refuse it
        monkeypatch.setattr(Path, "is_dir", lambda _: False)
        with pytest.raises(SourceUnavailableError, match="Permission denied"):
            FileSource(str(tmp_path)).fetch(LATE, CALENDAR)

    def test_of_a_folder_without_tables(self, tmp_path: Path) -> None:
        (tmp_path / "readme.txt").write_text("no prices")
        with pytest.raises(SourceContentError, match=r"no \.csv or \.parquet"):
            fetch_from(tmp_path)

    def test_of_a_session_the_files_do_not_reach(self, tmp_path: Path) -> None:
        with pytest.raises(SessionOutOfRangeError, match="from 2024-06-27 to 2024-06-27") as caught:
            fetch_text(tmp_path, HEAD, LINE.replace("06-28", "06-27"))
        assert "2024-06-27" in caught.value.next_step


FUZZ = hypothesis_settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
DAYS = st.sampled_from(
    [
        *("2024-06-28", "2024-06-27", "2024-06-28 00:00:00+03:00", "2024-06-23", "2023-02-08"),
        *("1990-01-02", "2099-06-01", ""),
    ]
)
ODD_DAYS = DAYS | st.sampled_from(
    ["0001-01-01", "9999-12-31", "2024-13-01", "28.06.2024", "now", "NaT", "None"]
)
NUMBERS = (
    st.floats().map(repr)
    | st.integers(-(10**30), 10**30).map(str)
    | st.floats(0.01, 1000).map(repr)
    | st.sampled_from(["", "0", "-1", "1e400", "-inf", "nan", "+3", ".5", "5."])
)
ODD_NUMBERS = (
    NUMBERS
    | st.sampled_from(["1_000", "0x10", "True", "1,5", "12.5.1", "٣", "9" * 400, " 3 ", "1.000", "1e", "--1"])
    | st.text(max_size=4)
)
SYMBOLS = st.sampled_from(["THYAO", "thyao.is", " AKBNK ", "", "NA", "İŞCTR", "A B", "X" * 40, "1"])
Rows = list[tuple[str, ...]]


def rows_of(days: st.SearchStrategy[str], numbers: st.SearchStrategy[str]) -> st.SearchStrategy[Rows]:
    return st.lists(st.tuples(days, SYMBOLS, *[numbers] * 5), max_size=6)


def answer(path: Path) -> Fetch | None:
    """What a source delivers; None where it refuses with a named error. Any other error fails the test."""
    try:
        return fetch_from(path)
    except BistError:
        return None


def means(day: str, symbol: str, *numbers: str) -> tuple[object, ...] | None:
    """Read one row of text by other means; None where it cannot be a good one."""
    if day[:10] not in ("2024-06-28", "2024-06-27"):
        return None
    return (
        day[:10],
        symbol.strip().upper().removesuffix(".IS"),
        *(float(number or "nan") for number in numbers),
    )


@pytest.mark.slow
class TestFuzz:
    @FUZZ
    @given(rows=rows_of(DAYS, NUMBERS), form=st.sampled_from(["csv", "parquet"]))
    def test_every_row_is_delivered_as_written_or_set_aside(
        self, tmp_path: Path, rows: Rows, form: str
    ) -> None:
        table = pd.DataFrame([("2024-06-28", "GOOD", *"12129"), *rows], columns=list(ROW), dtype=object)
        data = table.replace("", None).to_parquet() if form == "parquet" else as_csv(table)
        (tmp_path / "p").write_bytes(data)
        fetch = fetch_from(tmp_path / "p")
        assert len(fetch.prices) + len(fetch.quarantined) == len(table)
        written = [means(*row) for row in table.itertuples(index=False)]
        read = fetch.prices.assign(session=fetch.prices["session"].dt.strftime("%Y-%m-%d"))
        for row in read.itertuples(index=False, name=None):
            assert any(
                w and w[:2] == row[:2] and np.array_equal(w[2:], row[2:], equal_nan=True) for w in written
            )

    @FUZZ
    @given(rows=rows_of(ODD_DAYS, ODD_NUMBERS), separator=st.sampled_from(",;\t"))
    def test_odd_text_never_breaks_out(self, tmp_path: Path, rows: Rows, separator: str) -> None:
        (tmp_path / "p").write_bytes(
            as_csv(pd.DataFrame(rows, columns=list(ROW), dtype=object), sep=separator)
        )
        fetch = answer(tmp_path / "p")
        assert fetch is None or len(fetch.prices) + len(fetch.quarantined) == len(rows)

    @FUZZ
    @given(data=st.data())
    def test_one_odd_cell_changes_no_other_row(
        self, tmp_path: Path, market: pd.DataFrame, data: st.DataObject
    ) -> None:
        table = market.tail(50).astype(str)
        row, column = data.draw(st.integers(0, 49)), data.draw(st.integers(0, 6))
        table.iloc[row, column] = data.draw(ODD_DAYS | ODD_NUMBERS | SYMBOLS)
        (tmp_path / "p").write_bytes(as_csv(table, sep=data.draw(st.sampled_from(",;\t"))))
        fetch = answer(tmp_path / "p")
        if fetch is not None:
            assert len(fetch.prices) + len(fetch.quarantined) == 50
            assert len(fetch.prices.merge(market)) >= 48  # a symbol changed into another's makes two bad rows

    @FUZZ
    @given(
        content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode),
        start=st.sampled_from(
            [b"", b"PAR1", b"PK\x03\x04", b"\x1f\x8b", b"\xef\xbb\xbf", f"{HEAD}\n".encode()]
        ),
    )
    def test_random_bytes_never_break_out(self, tmp_path: Path, content: bytes, start: bytes) -> None:
        (tmp_path / "p").write_bytes(start + content)
        assert answer(tmp_path / "p") is None

    @FUZZ
    @given(data=st.data(), form=st.sampled_from(["parquet", "parquet with checksums", "gz", "zip"]))
    def test_damaged_files_never_break_out(
        self, tmp_path: Path, market: pd.DataFrame, data: st.DataObject, form: str
    ) -> None:
        pack = {
            "parquet": lambda: market.to_parquet(),
            "parquet with checksums": lambda: market.to_parquet(write_page_checksum=True),
            "gz": lambda: gzip.compress(as_csv(market), mtime=0),
            "zip": lambda: in_zip(p=as_csv(market)),
        }
        whole = pack[form]()
        cut = data.draw(st.integers(1, len(whole) - 1))
        (tmp_path / "p").write_bytes(whole[:cut])
        assert answer(tmp_path / "p") is None
        flipped = bytes([whole[cut] ^ data.draw(st.integers(1, 255))])
        (tmp_path / "p").write_bytes(whole[:cut] + flipped + whole[cut + 1 :])
        fetch = answer(tmp_path / "p")
        if form != "parquet":  # where nothing shows that a number was another
            assert fetch is None or fetch.prices.equals(market)
