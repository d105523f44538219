"""One way to reach the database, whichever it is, and one way to say that it cannot be reached."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from bist_pipeline.errors import ConfigError, DatabaseBusyError
from bist_pipeline.store.failures import translated

P = ParamSpec("P")
T = TypeVar("T")

_CONNECT_TIMEOUT_S = 5
# A statement of the pipeline that takes longer has lost its server; readers ask for less.
_ANSWER_TIMEOUT_S = 600
_SQLITE_BUSY_MS = 15_000
# As patient with another writer as SQLite is.
_MYSQL_WAIT = f"SET SESSION innodb_lock_wait_timeout = {_SQLITE_BUSY_MS // 1000}"
# Execution option of an engine whose connections may read files for the server.
CAN_LOAD_FILES = "can_load_files"
_BUSY_PAUSES_S = (0.05, 0.2, 0.8)


def open_engine(
    url: str, *, answer_timeout_s: int = _ANSWER_TIMEOUT_S, can_load_files: bool = False
) -> Engine:
    """Create the engine for `url`; nothing is contacted yet.

    Parameters
    ----------
    url : str
        `sqlite:///…` or `mysql+mysqldb://…` (MySQL and MariaDB).
    answer_timeout_s : int
        A MySQL server that says nothing for so long, or a pool without a free connection, counts as gone.
    can_load_files : bool
        Let the server ask for files, for a bulk load: only where the server is trusted, and much is written.

    Raises
    ------
    ConfigError
        If the URL cannot be understood or names another kind of database.
    """
    try:
        backend = make_url(url).get_backend_name()
        if backend == "sqlite":
            return _open_sqlite(url)
        if backend in ("mysql", "mariadb"):
            return _open_mysql(url, answer_timeout_s, can_load_files=can_load_files)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ConfigError(
            f"The database URL cannot be used: {error}.",
            next_step="set BIST_DATABASE_URL to sqlite:///… or mysql+mysqldb://user:password@host/database "
            "(the latter needs: pip install 'bist-pipeline[mysql]')",
        ) from error
    raise ConfigError(
        f"Databases of kind {backend!r} are not supported.",
        next_step="set BIST_DATABASE_URL to sqlite:///… or mysql+mysqldb://user:password@host/database",
    )


def _open_sqlite(url: str) -> Engine:
    # A pooled connection would go on reading a file that has been deleted or replaced.
    engine = create_engine(url, poolclass=NullPool, json_serializer=write_json)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {_SQLITE_BUSY_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        # Readers keep seeing the old batch while a writer replaces it.
        connection.execute("PRAGMA journal_mode = WAL")

    return engine


def _open_mysql(url: str, answer_timeout_s: int, *, can_load_files: bool) -> Engine:
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_timeout=answer_timeout_s,
        json_serializer=write_json,
        execution_options={CAN_LOAD_FILES: can_load_files},
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "read_timeout": answer_timeout_s,
            "charset": "utf8mb4",
            "local_infile": int(can_load_files),
            "init_command": _MYSQL_WAIT,
        },
    )


# Readers are promised JSON that every language reads: NaN is refused, Turkish letters stay letters.
write_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@contextmanager
def connect(engine: Engine) -> Iterator[Connection]:
    """Connect for reading; database failures leave as errors that name the next command."""
    with translated(engine), engine.connect() as connection:
        yield connection


@contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """Connect for one transaction: all of it is committed, or nothing is."""
    with translated(engine), engine.begin() as connection:
        yield connection


def again_if_busy(write: Callable[P, T]) -> Callable[P, T]:
    """Repeat a function that writes in one transaction if other writers were in its way (a deadlock).

    What it wrote was undone as a whole, so that it can simply start anew, a little later.
    """

    @wraps(write)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        for pause in _BUSY_PAUSES_S:
            try:
                return write(*args, **kwargs)
            except DatabaseBusyError:
                time.sleep(pause * (1 + secrets.randbelow(1000) / 1000))
        return write(*args, **kwargs)

    return repeated
