"""`/drift`: whether today's market still looks like the one the model learned from, and what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import HTMLResponse

from bist_pipeline.store.read import DriftFeature
from serving.delivery import OutageOfApp, SnapshotOfApp
from serving.pages.drawing import build_scale
from serving.pages.frame import build_frame
from serving.pages.rendering import render

_DAYS_SHOWN = 63
_FEATURES_SHOWN = 10
# What has to be looked at first stands first.
_URGENCY = {
    name: place
    for place, name in enumerate(("OK", "INFO", "INSUFFICIENT_HISTORY", "AMBER", "RED", "ERROR", "BLOCK"))
}
# From so many times its usual distance on, a feature is drawn one shade darker.
SHADES = (1.0, 1.5, 2.0, 3.0, 5.0)


@dataclass(frozen=True)
class Unusual:
    """One feature with its distance as a multiple of the usual one, and the multiple that is the record."""

    found: DriftFeature
    times: float
    record_times: float | None


@dataclass(frozen=True)
class HeatRow:
    """One feature by week, oldest first: how many times its usual distance away, None where unmeasured."""

    feature: DriftFeature
    times: Sequence[float | None]

    @property
    def shades(self) -> list[int | None]:
        """How dark each week is drawn, 0 the faintest."""
        return [None if many is None else sum(many >= step for step in SHADES) for many in self.times]


def show_drift(request: Request, snapshot: SnapshotOfApp, outage: OutageOfApp) -> HTMLResponse:
    """Show the newest verdict, those before it, and the features that differ most."""
    frame, _ = build_frame(snapshot, outage)
    unusual = rank_features(snapshot.features)[:_FEATURES_SHOWN]
    places = [value for each in unusual for value in (each.times, each.record_times or 0.0)]
    return render(
        request,
        "drift.html",
        frame=frame,
        days=snapshot.verdicts[:_DAYS_SHOWN][::-1],
        newest=snapshot.drift,
        reports=snapshot.reports,
        checks=sorted(snapshot.checks, key=lambda check: _URGENCY.get(check.status, 0), reverse=True),
        episodes=snapshot.episodes,
        features=unusual,
        checked=len(snapshot.features),
        scale=build_scale(places, ticks=5),
        weeks=list(snapshot.weeks),
        heat=build_heat_map(snapshot.weeks),
        shades=SHADES,
    )


def rank_features(features: Sequence[DriftFeature]) -> list[Unusual]:
    """Order features by how many times their usual distance they are away; those unmeasured are left out."""
    found = [
        Unusual(
            feature, times, feature.record / feature.typical if feature.record and feature.typical else None
        )
        for feature in features
        if (times := _times_usual(feature)) is not None
    ]
    return sorted(found, key=lambda each: each.times, reverse=True)


def build_heat_map(weeks: Mapping[dt.date, Sequence[DriftFeature]]) -> list[HeatRow]:
    """Put the features that are the most unusual now side by side with what they were week by week."""
    if not weeks:
        return []
    newest = list(weeks.values())[-1]
    by_week = [{each.feature: _times_usual(each) for each in found} for found in weeks.values()]
    shown = [unusual.found for unusual in rank_features(newest)[:_FEATURES_SHOWN]]
    return [HeatRow(found, [week.get(found.feature) for week in by_week]) for found in shown]


def _times_usual(feature: DriftFeature) -> float | None:
    if feature.distance is None or not feature.typical:
        return None
    return feature.distance / feature.typical
