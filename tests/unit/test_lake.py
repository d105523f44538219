"""The lake: a write replaces what it covers, whole or not at all, and what was there can be read again."""

import datetime as dt
import itertools
import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from bist_pipeline.errors import (
    ConfigError,
    ContractError,
    LakeConflictError,
    LakeUnavailableError,
    MissingDataError,
    Policy,
)
from bist_pipeline.lake import Lake, content_hash
from bist_pipeline.lake.lake import MAX_PARTS
from bist_pipeline.lake.storage import Folder

MONDAY, TUESDAY, WEDNESDAY = (dt.date(2024, 6, day) for day in (24, 25, 26))


def bars(*sessions: dt.date, close: float = 1.0) -> pd.DataFrame:
    rows = [(pd.Timestamp(session), symbol, close) for session in sessions for symbol in ("GARAN", "THYAO")]
    return pd.DataFrame(rows, columns=["session", "symbol", "close"])


def write(lake: Lake, *sessions: dt.date, close: float = 1.0, dataset: str = "prices") -> str:
    return lake.write(dataset, bars(*sessions, close=close), covers=(sessions[0], sessions[-1]))


@pytest.fixture
def lake(tmp_path):
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def files(tmp_path):
    """What lies in the folder of the prices, whenever it is called: name to time of writing."""

    def look() -> dict[str, int]:
        folder = tmp_path / "lake/prices"
        return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

    return look


def parquet(names) -> list[str]:
    return sorted(name for name in names if name.endswith(".parquet"))


# --- what a write does ---


def test_what_was_written_is_read_back_to_the_bit(lake):
    frame = bars(MONDAY, TUESDAY, close=1 / 3)

    version = lake.write("prices", frame, covers=(MONDAY, TUESDAY))

    pd.testing.assert_frame_equal(lake.read("prices"), frame)
    assert version == content_hash(lake.read("prices"))


def test_a_write_replaces_the_sessions_it_covers_and_no_others(lake):
    write(lake, MONDAY, TUESDAY, WEDNESDAY)

    write(lake, TUESDAY, close=2.0)

    assert lake.read("prices")["close"].tolist() == [1, 1, 2, 2, 1, 1]
    assert lake.read("prices", since=MONDAY, until=TUESDAY)["close"].tolist() == [1, 1, 2, 2]


def test_a_session_that_a_write_covers_without_rows_is_gone(lake):
    write(lake, MONDAY, TUESDAY, WEDNESDAY)

    lake.write("prices", bars(WEDNESDAY), covers=(TUESDAY, WEDNESDAY))

    assert lake.read("prices")["session"].dt.date.unique().tolist() == [MONDAY, WEDNESDAY]


def test_ingesting_an_earlier_session_keeps_the_later_ones(lake):
    first = write(lake, MONDAY)
    write(lake, MONDAY, TUESDAY, WEDNESDAY)
    before = lake.head("prices")

    assert write(lake, MONDAY) == first
    assert lake.head("prices") == before


def test_writing_the_same_twice_changes_no_file(lake, files):
    write(lake, MONDAY)
    before = files()

    write(lake, MONDAY)

    assert files() == before


def test_one_more_day_is_one_small_file_even_where_the_whole_history_is_delivered(lake, files):
    write(lake, MONDAY, TUESDAY)
    before = files()

    write(lake, MONDAY, TUESDAY, WEDNESDAY)

    (added,) = parquet(files().keys() - before.keys())
    assert added.startswith(f"{WEDNESDAY}_{WEDNESDAY}.")
    assert before.items() <= files().items()


def test_a_write_that_would_be_one_file_too_many_makes_one_file_of_all(lake):
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(MAX_PARTS + 1)]
    for day in days[:-1]:
        write(lake, day)
    assert len(lake.require("prices").parts) == MAX_PARTS

    version = write(lake, days[-1])

    assert len(lake.require("prices").parts) == 1
    assert version == content_hash(bars(*days)) == content_hash(lake.read("prices"))


def test_other_columns_are_refused_as_long_as_sessions_with_the_old_ones_stay(lake):
    write(lake, MONDAY, TUESDAY)
    wider = bars(MONDAY, TUESDAY).assign(turnover=5.0)

    with pytest.raises(ContractError, match="turnover") as caught:
        lake.write("prices", wider[wider["session"] == str(MONDAY)], covers=(MONDAY, MONDAY))
    lake.write("prices", wider, covers=(MONDAY, TUESDAY))

    assert caught.value.next_step == f"bist ingest --session {TUESDAY}"
    assert lake.read("prices")["turnover"].tolist() == [5.0] * 4


def test_rows_outside_what_a_write_covers_are_a_mistake_of_the_caller(lake):
    with pytest.raises(ValueError, match="outside"):
        lake.write("prices", bars(MONDAY, TUESDAY), covers=(TUESDAY, TUESDAY))


# --- what a read gives ---


def test_readers_see_sessions_up_to_the_one_they_ask_for(lake):
    write(lake, MONDAY, TUESDAY, WEDNESDAY)

    assert lake.read("prices", until=TUESDAY)["session"].max() == pd.Timestamp(TUESDAY)
    assert set(lake.read("prices", since=TUESDAY, until=TUESDAY)["session"]) == {pd.Timestamp(TUESDAY)}


def test_a_range_without_sessions_has_no_rows_but_all_columns(lake):
    write(lake, TUESDAY)

    assert lake.read("prices", until=MONDAY).empty
    assert lake.read("prices", until=MONDAY).dtypes.equals(bars(TUESDAY).dtypes)


def test_columns_come_in_the_order_they_are_asked_for(lake):
    write(lake, MONDAY, TUESDAY)
    write(lake, MONDAY, close=2.0)

    assert lake.read("prices", columns=["close", "symbol"]).to_numpy().tolist() == [
        *([2.0, "GARAN"], [2.0, "THYAO"], [1.0, "GARAN"], [1.0, "THYAO"])
    ]


def test_one_column_is_in_order_although_older_sessions_came_later(lake):
    write(lake, TUESDAY)
    write(lake, MONDAY)

    assert lake.read("prices", columns=["session"])["session"].is_monotonic_increasing


def test_a_missing_data_set_names_the_command_that_makes_it(lake):
    with pytest.raises(MissingDataError) as caught:
        lake.read("prices")

    assert caught.value.next_step == "bist ingest"


@pytest.mark.parametrize("where", ["end", "middle"])
def test_a_damaged_file_is_an_error_and_no_answer(lake, tmp_path, where):
    write(lake, MONDAY, close=0.1234)
    (file,) = tmp_path.glob("lake/prices/*.parquet")
    intact = file.read_bytes()
    close = pq.ParquetFile(file).metadata.row_group(0).column(2)
    damaged = bytearray(intact)
    damaged[close.data_page_offset + close.total_compressed_size - 1] ^= 1
    file.write_bytes(intact[:100] if where == "end" else damaged)

    with pytest.raises(LakeUnavailableError, match="cannot be read"):
        lake.read("prices")


def test_a_version_that_is_none_is_an_error_and_no_answer(lake, tmp_path):
    write(lake, MONDAY)
    (tmp_path / "lake/prices/versions/00000002.json").write_text('{"made": "elsewhere"}')

    with pytest.raises(LakeUnavailableError, match="not the version of a data set"):
        lake.read("prices")


# --- the hash of the content, and versions by it ---


def test_the_hash_is_of_what_a_table_says_and_not_of_how():
    frame = bars(MONDAY, TUESDAY).assign(volume=[0.0, np.nan, 3.0, 4.0])
    negative_nan = np.array([-0.0, np.copysign(np.nan, -1), 3.0, 4.0])

    same = frame.assign(volume=negative_nan)[["volume", "close", "symbol", "session"]].sample(frac=1)
    others = [
        frame.assign(symbol=["GARAN", "THYAO", "GARAN", "TUPRS"]),
        frame.assign(session=frame["session"] + pd.Timedelta(days=1)),
        frame.assign(close=frame["close"].astype("float32")),
        frame.rename(columns={"close": "open"}),
        frame[1:],
    ]

    hashes = [content_hash(other) for other in [frame, *others]]
    assert content_hash(same) == hashes[0]
    assert len(set(hashes)) == len(hashes)


def test_the_hash_up_to_a_session_needs_no_rows_and_knows_no_history(lake, tmp_path):
    write(lake, MONDAY)
    write(lake, TUESDAY, close=9.0)
    write(lake, WEDNESDAY)
    write(lake, TUESDAY, close=2.0)
    at_once = Lake(str(tmp_path / "other"))
    at_once.write("prices", lake.read("prices"), covers=(MONDAY, WEDNESDAY))

    for until in (MONDAY, TUESDAY, WEDNESDAY, None):
        known = lake.require("prices").hash_until(until)
        assert known == content_hash(lake.read("prices", until=until))
        assert known == at_once.require("prices").hash_until(until)


def test_what_a_prediction_saw_is_read_again_after_corrections_and_further_days(lake):
    write(lake, MONDAY, TUESDAY)
    seen = lake.require("prices").hash_until(TUESDAY)
    write(lake, WEDNESDAY)
    write(lake, MONDAY, close=2.0)

    again = lake.read("prices", version=seen, until=TUESDAY)

    pd.testing.assert_frame_equal(again, bars(MONDAY, TUESDAY))
    assert lake.read("prices", until=TUESDAY)["close"].tolist() == [2, 2, 1, 1]


def test_a_content_that_no_version_has_is_missing(lake):
    seen = write(lake, MONDAY, TUESDAY)

    with pytest.raises(MissingDataError, match=f"up to {MONDAY} have the content {seen}"):
        lake.read("prices", version=seen, until=MONDAY)


def let_days_pass(folder: Path, days: float) -> None:
    """Make everything in a data set that many days older."""
    for path in folder.glob("versions/*.json"):
        facts = json.loads(path.read_text())
        written = dt.datetime.fromisoformat(facts["written_at"]) - dt.timedelta(days=days)
        path.write_text(json.dumps({**facts, "written_at": written.isoformat()}))
    for path in folder.iterdir():
        os.utime(path, (path.stat().st_mtime - days * 86_400,) * 2)


@pytest.mark.parametrize(("dataset", "days"), [("prices", 400), ("features", 1)])
def test_a_version_is_kept_for_its_time_after_another_took_its_place(lake, tmp_path, dataset, days):
    folder = tmp_path / "lake" / dataset
    oldest, middle = (write(lake, MONDAY, close=close, dataset=dataset) for close in (1.0, 2.0))

    let_days_pass(folder, days - 0.5)
    write(lake, MONDAY, close=3.0, dataset=dataset)
    assert lake.read(dataset, version=oldest)["close"].tolist() == [1.0, 1.0]

    let_days_pass(folder, 0.75)
    write(lake, MONDAY, close=4.0, dataset=dataset)
    assert lake.read(dataset, version=middle)["close"].tolist() == [2.0, 2.0]
    with pytest.raises(MissingDataError, match=oldest):
        lake.read(dataset, version=oldest)
    assert len(list(folder.glob("*.parquet"))) == len(list(folder.glob("versions/*"))) == 3


def test_what_a_crash_left_behind_is_removed_after_a_day(lake, tmp_path):
    write(lake, MONDAY)
    folder = tmp_path / "lake/prices"
    (folder / "2024-06-25_2024-06-25.0.parquet").write_bytes(b"half")
    let_days_pass(folder, 2)
    (folder / "2024-06-26_2024-06-26.0.parquet").write_bytes(b"another writer, right now")

    write(lake, MONDAY, close=2.0)

    assert not list(folder.glob("2024-06-25*"))
    assert list(folder.glob("2024-06-26*"))
    assert len(lake.read("prices")) == 2


# --- several writers, and storage that fails ---


def let_others_be_faster(monkeypatch, others: Iterator[Callable[[], object]]) -> None:
    """Do one more of `others` each time that a write of this process is about to take effect."""
    claim = Folder.claim

    def claim_too_late(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(Folder, "claim", claim)
            for other in islice(others, 1):
                other()
        return claim(*arguments)

    monkeypatch.setattr(Folder, "claim", claim_too_late)


def test_of_two_writers_at_once_both_are_in(lake, monkeypatch):
    write(lake, MONDAY)
    let_others_be_faster(monkeypatch, iter([lambda: write(lake, TUESDAY, close=2.0)]))

    version = write(lake, WEDNESDAY, close=3.0)

    assert lake.read("prices")["close"].tolist() == [1, 1, 2, 2, 3, 3]
    assert version == content_hash(lake.read("prices"))


def test_who_is_never_fast_enough_is_told_and_may_try_again(lake, monkeypatch):
    monkeypatch.setattr("bist_pipeline.lake.lake.time.sleep", lambda _seconds: None)
    write(lake, MONDAY)
    others = (lambda close=close: write(lake, TUESDAY, close=close) for close in itertools.count(1.0))
    let_others_be_faster(monkeypatch, others)

    with pytest.raises(LakeConflictError, match="10 times other writers changed prices") as caught:
        write(lake, WEDNESDAY)

    assert caught.value.policy is Policy.RETRY
    assert lake.read("prices")["session"].dt.date.unique().tolist() == [MONDAY, TUESDAY]


def test_a_write_that_fails_half_way_leaves_the_version_before(lake, files, monkeypatch):
    write(lake, MONDAY)
    before = files()

    def disk_is_full(_table, file, **_options):
        file.write(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bist_pipeline.lake.parts.pq.write_table", disk_is_full)
    with pytest.raises(LakeUnavailableError, match="No space left"):
        write(lake, TUESDAY)

    assert files() == before
    assert lake.read("prices")["session"].unique().tolist() == [pd.Timestamp(MONDAY)]


def test_storage_that_cannot_be_written_is_named():
    lake = Lake("/proc/bist")  # refuses new files to everybody

    with pytest.raises(LakeUnavailableError, match="/proc/bist"):
        write(lake, MONDAY)


def test_a_storage_that_overwrites_what_it_was_told_to_create_is_refused(monkeypatch):
    def overwrite(fs, path, value, mode):
        fs.open(path, "wb", data=value)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", overwrite)
    lake = Lake("memory://forgetful")

    with pytest.raises(ConfigError, match="overwrites"):
        write(lake, MONDAY)
    assert lake.head("prices") is None


@pytest.mark.parametrize("url", ["carrier-pigeon://loft", "github://lake"])
def test_an_unknown_kind_of_storage_is_a_setting_to_correct(url):
    with pytest.raises(ConfigError, match="BIST_LAKE_URL"):
        Lake(url)


def test_columns_that_the_lake_does_not_hold_are_named(lake):
    write(lake, MONDAY)

    with pytest.raises(MissingDataError, match="lack 1 of 2 columns") as caught:
        lake.read("prices", columns=["close", "vwap"])
    assert caught.value.which == ("vwap",)
