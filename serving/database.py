"""How a handler reaches the database: `reading(engine)`, one connection for one answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import check_revision


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


EngineOfApp = Annotated[Engine, Depends(_engine)]


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Connect to a database whose schema is this code's; anything else is one of the store's errors."""
    with connect(engine) as connection:
        check_revision(connection)
        yield connection
