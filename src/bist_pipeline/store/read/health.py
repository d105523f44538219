"""What the checks of the data found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from bist_pipeline.store.schema import data_health


def read_health(connection: Connection, source: str, session: dt.date) -> Mapping[str, Any] | None:
    """Return the row of `data_health` of one session; None where it was not checked."""
    found = connection.execute(select(data_health).filter_by(source=source, session=session))
    row = found.mappings().one_or_none()
    return None if row is None else dict(row)
