"""Stop: what a session leaves behind that is not scored. No later stage will give a verdict on it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from bist_pipeline.config import Settings
from bist_pipeline.drift.breaks import FeatureBreak
from bist_pipeline.drift.status import Check, worst
from bist_pipeline.drift.wording import tell_check, tell_checks
from bist_pipeline.lake import open_lake
from bist_pipeline.reports.drift import Report, Stop, as_line, render_drift
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.stages.watch import find_near_events, read_since, record
from bist_pipeline.store.drift import write_run
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import read_newest_publication
from bist_pipeline.tracking import ModelVersion
from bist_pipeline.wording import Wording


def record_stop(
    settings: Settings,
    session: dt.date,
    checks: Sequence[Check],
    *,
    next_step: Wording,
    model: ModelVersion | None = None,
    measures: Sequence[FeatureBreak] = (),
) -> str:
    """Store checks that stop scoring as the verdict of their session, and report on it.

    The report goes to the lake as `reports/drift/<session>.html`, as after a session that was scored.

    Parameters
    ----------
    settings : Settings
    session : date
    checks : sequence of Check
        With the one that stops the session among them.
    next_step : Wording
        What a person has to do.
    model : ModelVersion, optional
        The champion, where a check compares with what it knew.
    measures : sequence of FeatureBreak
        How much every feature changed since the last good session, where that was measured.

    Returns
    -------
    str
        Where people find the report.
    """
    store, version = open_store(settings), model.version if model else ""
    record(settings, store, session, checks, model_version=version)
    status = worst(check.status for check in checks)
    run = {
        "status": status.value,
        "summary": tell_checks(checks),
        "model_version": version,
        "checked_at": dt.datetime.now(dt.UTC),
    }
    with connect(store) as connection:
        served = read_newest_publication(connection, settings.source)
    since = read_since(settings, session)
    knows_events = settings.source != "synthetic"
    first = next(check for check in checks if check.status is status)
    report = Report(
        session=session,
        source=settings.source,
        status=status,
        told=tell_check(first.check, first.message),
        checks=[as_line(check, session, since=since) for check in checks],
        model=f"{model.name} {model.version}" if model else "",
        trained_through=model.trained_through if model else None,
        stop=Stop(served, next_step),
        measures=measures,
        events=find_near_events(session, since.values()) if knows_events else (),
        knows_events=knows_events,
    )
    html = render_drift(report)
    write_run(store, settings.source, session, run, None, html=html)
    return open_lake(settings).publish(f"reports/drift/{session}.html", html)
