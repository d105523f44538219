"""What several stages open: the cleaned market up to a session, and the database at its schema."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Engine

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.errors import SessionOutOfRangeError
from bist_pipeline.lake import open_lake
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
    calendar = bist_calendar()
    calendar.require(session)
    lake = open_lake(settings)
    head = lake.require("prices")
    if not head.first <= str(session) <= head.last:
        raise SessionOutOfRangeError(
            f"The lake holds prices from {head.first} to {head.last}, not for {session}.",
            next_step=f"bist ingest --session {session}",
        )
    prices = lake.read("prices", until=session)
    return clean(build_panel(prices, calendar.between(dt.date.fromisoformat(head.first), session)))


def open_store(settings: Settings) -> Engine:
    """Open the predictions database; an empty one gets its schema first."""
    engine = open_engine(settings.database_url)
    require_schema(engine)
    return engine
