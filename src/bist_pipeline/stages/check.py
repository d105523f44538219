"""Check: may this session be scored at all? Deterministic rules decide, and name what they refuse."""

from __future__ import annotations

import datetime as dt

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.drift.data_quality import QualityReport, check_session
from bist_pipeline.drift.status import Status
from bist_pipeline.errors import DataQualityError
from bist_pipeline.lake import open_lake
from bist_pipeline.receipt import Receipt


def check(settings: Settings, session: dt.date) -> Receipt:
    """Judge the session's prices as they arrived, before any cleaning.

    Raises
    ------
    DataQualityError
        If a rule blocks the session: scoring stops, and the batch before stays served.
    """
    calendar = bist_calendar()
    prices = open_lake(settings).read("prices", until=calendar.require(session))
    report = check_session(prices, session=session, sessions=calendar.sessions)
    blocked = report.having(Status.BLOCK)
    if blocked:
        raise DataQualityError(
            f"{session} is blocked by {len(blocked)} quality rule(s): "
            + " ".join(finding.message for finding in blocked),
            which=blocked[0].symbols,
            consequence="Nothing was scored; the previous batch stays published.",
            next_step=f"bist ingest --session {session} once the source is repaired, then repeat",
        )
    return Receipt(
        stage="check",
        session=session,
        rows=int((prices["session"] == str(session)).sum()),
        summary=f"data quality {report.status.value} by {len(report.findings)} rules",
        details={"status": report.status.value, "rules": _rules(report)},
        warnings=tuple(f.message for f in report.findings if f.status not in (Status.OK, Status.INFO)),
    )


def _rules(report: QualityReport) -> list[dict[str, object]]:
    return [
        {
            "rule": finding.rule,
            "status": finding.status.value,
            "count": len(finding.symbols),
            "symbols": list(finding.symbols),
            "message": finding.message,
        }
        for finding in report.findings
    ]
