"""How the newest run of every stage went."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields

from sqlalchemy import Connection, and_, func, select

from bist_pipeline.store.schema import stage_runs


@dataclass(frozen=True)
class StageRun:
    """How one stage went for one session; see the table `stage_runs`."""

    stage: str
    session: dt.date
    status: str
    rows: int
    seconds: float
    finished_at: dt.datetime


def read_stage_runs(connection: Connection) -> list[StageRun]:
    """Read the newest session of every stage, of the source that something last ran for."""
    ran_last = select(stage_runs.c.source).order_by(stage_runs.c.finished_at.desc()).limit(1)
    newest = (
        select(stage_runs.c.source, stage_runs.c.stage, func.max(stage_runs.c.session).label("session"))
        .where(stage_runs.c.source == ran_last.scalar_subquery())
        .group_by(stage_runs.c.source, stage_runs.c.stage)
        .subquery()
    )
    is_newest = and_(*(stage_runs.c[column.name] == column for column in newest.c))
    found = select(*(stage_runs.c[field.name] for field in fields(StageRun))).join(newest, is_newest)
    return [StageRun(**row) for row in connection.execute(found.order_by(stage_runs.c.stage)).mappings()]
