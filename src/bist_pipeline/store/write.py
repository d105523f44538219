"""Everything the pipeline writes. A rerun replaces; a batch is visible once its transaction is committed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, and_, delete, func, insert, select

from bist_pipeline.calendar import Session
from bist_pipeline.errors import StoreError
from bist_pipeline.store.engine import begin
from bist_pipeline.store.schema import (
    data_health,
    drift_features,
    drift_runs,
    model_decisions,
    pipeline_runs,
    predictions,
    publications,
    realized_returns,
    scorecards,
    securities,
    sessions,
)

Row = Mapping[Any, Any]
_CHUNK = 10_000


@dataclass(frozen=True)
class Run:
    """What is to be known of the run behind a batch of predictions; see the table `pipeline_runs`."""

    run_id: str
    source: str
    session: dt.date
    rows: int
    data_hash: str
    model_name: str
    model_version: str
    code_version: str
    rank_ic: float | None
    finished_at: dt.datetime


def replace_rows(connection: Connection, table: Table, rows: Sequence[Row], **scope: Any) -> None:
    """Make `rows` the only rows of `table` within `scope` (column = value); the caller commits."""
    connection.execute(
        delete(table).where(and_(True, *(table.c[name] == value for name, value in scope.items())))
    )
    for start in range(0, len(rows), _CHUNK):
        connection.execute(insert(table), [{**row, **scope} for row in rows[start : start + _CHUNK]])


def publish(engine: Engine, run: Run, batch: Sequence[Row]) -> None:
    """Store a batch and make it the published one of its session: readers see all of it or none.

    Parameters
    ----------
    engine : Engine
        Of the predictions database.
    run : Run
        Source and session decide what the batch replaces.
    batch : sequence of mapping
        Rows of `predictions` without `run_id` and `session`.

    Raises
    ------
    StoreError
        If the database did not take exactly `run.rows` rows; the batch before stays published.
    DatabaseUnavailableError
        If it cannot be reached; the batch before stays published.
    """
    scope: dict[str, Any] = {"source": run.source, "session": run.session}
    runs = select(pipeline_runs.c.run_id).filter_by(**scope)
    with begin(engine) as connection:
        # The pointer goes first and comes back last, because predictions of the old run hang on it.
        connection.execute(delete(publications).filter_by(**scope))
        connection.execute(delete(predictions).where(predictions.c.run_id.in_(runs)))
        replace_rows(connection, pipeline_runs, [asdict(run)], **scope)
        replace_rows(connection, predictions, batch, run_id=run.run_id, session=run.session)
        stored = connection.scalar(select(func.count()).where(predictions.c.run_id == run.run_id))
        if stored != run.rows:
            raise StoreError(f"The database took {stored} of {run.rows} predictions for {run.session}.")
        pointer = {**scope, "run_id": run.run_id, "published_at": run.finished_at}
        connection.execute(insert(publications), pointer)


def write_sessions(engine: Engine, calendar: Iterable[Session]) -> None:
    """Store the trading calendar, so that readers without one know what is stale."""
    rows = [
        {"session": s.day, "opens_at": s.opens_at, "cutoff": s.cutoff, "is_half_day": s.is_half_day}
        for s in calendar
    ]
    with begin(engine) as connection:
        replace_rows(connection, sessions, rows)


def write_securities(engine: Engine, source: str, rows: Sequence[Row]) -> None:
    """Store name and sector of the given shares; those that an earlier session does not know yet stay."""
    listed = [row["symbol"] for row in rows]
    with begin(engine) as connection:
        connection.execute(
            delete(securities).where(securities.c.source == source, securities.c.symbol.in_(listed))
        )
        connection.execute(insert(securities), [{**row, "source": source} for row in rows])


def write_health(engine: Engine, source: str, session: dt.date, row: Row) -> None:
    """Store what the check of one session's data found, and where its report is."""
    with begin(engine) as connection:
        replace_rows(connection, data_health, [row], source=source, session=session)


def write_decision(engine: Engine, row: Row) -> None:
    """Append one promotion decision; decisions are never changed."""
    with begin(engine) as connection:
        connection.execute(insert(model_decisions), dict(row))


def write_results(
    engine: Engine, source: str, session: dt.date, results: Sequence[Row], scorecard: Row
) -> None:
    """Store what became of the predictions of one session, and how well they ranked it."""
    scope = {"source": source, "session": session}
    with begin(engine) as connection:
        replace_rows(connection, realized_returns, results, **scope)
        replace_rows(connection, scorecards, [scorecard], **scope)


def write_drift(engine: Engine, source: str, session: dt.date, run: Row, features: Sequence[Row]) -> None:
    """Store the drift verdict of one session with the distance of every feature."""
    scope = {"source": source, "session": session}
    with begin(engine) as connection:
        replace_rows(connection, drift_runs, [run], **scope)
        replace_rows(connection, drift_features, features, **scope)
