"""The drift report of a session: gather what the checks left behind, for `reports.drift` to lay out."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.contracts import KEY
from bist_pipeline.drift.breaks import FeatureBreak
from bist_pipeline.drift.calibration import Calibration
from bist_pipeline.drift.replays import CURRENT_SESSIONS
from bist_pipeline.drift.report import (
    WEEK,
    WEEKS_SHOWN,
    FeatureStory,
    ScoreEffect,
    measure_scores,
    tell_features,
)
from bist_pipeline.drift.status import Status
from bist_pipeline.drift.summary import summarise
from bist_pipeline.errors import DriftInputError, FeatureSchemaError
from bist_pipeline.events import find_events
from bist_pipeline.lake import Lake, open_lake
from bist_pipeline.market.panel import Sessions
from bist_pipeline.model.pipeline import explain
from bist_pipeline.reports.drift import CheckLine, Report
from bist_pipeline.stages.calibrate import score_sessions, watched_columns
from bist_pipeline.stages.watch import NEAR_SESSIONS, find_near_events, read_since
from bist_pipeline.store.drift import RetrainRequest
from bist_pipeline.tracking import ModelVersion, Registry
from bist_pipeline.wording import Wording


def build_report(
    settings: Settings,
    session: dt.date,
    model: ModelVersion,
    calibration: Calibration | None,
    ic: pd.Series,
    *,
    status: Status,
    told: Wording,
    checks: Sequence[CheckLine],
    measures: Sequence[FeatureBreak],
    asked: Sequence[RetrainRequest],
) -> Report:
    """Gather the report; there is one whatever was found: without a calibration it holds the checks alone."""
    lake = open_lake(settings)
    story = effect = None
    if calibration is not None:
        pipeline = Registry(settings).load(model)
        story = _tell_features(lake, pipeline, calibration, session, checks)
        effect = _measure_scores(lake, pipeline, calibration, session)
    knows_events = settings.source != "synthetic"
    first = story.weeks[0].session if story else session
    since = read_since(settings, session)
    near = find_near_events(session, since.values()) if knows_events else []
    shown = find_events(first, session, bist_calendar(), within=NEAR_SESSIONS) if knows_events else []
    return Report(
        session=session,
        source=settings.source,
        status=status,
        told=told,
        checks=[replace(line, since=since.get(line.name)) for line in checks],
        model=f"{model.name} {model.version}",
        trained_through=model.trained_through,
        story=story,
        scores=effect,
        ic_before=calibration.daily_ic if calibration else np.empty(0),
        ic_since=ic[ic.index >= pd.Timestamp(model.trained_through)].to_numpy(),
        events=sorted({*shown, *near}, key=lambda event: event.day),
        near=near,
        knows_events=knows_events,
        measures=measures,
        asked=asked,
    )


def _tell_features(
    lake: Lake,
    pipeline: Pipeline,
    calibration: Calibration,
    session: dt.date,
    checks: Sequence[CheckLine],
) -> FeatureStory | None:
    """The story up to the newest weekly check; None where that check could not be made."""
    newest = max((line.session for line in checks if line.name == "features"), default=session)
    columns = list(watched_columns(lake))
    window = _newest_sessions(lake, newest, WEEK * WEEKS_SHOWN + CURRENT_SESSIONS)
    rows = lake.read("features", since=window[0].item(), until=newest, columns=[*KEY, "tradable", *columns])
    try:
        return tell_features(
            calibration.features,
            summarise(rows, columns, until=newest),
            session=newest,
            champion_session=calibration.session,
            importance=_weigh(lake, pipeline, session),
        )
    except DriftInputError:
        return None  # the check itself says why, as an ERROR


def _weigh(lake: Lake, pipeline: Pipeline, session: dt.date) -> dict[str, float]:
    """Share of each raw feature in what moves the scores of a session's shares."""
    columns = pipeline[0].columns
    rows = lake.read("features", since=session, until=session, columns=[*KEY, "tradable", *columns])
    try:
        drivers = explain(pipeline, rows[rows["tradable"].to_numpy(dtype=bool)], top=len(columns))
    except FeatureSchemaError:
        return {}
    weights: dict[str, float] = defaultdict(float)
    for share in drivers:
        for driver in share:
            weights[driver["feature"].removesuffix("_rank")] += abs(driver["contribution"])
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()} if total else {}


def _measure_scores(
    lake: Lake, pipeline: Pipeline, calibration: Calibration, session: dt.date
) -> ScoreEffect | None:
    then = calibration.scores.raw
    scores = score_sessions(lake, pipeline, _newest_sessions(lake, session, CURRENT_SESSIONS))
    return measure_scores(then[:, 0], scores) if then.size and len(scores) else None


def _newest_sessions(lake: Lake, until: dt.date, count: int) -> Sessions:
    days = sorted(day for day in lake.require("features").sessions if day <= str(until))
    return np.array(days[-count:], dtype="datetime64[D]")
