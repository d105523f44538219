"""Drift in the database: every check, calibrations, episodes, releases, and requests to train anew."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from bist_pipeline.store.bulk import Row, upsert_rows
from bist_pipeline.store.engine import again_if_busy, begin
from bist_pipeline.store.schema import (
    drift_calibrations,
    drift_checks,
    drift_episodes,
    drift_features,
    drift_releases,
    drift_reports,
    drift_runs,
    judged_sessions,
    predictions,
    publications,
    retrain_requests,
)
from bist_pipeline.store.write import replace_rows
from bist_pipeline.wording import Wording


@dataclass(frozen=True)
class StoredCheck:
    """One check on one session, as the table `drift_checks` holds it."""

    session: dt.date
    check_name: str
    status: str
    statistic: float | None
    p_value: float | None
    threshold: float | None
    record: float | None
    action: Wording
    message: Wording
    model_version: str


@dataclass(frozen=True)
class StoredEpisode:
    """A stretch of alarms, as the table `drift_episodes` holds it."""

    check_name: str
    status: str
    opened_on: dt.date
    last_seen: dt.date
    closed_on: dt.date | None
    cause: Wording
    urgency: Wording
    runbook: Wording
    model_version: str
    alerted_at: dt.datetime | None = None
    alerted_by: Sequence[str] | None = None


@dataclass(frozen=True)
class StoredCalibration:
    """What is known of a calibration without reading it, as the table `drift_calibrations` holds it."""

    model_name: str
    model_version: str
    session: dt.date
    trained_until: dt.date
    features: Sequence[str]
    features_hash: str
    content_hash: str
    file: str
    replays: int
    record_sessions: int
    daily_ic: float | None
    built_at: dt.datetime


@dataclass(frozen=True)
class RetrainRequest:
    """A request to train anew; open until a training has answered it, whatever became of its model."""

    session: dt.date
    reason: Wording
    forced: bool
    requested_at: dt.datetime
    answered_by: str | None


@again_if_busy
def write_checks(
    engine: Engine, source: str, session: dt.date, checks: Sequence[Row], *, checked_at: dt.datetime
) -> None:
    """Store the outcome of checks on a session; a check that was made before is replaced, others stay."""
    rows = [{**check, "source": source, "session": session, "checked_at": checked_at} for check in checks]
    with begin(engine) as connection:
        upsert_rows(connection, drift_checks, rows)


@again_if_busy
def write_run(
    engine: Engine, source: str, session: dt.date, run: Row, features: Sequence[Row] | None, *, html: str
) -> None:
    """Store the verdict of a session, its report, and every feature's distance where that was measured."""
    scope = {"source": source, "session": session}
    report = {"html": gzip.compress(html.encode(), mtime=0)}
    with begin(engine) as connection:
        replace_rows(connection, drift_runs, [run], **scope)
        replace_rows(connection, drift_reports, [report], **scope)
        if features is not None:
            replace_rows(connection, drift_features, features, **scope)


@again_if_busy
def write_calibration(engine: Engine, source: str, calibration: StoredCalibration) -> None:
    """Store what is known of a calibration."""
    row = {**asdict(calibration), "features": list(calibration.features), "source": source}
    with begin(engine) as connection:
        upsert_rows(connection, drift_calibrations, [row])


@again_if_busy
def answer_requests(engine: Engine, source: str, *, until: dt.date, model_version: str) -> None:
    """Mark open requests to train anew up to a session as answered by a model, promoted or not."""
    waiting = (
        retrain_requests.c.source == source,
        retrain_requests.c.session <= until,
        retrain_requests.c.answered_by.is_(None),
    )
    with begin(engine) as connection:
        connection.execute(update(retrain_requests).where(*waiting).values(answered_by=model_version))


@again_if_busy
def write_episodes(engine: Engine, source: str, episodes: Sequence[StoredEpisode]) -> None:
    """Make these the episodes of a source."""
    with begin(engine) as connection:
        replace_rows(connection, drift_episodes, [vars(episode) for episode in episodes], source=source)


@again_if_busy
def write_release(engine: Engine, source: str, session: dt.date, release: Row) -> None:
    """Store that a person released a held session."""
    with begin(engine) as connection:
        upsert_rows(connection, drift_releases, [{**release, "source": source, "session": session}])


@again_if_busy
def write_request(engine: Engine, source: str, request: RetrainRequest) -> bool:
    """Store a request to train anew; False where one of that session is there already."""
    with begin(engine) as connection:
        mine = {"source": source, "session": request.session}
        if connection.scalar(select(func.count()).select_from(retrain_requests).filter_by(**mine)):
            return False
        connection.execute(insert(retrain_requests), {**vars(request), "source": source})
        return True


def read_checks(connection: Connection, source: str, *, until: dt.date | None = None) -> list[StoredCheck]:
    """Read every check of a source up to a session, oldest first."""
    found = select(*_columns(drift_checks, StoredCheck)).filter_by(source=source)
    if until is not None:
        found = found.where(drift_checks.c.session <= until)
    ordered = found.order_by(drift_checks.c.session, drift_checks.c.check_name)
    return [StoredCheck(**row) for row in connection.execute(ordered).mappings()]


def read_episodes(connection: Connection, source: str) -> list[StoredEpisode]:
    """Read every episode of a source, the newest first."""
    found = select(*_columns(drift_episodes, StoredEpisode)).filter_by(source=source)
    ordered = found.order_by(drift_episodes.c.opened_on.desc(), drift_episodes.c.check_name)
    return [StoredEpisode(**row) for row in connection.execute(ordered).mappings()]


def read_calibration(
    connection: Connection, source: str, *, name: str, version: str
) -> StoredCalibration | None:
    """Read what is known of a model's calibration; None where it has none."""
    found = select(*_columns(drift_calibrations, StoredCalibration)).filter_by(
        source=source, model_name=name, model_version=version
    )
    row = connection.execute(found).mappings().one_or_none()
    return None if row is None else StoredCalibration(**row)


def read_released(connection: Connection, source: str) -> dict[dt.date, Wording]:
    """Read which sessions of a source a person released, and what the checks had said of them."""
    found = select(drift_releases.c.session, drift_releases.c.message).filter_by(source=source)
    return {row.session: row.message for row in connection.execute(found)}


def read_published(connection: Connection, source: str) -> frozenset[dt.date]:
    """Read which sessions of a source were published."""
    return frozenset(connection.scalars(select(publications.c.session).filter_by(source=source)))


def read_requests(connection: Connection, source: str) -> list[RetrainRequest]:
    """Read the requests to train anew of a source, oldest first; open ones have no `answered_by`."""
    found = select(*_columns(retrain_requests, RetrainRequest)).filter_by(source=source)
    ordered = found.order_by(retrain_requests.c.session)
    return [RetrainRequest(**row) for row in connection.execute(ordered).mappings()]


def read_scores(
    connection: Connection, source: str, *, since: dt.date, until: dt.date
) -> list[Mapping[str, Any]]:
    """Read `session, symbol, score` of the tradable shares of published sessions, oldest first."""
    found = connection.execute(
        select(predictions.c.session, predictions.c.symbol, predictions.c.score)
        .join(publications, publications.c.run_id == predictions.c.run_id)
        .where(
            publications.c.source == source,
            publications.c.session.between(since, until),
            predictions.c.tradable,
        )
        .order_by(predictions.c.session, predictions.c.symbol)
    )
    return [dict(row) for row in found.mappings()]


def read_quarterly_ic(
    connection: Connection, source: str, *, horizon: int, ranking: str, until: dt.date
) -> list[float]:
    """Read the rank ICs over the horizon of published sessions that had matured by `until`, oldest first."""
    found = select(judged_sessions.c.rank_ic).where(
        judged_sessions.c.source == source,
        judged_sessions.c.horizon_sessions == horizon,
        judged_sessions.c.model == ranking,
        judged_sessions.c.matured_on <= until,
        judged_sessions.c.rank_ic.is_not(None),
    )
    return list(connection.scalars(found.order_by(judged_sessions.c.session)))


def _columns(table: Any, kind: type) -> list[Any]:
    return [table.c[field.name] for field in fields(kind)]
