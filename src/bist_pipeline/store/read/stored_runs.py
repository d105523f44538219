"""Whole runs as they are stored: what they were made from, and every row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from bist_pipeline.store.schema import pipeline_runs, predictions, publications


@dataclass(frozen=True)
class StoredRun:
    """A run and its batch, best rank first; `facts_hash` is empty without reported figures."""

    run_id: str
    source: str
    session: dt.date
    data_hash: str
    facts_hash: str
    calendar_hash: str
    model_name: str
    model_version: str
    code_version: str
    rows: tuple[Mapping[str, Any], ...]


def read_run(connection: Connection, run_id: str) -> StoredRun | None:
    """Read a run with its batch; None if it is not stored, or another one has taken its place."""
    names = [name for name in StoredRun.__dataclass_fields__ if name != "rows"]
    facts = select(*(pipeline_runs.c[name] for name in names)).where(pipeline_runs.c.run_id == run_id)
    run = connection.execute(facts).mappings().one_or_none()
    if run is None:
        return None
    found = connection.execute(
        select(predictions).where(predictions.c.run_id == run_id).order_by(predictions.c.rank)
    )
    return StoredRun(**run, rows=tuple(dict(row) for row in found.mappings()))


def read_run_ids(connection: Connection) -> list[str]:
    """Return the ids of all stored runs, newest session first."""
    newest_first = (pipeline_runs.c.session.desc(), pipeline_runs.c.run_id)
    return list(connection.scalars(select(pipeline_runs.c.run_id).order_by(*newest_first)))


def read_published_run(
    connection: Connection, source: str, session: dt.date | None = None
) -> StoredRun | None:
    """Read the published run of a source for a session, the newest by default; None without one."""
    wanted = select(publications.c.run_id).where(publications.c.source == source)
    if session is not None:
        wanted = wanted.where(publications.c.session == session)
    run_id = connection.scalar(wanted.order_by(publications.c.session.desc()).limit(1))
    return None if run_id is None else read_run(connection, run_id)
