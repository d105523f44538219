"""Whether the schema is the one this code reads."""

from __future__ import annotations

from sqlalchemy import Connection

from bist_pipeline.errors import SchemaRevisionError
from bist_pipeline.store.migrate import current_revision
from bist_pipeline.store.schema import REVISION


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
