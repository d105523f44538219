"""Rows that are staged, by a file or not, arrive exactly as those that are sent, whatever is in them."""

import datetime as dt
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import JSON, Boolean, Column, Date, Double, Integer, MetaData, String, Table, delete, select

from bist_pipeline.errors import StoreError
from bist_pipeline.store import bulk
from bist_pipeline.store.bulk import insert_rows, upsert_rows
from bist_pipeline.store.engine import begin, open_engine
from bist_pipeline.store.schema import COLLATION, UTCDateTime
from tests.publishing import before

pytestmark = pytest.mark.integration

values = Table(
    "many_kinds",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("words", String(200)),
    Column("number", Double),
    Column("flag", Boolean),
    Column("day", Date),
    Column("moment", UTCDateTime),
    Column("facts", JSON),
    mysql_charset="utf8mb4",
    mysql_collate=COLLATION,
    mysql_engine="InnoDB",
)

NASTY = [
    "",
    "\\N",
    "NULL",
    "\\",
    "\t",
    "a\nb",
    "\r\n",
    "\x00",
    "'\"`",
    "ığüşöçİ",
    "\\t",
    "%s :x",
    "🐂",
    "\x1a",
]
words = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
numbers = st.floats(allow_nan=False, allow_infinity=False)
facts = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
rows = st.fixed_dictionaries(
    {
        "words": st.none() | words,
        "number": st.none() | numbers,
        "flag": st.none() | st.booleans(),
        "day": st.none() | st.dates(),
        "moment": st.none() | st.datetimes(timezones=st.just(dt.UTC)),
        "facts": facts,
    }
)
nasty_rows = [
    {"words": w, "number": 5e-324, "flag": True, "day": None, "moment": None, "facts": {w: [w]}}
    for w in NASTY
]


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def engine(request):
    server = open_engine(request.getfixturevalue(request.param))
    with begin(server) as connection:
        connection.exec_driver_sql("CREATE DATABASE bist_values")
    url = server.url.set(database="bist_values").render_as_string(hide_password=False)
    engine = open_engine(url, can_load_files=True)
    values.create(engine)
    yield engine
    engine.dispose()
    with begin(server) as connection:
        connection.exec_driver_sql("DROP DATABASE bist_values")
    server.dispose()


def store(
    connection, put, given: list[dict[str, Any]], *, staged: bool = True, by_file: bool = True
) -> list[Any]:
    """What the database holds of the rows, to the last byte."""
    connection.execute(delete(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "_WORTH_STAGING", 1 if staged else 10**9)
        if not by_file:
            patch.setattr(bulk, "_can_load_files", lambda _: False)
        put(connection, values, given)
    stored = connection.execute(select(values).order_by(values.c.id)).all()
    exact = connection.exec_driver_sql("SELECT HEX(words), HEX(CAST(facts AS CHAR)) FROM many_kinds")
    return [stored, sorted(map(repr, exact))]


@example(nasty_rows)
@given(st.lists(rows, min_size=1, max_size=20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_way_stores_the_same(engine, given_rows):
    numbered = [{"id": i, **row} for i, row in enumerate(given_rows)]
    loaded = before(engine, "LOAD DATA", lambda _: None, times=10**9)
    staged = before(engine, "\nCREATE TEMPORARY TABLE", lambda _: None, times=10**9)

    with begin(engine) as connection:
        by_statements = store(connection, insert_rows, numbered, staged=False)
        by_file = store(connection, insert_rows, numbered)
        updated = store(connection, upsert_rows, numbered)
        without_file = store(connection, upsert_rows, numbered, by_file=False)

    assert (len(loaded), len(staged)) == (2, 3)
    assert by_file == by_statements
    assert updated == by_statements
    assert without_file == by_statements
    for row, stored in zip(numbered, by_file[0], strict=True):
        assert (stored.words, stored.number, stored.flag, stored.day) == (
            row["words"],
            row["number"],
            row["flag"],
            row["day"],
        )
        assert stored.moment == row["moment"]
        assert json.dumps(stored.facts, sort_keys=True) == json.dumps(row["facts"], sort_keys=True)


@pytest.mark.parametrize(("staged", "by_file"), [(False, False), (True, False), (True, True)])
def test_an_upsert_replaces_what_is_there_and_keeps_the_rest(engine, staged, by_file, monkeypatch):
    empty = {"number": None, "flag": None, "day": None, "moment": None, "facts": None}
    with begin(engine) as connection:
        old_rows = [{"id": i, "words": "old", **empty} for i in (1, 2)]
        old = store(connection, insert_rows, old_rows, staged=False)
        assert [row.words for row in old[0]] == ["old", "old"]
        monkeypatch.setattr(bulk, "_WORTH_STAGING", 1 if staged else 10**9)
        monkeypatch.setattr(bulk, "_can_load_files", lambda _: by_file)
        upsert_rows(connection, values, [{"id": i, "words": "new", **empty} for i in (2, 3)])
        stored = connection.execute(select(values.c.id, values.c.words).order_by(values.c.id)).all()

    assert [tuple(row) for row in stored] == [(1, "old"), (2, "new"), (3, "new")]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_by_name(engine, bad):
    with (
        pytest.raises(StoreError, match="1 of 2 rows for many_kinds have no finite number"),
        begin(engine) as connection,
    ):
        insert_rows(connection, values, [{"id": 1, "number": 0.5}, {"id": 2, "number": bad}])


def test_a_value_the_server_would_bend_is_refused(engine):
    """LOAD DATA LOCAL cuts what is too long, and only warns."""
    rows = [{"id": i, "words": "x" * 201} for i in range(2_000)]

    with pytest.raises(StoreError, match="Data truncated"), begin(engine) as connection:
        insert_rows(connection, values, rows)


def test_many_upserts_are_not_sent_row_by_row(engine):
    """The driver sends many rows as one statement only where it recognises the statement."""
    empty = {"words": None, "number": None, "flag": None, "day": None, "moment": None, "facts": None}
    with open_engine(engine.url.render_as_string(hide_password=False)).begin() as connection:
        asked = "SHOW SESSION STATUS LIKE 'Questions'"
        before_it = int(connection.exec_driver_sql(asked).one()[1])
        upsert_rows(connection, values, [{"id": i, **empty} for i in range(2_000)])
        questions = int(connection.exec_driver_sql(asked).one()[1]) - before_it
        connection.execute(delete(values))

    assert questions < 20
