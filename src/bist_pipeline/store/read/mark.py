"""What tells that something a reader shows has changed."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Connection, func, select

from bist_pipeline.store.read.freshness import read_freshness
from bist_pipeline.store.schema import backtests, drift_runs, model_decisions, publications, scorecards


def read_mark(connection: Connection, *, now: dt.datetime) -> tuple[Any, ...]:
    """Read a mark that is equal as long as the newest batch and all that is shown beside it are unchanged.

    One cheap statement each for the calendar and for everything that the stages write, so that it can be
    asked several times a second.
    """
    newest = publications.alias("newest")
    batch = select(newest.c.run_id).order_by(newest.c.published_at.desc()).limit(1)
    newest_scores = select(func.max(scorecards.c.session))
    written = connection.execute(
        select(
            batch.scalar_subquery().label("run_id"),
            select(func.max(publications.c.published_at)).scalar_subquery().label("published_at"),
            select(func.max(drift_runs.c.checked_at)).scalar_subquery().label("checked_at"),
            newest_scores.scalar_subquery().label("judged"),
            select(func.sum(scorecards.c.rank_ic))
            .where(scorecards.c.session == newest_scores.scalar_subquery())
            .scalar_subquery()
            .label("scores"),
            select(func.max(model_decisions.c.id)).scalar_subquery().label("decided"),
            select(func.max(backtests.c.computed_at)).scalar_subquery().label("tested"),
        )
    ).one()
    return (*written, read_freshness(connection, now=now))
