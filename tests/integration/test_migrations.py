"""The schema on real servers: up, down, up, and nothing that the code knows and the migrations do not."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from bist_pipeline.errors import SchemaRevisionError
from bist_pipeline.store.engine import begin, connect, open_engine
from bist_pipeline.store.migrate import current_revision, downgrade, require_schema, script_location, upgrade
from bist_pipeline.store.schema import REVISION, metadata

VIEWS = list(Path(script_location()).glob("views/*.sql"))


def test_up_down_up_leaves_exactly_the_tables_and_views_of_the_schema(database_url):
    engine = open_engine(database_url)

    upgrade(engine)
    downgrade(engine, to="base")
    with connect(engine) as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
        assert inspect(connection).get_view_names() == []
    upgrade(engine)

    with connect(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
        assert set(inspect(connection).get_view_names()) == {file.stem for file in VIEWS}
        assert current_revision(connection) == REVISION


def test_every_view_says_who_reads_it():
    assert len(VIEWS) >= 2
    for file in VIEWS:
        assert file.read_text(encoding="utf-8").startswith("-- ")
        assert "-- Read by " in file.read_text(encoding="utf-8")


def test_the_code_expects_the_newest_migration():
    assert ScriptDirectory(script_location()).get_current_head() == REVISION


def test_an_empty_database_is_migrated_on_first_use(database_url):
    engine = open_engine(database_url)

    require_schema(engine)

    with connect(engine) as connection:
        assert current_revision(connection) == REVISION


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_a_schema_of_another_revision_is_refused(database_url, revision):
    engine = open_engine(database_url)
    upgrade(engine)
    with begin(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})

    with pytest.raises(SchemaRevisionError, match=revision) as caught:
        require_schema(engine)

    assert "bist db upgrade" in caught.value.next_step
