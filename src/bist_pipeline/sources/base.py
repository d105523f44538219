"""What every source of market data gives, and how the configured one is opened.

Sources are an edge: which sessions are over is asked of the clock here, and nowhere else in the package.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd

from bist_pipeline.calendar import TradingCalendar
from bist_pipeline.config import Settings
from bist_pipeline.errors import ConfigError, SessionOutOfRangeError


@dataclass(frozen=True)
class Fetch:
    """What a source delivered for the sessions up to one.

    Parameters
    ----------
    prices : DataFrame
        Rows that keep the price contract, in order of session and symbol.
    securities : DataFrame
        `symbol, name, sector` of every share in `prices`.
    quarantined : DataFrame
        Rows that break it, with the column `rule`.
    notes : tuple of str
        What people should know about this delivery.
    fundamentals : DataFrame or None
        Reported figures that keep `contracts.fundamental_contract`, later ones included; None where the
        source has none.
    snapshot : DataFrame
        Rows that keep `contracts.snapshot_contract`; empty for a source of histories.
    """

    prices: pd.DataFrame
    securities: pd.DataFrame
    quarantined: pd.DataFrame
    notes: tuple[str, ...] = ()
    fundamentals: pd.DataFrame | None = None
    snapshot: pd.DataFrame = field(default_factory=pd.DataFrame)


class Source(Protocol):
    """A market-data source. Symbols are bare (`THYAO`) on this side of it."""

    @property
    def name(self) -> str:
        """Name of the source, as in the settings."""
        ...

    def latest_session(self, calendar: TradingCalendar) -> dt.date:
        """Return the newest session the source can deliver."""
        ...

    def fetch(self, until: dt.date, calendar: TradingCalendar) -> Fetch:
        """Deliver everything up to the session `until`, which must be among it."""
        ...


def newest_final(calendar: TradingCalendar) -> dt.date:
    """Return the newest session that is over: later prices are not final."""
    return calendar.last_closed(dt.datetime.now(dt.UTC))


def require_final(until: dt.date, calendar: TradingCalendar) -> None:
    """Refuse a day that is no session, or not over yet.

    Raises
    ------
    NotASessionError, SessionOutOfRangeError
    """
    calendar.require(until)
    newest = newest_final(calendar)
    if until > newest:
        raise SessionOutOfRangeError(
            f"The session {until} is not over yet; the newest that is: {newest}.",
            next_step=f"bist ingest --session {newest}",
        )


# Gives a source that only adds to earlier deliveries what these left: prices, or None.
ReadHeld = Callable[[], pd.DataFrame | None]


def nothing_held() -> None:
    """Stand for a market that was never ingested."""


def open_source(
    settings: Settings, *, read_held: ReadHeld = nothing_held, only: Collection[str] = ()
) -> Source:
    """Open the source that the settings name, with reported figures beside it; nothing is read yet.

    Parameters
    ----------
    settings : Settings
    read_held : callable
        For sources that load only what is new: gives the prices that are there, or None.
    only : collection of str
        For sources that ask share by share: the only ones wanted; all if empty.

    Raises
    ------
    ConfigError
        If the source needs a path or a package that is not there.
    """
    prices = _open_prices(settings, read_held, only)
    if not settings.fundamentals_path:
        return prices
    from bist_pipeline.sources.fundamentals import WithFundamentals

    return WithFundamentals(prices, settings.fundamentals_path)


def _open_prices(settings: Settings, read_held: ReadHeld, only: Collection[str]) -> Source:
    if settings.source == "synthetic":
        from bist_pipeline.sources.synthetic import SyntheticSource

        return SyntheticSource(settings.synthetic)
    if settings.source == "files":
        from bist_pipeline.sources.files import FileSource

        if not settings.source_path:
            raise ConfigError(
                "The source 'files' needs a path and none is set.",
                next_step="add --source-path prices.parquet (or set BIST_SOURCE_PATH)",
            )
        return FileSource(settings.source_path)
    if settings.source == "yahoo":
        try:
            from bist_pipeline.sources.yahoo import YahooSource
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"The source 'yahoo' needs the package {error.name}, which is not installed.",
                next_step="pip install 'bist-pipeline[yahoo]'",
            ) from error
        return YahooSource(
            settings.yahoo,
            settings.home / "yahoo",
            symbols_path=settings.source_path,
            read_held=read_held,
            only=only,
        )
    from bist_pipeline.sources.snapshot import SnapshotSource

    if not settings.source_path:
        raise ConfigError(
            "The source 'snapshot' needs a file or address and none is set.",
            next_step="add --source-path snapshot.csv (or set BIST_SOURCE_PATH)",
        )
    return SnapshotSource(settings.source_path, settings.snapshot_session)
