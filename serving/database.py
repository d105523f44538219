"""How a handler reaches the database: `database.reading()`, one connection for one answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import check_revision
from serving.problems import database_away
from serving.snapshot import Keeper


@dataclass(frozen=True)
class Database:
    """The predictions database, for what is not in the keeper's snapshot."""

    engine: Engine
    keeper: Keeper

    @property
    def is_away(self) -> bool:
        """Whether it is known to be away."""
        return self.keeper.is_away

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Connect to a database whose schema is this code's; anything else is one of the store's errors.

        A problem at once while the database is known to be away: whoever asked it would wait for seconds, and
        keep a thread from those whose answer is in memory; and the log would say again, for each of them,
        what the keeper has said once.
        """
        if self.is_away:
            raise database_away()
        with connect(self.engine) as connection:
            check_revision(connection)
            yield connection


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


DatabaseOfApp = Annotated[Database, Depends(_database)]
