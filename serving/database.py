"""How a handler reaches the database: `reading(engine)`, one connection for one answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from bist_pipeline.errors import DatabaseUnavailableError
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import check_revision
from serving.problems import database_away
from serving.snapshot import Keeper


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


EngineOfApp = Annotated[Engine, Depends(_engine)]


async def require_database(request: Request) -> None:
    """Refuse at once while the database is known to be away.

    Whoever asked it would wait for seconds, and keep a thread from those whose answer is in memory; and the
    log would say again, for each of them, what the keeper has said once.
    """
    keeper: Keeper = request.app.state.keeper
    if isinstance(keeper.failure, DatabaseUnavailableError):
        raise database_away(keeper.failure)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Connect to a database whose schema is this code's; anything else is one of the store's errors."""
    with connect(engine) as connection:
        check_revision(connection)
        yield connection
