"""Calibrate: with a new champion, and frozen with it, learn what is usual for the drift checks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from hashlib import blake2b

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.contracts import KEY
from bist_pipeline.drift.calibration import (
    MOVE,
    RELATED_MOVE,
    SCORE,
    Calibration,
    build_calibration,
    from_bytes,
    hash_columns,
    to_bytes,
)
from bist_pipeline.drift.moves import relate_to_before
from bist_pipeline.drift.performance import compute_daily_ic
from bist_pipeline.errors import DriftInputError, MissingDataError
from bist_pipeline.features import fundamentals, long_horizon
from bist_pipeline.features.registry import REGISTRY
from bist_pipeline.lake import Lake, open_lake
from bist_pipeline.market.panel import Panel, Sessions, compute_moves, look_up
from bist_pipeline.stages.inputs import open_store, read_market
from bist_pipeline.stages.yardstick import read_standing
from bist_pipeline.store.drift import StoredCalibration, read_calibration, write_calibration
from bist_pipeline.store.engine import connect
from bist_pipeline.tracking import ModelVersion, Registry
from bist_pipeline.wording import say

# All that the replays of the score check look back on, and how much of it is scored at a time.
SCORED_SESSIONS = 1_050
CHUNK_SESSIONS = 126
WATCHED_FAMILIES = (long_horizon.FAMILY, fundamentals.FAMILY)


def calibrate(
    settings: Settings, model: ModelVersion, out_of_sample: Callable[[], pd.DataFrame]
) -> tuple[str, ...]:
    """Build the calibration of a champion from what was known when it was trained, unless it has one.

    One that cannot be used, being damaged, of other features or of an older format, is built anew.

    Parameters
    ----------
    settings : Settings
    model : ModelVersion
        Promoted, of the configured source.
    out_of_sample : callable
        Returns `session, symbol, score` of the champion's recipe, on sessions that it was not trained on.
        Called only if a calibration is built.

    Returns
    -------
    tuple of str
        What people should know; empty if all went well. Data that cannot be calibrated on leaves the champion
        without a calibration, and every drift check says so.
    """
    store, lake = open_store(settings), open_lake(settings)
    if _is_calibrated(settings, model):
        return ()
    try:
        calibration = _build(settings, model, out_of_sample())
    except DriftInputError as error:
        return (f"the model has no drift calibration: {error.what}",)
    content = to_bytes(calibration)
    file = f"drift/{model.name}-{model.version}.npz"
    lake.keep(file, content)
    write_calibration(store, settings.source, _describe(calibration, model, content, file))
    return ()


def load_calibration(settings: Settings, model: ModelVersion) -> Calibration:
    """Load the calibration of a model, checked against the features of the lake.

    Raises
    ------
    DriftInputError
        If the model has none, it is damaged, or it was built for other features.
    LakeUnavailableError
        If the lake does not answer: that says nothing about the calibration, and may pass.
    """
    lake = open_lake(settings)
    with connect(open_store(settings)) as connection:
        known = read_calibration(connection, settings.source, name=model.name, version=model.version)
    called = say("{name} version {version}", "{name} sürüm {version}", name=model.name, version=model.version)
    build = f"bist train --session {model.trained_through} (it builds a missing calibration)"
    if known is None:
        raise DriftInputError(
            say(
                "{model} has no drift calibration.",
                "{model} için kayma ayarı yok.",
                model=called,
            ),
            consequence="No check can say what is usual; that is not the same as no drift.",
            next_step=build,
        )
    content = _recall(lake, known)
    if content is None or _hash(content) != known.content_hash:
        raise DriftInputError(
            say(
                "The drift calibration of {model} is not the file that was stored.",
                "{model} için saklanan kayma ayarı, dosyadaki ayar değil.",
                model=called,
            ),
            consequence="No check can say what is usual; that is not the same as no drift.",
            next_step=build,
        )
    differing = {*known.features} ^ {*watched_columns(lake)}
    if differing:
        raise DriftInputError(
            say(
                "The drift calibration of {model} is for other features than the lake holds: {n} differ.",
                "{model} için kayma ayarı, göldekilerden başka özellikler için yapılmış: {n} tanesi farklı.",
                model=called,
                n=len(differing),
            ),
            which=sorted(differing),
            consequence="No check can say what is usual; that is not the same as no drift.",
            next_step=build,
        )
    calibration = from_bytes(content)
    if hash_columns(calibration.columns) != known.features_hash:
        raise DriftInputError(
            say(
                "The drift calibration of {model} holds other features than the database says, or in another "
                "order.",
                "{model} için kayma ayarının özellikleri, veritabanındakiler değil ya da sıraları başka.",
                model=called,
            ),
            consequence="No check can say what is usual; that is not the same as no drift.",
            next_step=build,
        )
    return calibration


def watched_columns(lake: Lake) -> dict[str, int]:
    """Return the raw features that are watched, each with the age from which a share should have a value."""
    held = lake.require("features").columns
    return {
        row.name: row.min_history + 1
        for row in REGISTRY
        if row.family in WATCHED_FAMILIES and row.name in held
    }


def score_sessions(lake: Lake, pipeline: Pipeline, sessions: Sessions) -> pd.DataFrame:
    """Score the tradable shares of some sessions with a model: `session, symbol, tradable, score`.

    Sessions on which a feature of the model has no value at all are left out.
    """
    columns = [*KEY, "tradable", *pipeline[0].columns]
    parts = [pd.DataFrame({name: [] for name in (*KEY, "tradable", SCORE)})]
    for first, last in _chunks(sessions):
        rows = lake.read("features", since=first, until=last, columns=columns)
        rows = rows[rows["tradable"].to_numpy(dtype=bool)]
        known = rows[pipeline[0].columns].notna().groupby(rows["session"]).transform("any").all(axis=1)
        if known.any():
            rows = rows[known]
            parts.append(rows[[*KEY, "tradable"]].assign(**{SCORE: pipeline.predict(rows)[SCORE]}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def measure_moves(panel: Panel, rows: pd.DataFrame) -> pd.DataFrame:
    """Attach to rows of `session, symbol, tradable` the return since the session before, in two views."""
    moves = compute_moves(panel.close)
    views = {MOVE: moves, RELATED_MOVE: relate_to_before(moves)}
    found = {name: look_up(panel, values, rows) for name, values in views.items()}
    return rows[[*KEY, "tradable"]].assign(**found)


def _chunks(sessions: Sessions) -> Iterator[tuple[dt.date, dt.date]]:
    for start in range(0, len(sessions), CHUNK_SESSIONS):
        part = sessions[start : start + CHUNK_SESSIONS]
        yield part[0].item(), part[-1].item()


def _is_calibrated(settings: Settings, model: ModelVersion) -> bool:
    try:
        load_calibration(settings, model)
    except DriftInputError:
        return False
    return True


def _build(settings: Settings, model: ModelVersion, out_of_sample: pd.DataFrame) -> Calibration:
    lake, session = open_lake(settings), model.trained_through
    columns = watched_columns(lake)
    features = lake.read("features", until=session, columns=[*KEY, "tradable", *columns])
    sessions = np.unique(features["session"].to_numpy().astype("datetime64[D]"))[-SCORED_SESSIONS:]
    scores = score_sessions(lake, Registry(settings).load(model), sessions)
    panel = read_market(settings, session).panel
    ic = _compute_ic(panel, out_of_sample, session)
    return build_calibration(
        features,
        columns,
        measure_moves(panel, features),
        scores,
        ic.to_numpy(),
        trained_until=bist_calendar().offset(session, -settings.horizon_sessions),
        champion_session=session,
        stopped=read_standing(settings, session).stopped,
    )


def _compute_ic(panel: Panel, scores: pd.DataFrame, session: dt.date) -> pd.Series:
    """Daily rank IC with the next session's returns, of what was known at the close of `session`."""
    following = np.full_like(panel.close, np.nan)
    following[:-1] = compute_moves(panel.close)[1:]
    known = scores[scores["session"] < pd.Timestamp(session)]
    return compute_daily_ic(known.assign(excess=look_up(panel, following, known)))


def _recall(lake: Lake, known: StoredCalibration) -> bytes | None:
    """Read the file of a calibration; None where it is gone, which an outage of the lake does not say."""
    try:
        return lake.recall(known.file)
    except MissingDataError:
        return None


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


def _describe(calibration: Calibration, model: ModelVersion, content: bytes, file: str) -> StoredCalibration:
    ic = calibration.daily_ic
    return StoredCalibration(
        model_name=model.name,
        model_version=model.version,
        session=calibration.session,
        trained_until=calibration.features.reference_last,
        features=calibration.columns,
        features_hash=hash_columns(calibration.columns),
        content_hash=_hash(content),
        file=file,
        replays=int((calibration.features.ends[0] >= 0).sum()),
        record_sessions=calibration.breaks.sessions,
        daily_ic=float(ic.mean()) if len(ic) else None,
        built_at=dt.datetime.now(dt.UTC),
    )
