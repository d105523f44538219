"""The lake: a write replaces what it covers, whole or not at all."""

import datetime as dt
import os

import pandas as pd
import pytest

from bist_pipeline.errors import ConfigError, LakeUnavailableError, MissingDataError
from bist_pipeline.lake import Lake, content_hash

MONDAY, TUESDAY, WEDNESDAY = (dt.date(2024, 6, day) for day in (24, 25, 26))


def bars(*sessions: dt.date, close: float = 1.0) -> pd.DataFrame:
    rows = [(pd.Timestamp(session), symbol, close) for session in sessions for symbol in ("GARAN", "THYAO")]
    return pd.DataFrame(rows, columns=["session", "symbol", "close"])


@pytest.fixture
def lake(tmp_path):
    return Lake(str(tmp_path / "lake"))


def test_what_was_written_is_read_back_to_the_bit(lake):
    frame = bars(MONDAY, TUESDAY, close=1 / 3)

    version = lake.write("prices", frame, covers=(MONDAY, TUESDAY))

    pd.testing.assert_frame_equal(lake.read("prices"), frame)
    assert version == content_hash(lake.read("prices"))


def test_a_write_replaces_the_sessions_it_covers_and_no_others(lake):
    lake.write("prices", bars(MONDAY, TUESDAY, WEDNESDAY), covers=(MONDAY, WEDNESDAY))

    lake.write("prices", bars(TUESDAY, close=2.0), covers=(TUESDAY, TUESDAY))

    assert lake.read("prices")["close"].tolist() == [1, 1, 2, 2, 1, 1]


def test_ingesting_an_earlier_session_keeps_the_later_ones(lake):
    whole = lake.write("prices", bars(MONDAY, TUESDAY, WEDNESDAY), covers=(MONDAY, WEDNESDAY))

    assert lake.write("prices", bars(MONDAY), covers=(MONDAY, MONDAY)) == whole


def test_writing_the_same_twice_changes_no_file(lake, tmp_path):
    def write():
        lake.write("prices", bars(MONDAY), covers=(MONDAY, MONDAY))
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    assert write() == write()


def test_readers_see_sessions_up_to_the_one_they_ask_for(lake):
    lake.write("prices", bars(MONDAY, TUESDAY, WEDNESDAY), covers=(MONDAY, WEDNESDAY))

    assert lake.read("prices", until=TUESDAY)["session"].max() == pd.Timestamp(TUESDAY)
    assert set(lake.read("prices", since=TUESDAY, until=TUESDAY)["session"]) == {pd.Timestamp(TUESDAY)}


def test_a_missing_data_set_names_the_command_that_makes_it(lake):
    with pytest.raises(MissingDataError) as caught:
        lake.read("prices")

    assert caught.value.next_step == "bist ingest"


def test_a_write_that_fails_half_way_leaves_the_version_before(lake, monkeypatch):
    lake.write("prices", bars(MONDAY), covers=(MONDAY, MONDAY))

    def disk_is_full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bist_pipeline.lake.pq.write_table", disk_is_full)
    with pytest.raises(LakeUnavailableError, match="No space left"):
        lake.write("prices", bars(TUESDAY), covers=(TUESDAY, TUESDAY))

    assert lake.read("prices")["session"].unique().tolist() == [pd.Timestamp(MONDAY)]
    assert not list(lake_files(lake, ".tmp"))


def lake_files(lake: Lake, suffix: str):
    return (name for _, _, names in os.walk(lake.url) for name in names if name.endswith(suffix))


def test_storage_that_cannot_be_written_is_named():
    lake = Lake("/proc/bist")  # refuses new files to everybody

    with pytest.raises(LakeUnavailableError, match="/proc/bist"):
        lake.write("prices", bars(MONDAY), covers=(MONDAY, MONDAY))


def test_a_torn_file_is_an_error_and_no_empty_answer(lake, tmp_path):
    version = lake.write("prices", bars(MONDAY), covers=(MONDAY, MONDAY))
    file = tmp_path / f"lake/prices/{version}.parquet"
    file.write_bytes(file.read_bytes()[:100])

    with pytest.raises(LakeUnavailableError, match="cannot be read"):
        lake.read("prices")


def test_an_unknown_kind_of_storage_is_a_setting_to_correct():
    with pytest.raises(ConfigError, match="BIST_LAKE_URL"):
        Lake("carrier-pigeon://loft")
