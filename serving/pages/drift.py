"""`/drift`: whether today's market still looks like the one the model learned from, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import HTMLResponse

from bist_pipeline.store.read.drift import (
    DriftFeature,
    read_drift_features,
    read_drift_runs,
    read_newest_checks,
)
from bist_pipeline.store.read.pages import read_episodes
from serving.database import EngineOfApp, reading
from serving.pages.drawing import build_scale
from serving.pages.frame import read_frame
from serving.pages.rendering import render

_DAYS_SHOWN = 63
_FEATURES_SHOWN = 10
_EPISODES_SHOWN = 10
# Two weeks of all checks: every weekly one is among them.
_ROWS = 100


@dataclass(frozen=True)
class Unusual:
    """One feature with its distance as a multiple of the usual one, and the multiple that is the record."""

    found: DriftFeature
    times: float
    record_times: float | None


def show_drift(request: Request, engine: EngineOfApp) -> HTMLResponse:
    """Show the newest verdict, those before it, and the features that differ most."""
    with reading(engine) as connection:
        frame, _ = read_frame(connection, shares=1)
        source = frame.publication.source
        days = read_drift_runs(connection, source, limit=_DAYS_SHOWN)
        newest = days[0] if days else None
        features = read_drift_features(connection, source, newest.session) if newest else []
        checks = read_newest_checks(connection, source, until=newest.session, rows=_ROWS) if newest else []
        episodes = read_episodes(connection, source, limit=_EPISODES_SHOWN)
    unusual = rank_features(features)[:_FEATURES_SHOWN]
    places = [value for each in unusual for value in (each.times, each.record_times or 0.0)]
    return render(
        request,
        "drift.html",
        frame=frame,
        days=days[::-1],
        newest=newest,
        checks=checks,
        episodes=episodes,
        features=unusual,
        checked=len(features),
        scale=build_scale(places, ticks=5),
    )


def rank_features(features: list[DriftFeature]) -> list[Unusual]:
    """Order features by how many times their usual distance they are away; those unmeasured are left out."""
    found = [
        Unusual(
            feature,
            feature.distance / feature.typical,
            feature.record / feature.typical if feature.record is not None else None,
        )
        for feature in features
        if feature.distance is not None and feature.typical
    ]
    return sorted(found, key=lambda each: each.times, reverse=True)
