"""DAG `bist_daily`: every session after the close, from prices to published ranks."""

from __future__ import annotations

import pendulum
from airflow.sdk import chain, dag

from bist_alerts import daily_deadline, tell_failed
from bist_operators import PATIENCE, StageOperator
from bist_sessions import session_of
from bist_timetable import SessionTimetable

RUNBOOK = """
### What it does
After every session of Borsa Istanbul it takes in prices, checks them, computes features, ranks all shares
with the champion, publishes the ranks, compares older ones with what happened, and measures drift. The
**logical date** decides the session: the last one whose prices were final by then. Running a session again
replaces its results and adds nothing.

### When it runs
30 minutes after prices are final: 18:40 in Istanbul, on half days 13:10. If the ranks are not published 80
minutes later, one alert is sent. The first champion comes from the DAG *BIST: everything once*: run that
first.

### When a task fails
1. Open its log: the line at level ERROR says what was found, what follows from it, and the next command.
2. *Up for retry* met something that may pass (database, MLflow, storage, source) and tries again by itself.
   *Failed* needs a person: correct the cause, then **clear** the task with *downstream*; exactly this session
   is done again.
3. *Skipped*: the exchange did not trade on that day. Nothing is to be done.
4. Until `score` has succeeded, the batch published before stays in use. It is never half replaced.

### Sessions of the past
*Trigger → Backfill* with the first and last date, or `airflow backfill create --dag-id bist_daily --from-date
2024-06-24 --to-date 2024-06-29`. Oldest first; there has to be a champion that had not seen later sessions.
"""

SESSION = "{{ session_of(dag_run, params) }}"


@dag(
    dag_id="bist_daily",
    dag_display_name="BIST: daily ranks",
    description="After every session: prices, checks, features, ranks, results, drift.",
    doc_md=RUNBOOK,
    schedule=SessionTimetable(),
    start_date=pendulum.datetime(2015, 1, 1, tz="Europe/Istanbul"),
    catchup=False,
    max_active_runs=1,
    tags=["bist", "scheduled"],
    deadline=daily_deadline(),
    on_failure_callback=tell_failed,
    user_defined_macros={"session_of": session_of},
    default_args={**PATIENCE, "pool": "bist"},
)
def build() -> None:
    """Chain the stages."""
    stages = ("ingest", "check", "features", "score", "evaluate", "drift")
    chain(*[StageOperator(stage=stage, session=SESSION) for stage in stages])


build()
