"""What every check leaves behind: its row, the episodes that follow from all rows, alerts about new ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Engine

from bist_pipeline.alerts import Alert, send
from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.drift.findings import QualityReport
from bist_pipeline.drift.policy import Episode, Outcome, build_episodes, find_since
from bist_pipeline.drift.status import Check, Status
from bist_pipeline.drift.wording import NO_ACTION
from bist_pipeline.events import Event, find_events
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.store.drift import (
    StoredCheck,
    StoredEpisode,
    read_checks,
    read_episodes,
    write_checks,
    write_episodes,
)
from bist_pipeline.store.engine import connect
from bist_pipeline.wording import Wording, join, say

# Events so many sessions before or after a session or the first day of an alarm are near it.
NEAR_SESSIONS = 5

QUALITY_ACTIONS = {
    Status.BLOCK: Wording(
        "scoring is stopped until the data is repaired", "veri onarılana kadar puanlama durduruldu"
    ),
    Status.AMBER: Wording("look at the named shares", "adı geçen hisselere bakın"),
    Status.INFO: Wording(
        "none: the named shares whose bar was repeated, or that did not trade, count as not tradable; "
        "look before relying on one of the others",
        "yok: adı geçenlerden kaydı yinelenen ya da işlem görmeyenler işlem yapılamaz sayılıyor; ötekilerden "
        "birine güvenmeden önce bakın",
    ),
}


def record(
    settings: Settings,
    store: Engine,
    session: dt.date,
    checks: Sequence[Check],
    *,
    model_version: str = "",
) -> tuple[str, ...]:
    """Store checks of a session, rebuild the episodes and alert about those that are new.

    Returns
    -------
    tuple of str
        Alerts that did not arrive; they are tried again with the next checks.
    """
    rows = [_as_row(check, model_version) for check in checks]
    write_checks(store, settings.source, session, rows, checked_at=dt.datetime.now(dt.UTC))
    return _update_episodes(settings, store)


def summarise_quality(quality: QualityReport) -> Check:
    """Make one check of the rules of data quality: the most urgent one speaks."""
    status = quality.status
    told = [finding.message for finding in quality.having(status)]
    first = quality.having(status)[0]
    action = QUALITY_ACTIONS.get(status, NO_ACTION)
    fine = say("{n} rules found nothing.", "{n} kural bir sorun bulmadı.", n=len(quality.findings))
    message = join(told) if status is not Status.OK else fine
    # A count of columns is no share, as the figures of the other rules are.
    has_share = status is not Status.OK and first.rule != "columns"
    value, threshold = (first.value, first.threshold) if has_share else (None, None)
    shares = tuple(sorted({symbol for finding in quality.having(status) for symbol in finding.symbols}))
    return Check("data_quality", status, value, None, threshold, action, message, shares=shares)


def read_since(settings: Settings, session: dt.date) -> dict[str, dt.date]:
    """Read since when each check, as it stands on a session, has alarmed or had something to note."""
    with connect(open_store(settings)) as connection:
        history = [as_outcome(check) for check in read_checks(connection, settings.source, until=session)]
    return find_since(history, sessions=bist_calendar().sessions)


def find_near_events(session: dt.date, since: Iterable[dt.date]) -> list[Event]:
    """Events a few sessions before or after the session, or the first day of an alarm that lasts."""
    calendar = bist_calendar()
    near = [find_events(day, day, calendar, within=NEAR_SESSIONS) for day in {session, *since}]
    return sorted({event for found in near for event in found}, key=lambda event: event.day)


def as_outcome(check: StoredCheck) -> Outcome:
    """Read a stored check as the policy wants it."""
    status = Status(check.status)
    return Outcome(check.session, check.check_name, status, check.message, check.model_version)


def _as_row(check: Check, model_version: str) -> dict[str, object]:
    return {
        "check_name": check.check,
        "status": check.status.value,
        "statistic": check.statistic,
        "p_value": check.p_value,
        "threshold": check.threshold,
        "record": check.record,
        "action": check.action,
        "message": check.message,
        "model_version": model_version,
    }


def _update_episodes(settings: Settings, store: Engine) -> tuple[str, ...]:
    with connect(store) as connection:
        history = [as_outcome(check) for check in read_checks(connection, settings.source)]
        told = read_episodes(connection, settings.source)
    found = build_episodes(history, sessions=bist_calendar().sessions)
    newest = max(outcome.session for outcome in history)
    stored, failures = [], []
    for episode in found:
        row, failed = _tell(settings, _as_stored(episode), told, newest)
        stored.append(row)
        failures += failed
    write_episodes(store, settings.source, stored)
    return tuple(f"an alert about {what}" for what in failures)


def _tell(
    settings: Settings, episode: StoredEpisode, told: Sequence[StoredEpisode], newest: dt.date
) -> tuple[StoredEpisode, list[str]]:
    """Alert about an episode unless people know of it, or it was over before anybody looked."""
    same = [earlier for earlier in told if _is_same(earlier, episode)]
    reached = sorted({channel for earlier in same for channel in earlier.alerted_by or ()})
    arrived = next((earlier.alerted_at for earlier in same if earlier.alerted_at is not None), None)
    episode = replace(episode, alerted_at=arrived, alerted_by=reached)
    if arrived is not None:
        return episode, []
    if episode.closed_on is not None and episode.last_seen < newest:
        return episode, []
    alert = Alert(
        source=settings.source,
        check=episode.check_name,
        status=episode.status,
        urgency=episode.urgency.en,
        since=str(episode.opened_on),
        cause=episode.cause.en,
        runbook=episode.runbook.en,
        turkish=f"{episode.cause.tr}\n\nNe yapmalı: {episode.runbook.tr}",
    )
    delivery = send(alert, settings.alerts, reached=reached)
    sent = None if delivery.failures else dt.datetime.now(dt.UTC)
    now_told = replace(episode, alerted_at=sent, alerted_by=delivery.reached)
    return now_told, [f"{episode.check_name} by {failure}" for failure in delivery.failures]


def _is_same(earlier: StoredEpisode, episode: StoredEpisode) -> bool:
    """Whether both are about the same alarms: an older session checked later may move the first day."""
    return (
        (earlier.check_name, earlier.status) == (episode.check_name, episode.status)
        and earlier.opened_on <= episode.last_seen
        and episode.opened_on <= earlier.last_seen
    )


def _as_stored(episode: Episode) -> StoredEpisode:
    return StoredEpisode(
        check_name=episode.check,
        status=episode.status.value,
        opened_on=episode.opened_on,
        last_seen=episode.last_seen,
        closed_on=episode.closed_on,
        cause=episode.cause,
        urgency=episode.urgency,
        runbook=episode.runbook,
        model_version=episode.model_version,
    )
