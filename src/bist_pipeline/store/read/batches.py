"""One published batch, whole or the asked part of it.

A batch is read by one statement that starts at the row of `publications`, so that whoever reads while a
writer replaces a session gets all of the old batch or all of the new one, at any isolation level that
reads committed data.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import eq, ge
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, RowMapping, Subquery, and_, func, select, true

from bist_pipeline.contracts import UNKNOWN_SECTOR, Kind, kind_of
from bist_pipeline.store.read.publications import current_source
from bist_pipeline.store.schema import pipeline_runs, predictions, publications, securities


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


def read_symbols(connection: Connection, run_id: str) -> list[str]:
    """Return the symbols of a run in alphabetical order."""
    found = select(predictions.c.symbol).where(predictions.c.run_id == run_id)
    return list(connection.scalars(found.order_by(predictions.c.symbol)))


def read_sectors(connection: Connection, run_id: str) -> list[str]:
    """Return the sectors of a run in alphabetical order."""
    listed = predictions.join(pipeline_runs).outerjoin(securities, _is_listing(pipeline_runs.c.source))
    found = select(_SECTOR).distinct().select_from(listed).where(predictions.c.run_id == run_id)
    return sorted(connection.scalars(found))


_SECTOR = func.coalesce(securities.c.sector, UNKNOWN_SECTOR)
_STORED = [field.name for field in fields(Prediction) if field.name in predictions.c]


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
        .where(publications.c.source == current_source())
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
