"""What a snapshot may look like, where it may lie, and what is refused."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.config import Settings
from bist_pipeline.contracts import SNAPSHOT_TARGET, quarantine, snapshot_contract
from bist_pipeline.errors import ConfigError, SourceContentError, SourceUnavailableError
from bist_pipeline.sources.base import Source, open_source
from bist_pipeline.sources.snapshot import SnapshotSource
from tests.contract.source_contract import LATE, SourceContract
from tests.small_snapshot import INFINITE, SHARES, fetch_snapshot, small_snapshot, write_raw, write_turkish


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snapshot")


@pytest.fixture(scope="module")
def raw(folder: Path) -> Path:
    return write_raw(folder / "raw.csv", small_snapshot())


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """Address of a server of the folder."""
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class TestSnapshot(SourceContract):
    @classmethod
    def open(cls, folder: Path, market: pd.DataFrame) -> Source:
        return SnapshotSource(str(write_raw(folder / "raw.csv", small_snapshot())), LATE)


def write_damaged(path: Path, name: str, value: object) -> None:
    table = small_snapshot().astype({name: object})
    table.loc[4, name] = value
    table.to_csv(path, index=False)


def test_every_share_arrives_bare_with_its_cells_as_they_are(raw):
    fetch = fetch_snapshot(str(raw))
    good, bad = quarantine(fetch.snapshot, snapshot_contract())

    assert len(good) == SHARES
    assert bad.empty
    assert good["symbol"].tolist() == [f"S{i:03d}" for i in range(SHARES)]
    written = small_snapshot().drop(columns="Hisse")
    pd.testing.assert_frame_equal(good.drop(columns="symbol")[list(written)], written, check_dtype=False)
    assert np.isinf(good.loc[good["symbol"] == INFINITE, "FiyatKazanc Orani"]).all()


def test_semicolons_decimal_commas_and_a_bom_change_nothing(raw, folder):
    turkish = write_turkish(folder / "turkish.csv", small_snapshot())

    assert turkish.read_bytes().startswith(b"\xef\xbb\xbfHisse;")
    pd.testing.assert_frame_equal(fetch_snapshot(str(turkish)).snapshot, fetch_snapshot(str(raw)).snapshot)


def test_an_address_serves_as_well_as_a_file(raw, server):
    there = fetch_snapshot(f"{server}/{raw.name}")

    pd.testing.assert_frame_equal(there.snapshot, fetch_snapshot(str(raw)).snapshot)
    assert len(there.snapshot) == SHARES


def test_columns_may_lack_or_be_new_and_are_named(folder):
    table = small_snapshot().drop(columns=["Beta", "Adi"]).assign(Borc=1.0)
    fetch = fetch_snapshot(str(write_raw(folder / "other.csv", table)))

    assert fetch.snapshot["Beta"].isna().all()
    assert fetch.snapshot["Adi"].isna().all()
    assert ["Adi, Beta" in note or "borc" in note for note in fetch.notes] == [True, True]


def test_rows_that_contradict_each_other_or_name_no_share_are_quarantined(folder):
    table = small_snapshot()
    twice = pd.concat([table, table.head(1).assign(Beta=9.0), table.tail(1).assign(Hisse="şişe")])
    fetch = fetch_snapshot(str(write_raw(folder / "twice.csv", twice)))

    assert len(fetch.snapshot) == SHARES - 1
    assert fetch.quarantined[["symbol", "rule"]].to_numpy().tolist() == [
        ["S000", "duplicate_key"],
        ["S000", "duplicate_key"],
        ["şişe", "symbol_malformed"],
    ]


BAD = {
    "missing file": ("{folder}/nothing.csv", SourceUnavailableError, "{folder}/nothing.csv"),
    "missing page": ("{server}/nothing.csv", SourceUnavailableError, "404"),
    "dead server": ("http://127.0.0.1:1/raw.csv", SourceUnavailableError, "127.0.0.1:1"),
    "no host": ("https:///raw.csv", SourceUnavailableError, "https:///raw.csv"),
    "web page": ("{server}/page.html", SourceContentError, "{server}/page.html has no column"),
    "text for a number": ("{folder}/text.csv", SourceContentError, "n/k"),
    "percent sign": ("{folder}/percent.csv", SourceContentError, "3.2 %"),
    "no target": ("{folder}/target.csv", SourceContentError, SNAPSHOT_TARGET.lower()),
    "no rows": ("{folder}/header.csv", SourceContentError, "no share"),
    "a folder": ("{folder}", SourceUnavailableError, "{folder}"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_snapshot_ends_in_one_error_that_names_it(folder, server, case):
    (folder / "page.html").write_text("<!DOCTYPE html>\n<html><body>Sign in</body></html>\n")
    write_damaged(folder / "text.csv", "Beta", "n/k")
    write_damaged(folder / "percent.csv", SNAPSHOT_TARGET, "3.2 %")
    write_raw(folder / "target.csv", small_snapshot().drop(columns=SNAPSHOT_TARGET))
    write_raw(folder / "header.csv", small_snapshot().head(0))
    path, error, words = BAD[case]
    places = {"folder": folder, "server": server}

    with pytest.raises(error) as caught:
        fetch_snapshot(path.format(**places))

    assert words.format(**places) in str(caught.value)
    assert caught.value.next_step


def test_it_needs_a_path():
    with pytest.raises(ConfigError, match="needs a file or address") as caught:
        open_source(Settings(source="snapshot"))

    assert caught.value.next_step
