"""Hold: before a session is scored, make sure that its features did not break with the last good one.

It stands at the start of `score`, not with the rules of `check`: it needs the features, and the record of the
model that is about to use them. So nothing can be published that it has not seen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.config import Settings
from bist_pipeline.contracts import KEY
from bist_pipeline.drift.break_record import REACH
from bist_pipeline.drift.breaks import BreakReport, check_break
from bist_pipeline.drift.findings import QualityReport
from bist_pipeline.drift.policy import STOPPING, find_yardstick, is_covered
from bist_pipeline.drift.status import Check, Status
from bist_pipeline.drift.wording import tell_failure
from bist_pipeline.errors import DataQualityError, DriftInputError, MissingDataError, ScoringHeldError
from bist_pipeline.lake import open_lake
from bist_pipeline.stages.calibrate import load_calibration, watched_columns
from bist_pipeline.stages.check import find_lacking, is_stopped, judge_prices, say_next_step
from bist_pipeline.stages.inputs import open_store, read_prices
from bist_pipeline.stages.stop import record_stop
from bist_pipeline.stages.watch import record, summarise_quality
from bist_pipeline.stages.yardstick import Standing, read_standing
from bist_pipeline.store.drift import StoredCheck, read_checks, write_release
from bist_pipeline.store.engine import connect
from bist_pipeline.tracking import ModelVersion
from bist_pipeline.wording import Wording, join, say

KEPT = "Nothing was scored; the previous batch stays published."


def require_unbroken(settings: Settings, session: dt.date, model: ModelVersion) -> None:
    """Judge a session's features against the last good session; what they say is stored in any case.

    Raises
    ------
    DataQualityError
        If a rule of the stage `check` blocks the prices as they are now, or far more values are missing than
        ever before.
    ScoringHeldError
        If a break is RED and no person has released the session, having seen it.
    """
    store, standing = open_store(settings), read_standing(settings, session)
    quality = summarise_quality(_require_quality(settings, session, standing))
    found = judge_break(settings, session, model)
    checks = (quality, *found.checks)
    blocked = [check for check in found.checks if check.status is Status.BLOCK]
    seen = standing.released.get(session)
    held = [c for c in found.checks if c.status is Status.RED and not is_covered(c.message, seen)]
    if blocked:
        next_step = say(
            "bist ingest --session {day} once the source is repaired, then bist features",
            "kaynak onarılınca: bist ingest --session {day}, ardından bist features",
            day=session,
        )
        report = record_stop(
            settings, session, checks, next_step=next_step, model=model, measures=found.measures
        )
        raise DataQualityError(
            f"{session} is blocked: {blocked[0].message}",
            consequence=f"{KEPT} Report: {report}",
            next_step=next_step.en,
        )
    if held:
        next_step = say(
            "bist drift release {day} --reason '…' (if the market really moved), bist score",
            "bist drift release {day} --reason '…' (piyasa gerçekten hareket ettiyse), ardından bist score",
            day=session,
        )
        report = record_stop(
            settings, session, checks, next_step=next_step, model=model, measures=found.measures
        )
        raise ScoringHeldError(
            f"{session} is held: {held[0].message}",
            consequence=f"{KEPT} Report: {report}",
            next_step=next_step.en,
        )
    record(settings, store, session, checks, model_version=model.version)


def _require_quality(settings: Settings, session: dt.date, standing: Standing) -> QualityReport:
    """Refuse what the rules block, as the prices are now: `check` may not have run, or seen others."""
    quality = judge_prices(read_prices(open_lake(settings), session), session, standing)
    if is_stopped(quality, standing):
        found, next_step = summarise_quality(quality), say_next_step(quality)
        report = record_stop(settings, session, [found], next_step=next_step)
        raise DataQualityError(
            f"{session} is blocked: {found.message}",
            which=found.shares,
            consequence=f"{KEPT} Report: {report}",
            next_step=next_step.en,
        )
    return quality


def judge_break(settings: Settings, session: dt.date, model: ModelVersion) -> BreakReport:
    """Make the daily check of the features; what cannot be judged is an ERROR, never an exception."""
    try:
        return _judge(settings, session, model)
    except DriftInputError as error:
        action = Wording(
            "repair what the message names; scoring goes on without this check",
            "iletide adı geçeni onarın; puanlama bu denetim olmadan sürüyor",
        )
        return BreakReport((Check("break", Status.ERROR, None, None, None, action, tell_failure(error)),), ())


def release(settings: Settings, session: dt.date, reason: str) -> str:
    """Let a stopped session be scored, and later ones be compared with it; return what had stopped it.

    The release covers what the checks say now: where the data changes and they say something else, the
    session is stopped again.

    Raises
    ------
    MissingDataError
        If nothing stops the session.
    DataQualityError
        If it lacks values: these cannot be released, only repaired.
    """
    store = open_store(settings)
    with connect(store) as connection:
        checks = read_checks(connection, settings.source, until=session)
    today = [check for check in checks if check.session == session]
    held = [c for c in today if c.check_name in STOPPING and STOPPING[c.check_name].value == c.status]
    if not held:
        raise MissingDataError(
            f"Nothing holds the session {session} of the source {settings.source}.",
            consequence="Nothing was released.",
            next_step=f"bist drift --session {session} says what is wrong with it",
        )
    _require_releasable(settings, session, held)
    seen = join((check.message for check in held), by="\n")
    row = {"reason": reason, "message": seen, "released_at": dt.datetime.now(dt.UTC)}
    write_release(store, settings.source, session, row)
    return seen.en


def _require_releasable(settings: Settings, session: dt.date, held: Sequence[StoredCheck]) -> None:
    lacking = [check.message.en for check in held if check.check_name == "missing_values"]
    if not lacking and any(check.check_name == "data_quality" for check in held):
        prices = read_prices(open_lake(settings), session)
        quality = judge_prices(prices, session, read_standing(settings, session))
        lacking = [finding.message.en for finding in find_lacking(quality)]
    if lacking:
        raise DataQualityError(
            f"{session} lacks values, which no release brings back: {lacking[0]}",
            consequence="Nothing was released.",
            next_step=f"bist ingest --session {session} once the source is repaired, then repeat",
        )


def _judge(settings: Settings, session: dt.date, model: ModelVersion) -> BreakReport:
    calibration, lake = load_calibration(settings, model), open_lake(settings)
    columns = watched_columns(lake)
    keys = lake.read("features", until=session, columns=list(KEY))
    sessions = np.unique(keys["session"])
    first = pd.Series(np.searchsorted(sessions, keys["session"])).groupby(keys["symbol"].to_numpy()).min()
    days = sessions.astype("datetime64[D]")
    yardstick = _find_yardstick(settings, session, model, days) or session
    both = [
        lake.read("features", since=day, until=day, columns=[*KEY, *columns]) for day in {yardstick, session}
    ]
    return check_break(
        calibration.breaks,
        pd.concat(both),
        columns,
        ages=len(sessions) - 1 - first,
        session=session,
        apart=max(1, len(days) - 1 - int(np.searchsorted(days, np.datetime64(yardstick, "D")))),
    )


def _find_yardstick(
    settings: Settings, session: dt.date, model: ModelVersion, held: NDArray[np.datetime64]
) -> dt.date | None:
    standing = read_standing(settings, session)
    return find_yardstick(
        held,
        session=session,
        good=standing.good,
        stopped=standing.stopped,
        trusted=model.trained_through,
        reach=REACH,
    )
