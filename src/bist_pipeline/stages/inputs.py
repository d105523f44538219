"""What several stages open: the cleaned market up to a session, and the database at its schema."""

from __future__ import annotations

import datetime as dt

import pandas as pd
from sqlalchemy import Engine

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.errors import SessionOutOfRangeError
from bist_pipeline.lake import Lake, Version, open_lake
from bist_pipeline.market.cleaning import Cleaned, clean
from bist_pipeline.market.panel import build_panel
from bist_pipeline.store.engine import open_engine
from bist_pipeline.store.migrate import require_schema


def read_market(settings: Settings, session: dt.date) -> Cleaned:
    """Read and clean all prices up to `session`.

    Raises
    ------
    MissingDataError
        If nothing was ingested yet.
    SessionOutOfRangeError
        If the ingested prices do not reach `session`.
    """
    prices = read_prices(open_lake(settings), session)
    first = prices["session"].iloc[0].date()
    return clean(build_panel(prices, bist_calendar().between(first, session)))


def read_prices(lake: Lake, session: dt.date, *, since: dt.date | None = None) -> pd.DataFrame:
    """Read the prices up to `session`; raises as `read_market`."""
    require_prices(lake, session)
    return lake.read("prices", since=since, until=session)


def require_prices(lake: Lake, session: dt.date) -> Version:
    """Return the current version of the prices if it holds `session`; raises as `read_market`."""
    bist_calendar().require(session)
    head = lake.require("prices")
    if not head.first <= str(session) <= head.last:
        raise SessionOutOfRangeError(
            f"The lake holds prices from {head.first} to {head.last}, not for {session}.",
            next_step=f"bist ingest --session {session}",
        )
    return head


def read_facts(lake: Lake, session: dt.date) -> pd.DataFrame | None:
    """Read the reported figures that are public at `session`; None where none were ever ingested."""
    head = lake.head("fundamentals")
    return lake.read("fundamentals", until=session) if head is not None and head.parts else None


def open_store(settings: Settings) -> Engine:
    """Open the predictions database; an empty one gets its schema first."""
    engine = open_engine(settings.database_url, can_load_files=True)
    require_schema(engine)
    return engine
