"""What tells that something a reader shows has changed."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Connection, func, select

from bist_pipeline.store.read.freshness import read_freshness
from bist_pipeline.store.read.publications import served_run
from bist_pipeline.store.schema import (
    backtests,
    drift_checks,
    drift_episodes,
    drift_runs,
    model_decisions,
    publications,
    scorecards,
)


def read_mark(connection: Connection, *, now: dt.datetime) -> tuple[Any, ...]:
    """Read a mark that is equal as long as the newest batch and all that is shown beside it are unchanged.

    One cheap statement each for the calendar and for everything that the stages write, so that it can be
    asked several times a second. The run that is served is named, whatever its time says: clocks differ, and
    a writer may have waited for another one.
    """
    newest_scores = select(func.max(scorecards.c.session)).scalar_subquery()
    episodes = drift_episodes.c
    figures = {
        "run_id": served_run(),
        "published_at": select(func.max(publications.c.published_at)),
        "checked_at": select(func.max(drift_runs.c.checked_at)),
        "watched_at": select(func.max(drift_checks.c.checked_at)),
        "episodes": select(func.count()).select_from(drift_episodes),
        "seen": select(func.max(episodes.last_seen)),
        "closed": select(func.count(episodes.closed_on)),
        "judged": select(func.max(scorecards.c.session)),
        "scores": select(func.sum(scorecards.c.rank_ic)).where(scorecards.c.session == newest_scores),
        "decided": select(func.max(model_decisions.c.id)),
        "tested": select(func.max(backtests.c.computed_at)),
    }
    columns = (figure.scalar_subquery().label(name) for name, figure in figures.items())
    return (*connection.execute(select(*columns)).one(), read_freshness(connection, now=now))
