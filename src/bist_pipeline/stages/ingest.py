"""Ingest: from the configured source into the lake, quarantine included."""

from __future__ import annotations

import datetime as dt

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.lake import open_lake
from bist_pipeline.receipt import Receipt
from bist_pipeline.sources.base import open_source
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.store.write import write_securities, write_sessions


def ingest(settings: Settings, session: dt.date | None) -> Receipt:
    """Take in every price up to `session`; None means the newest session the source has.

    Prices of the range that the source delivers are replaced in the lake, others stay. Rows that break the
    contract go to the data set `quarantine`, with the name of the rule.
    """
    calendar = bist_calendar()
    source = open_source(settings)
    until = calendar.require(session or source.latest_session(calendar))
    fetch = source.fetch(until, calendar)
    covers = (fetch.prices["session"].min().date(), until)

    engine = open_store(settings)
    lake = open_lake(settings)
    data_hash = lake.write("prices", fetch.prices, covers=covers)
    write_sessions(engine, map(calendar.describe, calendar.sessions.tolist()))
    write_securities(engine, settings.source, fetch.securities.to_dict("records"))

    symbols = fetch.prices["symbol"].nunique()
    rules = fetch.quarantined["rule"].value_counts().to_dict()
    return Receipt(
        stage="ingest",
        session=until,
        rows=len(fetch.prices),
        summary=f"{len(fetch.prices):,} prices of {symbols} shares since {covers[0]} from {settings.source}",
        data_hash=data_hash,
        details={"symbols": symbols, "first_session": str(covers[0]), "quarantined": rules},
        warnings=(*fetch.notes, *(f"{count:,} rows quarantined: {rule}" for rule, count in rules.items())),
    )
