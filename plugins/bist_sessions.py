"""Which session a run is about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any


def session_of(dag_run: Any, params: Mapping[str, Any]) -> str:
    """Return the ISO date of the session that a run works on; a macro of the DAGs.

    The form decides where it names a session, then the request to train that started the run, then the
    moment of the run: the last session whose prices were final by its logical date. A backfill and a cleared
    task find the same session again. Beyond the known calendar it is the day itself, which every stage
    refuses.

    Parameters
    ----------
    dag_run : DagRun
        As in the context of a task.
    params : mapping
        Of the run; may hold `session`.
    """
    if params.get("session"):
        return str(params["session"])
    asked = [event.extra["session"] for event in dag_run.consumed_asset_events if "session" in event.extra]
    return max(asked) if asked else _last_closed(dag_run.logical_date or dag_run.run_after)


def _last_closed(moment: dt.datetime) -> str:
    from bist_pipeline.calendar import ISTANBUL, bist_calendar
    from bist_pipeline.errors import SessionOutOfRangeError

    try:
        return bist_calendar().last_closed(moment).isoformat()
    except SessionOutOfRangeError:
        # The stage refuses it by its policy; an error in a template would be retried, and reach no alert.
        return moment.astimezone(ISTANBUL).date().isoformat()
