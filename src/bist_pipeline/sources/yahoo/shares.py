"""Which shares are asked for, and their names and sectors."""

from __future__ import annotations

import time
from importlib.resources import files
from pathlib import Path

import pandas as pd

from bist_pipeline.contracts import SECURITY_COLUMNS, SYMBOL_PATTERN, UNKNOWN_SECTOR
from bist_pipeline.errors import SourceContentError, SourceError, SourceNotFoundError, SourceUnavailableError
from bist_pipeline.sources.cells import read_symbol
from bist_pipeline.sources.yahoo.client import YahooClient
from bist_pipeline.sources.yahoo.load import writing_below

# Names and sectors hardly ever change, and no new share is ranked in its first months.
_GOOD_FOR_SECONDS = 7 * 24 * 3600


def shipped_symbols() -> list[str]:
    """Return the symbols that come with the package; `shares.txt` says from where.

    >>> "THYAO" in shipped_symbols()
    True
    """
    return _parse(files("bist_pipeline.sources.yahoo").joinpath("shares.txt").read_text(), "shares.txt")


def read_symbols(path: Path) -> list[str]:
    """Read one symbol a line, with or without `.IS`; lines that start with # are comments.

    Raises
    ------
    SourceNotFoundError, SourceUnavailableError
        If the file does not exist, or cannot be read.
    SourceContentError
        If a line is no symbol, or there is none.
    """
    try:
        return _parse(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        kind = SourceNotFoundError if isinstance(error, FileNotFoundError) else SourceUnavailableError
        raise kind(
            f"The list of symbols {path} cannot be read: {error}.",
            consequence="Nothing was ingested.",
            next_step="point --source-path to a text file with one symbol a line, or leave it out",
        ) from error


def read_listing(client: YahooClient, folder: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return Yahoo's list of shares, asked for once a week, and a note if it could not be had.

    Returns
    -------
    listing : DataFrame
        `symbol, name, sector`; no rows if Yahoo never gave one.
    notes : tuple of str
    """
    path = folder / "shares.parquet"
    if path.exists() and time.time() - path.stat().st_mtime < _GOOD_FOR_SECONDS:
        return pd.read_parquet(path), ()
    try:
        listing = client.fetch_listing()
    except SourceError as error:
        old = pd.read_parquet(path) if path.exists() else pd.DataFrame(columns=SECURITY_COLUMNS)
        return old, (f"names, sectors and new shares could not be brought up to date: {error.what}",)
    with writing_below(folder):
        listing.to_parquet(path)
    return listing, ()


def describe(symbols: list[str], listing: pd.DataFrame) -> pd.DataFrame:
    """Return `symbol, name, sector` of shares, also of those that are not listed."""
    known = listing.set_index("symbol").reindex(symbols)
    names = known["name"].fillna(pd.Series(symbols, index=symbols))
    sectors = known["sector"].fillna(UNKNOWN_SECTOR)
    return pd.DataFrame({"symbol": symbols, "name": names.array, "sector": sectors.array}, dtype=object)


def _parse(text: str, name: str) -> list[str]:
    lines = [read_symbol(line) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    wrong = [line for line in lines if not SYMBOL_PATTERN.fullmatch(line)]
    if wrong or not lines:
        problem = f"{len(wrong)} of {len(lines)} lines are no symbols" if lines else "it holds no symbols"
        raise SourceContentError(
            f"The list of symbols {name} cannot be used: {problem}.",
            which=[repr(line[:20]) for line in wrong],
            consequence="Nothing was ingested.",
            next_step="write one symbol a line, such as THYAO",
        )
    return sorted(set(lines))
