"""Who is told when a run has failed or is late: one message a run, by the channels of `BIST_ALERTS__…`.

Airflow calls these functions in its DAG processor and its triggerer, outside of any task.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

if TYPE_CHECKING:
    from bist_pipeline.wording import Wording

log = logging.getLogger(__name__)

# The key under which a task keeps the text of its error for the alert.
ERROR = "error"
# A run falls due 30 minutes after prices are final, in Istanbul at 18:40 and on half days at 13:10: this ends
# at 20:00 and at 14:30.
UNTIL_DEADLINE = dt.timedelta(minutes=80)
_URGENCY = {"bist_daily": "today", "bist_train": "this week", "bist_pipeline": "at leisure"}
# Section of the guide, in English and Turkish.
FAILED_RUN = ("A failed run", "Başarısız çalışma")
LATE_BATCH = ("The batch is late", "Liste gecikti")


def daily_deadline() -> DeadlineAlert | None:
    """Make the alert of a batch that is not published in time; none where `BIST_DEADLINES=off`.

    `DAG.test` cannot run a DAG that has one.
    """
    if os.environ.get("BIST_DEADLINES", "on") == "off":
        return None
    return DeadlineAlert(
        name="published by 20:00, on half days by 14:30",
        reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
        interval=UNTIL_DEADLINE,
        callback=AsyncCallback(tell_late),
    )


def tell_failed(context: Mapping[str, Any]) -> None:
    """Send the alert of a run that has failed; the `on_failure_callback` of every DAG."""
    from bist_pipeline.wording import Wording, say

    run_id, dag_id, task = context["run_id"], context["dag"].dag_id, context.get("ti")
    send(
        check=f"{dag_id} failed",
        urgency=_URGENCY.get(dag_id, "today"),
        since=_when(context.get("dag_run")),
        cause=say(
            "{dag}, run {run}{where}: {error}",
            "{dag}, çalışma {run}{where}: {error}",
            dag=dag_id,
            run=run_id,
            where=say(", task {task}", ", görev {task}", task=task.task_id) if task else "",
            error=(task and _error_of(task))
            or Wording(
                "it left no message: it was killed or ran out of time.",
                "ileti bırakmadı: öldürüldü ya da süresi doldu.",
            ),
        ),
        section=FAILED_RUN,
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
    from bist_pipeline.wording import say

    session = bist_calendar().last_closed(due)
    problem = _why_unpublished(session)
    if problem:
        send(
            check="batch not published in time",
            urgency="today",
            since=str(session),
            cause=say(
                "{dag}, run {run}: {problem}",
                "{dag}, çalışma {run}: {problem}",
                dag=run["dag_id"],
                run=run["dag_run_id"],
                problem=problem,
            ),
            section=LATE_BATCH,
        )


def _why_unpublished(session: dt.date) -> Wording | None:
    from bist_pipeline.config import load_settings
    from bist_pipeline.errors import StoreError
    from bist_pipeline.store.engine import connect, open_engine
    from bist_pipeline.store.read import read_newest_publication
    from bist_pipeline.wording import Wording, say

    settings = load_settings()
    try:
        with connect(open_engine(settings.database_url)) as connection:
            newest = read_newest_publication(connection, settings.source)
    except StoreError as error:
        return say(
            "whether the ranks of {session} are published cannot be told: {error}",
            "{session} seansının listesi yayında mı, bilinemiyor: {error}",
            session=session,
            error=error,
        )
    if newest and newest >= session:
        return None
    return say(
        "the ranks of {session} are not published; the newest are of {newest}.",
        "{session} seansının listesi yayında değil; en yenisinin seansı: {newest}.",
        session=session,
        newest=newest or Wording("no session", "yok"),
    )


def send(*, check: str, urgency: str, since: str, cause: Wording, section: tuple[str, str]) -> None:
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
        cause=cause.en,
        runbook=f"docs/en/operating.md, section '{section[0]}'",
        turkish=f"{cause.tr}\n\nNe yapmalı: docs/tr/isletme.md, bölüm '{section[1]}'",
    )
    for failure in send_alert(alert, settings.alerts).failures:
        log.error("The alert did not arrive by %s", failure)


def _error_of(task: Any) -> str:
    """The text that the failed task kept for its alert; empty where it was killed."""
    found = task.xcom_pull(task_ids=task.task_id, key=ERROR, map_indexes=task.map_index)
    return str(found) if found else ""


def _when(run: Any) -> str:
    moment = getattr(run, "logical_date", None) or getattr(run, "run_after", None)
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "now"
