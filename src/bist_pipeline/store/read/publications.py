"""Which batches are published.

The *current* source is the one that published last; its newest session is the current one.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ColumnElement, Connection, Select, func, select

from bist_pipeline.store.schema import publications


def read_published_sessions(connection: Connection) -> list[dt.date]:
    """Return the published sessions of the current source, oldest first."""
    found = select(publications.c.session).where(publications.c.source == current_source())
    return list(connection.scalars(found.order_by(publications.c.session)))


def read_newest_publication(connection: Connection, source: str) -> dt.date | None:
    """Return the newest published session of a source; None where nothing is published."""
    newest: dt.date | None = connection.scalar(
        select(func.max(publications.c.session)).where(publications.c.source == source)
    )
    return newest


def current_source() -> ColumnElement[str]:
    """Select the source that published last, for use inside another statement."""
    newest = publications.alias("newest")
    return select(newest.c.source).order_by(newest.c.published_at.desc()).limit(1).scalar_subquery()


def served_run() -> Select[tuple[str]]:
    """Select the run behind the newest session of the current source."""
    mine = select(publications.c.run_id).where(publications.c.source == current_source())
    return mine.order_by(publications.c.session.desc()).limit(1)
