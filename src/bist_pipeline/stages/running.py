"""Run a stage for whoever asks: its log lines say for which session, how it went is stored for monitoring."""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import Any

from sqlalchemy import Engine

from bist_pipeline.config import Settings
from bist_pipeline.errors import SessionError, StoreError
from bist_pipeline.logs import bind
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages import FOLDS, find_stage
from bist_pipeline.store.engine import open_engine
from bist_pipeline.store.migrate import require_schema
from bist_pipeline.store.write import Row, write_stage_run

log = logging.getLogger(__name__)


def run_stage(name: str, settings: Settings, session: dt.date | None, **options: Any) -> Receipt:
    """Run one stage by its name.

    Parameters
    ----------
    name : str
        A stage, or one of the two steps of `folds.py`, of which nothing is stored: `train` is what counts.
    session : date, optional
        None lets `ingest` take the newest one of its source.
    **options
        What the stage takes beside settings and session.
    """
    bind(stage=name, session=session)
    engine = open_engine(settings.database_url)
    run = {"source": settings.source, "session": session, "stage": name, "status": "failed", "rows": 0}
    started = time.perf_counter()
    try:
        receipt = find_stage(name, settings.source)(settings, session, **options)
        if name not in FOLDS:
            bind(session=receipt.session)
            run |= {"session": receipt.session, "status": "done", "rows": receipt.rows}
    except (SessionError, StoreError):
        # As the newest session, a day that is none would hide what is to be watched; and a database that has
        # just refused would refuse this too.
        run["session"] = None
        raise
    finally:
        if run["session"] is not None and name not in FOLDS:
            _store(engine, {**run, "seconds": time.perf_counter() - started})
    return receipt


def _store(engine: Engine, run: Row) -> None:
    """Store how a stage went. A database that takes nothing is no reason to fail what has been done."""
    try:
        require_schema(engine)
        write_stage_run(engine, {**run, "finished_at": dt.datetime.now(dt.UTC)})
    except StoreError as error:
        log.warning("How the stage went is not stored: %s", error.what)
