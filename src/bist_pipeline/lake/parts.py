"""The files of a data set: one table from many of them, and one more of them from a table."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import IO, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bist_pipeline.lake.content import in_order
from bist_pipeline.lake.storage import Storage
from bist_pipeline.lake.version import Part

# Small enough that one session of a large file is read without the rest of it.
_ROW_GROUP = 131_072


def read_parts(
    storage: Storage,
    folder: str,
    parts: Sequence[Part],
    *,
    first: str = "",
    last: str = "9999",
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Read the sessions (ISO dates) from `first` to `last` that count, in order of session and symbol.

    Parameters
    ----------
    columns : sequence of str, optional
        With `session` and `symbol` among them: files may overlap, and then they order the rows.
    """
    wanted = [(part, [day for day in part.sessions if first <= day <= last]) for part in parts]
    # Where no row is wanted, one file still says which columns there are.
    chosen = [(part, days) for part, days in wanted if days] or wanted[-1:]
    with storage.reading():
        tables = [_read_part(storage, folder, part, days, columns) for part, days in chosen]
        frame = cast(pd.DataFrame, pa.concat_tables(tables, promote_options="default").to_pandas())
    return frame if frame["session"].is_monotonic_increasing else in_order(frame)


def add_part(storage: Storage, folder: str, frame: pd.DataFrame, sessions: Mapping[str, str]) -> Part:
    """Write a frame that is in order as one more file; `sessions` are the hashes of all of its sessions."""
    file = f"{min(sessions)}_{max(sessions)}.{secrets.token_hex(8)}.parquet"
    storage.add(f"{folder}/{file}", lambda out: _dump(frame, out))
    return Part(file, held=len(sessions), sessions=dict(sessions))


def _read_part(
    storage: Storage, folder: str, part: Part, days: Sequence[str], columns: Sequence[str] | None
) -> pa.Table:
    with storage.open(f"{folder}/{part.file}") as file:
        return pq.read_table(
            file,
            columns=list(columns) if columns else None,
            filters=_rows_of(days) if len(days) < part.held else None,
            page_checksum_verification=True,
        )


def _rows_of(days: Sequence[str]) -> pc.Expression:
    session, wanted = pc.field("session"), pa.array(pd.to_datetime(list(days)))
    if not days:
        return session.isin(wanted)
    # The bounds are what lets Parquet skip what lies outside.
    return (session >= wanted[0]) & (session <= wanted[-1]) & session.isin(wanted)


def _dump(frame: pd.DataFrame, file: IO[bytes]) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    pq.write_table(
        table,
        file,
        compression="zstd",
        use_byte_stream_split=floats,
        use_dictionary=[name for name in table.column_names if name not in floats],
        row_group_size=_ROW_GROUP,
        write_page_checksum=True,
    )
