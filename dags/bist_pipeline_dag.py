"""DAG `bist_pipeline`: everything once, by hand, with a form.

This file is not called `bist_pipeline.py`: Airflow puts the folder on the import path, where that name would
hide the package.
"""

from __future__ import annotations

from airflow.sdk import Param, chain, dag

from bist_alerts import tell_failed
from bist_operators import PATIENCE, StageOperator

RUNBOOK = """
### What it does
Takes in prices, checks them, computes features, trains and judges a model, ranks all shares of one session by
expected excess return over the next 63 sessions, publishes the ranks, compares older ones with what happened,
and measures drift. Every task works on the session that `ingest` settled on. Running a session again replaces
its results and adds nothing.

### When to run it
The first time, after a change of source, or to repeat one session. Leave the form as it is for the newest
session of the configured source.

### When a task fails
1. Open its log: the line at level ERROR says what was found, what follows from it, and the next command.
2. A task that is *up for retry* met something that may pass (database, MLflow, storage or source out of
   reach) and tries again by itself. A task that *failed* without retries needs a person: correct the cause,
   then clear the task; the tasks after it run too.
3. A run that was *skipped* was given a day on which the exchange does not trade.
4. Until `score` has succeeded, the batch published before stays in use. It is never half replaced.

The same stages without Airflow: `bist run`, or one at a time, such as `bist check --session 2024-06-28`.
"""

FORM = {
    "source": Param(
        None,
        type=["null", "string"],
        enum=[None, "synthetic", "files", "yahoo", "snapshot"],
        values_display={
            "null": "as configured",
            "synthetic": "synthetic: a made-up market",
            "files": "files: a table of prices, or a folder of them",
            "yahoo": "yahoo: Yahoo Finance, over the network",
            "snapshot": "snapshot: all shares on one date",
        },
        title="Source of the prices",
        description="synthetic, files, yahoo or snapshot. Leave empty for the one this installation is "
        "configured for (BIST_SOURCE).",
    ),
    "source_path": Param(
        None,
        type=["null", "string"],
        title="Path of the source",
        description="File or folder as the Airflow worker sees it; for a snapshot also an http(s) address, "
        "for yahoo a list of symbols. The synthetic market needs none.",
    ),
    "session": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Session",
        description="Trading date, YYYY-MM-DD, from 2010-01-04 up to the last session that has closed. "
        "Leave empty for the newest one of the source. For a snapshot: the date that it shows.",
    ),
}


# The session that `ingest` settled on.
SETTLED = "{{ ti.xcom_pull('ingest')['session'] }}"


@dag(
    dag_id="bist_pipeline",
    dag_display_name="BIST: everything once",
    description="From prices to published ranks of one session, by hand.",
    doc_md=RUNBOOK,
    schedule=None,
    is_paused_upon_creation=False,
    max_active_runs=1,
    tags=["bist", "manual"],
    params=FORM,
    on_failure_callback=tell_failed,
    default_args={**PATIENCE, "pool": "bist"},
)
def build() -> None:
    """Chain the stages."""
    ingest = StageOperator(stage="ingest", session="{{ params.session or '' }}")
    others = ("check", "features", "train", "score", "evaluate", "drift")
    chain(ingest, *[StageOperator(stage=stage, session=SETTLED) for stage in others])


build()
