"""What a database's refusals mean, in our own errors: one table of codes, and the command that leads on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import (
    DBAPIError,
    OperationalError,
    ProgrammingError,
    StatementError,
    TimeoutError,  # noqa: A004 - of the pool: every connection is in use
)

from bist_pipeline.errors import (
    DatabaseBusyError,
    DatabaseFullError,
    DatabaseRightsError,
    DatabaseUnavailableError,
    SchemaRevisionError,
    StoreError,
)

_UNCHANGED = "Nothing was published; the previous batch stays as it was."
# A connection may be lost after the server has taken the commit, and before it could say so.
_UNCERTAIN = "The batch was published whole or not at all; repeating the command replaces it."


@dataclass(frozen=True)
class _Kind:
    """A kind of refusal: the server's codes for it, or SQLite's words."""

    error: type[StoreError]
    says: str
    next_step: str
    codes: frozenset[int]
    words: tuple[str, ...] = ()
    consequence: str = _UNCHANGED


# https://mariadb.com/docs/server/reference/error-codes and https://dev.mysql.com/doc/mysql-errors/9.7/en/
_KINDS = (
    _Kind(
        SchemaRevisionError,
        "lacks a table or column this version needs",
        "bist db upgrade",
        frozenset({1054, 1146}),
        words=("no such table", "no such column", "has no column"),
    ),
    # A server commits each change of a schema at once: what a migration did before it broke off stays.
    _Kind(
        SchemaRevisionError,
        "holds parts of a migration that broke off",
        "scripts/restore.sh with the backup made before, or an empty database; then bist db upgrade",
        frozenset({1050, 1060, 1061, 1091, 1826}),
        words=("already exists", "duplicate column name"),
        consequence="No row was changed.",
    ),
    _Kind(
        DatabaseBusyError,
        "is held by another writer",
        "repeat the command when the other writer is done",
        frozenset({1205, 1213}),
        words=("database is locked", "database table is locked"),
    ),
    _Kind(
        DatabaseFullError,
        "has no room left",
        "free or add disk space on the database's machine, then repeat the command",
        frozenset({3, 28, 1021, 1026, 1030, 1114}),
        words=("database or disk is full",),
    ),
    _Kind(
        DatabaseRightsError,
        "refuses this user",
        "set BIST_DATABASE_URL to a user that may: the pipeline's to write rows (see sql/grants.sql), "
        "the database's owner for bist db upgrade",
        frozenset({1044, 1142, 1143, 1227, 1290}),
        words=("readonly database",),
    ),
    _Kind(
        DatabaseUnavailableError,
        "broke the connection",
        "look whether the database still runs, then repeat the command",
        frozenset({2006, 2013, 2055, 1053, 1927}),
        consequence=_UNCERTAIN,
    ),
)


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn what the driver raises inside into errors that name the database and the next command."""
    where = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except DBAPIError as error:
        raise _explain(where, error) from error
    except TimeoutError as error:
        raise DatabaseUnavailableError(
            f"Every connection to the database {where} is in use: {error}.",
            consequence=_UNCHANGED,
            next_step="repeat the command",
        ) from error
    except StatementError as error:
        raise StoreError(
            f"A value cannot be stored in the database {where}: {error.orig}.", consequence=_UNCHANGED
        ) from error


def _explain(where: str, error: DBAPIError) -> StoreError:
    for kind in _KINDS:
        if _is_of(kind, error):
            return kind.error(
                f"The database {where} {kind.says}: {error.orig}.",
                consequence=kind.consequence,
                next_step=kind.next_step,
            )
    if isinstance(error, (OperationalError, ProgrammingError)):
        return DatabaseUnavailableError(
            f"The database {where} does not answer as it should: {error.orig}.",
            consequence=_UNCHANGED,
            next_step="start the database or correct BIST_DATABASE_URL, then repeat the command",
        )
    return StoreError(f"The database {where} refused a statement: {error.orig}.", consequence=_UNCHANGED)


def _is_of(kind: _Kind, error: DBAPIError) -> bool:
    code = error.orig.args[0] if error.orig and error.orig.args else None
    return code in kind.codes or any(word in str(error.orig) for word in kind.words)
