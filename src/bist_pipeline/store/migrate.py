"""Bring a database to the schema of this code: Alembic, called as a library."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, select
from sqlalchemy.sql import column, table

from bist_pipeline.errors import DatabaseUnavailableError, SchemaRevisionError
from bist_pipeline.store.engine import begin, connect
from bist_pipeline.store.schema import REVISION

if TYPE_CHECKING:
    from alembic.config import Config

_VERSION = table("alembic_version", column("version_num"))


def current_revision(connection: Connection) -> str | None:
    """Return the schema revision of a database; None if it was never migrated."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(select(_VERSION.c.version_num))


def require_schema(engine: Engine) -> None:
    """Make sure that the schema is this code's: created if the database is empty, refused otherwise.

    Raises
    ------
    SchemaRevisionError
        If the schema is of another revision, or the database holds tables that are not ours.
    """
    _make_room(engine)
    with connect(engine) as connection:
        revision = current_revision(connection)
        is_empty = revision is None and not inspect(connection).get_table_names()
    if is_empty:
        upgrade(engine)
    elif revision != REVISION:
        raise SchemaRevisionError(
            f"The database schema has revision {revision or 'none'}; this version needs {REVISION}.",
            next_step="bist db upgrade (an older schema), or update bist_pipeline (a newer one)",
        )


def upgrade(engine: Engine, *, to: str = "head") -> None:
    """Run the migrations up to `to`.

    Raises
    ------
    SchemaRevisionError
        If the schema is of a newer version, or an earlier migration broke off half-way.
    """
    from alembic import command

    _make_room(engine)
    with begin(engine) as connection:
        config = _config(connection)
        _refuse_newer(connection, config)
        command.upgrade(config, to)


def downgrade(engine: Engine, *, to: str) -> None:
    """Run the migrations back down to `to` (`base` removes everything)."""
    from alembic import command

    with begin(engine) as connection:
        command.downgrade(_config(connection), to)


def _refuse_newer(connection: Connection, config: Config) -> None:
    """Refuse a schema that none of this version's migrations leads to."""
    from alembic.script import ScriptDirectory

    revision = current_revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaRevisionError(
            f"The database schema has revision {revision}; the newest that this version knows is {REVISION}.",
            consequence="Nothing was changed.",
            next_step="update bist_pipeline, or restore a backup of this version (scripts/restore.sh)",
        )


def _make_room(engine: Engine) -> None:
    """Create the folder of a SQLite file; SQLite itself creates only the file."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    folder = Path(engine.url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailableError(
            f"The database folder {folder} cannot be created: {error}.", next_step="correct BIST_DATABASE_URL"
        ) from error


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", script_location())
    config.attributes["connection"] = connection
    return config


def script_location() -> str:
    """Return the folder of the migrations: `sql/`, installed as `bist_pipeline.sql`."""
    return str(files("bist_pipeline.sql"))
