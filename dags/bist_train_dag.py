"""DAG `bist_train`: a challenger every quarter, or when drift asks for one; promoted only if it is better."""

from __future__ import annotations

import datetime as dt

import pendulum
from airflow.sdk import AssetOrTimeSchedule, Param, chain, dag

from bist_alerts import tell_failed
from bist_assets import RETRAIN_REQUEST
from bist_operators import PATIENCE, StageOperator
from bist_sessions import session_of
from bist_timetable import SessionTimetable

RUNBOOK = """
### What it does
Computes features, judges the model on blocks of the past (one task a block, each trained on what was known
before it), fits it on everything, registers it in MLflow, and makes it the champion only if it deserves to
be. The same data and settings are the same model: nothing is fitted again.

### When it runs
Every 63 sessions, four hours after prices are final, so that `bist_daily` has taken them in; when the task
`drift` asks for a new model (the asset *bist_retrain_request*); or by hand.

### When a task fails
1. Open its log: the line at level ERROR says what was found, what follows from it, and the next command.
2. One failed block fails the training. Its log is that of its own map index. **The old champion stays.**
3. Correct the cause and clear the failed task with *downstream*; blocks that are done are not done again. If
   the data changed meanwhile, the log says so: clear `plan_folds` with *downstream* instead.
4. A model that was *not promoted* is no failure. The log of `train` says why.
"""

SESSION = "{{ session_of(dag_run, params) }}"

FORM = {
    "session": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Session",
        description="Newest trading date that the model may know, YYYY-MM-DD, from 2010-01-04 up to the "
        "newest in the lake. Leave empty for the last one that has closed.",
    ),
}


@dag(
    dag_id="bist_train",
    dag_display_name="BIST: training",
    description="A challenger every quarter or when drift asks; promoted only if it is better.",
    doc_md=RUNBOOK,
    schedule=AssetOrTimeSchedule(
        timetable=SessionTimetable(every=63, margin=dt.timedelta(hours=4)),  # type: ignore[arg-type]
        assets=[RETRAIN_REQUEST],
    ),
    start_date=pendulum.datetime(2015, 1, 1, tz="Europe/Istanbul"),
    catchup=False,
    max_active_runs=1,
    tags=["bist", "scheduled"],
    params=FORM,
    on_failure_callback=tell_failed,
    user_defined_macros={"session_of": session_of},
    default_args={**PATIENCE, "pool": "bist"},
)
def build() -> None:
    """Chain the stages; one task for each fold of the plan."""
    features = StageOperator(stage="features", session=SESSION)
    plan = StageOperator(stage="plan_folds", session=SESSION)
    folds = StageOperator.for_each_fold(plan, session=SESSION, pool="bist_folds")
    train = StageOperator(
        stage="train", session=SESSION, options={"folds": plan.output}, trigger_rule="none_failed"
    )
    chain(features, plan, folds, train)


build()
