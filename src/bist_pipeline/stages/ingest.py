"""Ingest: from the configured source into the lake, quarantine included."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from functools import partial

import pandas as pd

from bist_pipeline.alerts import Alert, send
from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.contracts import quarantine, security_contract
from bist_pipeline.lake import Lake, open_lake
from bist_pipeline.market.cleaning import LISTED_SESSIONS, RuleCount
from bist_pipeline.market.gaps import find_missing, require_complete
from bist_pipeline.market.panel import Panel, build_panel
from bist_pipeline.market.point_in_time import first_usable, settle_announcements
from bist_pipeline.receipt import Receipt
from bist_pipeline.sources.base import open_source
from bist_pipeline.stages.inputs import open_store, read_prices
from bist_pipeline.store.write import write_securities, write_sessions
from bist_pipeline.wording import say

# People are told so many sessions before the known calendar ends; the log tells it at each.
REMINDERS = (126, 63, 21, 5, 1)


def ingest(settings: Settings, session: dt.date | None, *, only_missing: bool = False) -> Receipt:
    """Take in every price up to `session`; None means the newest session the source has.

    Prices of the range that the source delivers are replaced in the lake, others stay. Rows that break the
    contract go to the data set `quarantine`, with the name of the rule.

    With `only_missing`, the source is asked only for the listed shares that have no bar in `session` (None:
    the newest of the lake), and nothing else changes.

    Raises
    ------
    IncompleteSessionError
        If too many listed shares have no price of the session, once what arrived is in the lake.
    """
    if only_missing:
        return _fill_session(settings, session)
    calendar, lake = bist_calendar(), open_lake(settings)
    source = open_source(settings, read_held=partial(_read_held, lake))
    until = calendar.require(session or source.latest_session(calendar))
    fetch = source.fetch(until, calendar)
    covers = (fetch.prices["session"].min().date(), until)

    engine = open_store(settings)
    data_hash = lake.write("prices", fetch.prices, covers=covers)
    lake.write("quarantine", _file_by_session(fetch.quarantined, covers), covers=covers)
    facts = _write_facts(lake, fetch.fundamentals, until) if fetch.fundamentals is not None else ()
    write_sessions(engine, map(calendar.describe, calendar.sessions.tolist()))
    securities, unnamed = quarantine(fetch.securities, security_contract())
    write_securities(engine, settings.source, securities.to_dict("records"))
    require_complete(_read_recent(lake, until))

    symbols = fetch.prices["symbol"].nunique()
    rules = fetch.quarantined["rule"].value_counts().to_dict()
    return Receipt(
        stage="ingest",
        session=until,
        rows=len(fetch.prices),
        summary=f"{len(fetch.prices):,} prices of {symbols} shares since {covers[0]} from {settings.source}",
        data_hash=data_hash,
        details={
            "symbols": symbols,
            "first_session": str(covers[0]),
            "quarantined": rules,
            "fundamentals": {rule.rule: rule.count for rule in facts},
        },
        warnings=(
            *_tell_end_of_calendar(settings, until),
            *fetch.notes,
            *(f"{count:,} rows quarantined: {rule}" for rule, count in rules.items()),
            *(f"security {row.symbol} refused: {row.rule}" for row in unnamed.itertuples()),
            *(
                f"{fact.count:,} reports of {len(fact.symbols)} shares: {fact.rule}"
                for fact in facts
                if fact.count
            ),
        ),
    )


def _tell_end_of_calendar(settings: Settings, session: dt.date) -> list[str]:
    """Say that the known calendar is about to end: in the log, and on a few sessions to people."""
    calendar = bist_calendar()
    notice = calendar.notice_of_end(session)
    if notice is None:
        return []
    if calendar.count(session, calendar.last) not in REMINDERS:
        return [str(notice)]
    steps = say(
        "update {what}", "{what} güncellensin", what="exchange_calendars, bist_pipeline/calendar.py (LAST)"
    )
    alert = Alert(
        source=settings.source,
        check="trading calendar",
        status="ENDS SOON",
        urgency="this month",
        since=str(session),
        cause=notice.en,
        runbook=steps.en,
        turkish=f"{notice.tr}\n\nNe yapmalı: {steps.tr}",
    )
    return [
        str(notice),
        *(f"an alert about that by {failure}" for failure in send(alert, settings.alerts).failures),
    ]


def _read_held(lake: Lake) -> pd.DataFrame | None:
    head = lake.head("prices")
    return lake.read("prices") if head is not None and head.parts else None


def _write_facts(lake: Lake, facts: pd.DataFrame, until: dt.date) -> tuple[RuleCount, ...]:
    """File each figure that is public by `until` under the first session that may use it."""
    sessions = bist_calendar().sessions
    settled = settle_announcements(facts)
    filed = settled.facts.assign(session=first_usable(settled.facts["announced_at"], sessions))
    public = filed[filed["session"] <= pd.Timestamp(until)]
    lake.write("fundamentals", public, covers=(sessions[0].item(), until))
    return settled.rules


def _file_by_session(refused: pd.DataFrame, covers: tuple[dt.date, dt.date]) -> pd.DataFrame:
    """Give each refused row a session of the delivery: its own, or the newest where its own is none of it.

    The date that the source gave stays, in `dated`.
    """
    dated = refused["session"]
    first, last = map(pd.Timestamp, covers)
    return refused.assign(session=dated.dt.normalize().where(dated.between(first, last), last), dated=dated)


def _fill_session(settings: Settings, session: dt.date | None) -> Receipt:
    calendar, lake = bist_calendar(), open_lake(settings)
    until = session or dt.date.fromisoformat(lake.require("prices").last)
    missing = find_missing(_read_recent(lake, until))
    if not missing:
        complete = f"no listed share lacks a price of {until}"
        return Receipt(stage="ingest", session=until, rows=0, summary=complete, details={"missing": []})

    source = open_source(settings, read_held=partial(_read_held, lake), only=missing)
    fetch = source.fetch(until, calendar)
    found = _select(fetch.prices, until, missing)
    known = read_prices(lake, until, since=until)
    data_hash = lake.write("prices", pd.concat([known, found]), covers=(until, until))
    require_complete(_read_recent(lake, until))
    still = sorted(set(missing) - set(found["symbol"]))
    return Receipt(
        stage="ingest",
        session=until,
        rows=len(found),
        summary=f"{len(found)} of the {len(missing)} listed shares without a price of {until} have one now",
        data_hash=data_hash,
        details={"missing": still},
        warnings=(*fetch.notes, *([f"still without a price: {', '.join(still)}"] if still else [])),
    )


def _read_recent(lake: Lake, until: dt.date) -> Panel:
    calendar = bist_calendar()
    recent = calendar.between(calendar.first, calendar.require(until))[-LISTED_SESSIONS:]
    return build_panel(read_prices(lake, until, since=recent[0].item()), recent)


def _select(rows: pd.DataFrame, session: dt.date, symbols: Collection[str]) -> pd.DataFrame:
    return rows[(rows["session"] == pd.Timestamp(session)) & rows["symbol"].isin(symbols)]
