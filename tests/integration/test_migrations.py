"""The schema on real servers: up, down, up, and nothing that the code knows and the migrations do not."""

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Date, Double, String, event, inspect, select, text

from bist_pipeline.errors import SchemaRevisionError
from bist_pipeline.store.engine import begin, connect, open_engine
from bist_pipeline.store.migrate import current_revision, downgrade, require_schema, script_location, upgrade
from bist_pipeline.store.schema import COLLATION, REVISION, UTCDateTime, metadata
from bist_pipeline.wording import Wording

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


def test_a_schema_of_a_newer_version_is_not_migrated(database_url):
    engine = open_engine(database_url)
    upgrade(engine)
    with begin(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SchemaRevisionError, match=f"revision 9999; .* knows is {REVISION}") as caught:
        upgrade(engine)

    assert "update bist_pipeline" in caught.value.next_step
    with connect(engine) as connection:
        assert current_revision(connection) == "9999"


def test_a_migration_that_broke_off_is_refused_by_everyone_and_by_itself(server_url):
    engine = open_engine(server_url)
    upgrade(engine, to="0001")

    @event.listens_for(engine, "before_cursor_execute")
    def lose_power(connection, cursor, statement, *_):
        if statement.startswith("UPDATE alembic_version"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upgrade(engine)
    event.remove(engine, "before_cursor_execute", lose_power)
    with connect(engine) as connection:
        left = set(inspect(connection).get_table_names())
        assert current_revision(connection) == "0001"

    with pytest.raises(SchemaRevisionError, match="revision 0001"):
        require_schema(engine)
    with pytest.raises(SchemaRevisionError, match="parts of a migration that broke off") as caught:
        upgrade(engine)

    assert "scripts/restore.sh" in caught.value.next_step
    with connect(engine) as connection:
        assert set(inspect(connection).get_table_names()) == left


def test_texts_of_before_stand_in_english_for_both_languages_and_come_back_as_they_were(database_url):
    engine = open_engine(database_url)
    upgrade(engine, to="0007")
    long = "Mean rank IC −0.012, \"quoted\" and 'quoted'.\nSecond line: " + "x" * 150
    about = "'files', '2024-06-28'"
    rows = {
        "data_health": f"{about}, 'OK', :text, 1, 1, 1, 0, 0, '', '2024-06-28 16:00:00'",
        "model_decisions": f"1, '2024-06-28 16:00:00', {about}, 'm', '2', '1', true, :text",
        "drift_runs": f"{about}, 'OK', :text, NULL, NULL, '2', '2024-06-28 16:00:00'",
        "drift_releases": f"{about}, 'reason', :text, '2024-06-28 16:00:00'",
    }
    columns = {"model_decisions": "reasons", "drift_releases": "message", "drift_checks": "message"}
    rows["drift_checks"] = f"{about}, 'break', 'RED', 2, 0.1, 1, 1, :action, :text, '', '2024-06-28 16:00:00'"
    said = {"text": long, "action": long[-200:]}
    with begin(engine) as connection:
        for table, values in rows.items():
            connection.execute(text(f"INSERT INTO {table} VALUES ({values})"), said)  # noqa: S608

    upgrade(engine)
    with connect(engine) as connection:
        for table in rows:
            column = columns.get(table, "summary")
            assert connection.scalar(select(metadata.tables[table].c[column])) == Wording(long, long)
    downgrade(engine, to="0007")

    with connect(engine) as connection:
        for table in rows:
            column = columns.get(table, "summary")
            assert connection.scalar(text(f"SELECT {column} FROM {table}")) == long  # noqa: S608
        assert connection.scalar(text("SELECT action FROM drift_checks")) == said["action"]


def told(engine, question: str) -> list[tuple]:
    """Rows of information_schema whose first column is one of our tables."""
    with connect(engine) as connection:
        found = connection.execute(text(f"{question} WHERE table_schema = DATABASE()"))
        return [tuple(row) for row in found if row[0] in metadata.tables]


def test_servers_keep_what_the_schema_promises_about_text_times_numbers_and_names(server_url):
    engine = open_engine(server_url)
    upgrade(engine)

    tables = told(engine, "SELECT table_name, engine, table_collation FROM information_schema.tables")
    assert {name for name, *_ in tables} == set(metadata.tables)
    assert {tuple(rest) for _, *rest in tables} == {("InnoDB", COLLATION)}

    columns = told(
        engine,
        "SELECT table_name, column_name, data_type, datetime_precision, collation_name "
        "FROM information_schema.columns",
    )
    promised = {UTCDateTime: ("datetime", 6), Date: ("date", None), Double: ("double", None)}
    met = {type(metadata.tables[table].c[column].type) for table, column, *_ in columns}
    assert set(promised) < met
    for table, column, kind, digits, collation in columns:
        place, ours = f"{table}.{column}", metadata.tables[table].c[column].type
        if type(ours) in promised:
            # MariaDB calls the precision of a date 0 where MySQL has none.
            assert (kind, digits or None) == promised[type(ours)], place
        if isinstance(ours, String):
            assert collation == COLLATION, place

    # A primary key is called PRIMARY on these servers, whatever name it is given.
    constraints = told(engine, "SELECT table_name, constraint_name FROM information_schema.table_constraints")
    indexes = told(engine, "SELECT table_name, index_name FROM information_schema.statistics")
    named = {(table, name) for table, name in [*constraints, *indexes] if name != "PRIMARY"}
    assert {name[:3] for _, name in named} >= {"fk_", "ix_"}
    # MariaDB keeps JSON as text with a check that it adds by itself, called like the column.
    own = {(table, name) for table, name in named if name not in metadata.tables[table].c}
    assert [name for table, name in own if not re.match(f"(fk|ix|uq|ck)_{table}_", name)] == []
