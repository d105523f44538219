"""Hold: before a session is scored, make sure that its features did not break with the session before.

It stands at the start of `score`, not with the rules of `check`: it needs the features, and the record of the
model that is about to use them. So nothing can be published that it has not seen.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from bist_pipeline.config import Settings
from bist_pipeline.contracts import KEY
from bist_pipeline.drift.breaks import BreakReport, check_break
from bist_pipeline.drift.status import Check, Status
from bist_pipeline.errors import DataQualityError, DriftInputError, MissingDataError, ScoringHeldError
from bist_pipeline.lake import open_lake
from bist_pipeline.stages.calibrate import load_calibration, watched_columns
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.stages.watch import record, record_stop
from bist_pipeline.store.drift import read_checks, read_release, write_release
from bist_pipeline.store.engine import connect
from bist_pipeline.tracking import ModelVersion

KEPT = "Nothing was scored; the previous batch stays published."


def require_unbroken(settings: Settings, session: dt.date, model: ModelVersion) -> None:
    """Judge a session's features against the session before; what they say is stored in any case.

    Raises
    ------
    DataQualityError
        If far more values are missing than ever before.
    ScoringHeldError
        If a break is RED and no person has released the session.
    """
    store = open_store(settings)
    checks = judge_break(settings, session, model)
    with connect(store) as connection:
        reason = read_release(connection, settings.source, session)
    blocked = [check for check in checks if check.status is Status.BLOCK]
    held = [check for check in checks if check.status is Status.RED]
    if blocked or (held and reason is None):
        record_stop(settings, store, session, checks, model_version=model.version)
    else:
        record(settings, store, session, checks, model_version=model.version)
    if blocked:
        raise DataQualityError(
            f"{session} is blocked: {blocked[0].message}",
            consequence=KEPT,
            next_step=f"bist ingest --session {session} once the source is repaired, then bist features",
        )
    if held and reason is None:
        raise ScoringHeldError(
            f"{session} is held: {held[0].message}",
            consequence=KEPT,
            next_step=f"bist drift release {session} --reason '…' (if the market really moved), bist score",
        )


def judge_break(settings: Settings, session: dt.date, model: ModelVersion) -> tuple[Check, ...]:
    """Make the daily check of the features; what cannot be judged is an ERROR, never an exception."""
    try:
        return _judge(settings, session, model).checks
    except DriftInputError as error:
        action = "repair what the message names; scoring goes on without this check"
        return (Check("break", Status.ERROR, None, None, None, action, str(error)),)


def release(settings: Settings, session: dt.date, reason: str) -> str:
    """Let a held session be scored; return what the break check had said of it.

    Raises
    ------
    MissingDataError
        If the session is not held.
    """
    store = open_store(settings)
    with connect(store) as connection:
        checks = read_checks(connection, settings.source, until=session)
    held = [c for c in checks if c.session == session and (c.check_name, c.status) == ("break", "RED")]
    if not held:
        raise MissingDataError(
            f"No break holds the session {session} of the source {settings.source}.",
            consequence="Nothing was released.",
            next_step=f"bist drift --session {session} says what is wrong with it",
        )
    row = {"reason": reason, "message": held[0].message, "released_at": dt.datetime.now(dt.UTC)}
    write_release(store, settings.source, session, row)
    return held[0].message


def _judge(settings: Settings, session: dt.date, model: ModelVersion) -> BreakReport:
    calibration, lake = load_calibration(settings, model), open_lake(settings)
    columns = watched_columns(lake)
    keys = lake.read("features", until=session, columns=list(KEY))
    sessions = np.unique(keys["session"])
    first = pd.Series(np.searchsorted(sessions, keys["session"])).groupby(keys["symbol"].to_numpy()).min()
    before = pd.Timestamp(sessions[-2:][0]).date() if len(sessions) else session
    rows = lake.read("features", since=before, until=session, columns=[*KEY, *columns])
    ages = len(sessions) - 1 - first
    return check_break(calibration.breaks, rows, columns, ages=ages, session=session)
