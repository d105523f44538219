"""Check: may this session be scored at all? Deterministic rules decide, and a report shows what they saw."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

import pandas as pd

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.drift.data_quality import check_session
from bist_pipeline.drift.findings import Finding, QualityReport
from bist_pipeline.drift.policy import is_covered
from bist_pipeline.drift.status import Check, Status
from bist_pipeline.errors import ContractError, DataQualityError
from bist_pipeline.lake import Lake, open_lake
from bist_pipeline.market.health import compute_health
from bist_pipeline.market.health_report import HealthReport
from bist_pipeline.receipt import Receipt
from bist_pipeline.reports.health import render_health
from bist_pipeline.stages.inputs import open_store, read_prices
from bist_pipeline.stages.stop import record_stop
from bist_pipeline.stages.watch import QUALITY_ACTIONS, record, summarise_quality
from bist_pipeline.stages.yardstick import Standing, read_standing
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import read_sector_of
from bist_pipeline.store.write import write_health
from bist_pipeline.wording import Wording, join, say

# Rules that find something absent. The others compare with earlier sessions, and a person may know better.
LACKING = ("columns", "missing_values")


def check(settings: Settings, session: dt.date) -> Receipt:
    """Judge the session's prices as they arrived, before any cleaning, and report on them.

    The report goes to the lake as `reports/health/<session>.html` and `.json`, its main figures to the
    database: also, and first of all, where the session is refused.

    Raises
    ------
    DataQualityError
        If a rule blocks the session: scoring stops, and the batch before stays served. A person may release
        what only compares with other sessions, not what lacks values.
    """
    store, lake, calendar = open_store(settings), open_lake(settings), bist_calendar()
    prices = read_prices(lake, session)
    with connect(store) as connection:
        sectors = read_sector_of(connection, settings.source)
    standing = read_standing(settings, session)
    try:
        quality = judge_prices(prices, session, standing)
    except ContractError as error:
        record_stop(settings, session, [_as_block(error)], next_step=_say_repair(session))
        raise
    health = compute_health(
        prices,
        session=session,
        sessions=calendar.sessions,
        refused=_read_refused(lake, session),
        sectors=sectors,
    )
    report = _publish(lake, settings.source, quality, health)
    write_health(store, settings.source, session, _as_row(quality, health, report))
    if is_stopped(quality, standing):
        next_step = say_next_step(quality)
        stop = record_stop(settings, session, [summarise_quality(quality)], next_step=next_step)
        raise _refusal(quality, next_step, reports=(report, stop))
    record(settings, store, session, [summarise_quality(quality)])
    return Receipt(
        stage="check",
        session=session,
        rows=health.today.priced,
        summary=f"data quality {quality.status.value} by {len(quality.findings)} rules; report: {report}",
        details={"status": quality.status.value, "rules": quality.as_json(), "report": report},
        warnings=tuple(f.message.en for f in quality.findings if f.status not in (Status.OK, Status.INFO)),
    )


def judge_prices(prices: pd.DataFrame, session: dt.date, standing: Standing) -> QualityReport:
    """Judge a session's prices by the rules; sessions that were stopped are no yardstick."""
    sessions = bist_calendar().sessions
    return check_session(prices, session=session, sessions=sessions, stopped=standing.stopped)


def is_stopped(quality: QualityReport, standing: Standing) -> bool:
    """Whether a session may not be scored: a person released neither it nor what the rules say of it now."""
    if quality.status is not Status.BLOCK:
        return False
    seen = standing.released.get(quality.session)
    return bool(find_lacking(quality)) or not is_covered(summarise_quality(quality).message, seen)


def find_lacking(quality: QualityReport) -> list[Finding]:
    """Findings that stop a session whoever releases it: what is not there cannot be right."""
    return [finding for finding in quality.having(Status.BLOCK) if finding.rule in LACKING]


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
        "summary": join(concerned, by="\n"),
        "listed": health.today.listed,
        "priced": health.today.priced,
        "traded": health.today.traded,
        "refused_rows": sum(rule.count for rule in health.refused),
        "set_aside": sum(len(rule.latest) for rule in health.repairs if rule.rule == "move_beyond_limit"),
        "report": report,
        "checked_at": dt.datetime.now(dt.UTC),
    }


def _as_block(error: ContractError) -> Check:
    """Put a table that no rule can read on record: a session without a verdict would be forgotten."""
    message = say(
        "The prices cannot be judged: {what}",
        "Fiyatlar değerlendirilemiyor: fiyat tablosu sözleşmesini bozuyor ({which}).",
        what=error.what,
        which=", ".join(error.which),
    )
    return Check(
        "data_quality",
        Status.BLOCK,
        None,
        None,
        None,
        QUALITY_ACTIONS[Status.BLOCK],
        message,
        shares=error.which,
    )


def _say_repair(session: dt.date) -> Wording:
    return say(
        "bist ingest --session {day} once the source is repaired, then repeat",
        "kaynak onarılınca: bist ingest --session {day}, sonra yeniden çalıştırın",
        day=session,
    )


def say_next_step(quality: QualityReport) -> Wording:
    """Say how a stopped session goes on: repaired, or released where nothing is missing."""
    repair = _say_repair(quality.session)
    if find_lacking(quality):
        return repair
    release = say(
        "if the data is right: bist drift release {day} --reason '…'",
        "veri doğruysa: bist drift release {day} --reason '…'",
        day=quality.session,
    )
    return join([repair, release], by="; ")


def _refusal(quality: QualityReport, next_step: Wording, *, reports: Sequence[str]) -> DataQualityError:
    blocked = quality.having(Status.BLOCK)
    return DataQualityError(
        f"{quality.session} is blocked by {len(blocked)} quality rule(s): "
        f"{join(finding.message for finding in blocked)}",
        which=blocked[0].symbols,
        consequence=f"Nothing was scored; the previous batch stays published. Reports: {', '.join(reports)}",
        next_step=next_step.en,
    )
