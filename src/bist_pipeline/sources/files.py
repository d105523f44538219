"""Prices from the user's own files: one table in long form, or a folder (or zip) with one CSV per share.

Parquet or CSV (plain, gz or zip; UTF-8 with or without BOM; `,`, `;` or a tab between the fields; behind `;`
and tabs also the decimal comma), column names in any case. `THYAO.IS` becomes `THYAO`, a time with a zone its
date in Istanbul. Where a file has `Adj Close`, its other prices are adjusted by the same factor. A table may
have closes without the other prices, and without volumes.

A file that is damaged or something else ends in one error, and so does text among numbers: the other numbers
of such a file may be misread too. An unreadable date says nothing about other rows, so its row alone goes to
quarantine.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.calendar import TradingCalendar
from bist_pipeline.contracts import PRICE_COLUMNS, UNKNOWN_SECTOR, price_contract, quarantine
from bist_pipeline.errors import SessionOutOfRangeError, SourceContentError
from bist_pipeline.sources.base import Fetch, newest_final, require_final
from bist_pipeline.sources.cells import (
    SUFFIX,
    SYMBOL_NAMES,
    find_column,
    read_day,
    read_numbers,
    read_symbol,
    translate,
)
from bist_pipeline.sources.tables import COMPLETE, TABLE_SUFFIXES, RawTable, list_files, read_tables

_SESSION_NAMES = ("date", "session", "datetime", "tarih")
_ADJUSTED = "adj close"
_WANTED = {*_SESSION_NAMES, *SYMBOL_NAMES, *PRICE_COLUMNS, _ADJUSTED}
_NAMING = "name the columns date, symbol, open, high, low, close, volume"


class FileSource:
    """Reads `path` once and answers from it.

    Parameters
    ----------
    path : str
        A Parquet or CSV file in long form, or a folder or zip of such files, or of one CSV per share.
    """

    name = "files"

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._split: tuple[pd.DataFrame, pd.DataFrame] | None = None
        self._notes: list[str] = []

    def latest_session(self, calendar: TradingCalendar) -> dt.date:
        """Return the newest session that is over and of which the files hold a good row.

        Raises
        ------
        SourceUnavailableError, SourceContentError
            As `fetch`.
        """
        good, bad = self._quarantine(calendar)
        if good.empty:
            raise SourceContentError(
                f"{self._path}: none of {len(bad):,} rows is a price of a Borsa Istanbul session.",
                which=[f"{rule} ({count:,})" for rule, count in bad["rule"].value_counts().items()],
                next_step="correct the file; dates are read as YYYY-MM-DD or DD.MM.YYYY",
            )
        newest: dt.date = good["session"].iloc[-1].date()
        return newest

    def fetch(self, until: dt.date, calendar: TradingCalendar) -> Fetch:
        """Deliver every good row up to `until`; bad ones go to quarantine, also those dated in the future.

        Raises
        ------
        SourceUnavailableError
            If the path does not exist or may not be read.
        SourceContentError
            If what is there is not a price table, or no row of `until` keeps the contract.
        NotASessionError
            If the exchange does not trade on `until`.
        SessionOutOfRangeError
            If `until` is not over yet, or the files hold no prices of it; the message says what they hold.
        """
        require_final(until, calendar)
        self.latest_session(calendar)
        good, bad = self._quarantine(calendar)
        day = pd.Timestamp(until)
        if not (good["session"] == day).any():
            raise self._nothing_of(until, good, bad)
        is_later = (bad["session"] > day) & (bad["rule"] != "in_the_future")
        prices = good[good["session"] <= day]
        symbols = np.sort(prices["symbol"].unique())
        securities = pd.DataFrame({"symbol": symbols, "name": symbols, "sector": UNKNOWN_SECTOR})
        return Fetch(prices, securities, bad[~is_later].reset_index(drop=True), notes=tuple(self._notes))

    def _nothing_of(
        self, until: dt.date, good: pd.DataFrame, bad: pd.DataFrame
    ) -> SessionOutOfRangeError | SourceContentError:
        broken = bad.loc[bad["session"] == pd.Timestamp(until), "rule"]
        if len(broken):
            return SourceContentError(
                f"{self._path}: every row of {until} breaks the price contract.",
                which=[f"{rule} ({count:,})" for rule, count in broken.value_counts().items()],
                next_step="correct the file, or choose another --session",
            )
        first, newest = (good["session"].iloc[i].date() for i in (0, -1))
        return SessionOutOfRangeError(
            f"{self._path} holds prices from {first} to {newest}, none of {until}.",
            next_step=f"bist ingest --session {newest} (the newest there)",
        )

    def _quarantine(self, calendar: TradingCalendar) -> tuple[pd.DataFrame, pd.DataFrame]:
        if self._split is None:
            final = calendar.between(calendar.first, newest_final(calendar))
            self._split = quarantine(self._read(), price_contract(final))
        return self._split

    def _read(self) -> pd.DataFrame:
        files = list_files(self._path)
        named = [file for file in files if file == self._path or file.name.lower().endswith(TABLE_SUFFIXES)]
        if not named:
            raise SourceContentError(
                f"The folder {self._path} holds no .csv or .parquet file.",
                next_step="point --source-path to a file, or to a folder with one CSV per share",
            )
        tables = [raw for file in named for raw in read_tables(file, _WANTED)]
        is_alone = files == [self._path] and len(tables) == 1
        parts = [_to_prices(raw, is_alone=is_alone) for raw in tables]
        rows = pd.concat(parts, ignore_index=True)
        if rows.empty:
            raise SourceContentError(
                f"{self._path} holds no rows, only names of columns.", next_step=COMPLETE
            )
        self._notes = [
            *(f"{file.name} was not read: by its name it is no table" for file in files if file not in named),
            *(f"{raw.name} holds no rows" for raw, part in zip(tables, parts, strict=True) if part.empty),
            *(
                f"{raw.name} may be cut: its last line has no line break"
                for raw in tables
                if raw.is_open_ended
            ),
            *(
                f"{raw.name} holds closes only: what needs other prices is left out"
                for raw in tables
                if _has_closes_only(raw)
            ),
        ]
        return rows


def _to_prices(raw: RawTable, *, is_alone: bool) -> pd.DataFrame:
    """Turn a table into long form; `is_alone` says that no folder or archive names its share."""
    absent = [name for name in PRICE_COLUMNS if name not in raw.columns]
    if absent and not _has_closes_only(raw):
        raise SourceContentError(
            f"{raw.name} lacks {len(absent)} of {len(PRICE_COLUMNS)} price columns.",
            which=absent,
            next_step=_NAMING,
        )
    days = translate(raw, find_column(raw, _SESSION_NAMES), read_day, "datetime64[D]")
    numbers = read_numbers(raw, [name for name in (*PRICE_COLUMNS, _ADJUSTED) if name in raw.columns])
    prices = {name: numbers.pop(name, np.nan) for name in PRICE_COLUMNS} | numbers
    rows = pd.DataFrame(
        {"session": days.astype("datetime64[ns]"), "symbol": _symbols(raw, is_alone=is_alone), **prices}
    )
    return _adjust(rows) if _ADJUSTED in rows else rows


def _has_closes_only(raw: RawTable) -> bool:
    """Whether a table has no other price than the close; a volume may stand beside it."""
    return "close" in raw.columns and not any(name in raw.columns for name in ("open", "high", "low"))


def _symbols(raw: RawTable, *, is_alone: bool) -> NDArray[np.object_] | str:
    # Any word could be a share's code: a lone file must say so inside, or be called like `THYAO.IS.csv`.
    named = raw.symbol or (raw.stem if not is_alone or f"{SUFFIX}." in raw.name.upper() else "")
    if named and not any(name in raw.columns for name in SYMBOL_NAMES):
        return read_symbol(named)
    return translate(raw, find_column(raw, SYMBOL_NAMES), read_symbol, "object")


def _adjust(rows: pd.DataFrame) -> pd.DataFrame:
    """Carry what `Adj Close` says of splits and dividends over to all prices."""
    adjusted = rows.pop(_ADJUSTED)
    factor = (adjusted / rows["close"]).where(rows["close"] != 0, 1.0)
    others = rows[["open", "high", "low"]].mul(factor, axis=0)
    return rows.assign(**others, close=adjusted)
