"""The snapshot: one table of all shares on one date, as its owner's scraper wrote it, raw or cleaned.

Not a source of prices: it has no history, and does not even say its date. Columns are found by their Turkish
names in any case; those it lacks are missing, others are not read. A file, or an `http(s)` address of one;
Parquet or CSV, packed or not, decimal comma behind `;`, as for the other sources.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import pandas as pd

from bist_pipeline.contracts import (
    SNAPSHOT_NUMBERS,
    SNAPSHOT_TARGET,
    SNAPSHOT_TEXTS,
    quarantine,
    snapshot_contract,
)
from bist_pipeline.errors import ConfigError, SourceContentError, SourceError, SourceUnavailableError
from bist_pipeline.sources.cells import SYMBOL_NAMES, find_column, read_numbers, read_symbol, translate
from bist_pipeline.sources.tables import RawTable, read_tables

# The user's own file has half a megabyte.
MAX_DOWNLOAD_BYTES = 2**26
_TIMEOUT_S = 30
_KEYS = {name.lower(): name for name in (*SNAPSHOT_TEXTS, *SNAPSHOT_NUMBERS)}


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot holds.

    Parameters
    ----------
    shares : DataFrame
        Rows that keep `contracts.snapshot_contract`, in order of the symbol.
    quarantined : DataFrame
        Rows that break it, with the column `rule`.
    notes : tuple of str
        What people should know about this delivery.
    """

    shares: pd.DataFrame
    quarantined: pd.DataFrame
    notes: tuple[str, ...]


def fetch_snapshot(path: str) -> Snapshot:
    """Read the snapshot at a path or address.

    Raises
    ------
    ConfigError
        If `path` is empty.
    SourceUnavailableError
        If the file does not exist or may not be read, or the address does not answer.
    SourceContentError
        If what is there is not a table of shares with symbol, sector and the target.
    """
    if not path:
        raise ConfigError(
            "The source 'snapshot' needs a file or address and none is set.",
            next_step="add --source-path snapshot.csv (or set BIST_SOURCE_PATH)",
        )
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
    return Snapshot(good, bad, notes)


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
