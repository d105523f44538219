"""Many rows into one table, at the server's own pace where it is allowed.

On MySQL and MariaDB many rows are staged: they go into a temporary table, and one statement carries them
over. With `local_infile` the server reads them from a file, and its count and warnings are checked, because
LOAD DATA LOCAL turns errors into warnings; without it they are sent by statements. All of it is part of the
caller's transaction.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from tempfile import NamedTemporaryFile
from typing import Any

from sqlalchemy import Column, Connection, Double, Insert, MetaData, Table, insert, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import Dialect

from bist_pipeline.errors import StoreError
from bist_pipeline.store.engine import CAN_LOAD_FILES

Row = Mapping[Any, Any]
# Fewer rows than this are faster without a temporary table.
_WORTH_STAGING = 2_000
_CHUNK = 10_000
_UNCHANGED = "Nothing was published; the previous batch stays as it was."
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
_SPECIAL = re.compile(r"[\\\t\n\r\0]")


def upsert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, or update those whose primary key is there; the caller commits.

    Parameters
    ----------
    connection : Connection
        Inside a transaction.
    table : Table
    rows : sequence of mapping
        All with the same columns.

    Raises
    ------
    StoreError
        If a number is not finite, or the server did not take a staged row as it is.
    """
    _refuse_not_finite(table, rows)
    upsert = _upsert(connection.dialect, table)
    # Even without a file: mysqlclient sends the upsert that MySQL 8 wants, "VALUES (…) AS new", row by row.
    if len(rows) >= _WORTH_STAGING and connection.dialect.name != "sqlite":
        _carry_over(connection, table, rows, upsert)
    else:
        _send(connection, rows, upsert)


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows whose primary keys are new; parameters and errors as in `upsert_rows`."""
    _refuse_not_finite(table, rows)
    if len(rows) >= _WORTH_STAGING and _can_load_files(connection):
        _carry_over(connection, table, rows, insert(table))
    else:
        _send(connection, rows, insert(table))


def _send(connection: Connection, rows: Sequence[Row], statement: Insert) -> None:
    for start in range(0, len(rows), _CHUNK):
        connection.execute(statement, rows[start : start + _CHUNK])


def _refuse_not_finite(table: Table, rows: Sequence[Row]) -> None:
    """Refuse NaN and infinities, which SQLite would store as null and MySQL not at all."""
    for column in table.c:
        if isinstance(column.type, Double) and rows and column.name in rows[0]:
            values = [row[column.name] for row in rows]
            if math.isfinite(sum(filter(None, values))):
                continue  # one NaN or infinity would have made it of the sum
            bad = [i for i, value in enumerate(values) if value is not None and not math.isfinite(value)]
            if bad:
                raise StoreError(
                    f"{len(bad)} of {len(rows)} rows for {table.name} have no finite {column.name}.",
                    which=[str(rows[i].get("symbol", i)) for i in bad],
                    consequence=_UNCHANGED,
                )


def _upsert(dialect: Dialect, table: Table) -> Insert:
    if dialect.name == "sqlite":
        lite = sqlite.insert(table)
        return lite.on_conflict_do_update(
            index_elements=list(table.primary_key), set_={c.name: lite.excluded[c.name] for c in table.c}
        )
    statement = mysql.insert(table)
    return statement.on_duplicate_key_update({c.name: statement.inserted[c.name] for c in table.c})


def _can_load_files(connection: Connection) -> bool:
    """Whether both ends allow LOAD DATA LOCAL: the server's setting, and the engine's."""
    if not connection.get_execution_options().get(CAN_LOAD_FILES):
        return False
    return bool(connection.exec_driver_sql("SELECT @@local_infile").scalar())


def _carry_over(connection: Connection, table: Table, rows: Sequence[Row], statement: Insert) -> None:
    """Stage the rows, and run `statement` on all of them at once."""
    columns = [column for column in table.c if column.name in rows[0]]
    # Without indexes: what the server reads is ordered and compared once, when it is carried over.
    staged = Table(
        f"staged_{table.name}",
        MetaData(),
        *(Column(column.name, column.type) for column in columns),
        prefixes=["TEMPORARY"],
        **table.kwargs,
    )
    drop = f"DROP TEMPORARY TABLE IF EXISTS {staged.name}"
    connection.exec_driver_sql(drop)  # a pooled connection may still hold that of a transaction undone
    staged.create(connection, checkfirst=False)
    if _can_load_files(connection):
        _load(connection, staged, rows)
    else:
        _send(connection, rows, insert(staged))
    ordered = select(staged).order_by(*(staged.c[column.name] for column in table.primary_key))
    connection.execute(statement.from_select(staged.c.keys(), ordered))
    connection.exec_driver_sql(drop)


def _load(connection: Connection, staged: Table, rows: Sequence[Row]) -> None:
    names = ", ".join(map(connection.dialect.identifier_preparer.quote, staged.c.keys()))
    with NamedTemporaryFile("w", encoding="utf-8", newline="", suffix=".tsv") as file:
        for lines in _encode(connection.dialect, staged, rows):
            file.write(lines)
        file.flush()
        loaded = connection.exec_driver_sql(
            f"LOAD DATA LOCAL INFILE %s INTO TABLE {staged.name} CHARACTER SET utf8mb4 ({names})",
            (file.name,),
        ).rowcount
    warnings = connection.exec_driver_sql("SHOW WARNINGS LIMIT 3").all()
    if loaded != len(rows) or warnings:
        raise StoreError(
            f"The database took {loaded} of {len(rows)} rows for {staged.name} from a file, and said: "
            f"{'; '.join(text for _, _, text in warnings) or 'nothing'}.",
            consequence=_UNCHANGED,
        )


def _encode(dialect: Dialect, table: Table, rows: Sequence[Row]) -> Iterator[str]:
    """Yield the rows as LOAD DATA reads them by default: tabs between values, special characters escaped."""
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        columns = [_encode_column(dialect, column, [row[column.name] for row in chunk]) for column in table.c]
        yield "".join("\t".join(line) + "\n" for line in zip(*columns, strict=True))


def _encode_column(dialect: Dialect, column: Column[Any], values: Sequence[Any]) -> Iterable[str]:
    # What SQLAlchemy would bind is what is written: both ways store the same.
    bind = column.type.dialect_impl(dialect).bind_processor(dialect)
    bound = [bind(value) for value in values] if bind else values
    kinds = set(map(type, bound))
    if kinds <= {int, float}:
        return map(repr, bound)
    if kinds == {str} and not _SPECIAL.search("".join(bound)):
        return bound
    if kinds == {dt.date}:
        texts = {day: str(day) for day in set(bound)}  # one session for a whole batch
        return map(texts.__getitem__, bound)
    return map(_as_text, bound)


def _as_text(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value).translate(_ESCAPES)
