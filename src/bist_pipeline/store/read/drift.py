"""What the drift checks found, session by session."""

from __future__ import annotations

import datetime as dt
import gzip
from dataclasses import dataclass, fields

from sqlalchemy import Connection, select

from bist_pipeline.store.schema import drift_checks, drift_features, drift_reports, drift_runs
from bist_pipeline.wording import Wording


@dataclass(frozen=True)
class DriftRun:
    """The verdict of one session; the reference is what the champion learned from."""

    session: dt.date
    status: str
    summary: Wording
    reference_first: dt.date | None
    reference_last: dt.date | None
    model_version: str
    checked_at: dt.datetime


@dataclass(frozen=True)
class DriftCheck:
    """What one check said; see the table `drift_checks`."""

    session: dt.date
    check_name: str
    status: str
    statistic: float | None
    p_value: float | None
    threshold: float | None
    record: float | None
    action: Wording
    message: Wording


@dataclass(frozen=True)
class DriftFeature:
    """One feature then, in the training window, and now; see the table `drift_features`."""

    feature: str
    label: Wording | None
    distance: float | None
    typical: float | None
    record: float | None
    median_then: float | None
    median_now: float | None
    missing_then: float | None
    missing_now: float | None
    importance: float | None


def read_drift_runs(
    connection: Connection, source: str, *, before: dt.date | None = None, limit: int
) -> list[DriftRun]:
    """Read the verdicts of a source, newest session first, `before` excluded."""
    found = select(*(drift_runs.c[field.name] for field in fields(DriftRun))).filter_by(source=source)
    if before is not None:
        found = found.where(drift_runs.c.session < before)
    newest_first = found.order_by(drift_runs.c.session.desc()).limit(limit)
    return [DriftRun(**row) for row in connection.execute(newest_first).mappings()]


def read_newest_checks(connection: Connection, source: str, *, until: dt.date, rows: int) -> list[DriftCheck]:
    """Read what every check said last, up to a session; weekly ones may be older. Looks at `rows` rows."""
    found = select(*(drift_checks.c[field.name] for field in fields(DriftCheck)))
    mine = found.where(drift_checks.c.source == source, drift_checks.c.session <= until)
    ordered = mine.order_by(drift_checks.c.session.desc(), drift_checks.c.check_name).limit(rows)
    newest: dict[str, DriftCheck] = {}
    for row in connection.execute(ordered).mappings():
        newest.setdefault(row["check_name"], DriftCheck(**row))
    return list(newest.values())


def read_feature_weeks(
    connection: Connection, source: str, *, until: dt.date, weeks: int
) -> dict[dt.date, list[DriftFeature]]:
    """Read how far every feature was away the last times that was measured, up to a session, oldest first."""
    mine = (drift_features.c.source == source, drift_features.c.session <= until)
    measured = select(drift_features.c.session).where(*mine).distinct()
    newest = connection.scalars(measured.order_by(drift_features.c.session.desc()).limit(weeks)).all()
    if not newest:
        return {}
    columns = (drift_features.c[field.name] for field in fields(DriftFeature))
    rows = select(drift_features.c.session, *columns).where(*mine, drift_features.c.session >= newest[-1])
    found: dict[dt.date, list[DriftFeature]] = {session: [] for session in newest[::-1]}
    for row in connection.execute(rows.order_by(drift_features.c.feature)).mappings():
        feature = DriftFeature(**{name: value for name, value in row.items() if name != "session"})
        found[row["session"]].append(feature)
    return found


def read_drift_report(connection: Connection, source: str, session: dt.date) -> str | None:
    """Read the whole report of a session, a page of HTML; None where there is none."""
    found = select(drift_reports.c.html).filter_by(source=source, session=session)
    html = connection.scalar(found)
    return None if html is None else gzip.decompress(html).decode()


def read_drift_report_sessions(connection: Connection, source: str, *, since: dt.date) -> frozenset[dt.date]:
    """Read which sessions of a source have a report, from one on."""
    found = select(drift_reports.c.session).filter_by(source=source)
    return frozenset(connection.scalars(found.where(drift_reports.c.session >= since)))


def read_drift_status(connection: Connection, source: str, session: dt.date) -> str | None:
    """Return the drift verdict of one session and its first reason; None where it was not checked."""
    row = connection.execute(
        select(drift_runs.c.status, drift_runs.c.summary).filter_by(source=source, session=session)
    ).one_or_none()
    return None if row is None else f"{row.status}, {row.summary.en.partition(chr(10))[0]}"
