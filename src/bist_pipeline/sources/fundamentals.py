"""Reported figures from a file of the user, beside whatever source the prices come from.

Parquet or CSV as for prices, one row a symbol and reported period, columns named as in
`contracts.fundamental_contract`; further columns are not read. A time of announcement without a zone is
Istanbul time.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bist_pipeline.calendar import ISTANBUL, TradingCalendar
from bist_pipeline.contracts import BALANCE_COLUMNS, FLOW_COLUMNS, fundamental_contract, quarantine
from bist_pipeline.errors import SourceContentError
from bist_pipeline.sources.base import Fetch, Source, newest_final
from bist_pipeline.sources.cells import (
    SYMBOL_NAMES,
    find_column,
    read_day,
    read_moment,
    read_numbers,
    read_symbol,
    translate,
)
from bist_pipeline.sources.tables import RawTable, read_tables

_FIGURES = [*FLOW_COLUMNS, *BALANCE_COLUMNS]
# Others are damage, and some of them do not fit into nanoseconds.
_YEARS = range(1985, 2101)
_COLUMNS = ["period_end", "announced_at", *_FIGURES]


class WithFundamentals:
    """A source of prices that delivers the figures of a file with them.

    Parameters
    ----------
    prices : Source
        Where everything else comes from.
    path : str
        The file.
    """

    def __init__(self, prices: Source, path: str) -> None:
        self._prices = prices
        self._path = Path(path)

    @property
    def name(self) -> str:
        """Name of the source of prices."""
        return self._prices.name

    def latest_session(self, calendar: TradingCalendar) -> dt.date:
        """Return the newest session of the prices."""
        return self._prices.latest_session(calendar)

    def fetch(self, until: dt.date, calendar: TradingCalendar) -> Fetch:
        """Deliver prices up to `until`, and all figures that keep their contract; others are noted.

        Raises
        ------
        SourceUnavailableError
            If the file of figures does not exist or may not be read.
        SourceContentError
            If what is there is not a table of reported figures.
        """
        tables = [_to_facts(raw) for raw in read_tables(self._path, {*SYMBOL_NAMES, *_COLUMNS})]
        good, bad = quarantine(
            pd.concat(tables, ignore_index=True), fundamental_contract(newest_final(calendar))
        )
        delivered = self._prices.fetch(until, calendar)
        refused = (
            f"{len(rows):,} reports refused: {rule} (first: {rows['symbol'].iloc[0]})"
            for rule, rows in bad.groupby("rule")
        )
        return replace(delivered, fundamentals=good, notes=(*delivered.notes, *refused))


def _to_facts(raw: RawTable) -> pd.DataFrame:
    absent = [name for name in _COLUMNS if name not in raw.columns]
    if absent:
        raise SourceContentError(
            f"{raw.name} lacks {len(absent)} of {len(_COLUMNS)} columns of reported figures.",
            which=absent,
            next_step=f"name the columns symbol, {', '.join(_COLUMNS)}",
        )
    period_end = translate(raw, raw.columns["period_end"], read_day, "datetime64[D]")
    announced_at = translate(raw, raw.columns["announced_at"], _to_istanbul_time, "datetime64[us]")
    return pd.DataFrame(
        {
            "symbol": translate(raw, find_column(raw, SYMBOL_NAMES), read_symbol, "object"),
            "period_end": period_end.astype("datetime64[ns]"),
            "announced_at": announced_at.astype("datetime64[ns]"),
            **read_numbers(raw, _FIGURES),
        }
    )


def _to_istanbul_time(value: object) -> dt.datetime:
    """Read a time of announcement; one that cannot be read is no missing one.

    >>> str(_to_istanbul_time("2024-05-06T15:30:00Z"))
    '2024-05-06 18:30:00'
    """
    moment = read_moment(value)
    if moment is None or moment.year not in _YEARS:
        raise ValueError(f"{value!r} is no time of announcement")
    return moment.astimezone(ISTANBUL).replace(tzinfo=None) if moment.tzinfo else moment
