"""How old the newest publication is, by the stored trading calendar."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from bist_pipeline.store.read.publications import current_source
from bist_pipeline.store.schema import publications, sessions


@dataclass(frozen=True)
class Freshness:
    """Newest published session against the newest one whose prices are final.

    `published` is None where nothing is published. `age_sessions` counts the closed sessions after it up to
    `expected`; both are None where the stored calendar has ended, so that nobody can say how old a batch is.
    """

    published: dt.date | None
    expected: dt.date | None
    age_sessions: int | None


def read_freshness(connection: Connection, *, now: dt.datetime, session: dt.date | None = None) -> Freshness:
    """Compare a published session (default: the newest) with the stored calendar at the aware time `now`."""
    mine = [publications.c.source == current_source()]
    if session is not None:
        mine.append(publications.c.session == session)
    published = select(func.max(publications.c.session)).where(*mine).scalar_subquery()
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
