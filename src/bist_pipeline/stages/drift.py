"""Drift: do the newest features still look like those the champion learned from?"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.drift.distribution import FeatureDriftReport, check_features
from bist_pipeline.features.registry import feature_columns
from bist_pipeline.lake import open_lake
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.store.write import write_drift
from bist_pipeline.tracking import ModelVersion, Registry


def drift(settings: Settings, session: dt.date) -> Receipt:
    """Judge the 21 sessions up to `session` against the champion's training window, and store the verdict."""
    model = Registry(settings).find_for(session)
    report = check_features(
        open_lake(settings).read("features", until=session),
        feature_columns(),
        session=session,
        trained_until=bist_calendar().offset(model.trained_through, -settings.horizon_sessions),
        champion_session=model.trained_through,
    )
    engine = open_store(settings)
    distances = [
        {"feature": f.feature, "distance": f.distance, "typical": f.typical, "record": f.record}
        for f in report.features
    ]
    write_drift(engine, settings.source, session, _verdict(report, model), distances)
    return Receipt(
        stage="drift",
        session=session,
        rows=len(distances),
        summary=f"{report.status.value}: {report.checks[0].message}",
        details={"status": report.status.value, "checks": _checks(report)},
    )


def _verdict(report: FeatureDriftReport, model: ModelVersion) -> dict[str, object]:
    return {
        "status": report.status.value,
        "summary": "\n".join(f"{check.check}: {check.message}" for check in report.checks),
        "reference_first": report.reference_first,
        "reference_last": report.reference_last,
        "model_version": model.version,
        "checked_at": dt.datetime.now(dt.UTC),
    }


def _checks(report: FeatureDriftReport) -> list[dict[str, object]]:
    return [{**asdict(check), "status": check.status.value} for check in report.checks]
