"""Write what became of published ranks: results, judgements session by session, and scorecards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Engine

from bist_pipeline.store.engine import begin
from bist_pipeline.store.schema import judged_sessions, realized_returns, scorecards
from bist_pipeline.store.write import Row, replace_rows


def write_judgement(
    engine: Engine,
    source: str,
    session: dt.date,
    results: Sequence[Row],
    judged: Sequence[Row],
    *,
    horizon: int,
) -> None:
    """Store what became of the predictions of one session, and how well each ranking did; replaces."""
    scope = {"source": source, "session": session, "horizon_sessions": horizon}
    with begin(engine) as connection:
        replace_rows(connection, realized_returns, results, **scope)
        replace_rows(connection, judged_sessions, judged, **scope)


def write_scorecards(
    engine: Engine, source: str, session: dt.date, cards: Sequence[Row], *, horizon: int
) -> None:
    """Store the scorecards as of one session; replaces those of an earlier evaluation of it."""
    with begin(engine) as connection:
        replace_rows(connection, scorecards, cards, source=source, session=session, horizon_sessions=horizon)
