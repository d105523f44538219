"""Which runs there were."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields

from sqlalchemy import Connection, select

from bist_pipeline.store.read.publications import current_source
from bist_pipeline.store.schema import pipeline_runs, publications


@dataclass(frozen=True)
class RunRecord:
    """One run that published; see the table `pipeline_runs`."""

    run_id: str
    source: str
    session: dt.date
    rows: int
    data_hash: str
    model_name: str
    model_version: str
    code_version: str
    rank_ic: float | None
    finished_at: dt.datetime
    published_at: dt.datetime


def read_runs(connection: Connection, *, before: dt.date | None = None, limit: int) -> list[RunRecord]:
    """Read the runs behind the current source's publications, newest session first, `before` excluded."""
    columns = {
        **{column.name: column for column in pipeline_runs.c},
        "published_at": publications.c.published_at,
    }
    found = (
        select(*(columns[field.name] for field in fields(RunRecord)))
        .select_from(publications.join(pipeline_runs))
        .where(publications.c.source == current_source())
        .order_by(publications.c.session.desc())
        .limit(limit)
    )
    if before is not None:
        found = found.where(publications.c.session < before)
    return [RunRecord(**row) for row in connection.execute(found).mappings()]
