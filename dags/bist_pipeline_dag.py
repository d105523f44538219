"""DAG `bist_pipeline`: everything once, by hand, with a form.

This file is not called `bist_pipeline.py`: Airflow puts the folder on the import path, where that name would
hide the package.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from bist_tasks import run_stage

# While the DAG is built Airflow passes promises of receipts around, in a task their JSON.
ReceiptJson = Any

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
        values_display={"null": "as configured", "synthetic": "synthetic: a made-up market"},
        title="Source of the prices",
        description="Leave empty for the one this installation is configured for (BIST_SOURCE).",
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


# The docstring of a task is its documentation in Airflow.
@task(execution_timeout=dt.timedelta(minutes=30))
def ingest() -> ReceiptJson:
    """Take in prices up to the session; what breaks the contract is quarantined."""
    return run_stage("ingest", get_current_context()["params"]["session"])


@task(execution_timeout=dt.timedelta(minutes=10))
def check(ingested: ReceiptJson) -> ReceiptJson:
    """Judge the session's data by deterministic rules; what they refuse stops here."""
    return run_stage("check", ingested["session"])


@task(execution_timeout=dt.timedelta(minutes=30))
def features(checked: ReceiptJson) -> ReceiptJson:
    """Clean the prices and compute what the model sees."""
    return run_stage("features", checked["session"])


@task(execution_timeout=dt.timedelta(hours=2))
def train(computed: ReceiptJson) -> ReceiptJson:
    """Validate by walk-forward, fit and register a model; promote it if it deserves to be."""
    return run_stage("train", computed["session"])


@task(execution_timeout=dt.timedelta(minutes=15))
def score(trained: ReceiptJson) -> ReceiptJson:
    """Rank all shares of the session with the champion and publish the ranks."""
    return run_stage("score", trained["session"])


@task(execution_timeout=dt.timedelta(minutes=15))
def evaluate(scored: ReceiptJson) -> ReceiptJson:
    """Compare ranks published a horizon ago with the returns since."""
    return run_stage("evaluate", scored["session"])


@task(execution_timeout=dt.timedelta(minutes=30))
def drift(evaluated: ReceiptJson) -> ReceiptJson:
    """Compare the session's features with those the model was trained on."""
    return run_stage("drift", evaluated["session"])


@dag(
    dag_id="bist_pipeline",
    dag_display_name="BIST: everything once",
    description="From prices to published ranks of one session, by hand.",
    doc_md=RUNBOOK,
    schedule=None,
    max_active_runs=1,
    tags=["bist", "manual"],
    params=FORM,
    default_args={
        "owner": "bist",
        "retries": 2,
        "retry_delay": dt.timedelta(seconds=30),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": dt.timedelta(minutes=10),
    },
)
def build() -> None:
    """Chain the stages; each hands its receipt to the next."""
    drift(evaluate(score(train(features(check(ingest()))))))


build()
