"""What readers ask of the database: one published batch, whole, and how old it is.

A batch is read by one statement that starts at the row of `publications`, so that whoever reads while a
writer replaces a session gets all of the old batch or all of the new one, at any isolation level that
reads committed data. The *current* source is the one that published last; its newest session is current.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import eq, ge
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, RowMapping, Subquery, and_, func, select, true

from bist_pipeline.contracts import UNKNOWN_SECTOR, Kind, kind_of
from bist_pipeline.errors import SchemaRevisionError
from bist_pipeline.store.migrate import current_revision
from bist_pipeline.store.schema import (
    REVISION,
    data_health,
    drift_runs,
    model_decisions,
    pipeline_runs,
    predictions,
    publications,
    scorecards,
    securities,
    sessions,
)


@dataclass(frozen=True)
class Model:
    """The registered model that made a batch; `rank_ic` is its out-of-sample mean daily rank IC."""

    name: str
    version: str
    rank_ic: float | None


@dataclass(frozen=True)
class Publication:
    """A batch as a whole: which run, of which session and source, over how many shares (`universe`)."""

    run_id: str
    session: dt.date
    source: str
    published_at: dt.datetime
    horizon_sessions: int
    universe: int
    model: Model

    @property
    def kind(self) -> Kind:
        """What the predictions are, as the source decides it."""
        return kind_of(self.source)


@dataclass(frozen=True)
class Prediction:
    """One share of a batch. Returns are fractions over the universe median of the same session."""

    symbol: str
    name: str | None
    sector: str
    rank: int
    percentile: float
    score: float
    expected_excess_return: float
    lower: float
    upper: float
    tradable: bool
    drivers: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Batch:
    """The asked part of one publication, best rank first; `matched` counts it before any limit."""

    publication: Publication
    predictions: tuple[Prediction, ...]
    matched: int


@dataclass(frozen=True)
class Freshness:
    """Newest published session against the newest one whose prices are final.

    `published` is None where nothing is published. `age_sessions` counts the closed sessions after it up to
    `expected`; both are None where the stored calendar has ended, so that nobody can say how old a batch is.
    """

    published: dt.date | None
    expected: dt.date | None
    age_sessions: int | None


def check_revision(connection: Connection) -> None:
    """Make sure that the schema is the one this code reads.

    Raises
    ------
    SchemaRevisionError
        If the database was never migrated, or is at another revision.
    """
    revision = current_revision(connection)
    if revision is None:
        raise SchemaRevisionError(
            "The database is empty.",
            consequence="Nothing can be read.",
            next_step="bist run (it creates the tables)",
        )
    if revision != REVISION:
        raise SchemaRevisionError(
            f"The database schema has revision {revision}; this version reads {REVISION}.",
            consequence="Nothing can be read.",
            next_step="bist db upgrade (an older schema), or update bist_pipeline (a newer one)",
        )


def read_batch(
    connection: Connection,
    *,
    session: dt.date | None = None,
    symbol: str | None = None,
    sector: str | None = None,
    tradable: bool | None = None,
    min_excess: float | None = None,
    limit: int | None = None,
) -> Batch | None:
    """Read the current publication, or the current source's one for `session`, and its matching rows.

    Parameters
    ----------
    connection : Connection
        From `store.engine.connect`.
    session : date, optional
        The newest published session by default.
    symbol, sector : str, optional
        Exact, as stored (`THYAO`).
    tradable : bool, optional
        Keep the shares with this flag.
    min_excess : float, optional
        Least `expected_excess_return`, a fraction.
    limit : int, optional
        At most this many rows; all by default.

    Returns
    -------
    Batch or None
        None where nothing is published (for that session). A publication without a matching row is a
        batch without predictions.
    """
    wanted: list[tuple[ColumnElement[Any], Any, Any]] = [
        (predictions.c.symbol, eq, symbol),
        (_SECTOR, eq, sector),
        (predictions.c.tradable, eq, tradable),
        (predictions.c.expected_excess_return, ge, min_excess),
    ]
    conditions = [compare(column, value) for column, compare, value in wanted if value is not None]
    head = _head(session)
    rows = _rows(head, conditions, limit)
    statement = select(head, rows).select_from(head.outerjoin(rows, true())).order_by(rows.c.rank)
    found = connection.execute(statement).mappings().all()
    return _as_batch(found) if found else None


def read_published_sessions(connection: Connection) -> list[dt.date]:
    """Return the published sessions of the current source, oldest first."""
    found = select(publications.c.session).where(publications.c.source == _current_source())
    return list(connection.scalars(found.order_by(publications.c.session)))


def read_symbols(connection: Connection, run_id: str) -> list[str]:
    """Return the symbols of a run in alphabetical order."""
    found = select(predictions.c.symbol).where(predictions.c.run_id == run_id)
    return list(connection.scalars(found.order_by(predictions.c.symbol)))


def read_sectors(connection: Connection, run_id: str) -> list[str]:
    """Return the sectors of a run in alphabetical order."""
    listed = predictions.join(pipeline_runs).outerjoin(securities, _is_listing(pipeline_runs.c.source))
    found = select(_SECTOR).distinct().select_from(listed).where(predictions.c.run_id == run_id)
    return sorted(connection.scalars(found))


def read_freshness(connection: Connection, *, now: dt.datetime) -> Freshness:
    """Compare the current publication with the stored calendar at the aware time `now`."""
    mine = publications.c.source == _current_source()
    published = select(func.max(publications.c.session)).where(mine).scalar_subquery()
    closed = sessions.c.cutoff <= now
    row = connection.execute(
        select(
            published.label("published"),
            select(func.max(sessions.c.session)).where(closed).scalar_subquery().label("expected"),
            select(func.count()).where(closed, sessions.c.session > published).scalar_subquery().label("age"),
            select(func.max(sessions.c.cutoff)).scalar_subquery().label("calendar_end"),
        )
    ).one()
    if row.calendar_end is None or row.calendar_end <= now:
        return Freshness(row.published, None, None)
    return Freshness(row.published, row.expected, row.age)


def read_drift_status(connection: Connection, source: str, session: dt.date) -> str | None:
    """Return the drift verdict of one session and its first reason; None where it was not checked."""
    row = connection.execute(
        select(drift_runs.c.status, drift_runs.c.summary).filter_by(source=source, session=session)
    ).one_or_none()
    return None if row is None else f"{row.status}, {row.summary.partition(chr(10))[0]}"


def read_reasons(connection: Connection, publication: Publication) -> list[str]:
    """Return why the model behind a batch was taken into use, sentence by sentence."""
    decisions = model_decisions.c
    reasons = connection.scalar(
        select(decisions.reasons)
        .filter_by(
            source=publication.source,
            model_name=publication.model.name,
            challenger_version=publication.model.version,
        )
        .order_by(decisions.id.desc())
        .limit(1)
    )
    return (reasons or "").splitlines()


def read_health(connection: Connection, source: str, session: dt.date) -> Mapping[str, Any] | None:
    """Return the row of `data_health` of one session; None where it was not checked."""
    found = connection.execute(select(data_health).filter_by(source=source, session=session))
    row = found.mappings().one_or_none()
    return None if row is None else dict(row)


def read_newest_publication(connection: Connection, source: str) -> dt.date | None:
    """Return the newest published session of a source; None where nothing is published."""
    newest: dt.date | None = connection.scalar(
        select(func.max(publications.c.session)).where(publications.c.source == source)
    )
    return newest


def read_sector_of(connection: Connection, source: str) -> dict[str, str]:
    """Return the sector of every share of a source."""
    found = select(securities.c.symbol, securities.c.sector).filter_by(source=source)
    return {row.symbol: row.sector for row in connection.execute(found)}


def read_unjudged(
    connection: Connection, source: str, *, horizon: int, until: dt.date
) -> list[dict[str, Any]]:
    """Read the published forecasts of sessions up to `until` that have no scorecard yet."""
    judged = select(scorecards.c.session).filter_by(source=source, horizon_sessions=horizon)
    found = connection.execute(
        select(*(predictions.c[name] for name in ("session", "symbol", "score", "lower", "upper")))
        .join(publications, publications.c.run_id == predictions.c.run_id)
        .where(
            publications.c.source == source,
            publications.c.session <= until,
            publications.c.session.not_in(judged),
            predictions.c.horizon_sessions == horizon,
        )
        .order_by(publications.c.session, predictions.c.rank)
    )
    return [dict(row) for row in found.mappings()]


_SECTOR = func.coalesce(securities.c.sector, UNKNOWN_SECTOR)
_STORED = [field.name for field in fields(Prediction) if field.name in predictions.c]


def _current_source() -> ColumnElement[str]:
    newest = publications.alias("newest")
    return select(newest.c.source).order_by(newest.c.published_at.desc()).limit(1).scalar_subquery()


def _is_listing(source: ColumnElement[str]) -> ColumnElement[bool]:
    return and_(securities.c.source == source, securities.c.symbol == predictions.c.symbol)


def _head(session: dt.date | None) -> CTE:
    def of_batch(aggregate: ColumnElement[Any]) -> ColumnElement[Any]:
        return select(aggregate).where(predictions.c.run_id == publications.c.run_id).scalar_subquery()

    run = pipeline_runs.c
    # The limit keeps every database from computing the two aggregates again for each share.
    head = (
        select(
            *publications.c,
            *(run.model_name, run.model_version, run.rank_ic),
            of_batch(func.count()).label("universe"),
            of_batch(func.max(predictions.c.horizon_sessions)).label("horizon_sessions"),
        )
        .join(pipeline_runs)
        .where(publications.c.source == _current_source())
        .order_by(publications.c.session.desc())
        .limit(1)
    )
    return (head if session is None else head.where(publications.c.session == session)).cte("head")


def _rows(head: CTE, conditions: Sequence[ColumnElement[bool]], limit: int | None) -> Subquery:
    shares = head.join(predictions, predictions.c.run_id == head.c.run_id)
    return (
        select(
            *(predictions.c[name] for name in _STORED),
            securities.c.name,
            _SECTOR.label("sector"),
            func.count().over().label("matched"),
        )
        .select_from(shares.outerjoin(securities, _is_listing(head.c.source)))
        .where(*conditions)
        .order_by(predictions.c.rank)
        .limit(limit)
        .subquery("batch")
    )


def _as_batch(rows: Sequence[RowMapping]) -> Batch:
    shares = tuple(_as_prediction(row) for row in rows if row["symbol"] is not None)
    return Batch(_as_publication(rows[0]), shares, rows[0]["matched"] or 0)


def _as_publication(row: RowMapping) -> Publication:
    model = Model(row["model_name"], row["model_version"], row["rank_ic"])
    names = ("run_id", "session", "source", "published_at", "horizon_sessions", "universe")
    return Publication(**{name: row[name] for name in names}, model=model)


def _as_prediction(row: RowMapping) -> Prediction:
    return Prediction(**{field.name: row[field.name] for field in fields(Prediction)})
