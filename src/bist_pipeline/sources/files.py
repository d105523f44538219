"""Prices from the user's own files: one table in long form, or a folder of files.

Parquet or CSV (also `.gz` and `.zip`), UTF-8 with or without BOM, decimal point or, with `;` between the
fields, decimal comma. Column names are matched without regard to case; `THYAO.IS` becomes `THYAO`. In a
folder, a file without a column of symbols holds the share it is named after, as yfinance users save them.
"""

from __future__ import annotations

import csv
import datetime as dt
import lzma
import struct
import warnings
import zipfile
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from bist_pipeline.calendar import ISTANBUL, TradingCalendar
from bist_pipeline.contracts import PRICE_COLUMNS, UNKNOWN_SECTOR, quarantine_prices
from bist_pipeline.errors import SessionOutOfRangeError, SourceContentError, SourceUnavailableError
from bist_pipeline.sources.base import Fetch, newest_final, require_final

_SESSION_NAMES = ("date", "session", "datetime", "tarih")
_SYMBOL_NAMES = ("symbol", "ticker", "sembol", "hisse")
# yfinance's two-line header calls the column of dates "Price"; below it are "Ticker" and "Date".
_TWO_LINE_NAME, _TWO_LINE_REST = "price", ("ticker", "date")
_ADJUSTED = "adj close"
_USED_NAMES = {*_SESSION_NAMES, *_SYMBOL_NAMES, *PRICE_COLUMNS, _ADJUSTED}
_SUFFIX = ".IS"
_TABLES = (".parquet", ".csv", ".csv.gz", ".csv.zip")

_DAY = r"\d{4}-\d\d-\d\d"
_UTC_OFFSET = r"(?:Z|[+-]\d\d(?::?\d\d)?)"
_TIME = rf"[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)? ?(?P<offset>{_UTC_OFFSET})?"
_COMMA_NUMBER = r"\s*[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?\s*"

_COMPLETE = "check that the file is complete, or fetch it again"
_NAMING = "name the columns date, symbol, open, high, low, close, volume"


class FileSource:
    """Reads `path` once and answers from it.

    Parameters
    ----------
    path : str
        A Parquet or CSV file in long form, or a folder of files.
    """

    name = "files"

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def latest_session(self, calendar: TradingCalendar) -> dt.date:
        """Return the newest trading date in the files that is over.

        Raises
        ------
        SourceUnavailableError, SourceContentError
            As `fetch`.
        """
        held = np.intersect1d(self._days, calendar.between(calendar.first, newest_final(calendar)))
        if not len(held):
            raise SourceContentError(
                f"{self._path}: none of its {len(self._days)} dates is a past session of Borsa Istanbul.",
                next_step="check the date column",
            )
        latest: dt.date = held[-1].item()
        return latest

    def fetch(self, until: dt.date, calendar: TradingCalendar) -> Fetch:
        """Deliver every row up to `until`; rows dated in the future are quarantined.

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
        self._require_held(until, calendar)
        newest = newest_final(calendar)
        later = self._rows["session"].between(pd.Timestamp(until), pd.Timestamp(newest), inclusive="right")
        good, bad = quarantine_prices(self._rows[~later], calendar.between(calendar.first, newest))
        if not (good["session"] == pd.Timestamp(until)).any():
            raise SourceContentError(
                f"{self._path}: every row of {until} breaks the price contract.",
                which=sorted(bad.loc[bad["session"] == pd.Timestamp(until), "rule"].unique()),
                next_step="correct the file, or choose another --session",
            )
        symbols = np.sort(good["symbol"].unique())
        securities = pd.DataFrame({"symbol": symbols, "name": symbols, "sector": UNKNOWN_SECTOR})
        return Fetch(good, securities, bad)

    def _require_held(self, until: dt.date, calendar: TradingCalendar) -> None:
        if np.datetime64(until, "D") not in self._days:
            raise SessionOutOfRangeError(
                f"{self._path} holds prices from {self._days[0]} to {self._days[-1]}, none of {until}.",
                next_step=f"bist ingest --session {self.latest_session(calendar)} (the newest there)",
            )

    @cached_property
    def _rows(self) -> pd.DataFrame:
        try:
            files = _list_files(self._path)
        except OSError as error:
            raise _unavailable(self._path, error) from error
        if files == [self._path]:
            return _read_prices(self._path, fallback_symbol=None)
        return pd.concat(
            [_read_prices(file, fallback_symbol=file.name.split(".")[0]) for file in files], ignore_index=True
        )

    @cached_property
    def _days(self) -> NDArray[np.datetime64]:
        dated = self._rows["session"].dropna().to_numpy()
        days: NDArray[np.datetime64] = np.unique(dated.astype("datetime64[D]"))
        if not len(days):
            raise SourceContentError(f"{self._path} holds no row with a date.", next_step=_COMPLETE)
        return days


def _list_files(path: Path) -> list[Path]:
    path.stat()
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.name.lower().endswith(_TABLES))
    if not files:
        raise SourceContentError(
            f"The folder {path} holds no .csv or .parquet file.",
            next_step="point --source-path to a file, or to a folder with one CSV per share",
        )
    return files


def _read_prices(path: Path, *, fallback_symbol: str | None) -> pd.DataFrame:
    table = _with_plain_names(_read_table(path), path)
    missing = [name for name in PRICE_COLUMNS if name not in table]
    if missing:
        raise SourceContentError(
            f"{path} lacks {len(missing)} of {len(PRICE_COLUMNS)} price columns.",
            which=missing,
            next_step=_NAMING,
        )
    if fallback_symbol is None:
        symbols = table[_find(table, _SYMBOL_NAMES, path)]
    else:
        table = _without_second_header(table)
        named = next((name for name in _SYMBOL_NAMES if name in table), None)
        symbols = pd.Series(fallback_symbol, index=table.index) if named is None else table[named]
    if table.empty:
        raise SourceContentError(f"{path} holds no rows.", next_step=_COMPLETE)
    prices = {name: _to_numbers(table[name], path) for name in PRICE_COLUMNS}
    if _ADJUSTED in table:
        prices |= _adjust(prices, _to_numbers(table[_ADJUSTED], path))
    sessions = _to_sessions(table[_find(table, _SESSION_NAMES, path)], path)
    return pd.DataFrame({"session": sessions, "symbol": _to_symbols(symbols), **prices})


def _with_plain_names(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    table.columns = pd.Index([str(name).strip().lower() for name in table.columns])
    # read_csv calls the second of two equal columns "close.1".
    named = table.columns.str.replace(r"\.\d+$", "", regex=True)
    twice = sorted(set(named[named.duplicated()]) & _USED_NAMES)
    if twice:
        raise SourceContentError(f"{path} has columns of the same name.", which=twice, next_step=_NAMING)
    return table


def _without_second_header(table: pd.DataFrame) -> pd.DataFrame:
    if _TWO_LINE_NAME not in table or _SESSION_NAMES[0] in table:
        return table
    table = table.rename(columns={_TWO_LINE_NAME: _SESSION_NAMES[0]})
    label = table[_SESSION_NAMES[0]].astype(str).str.strip().str.lower()
    return table[~label.isin(_TWO_LINE_REST)]


def _find(table: pd.DataFrame, names: tuple[str, ...], path: Path) -> str:
    found = next((name for name in names if name in table), None)
    if found is None:
        raise SourceContentError(
            f"{path} has no column {' or '.join(names[:2])}; it has: {', '.join(table.columns[:8])}.",
            next_step=_NAMING,
        )
    return found


def _adjust(prices: dict[str, pd.Series], adjusted_close: pd.Series) -> dict[str, pd.Series]:
    """Carry the adjustment for dividends that a table gives for its closes over to all prices of the day."""
    factor = adjusted_close / prices["close"]
    return {name: prices[name] * factor for name in PRICE_COLUMNS if name != "volume"}


def _to_symbols(symbols: pd.Series) -> pd.Series:
    # A market has hundreds of symbols and millions of rows: each symbol is looked at once.
    codes, names = pd.factorize(symbols.astype(str).where(symbols.notna()))
    bare = [name.strip().upper().removesuffix(_SUFFIX) for name in names]
    return pd.Series(np.array([*bare, ""], dtype=object)[codes], index=symbols.index)


def _to_sessions(values: pd.Series, path: Path) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        return _to_istanbul_days(values, path)
    # The same few thousand dates occur for every share: each is read once.
    codes, texts = pd.factorize(values.astype(str).str.strip().where(values.notna()))
    days = _read_dates(pd.Series(texts, dtype=object), path)
    return pd.Series(np.append(days, np.datetime64("NaT"))[codes], index=values.index)


def _read_dates(texts: pd.Series, path: Path) -> NDArray[np.datetime64]:
    parts = texts.astype(str).str.extract(rf"^(?P<day>{_DAY})(?:{_TIME})?$")
    unread = texts[parts["day"].isna()]
    if len(unread):
        raise _not_dates(path, [repr(text[:20]) for text in unread])
    has_offset = parts["offset"].notna()
    days = np.empty(len(texts), dtype="datetime64[ns]")
    try:
        days[~has_offset] = pd.to_datetime(parts["day"][~has_offset], format="%Y-%m-%d")
        moments = pd.to_datetime(texts[has_offset], format="ISO8601", utc=True)
    except ValueError as error:
        raise _not_dates(path, [str(error)]) from error
    days[has_offset] = _to_istanbul_days(moments, path)
    return days


def _to_istanbul_days(moments: pd.Series, path: Path) -> pd.Series:
    if moments.dt.tz is not None:
        moments = moments.dt.tz_convert(ISTANBUL).dt.tz_localize(None)
    try:
        days: pd.Series = moments.dt.normalize().astype("datetime64[ns]")
    except ValueError as error:
        raise _not_dates(path, [str(error)]) from error
    return days


def _not_dates(path: Path, examples: list[str]) -> SourceContentError:
    return SourceContentError(
        f"{path}: the date column holds something that is no date.",
        which=examples,
        next_step="write dates as YYYY-MM-DD",
    )


def _to_numbers(values: pd.Series, path: Path) -> pd.Series:
    if values.dtype.kind in "iuf":
        return values.astype("float64")
    numbers = pd.to_numeric(values.astype(str).where(values.notna()), errors="coerce").astype("float64")
    bad = values[numbers.isna() & values.notna()].astype(str).unique()
    if len(bad):
        raise SourceContentError(
            f"{path}: the column {values.name} holds {len(bad)} different values that are no numbers.",
            which=[repr(value[:20]) for value in bad],
            next_step="correct the file; decimal commas need ';' between the fields",
        )
    return numbers


def _read_table(path: Path) -> pd.DataFrame:
    try:
        if path.stat().st_size == 0:
            raise SourceContentError(f"{path} is empty.", next_step=_COMPLETE)
        return _read_parquet(path) if path.name.lower().endswith(".parquet") else _read_csv(path)
    except (FileNotFoundError, PermissionError) as error:
        raise _unavailable(path, error) from error
    except (
        # What pandas, pyarrow and the decompressors raise on damaged input.
        *(OSError, EOFError, ValueError, RuntimeError, pd.errors.ParserWarning, pa.ArrowException),
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    ) as error:
        raise SourceContentError(
            f"{path} cannot be read as a table: {error}.", next_step=_COMPLETE
        ) from error


def _unavailable(path: Path, error: OSError) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"{path} cannot be opened: {error.strerror}.",
        next_step="correct --source-path (or BIST_SOURCE_PATH), or the rights of the file",
    )


def _read_parquet(path: Path) -> pd.DataFrame:
    with parquet.ParquetFile(path) as file:
        # Without pandas' own metadata, what was an index is a column like any other.
        table: pd.DataFrame = file.read().to_pandas(ignore_metadata=True, date_as_object=False)
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    first_line = pd.read_csv(
        path, sep="\x01", nrows=1, header=None, encoding="utf-8-sig", dtype=str, quoting=csv.QUOTE_NONE
    )
    with warnings.catch_warnings():
        # A row longer than the header: with `index_col=False` pandas would cut it and only warn.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        if ";" not in str(first_line.iloc[0, 0]):
            return pd.read_csv(path, encoding="utf-8-sig", index_col=False, low_memory=False)
        texts = pd.read_csv(path, sep=";", encoding="utf-8-sig", index_col=False, dtype=str)
    return texts.apply(_to_decimal_points) if _has_decimal_commas(texts) else texts


def _has_decimal_commas(texts: pd.DataFrame) -> bool:
    return any(texts[name].str.contains(r"\d,\d").any() for name in texts)


def _to_decimal_points(texts: pd.Series) -> pd.Series:
    """Rewrite a column of numbers; `12.65` in a file of decimal commas would be read as 1265, so is none."""
    if not texts.dropna().str.fullmatch(_COMMA_NUMBER).all():
        return texts
    return texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
