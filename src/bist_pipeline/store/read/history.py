"""What was published for one share, session by session, and what became of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields

from sqlalchemy import Connection, and_, select

from bist_pipeline.store.read.publications import current_source
from bist_pipeline.store.schema import pipeline_runs, predictions, publications, realized_returns


@dataclass(frozen=True)
class PastPrediction:
    """One published prediction; the last two fields are None until its horizon has passed."""

    session: dt.date
    run_id: str
    horizon_sessions: int
    rank: int
    universe: int
    score: float
    expected_excess_return: float
    lower: float
    upper: float
    tradable: bool
    model_version: str
    realized_excess_return: float | None
    matured_on: dt.date | None


def read_history(
    connection: Connection, symbol: str, *, before: dt.date | None = None, limit: int
) -> list[PastPrediction]:
    """Read what the current source published for a share, newest session first.

    Parameters
    ----------
    connection : Connection
        From `store.engine.connect`.
    symbol : str
        Exact, as stored (`THYAO`).
    before : date, optional
        Sessions earlier than this one only.
    limit : int
        At most this many rows.
    """
    results = realized_returns
    is_result = and_(
        results.c.source == publications.c.source,
        results.c.session == publications.c.session,
        results.c.symbol == predictions.c.symbol,
        results.c.horizon_sessions == predictions.c.horizon_sessions,
    )
    columns = {
        **{column.name: column for column in predictions.c},
        "universe": pipeline_runs.c.rows,
        "realized_excess_return": results.c.excess_return,
        "matured_on": results.c.matured_on,
    }
    found = (
        select(*(columns[field.name].label(field.name) for field in fields(PastPrediction)))
        .select_from(publications.join(pipeline_runs))
        .join(predictions, predictions.c.run_id == publications.c.run_id)
        .outerjoin(results, is_result)
        .where(publications.c.source == current_source(), predictions.c.symbol == symbol)
        .order_by(publications.c.session.desc())
        .limit(limit)
    )
    if before is not None:
        found = found.where(publications.c.session < before)
    return [PastPrediction(**row) for row in connection.execute(found).mappings()]
