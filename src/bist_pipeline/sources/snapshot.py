"""The snapshot: one table of all shares on one date, as its owner's scraper wrote it, raw or cleaned.

It has no history, and does not even say its date: that is a setting. Columns are found by their Turkish
names in any case; those it lacks are missing, others are not read. A file, or an `http(s)` address of one;
Parquet or CSV, packed or not, decimal comma behind `;`, as for the other sources.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import numpy as np
import pandas as pd

from bist_pipeline.calendar import TradingCalendar
from bist_pipeline.contracts import (
    KEY,
    PRICE_COLUMNS,
    SNAPSHOT_NUMBERS,
    SNAPSHOT_TARGET,
    SNAPSHOT_TEXTS,
    price_contract,
    quarantine,
    snapshot_contract,
)
from bist_pipeline.errors import SourceContentError, SourceError, SourceUnavailableError
from bist_pipeline.market.snapshot import list_securities
from bist_pipeline.sources.base import Fetch, require_final
from bist_pipeline.sources.cells import SYMBOL_NAMES, find_column, read_numbers, read_symbol, translate
from bist_pipeline.sources.tables import RawTable, read_tables

# The user's own file has half a megabyte.
MAX_DOWNLOAD_BYTES = 2**26
_TIMEOUT_S = 30
_KEYS = {name.lower(): name for name in (*SNAPSHOT_TEXTS, *SNAPSHOT_NUMBERS)}
_KINDS = {"session": "datetime64[ns]", **dict.fromkeys(PRICE_COLUMNS, "float64")}


class SnapshotSource:
    """One table of all shares, delivered under the session that it is asked for: it names none itself.

    Parameters
    ----------
    path : str
        A file, or an `http(s)` address of one.
    session : date
        The session whose evening it shows, as the settings say.
    """

    name = "snapshot"

    def __init__(self, path: str, session: dt.date) -> None:
        self._path = path
        self._session = session

    def latest_session(self, calendar: TradingCalendar) -> dt.date:
        """Return the session of the settings."""
        return calendar.require(self._session)

    def fetch(self, until: dt.date, calendar: TradingCalendar) -> Fetch:
        """Deliver the table as of `until`: its closes as prices, and all its columns beside them.

        Raises
        ------
        SourceUnavailableError
            If the file does not exist or may not be read, or the address does not answer.
        SourceContentError
            If what is there is not a table of shares with symbol, sector and the target.
        """
        require_final(until, calendar)
        shares, quarantined, notes = _read_shares(self._path)
        day = pd.Timestamp(until)
        closes = shares.rename(columns={"Son Kapanis Fiyati": "close"}).dropna(subset="close")
        prices, refused = quarantine(
            closes.assign(session=day).reindex(columns=[*KEY, *PRICE_COLUMNS]).astype(_KINDS),
            price_contract(np.array([until], dtype="datetime64[D]")),
        )
        set_aside = pd.concat([bad[["symbol", "rule"]] for bad in (quarantined, refused)], ignore_index=True)
        return Fetch(
            prices=prices,
            securities=list_securities(shares),
            quarantined=set_aside.assign(session=day),
            notes=notes,
            snapshot=shares,
        )


def _read_shares(path: str) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Rows that keep `contracts.snapshot_contract`, rows that break it, and what to say of the table."""
    wanted = {*SYMBOL_NAMES, *_KEYS}
    with _as_file(path) as file:
        tables = list(read_tables(file, wanted))
        if len(tables) != 1:
            raise SourceContentError(
                f"{file} holds {len(tables)} tables; a snapshot is one.", next_step="point to one file"
            )
        rows, notes = _to_shares(tables[0])
    good, bad = quarantine(rows, snapshot_contract())
    if good.empty:
        raise SourceContentError(
            f"{path} holds no share that keeps its contract.",
            which=sorted(bad["rule"].unique()),
            next_step="check the column of symbols",
        )
    return good, bad, notes


@contextmanager
def _as_file(path: str) -> Iterator[Path]:
    """Give the file itself, or a copy of what is at an address; errors name what the user named."""
    address = urlsplit(path)
    if address.scheme not in ("http", "https"):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / (PurePosixPath(unquote(address.path)).name or "snapshot")
        file.write_bytes(_download(path))
        try:
            yield file
        except SourceError as error:
            raise type(error)(
                error.what.replace(str(file), path), which=error.which, next_step=error.next_step
            ) from error


def _download(address: str) -> bytes:
    try:
        with urlopen(address, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (the caller lets http and https in)
            data: bytes = answer.read(MAX_DOWNLOAD_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()  # it is the answer, too
        raise SourceUnavailableError(
            f"{address} does not answer: {error}.",
            next_step="correct --source-path (or BIST_SOURCE_PATH), or try again later",
        ) from error
    if len(data) > MAX_DOWNLOAD_BYTES:
        raise SourceContentError(
            f"{address} has more than {MAX_DOWNLOAD_BYTES // 2**20} MiB, the limit for a snapshot.",
            next_step="point to the file of one date",
        )
    return data


def _to_shares(raw: RawTable) -> tuple[pd.DataFrame, tuple[str, ...]]:
    symbols = translate(raw, find_column(raw, SYMBOL_NAMES), read_symbol, "object")
    for name in ("Sektor", SNAPSHOT_TARGET):
        find_column(raw, (name.lower(),))
    present = [key for key in _KEYS if key in raw.columns]
    texts = {
        key: translate(raw, raw.columns[key], str, "object")
        for key in present
        if _KEYS[key] in SNAPSHOT_TEXTS
    }
    numbers = read_numbers(raw, [key for key in present if key not in texts])
    rows = pd.DataFrame({"symbol": symbols, **texts, **numbers}).rename(columns=_KEYS)
    rows = rows.reindex(columns=["symbol", *SNAPSHOT_TEXTS, *SNAPSHOT_NUMBERS])
    typed = rows.astype(dict.fromkeys(SNAPSHOT_TEXTS, "object") | dict.fromkeys(SNAPSHOT_NUMBERS, "float64"))
    return typed, tuple(_notes(raw))


def _notes(raw: RawTable) -> Iterator[str]:
    absent = [name for key, name in _KEYS.items() if key not in raw.columns]
    if absent:
        yield f"the file lacks {len(absent)} of {len(_KEYS)} columns: {', '.join(absent)}"
    unknown = [name for name in raw.header if name not in _KEYS and name not in SYMBOL_NAMES]
    if unknown:
        yield f"{len(unknown)} columns of other names are not read: {', '.join(unknown)}"
