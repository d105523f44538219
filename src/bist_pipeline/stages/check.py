"""Check: may this session be scored at all? Deterministic rules decide, and a report shows what they saw."""

from __future__ import annotations

import datetime as dt
import json

import pandas as pd

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.drift.data_quality import QualityReport, check_session
from bist_pipeline.drift.status import Status
from bist_pipeline.errors import DataQualityError
from bist_pipeline.lake import Lake, open_lake
from bist_pipeline.market.health import compute_health
from bist_pipeline.market.health_report import HealthReport
from bist_pipeline.receipt import Receipt
from bist_pipeline.reports.health import render_health
from bist_pipeline.stages.inputs import open_store, read_prices
from bist_pipeline.stages.watch import record, record_stop, summarise_quality
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import read_sector_of
from bist_pipeline.store.write import write_health


def check(settings: Settings, session: dt.date) -> Receipt:
    """Judge the session's prices as they arrived, before any cleaning, and report on them.

    The report goes to the lake as `reports/health/<session>.html` and `.json`, its main figures to the
    database: also, and first of all, where the session is refused.

    Raises
    ------
    DataQualityError
        If a rule blocks the session: scoring stops, and the batch before stays served.
    """
    store, lake, calendar = open_store(settings), open_lake(settings), bist_calendar()
    prices = read_prices(lake, session)
    with connect(store) as connection:
        sectors = read_sector_of(connection, settings.source)
    quality = check_session(prices, session=session, sessions=calendar.sessions)
    health = compute_health(
        prices,
        session=session,
        sessions=calendar.sessions,
        refused=_read_refused(lake, session),
        sectors=sectors,
    )
    report = _publish(lake, settings.source, quality, health)
    write_health(store, settings.source, session, _as_row(quality, health, report))
    has_block = bool(quality.having(Status.BLOCK))
    (record_stop if has_block else record)(settings, store, session, [summarise_quality(quality)])
    _refuse_if_blocked(quality, report)
    return Receipt(
        stage="check",
        session=session,
        rows=health.today.priced,
        summary=f"data quality {quality.status.value} by {len(quality.findings)} rules; report: {report}",
        details={"status": quality.status.value, "rules": quality.as_json(), "report": report},
        warnings=tuple(f.message for f in quality.findings if f.status not in (Status.OK, Status.INFO)),
    )


def _read_refused(lake: Lake, session: dt.date) -> pd.DataFrame:
    head = lake.head("quarantine")
    if head is None or not head.parts:
        return pd.DataFrame({"symbol": [], "rule": []})
    return lake.read("quarantine", until=session, columns=["symbol", "rule"])


def _publish(lake: Lake, source: str, quality: QualityReport, health: HealthReport) -> str:
    """Write the report in both forms; return where people find it."""
    facts = {"source": source, "status": quality.status.value, "rules": quality.as_json(), **health.as_json()}
    place = f"reports/health/{health.session}"
    lake.publish(f"{place}.json", json.dumps(facts, ensure_ascii=False))
    return lake.publish(f"{place}.html", render_health(health, quality, source=source))


def _as_row(quality: QualityReport, health: HealthReport, report: str) -> dict[str, object]:
    concerned = [finding.message for finding in quality.findings if finding.status is not Status.OK]
    return {
        "status": quality.status.value,
        "summary": "\n".join(concerned),
        "listed": health.today.listed,
        "priced": health.today.priced,
        "traded": health.today.traded,
        "refused_rows": sum(rule.count for rule in health.refused),
        "set_aside": sum(len(rule.latest) for rule in health.repairs if rule.rule == "move_beyond_limit"),
        "report": report,
        "checked_at": dt.datetime.now(dt.UTC),
    }


def _refuse_if_blocked(quality: QualityReport, report: str) -> None:
    blocked = quality.having(Status.BLOCK)
    if blocked:
        raise DataQualityError(
            f"{quality.session} is blocked by {len(blocked)} quality rule(s): "
            + " ".join(finding.message for finding in blocked),
            which=blocked[0].symbols,
            consequence=f"Nothing was scored; the previous batch stays published. Report: {report}",
            next_step=f"bist ingest --session {quality.session} once the source is repaired, then repeat",
        )
