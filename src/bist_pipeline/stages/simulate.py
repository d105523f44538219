"""Simulate: what every check says when something goes wrong, on a synthetic market in a folder of its own."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import FaultName, Settings, SyntheticSettings, TrainingSettings, ValidationSettings
from bist_pipeline.drift.status import ALARMS, Status, urgency_of
from bist_pipeline.errors import BistError, ConfigError
from bist_pipeline.stages import find_stage
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.store.drift import read_checks, read_episodes
from bist_pipeline.store.engine import connect
from bist_pipeline.wording import Wording

HISTORY_SESSIONS = 1_000
FIRST = dt.date(2021, 1, 4)
DAILY_STAGES = ("ingest", "check", "features", "score", "evaluate", "drift")


def simulate(fault: FaultName, *, days: int, symbols: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Train on a sound market, then run session after session through all daily stages.

    The first session is sound, the fault begins with the second. Where a check stops scoring, the day ends
    there and the next one goes on, as it would in production.

    Parameters
    ----------
    fault : str
        Name of a function of `sources.faults`.
    days : int
        Sessions to run.
    symbols : int
        Shares of the market.
    tell : callable
        Is told how far it is.

    Returns
    -------
    dict
        `fault`; `days`, each with `session, has_fault, scored, stopped_by, checks`; `episodes`;
        `first_alarm`, the first check that alarmed under the fault, None where none did.
    """
    if not fault:
        raise ConfigError("No fault was named.", next_step="bist drift simulate --fault unit_change_x10")
    calendar = bist_calendar()
    first = calendar.at_or_before(calendar.offset(calendar.at_or_before(FIRST), HISTORY_SESSIONS))
    sessions = [calendar.offset(first, i) for i in range(days)]
    with tempfile.TemporaryDirectory(prefix="bist-drift-") as folder:
        sound = _settings(Path(folder), symbols)
        for stage in ("ingest", "check", "features", "train"):
            tell(f"{stage} {first}")
            find_stage(stage, "synthetic")(sound, first)
        broken = _settings(Path(folder), symbols, fault=fault, fault_from=calendar.offset(first, 1))
        told = []
        for session in sessions:
            tell(f"run {session}")
            started = time.monotonic()
            told.append(_run_day(broken, session, has_fault=session > first))
            if len(told) == 2:
                tell(_say_duration(days - 2, seconds=time.monotonic() - started))
        store = open_store(sound)
        with connect(store) as connection:
            checks = read_checks(connection, "synthetic")
            episodes = read_episodes(connection, "synthetic")
    for day in told:
        day["checks"] = [
            {
                "check": check.check_name,
                "status": check.status,
                "statistic": check.statistic,
                "p_value": check.p_value,
                "threshold": check.threshold,
                "action": check.action.en,
                "message": check.message.en,
                "message_tr": check.message.tr,
            }
            for check in checks
            if str(check.session) == day["session"]
        ]
    return {
        "fault": fault,
        "days": told,
        "episodes": [_as_json(vars(episode)) for episode in episodes],
        "first_alarm": _find_first_alarm(told),
    }


def _find_first_alarm(days: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The most urgent check of the first day of the fault on which any alarmed; `day` counts from 1."""
    faulty = [day for day in days if day["has_fault"]]
    for number, day in enumerate(faulty, start=1):
        alarms = [check for check in day["checks"] if Status(check["status"]) in ALARMS]
        if alarms:
            check = max(alarms, key=lambda found: urgency_of(Status(found["status"])))
            first = {"session": day["session"], "day": number}
            return {**first, "check": check["check"], "status": check["status"]}
    return None


def _run_day(settings: Settings, session: dt.date, *, has_fault: bool) -> dict[str, Any]:
    stopped = ""
    try:
        for stage in DAILY_STAGES:
            find_stage(stage, "synthetic")(settings, session)
    except BistError as error:
        stopped = f"{type(error).__name__}: {error.what}"
    return {
        "session": str(session),
        "has_fault": has_fault,
        "scored": not stopped,
        "stopped_by": stopped,
    }


def _say_duration(days: int, *, seconds: float) -> str:
    """Say how long the rest takes, at the pace of the second day: the first one loads libraries."""
    return f"{days} sessions to go, about {days * seconds / 60:.0f} minutes"


def _settings(home: Path, symbols: int, **fault: Any) -> Settings:
    """Small enough for a minute; nothing of the user's own installation is touched."""
    return Settings(
        home=home,
        source="synthetic",
        database_url=f"sqlite:///{home}/bist.db",
        lake_url=str(home / "lake"),
        mlflow_url=f"sqlite:///{home}/mlflow.db",
        fundamentals_path="",
        synthetic=SyntheticSettings(symbols=symbols, first_session=FIRST, **fault),
        training=TrainingSettings(trees=60, seeds=(1,), min_child_samples=100),
        # Enough out-of-sample sessions to compare results with: a flip of signs shows in nothing else.
        validation=ValidationSettings(folds=4),
    )


def _as_json(facts: dict[str, Any]) -> dict[str, Any]:
    dates = dt.date | dt.datetime
    english = {name: value.en if isinstance(value, Wording) else value for name, value in facts.items()}
    return {name: value.isoformat() if isinstance(value, dates) else value for name, value in english.items()}
