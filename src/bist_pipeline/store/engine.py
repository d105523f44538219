"""One way to reach the database, whichever it is, and one way to say that it cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, ProgrammingError

from bist_pipeline.errors import ConfigError, DatabaseUnavailableError, SchemaRevisionError, StoreError

_CONNECT_TIMEOUT_S = 5
_SQLITE_BUSY_MS = 15_000
_MYSQL_NO_SUCH_TABLE = 1146


def open_engine(url: str) -> Engine:
    """Create the engine for `url`; nothing is contacted yet.

    Parameters
    ----------
    url : str
        `sqlite:///…` or `mysql+mysqldb://…` (MySQL and MariaDB).

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
            return _open_mysql(url)
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
    engine = create_engine(url, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {_SQLITE_BUSY_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        # Readers keep seeing the old batch while a writer replaces it.
        connection.execute("PRAGMA journal_mode = WAL")

    return engine


def _open_mysql(url: str) -> Engine:
    return create_engine(
        url,
        pool_pre_ping=True,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, "charset": "utf8mb4"},
    )


@contextmanager
def connect(engine: Engine) -> Iterator[Connection]:
    """Connect for reading; database failures leave as errors that name the next command."""
    with _translated(engine), engine.connect() as connection:
        yield connection


@contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """Connect for one transaction: all of it is committed, or nothing is."""
    with _translated(engine), engine.begin() as connection:
        yield connection


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    where = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        if _is_missing_table(error):
            raise SchemaRevisionError(
                f"The database {where} lacks a table this version needs ({error.orig}).",
                next_step="bist db upgrade",
            ) from error
        raise DatabaseUnavailableError(
            f"The database {where} does not answer as it should: {error.orig}.",
            consequence="Nothing was published; the previous batch stays as it was.",
            next_step="start the database or correct BIST_DATABASE_URL, then repeat the command",
        ) from error
    except DBAPIError as error:
        raise StoreError(
            f"The database {where} refused a statement: {error.orig}.",
            consequence="Nothing was published; the previous batch stays as it was.",
        ) from error


def _is_missing_table(error: DBAPIError) -> bool:
    code = error.orig.args[0] if error.orig and error.orig.args else None
    return code == _MYSQL_NO_SUCH_TABLE or "no such table" in str(error.orig)
