"""Who is told when a run has failed or is late: one message a run, by the channels of `BIST_ALERTS__…`.

Airflow calls these functions in its DAG processor and its triggerer, outside of any task.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

log = logging.getLogger(__name__)

# The key under which a task keeps the text of its error for the alert.
ERROR = "error"
# A run falls due 30 minutes after prices are final, 18:40 in Istanbul on an ordinary day: this ends at 20:00.
UNTIL_DEADLINE = dt.timedelta(minutes=80)
_URGENCY = {"bist_daily": "today", "bist_train": "this week", "bist_pipeline": "at leisure"}
_RUNBOOK = "docs/en/operating.md, section '{}'"


def daily_deadline() -> DeadlineAlert | None:
    """Make the alert of a batch that is not published in time; none where `BIST_DEADLINES=off`.

    `DAG.test` cannot run a DAG that has one.
    """
    if os.environ.get("BIST_DEADLINES", "on") == "off":
        return None
    return DeadlineAlert(
        name="published by 20:00",
        reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
        interval=UNTIL_DEADLINE,
        callback=AsyncCallback(tell_late),
    )


def tell_failed(context: Mapping[str, Any]) -> None:
    """Send the alert of a run that has failed; the `on_failure_callback` of every DAG."""
    run_id, dag_id = context["run_id"], context["dag"].dag_id
    task = context.get("ti")
    where = f"{dag_id}, run {run_id}" + (f", task {task.task_id}" if task else "")
    cause = _error_of(task) or "The task left no message: it was killed or ran out of time."
    send(
        check=f"{dag_id} failed",
        urgency=_URGENCY.get(dag_id, "today"),
        since=_when(context.get("dag_run")),
        cause=f"{where}: {cause}",
        runbook=_RUNBOOK.format("A failed run"),
    )


async def tell_late(context: Mapping[str, Any]) -> None:
    """Send the alert of a day's batch that is not published at its deadline.

    Replays of the past and runs by hand are nobody's deadline; a batch that is published although its run
    still works, or failed after it, is in time.
    """
    run = context["dag_run"]
    if run["run_type"] == "scheduled":
        await asyncio.to_thread(_tell_unpublished, dt.datetime.fromisoformat(run["logical_date"]), run)


def _tell_unpublished(due: dt.datetime, run: Mapping[str, Any]) -> None:
    from bist_pipeline.calendar import bist_calendar

    session = bist_calendar().last_closed(due)
    problem = _why_unpublished(session)
    if problem:
        send(
            check="batch not published in time",
            urgency="today",
            since=str(session),
            cause=f"{run['dag_id']}, run {run['dag_run_id']}: {problem}",
            runbook=_RUNBOOK.format("The batch is late"),
        )


def _why_unpublished(session: dt.date) -> str:
    from bist_pipeline.config import load_settings
    from bist_pipeline.errors import StoreError
    from bist_pipeline.store.engine import connect, open_engine
    from bist_pipeline.store.read import read_newest_publication

    settings = load_settings()
    try:
        with connect(open_engine(settings.database_url)) as connection:
            newest = read_newest_publication(connection, settings.source)
    except StoreError as error:
        return f"whether the ranks of {session} are published cannot be told: {error}"
    if newest and newest >= session:
        return ""
    return f"the ranks of {session} are not published; the newest are of {newest or 'no session'}."


def send(*, check: str, urgency: str, since: str, cause: str, runbook: str) -> None:
    """Send one message by every configured channel; what does not arrive is in the log."""
    from bist_pipeline.alerts import Alert
    from bist_pipeline.alerts import send as send_alert
    from bist_pipeline.config import load_settings

    settings = load_settings()
    alert = Alert(
        source=settings.source,
        check=check,
        status="FAILED",
        urgency=urgency,
        since=since,
        cause=cause,
        runbook=runbook,
    )
    for failure in send_alert(alert, settings.alerts):
        log.error("The alert did not arrive by %s", failure)


def _error_of(task: Any) -> str:
    """The text that the failed task kept; `DAG.test` has no way to ask for it."""
    if task is None:
        return ""
    found = task.xcom_pull(task_ids=task.task_id, key=ERROR, map_indexes=task.map_index)
    return str(found) if found else ""


def _when(run: Any) -> str:
    moment = getattr(run, "logical_date", None) or getattr(run, "run_after", None)
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "now"
