"""A stage as a task: what every DAG of the project is made of."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator, BaseOperatorLink, Context
from airflow.sdk.definitions.mappedoperator import MappedOperator

from bist_alerts import ERROR
from bist_assets import INLETS, OUTLETS, record
from bist_tasks import run_stage

# How long a stage may take, and what it is for: Airflow shows it beside the log.
_ABOUT = {
    "ingest": (30, "Take in prices up to the session; what breaks the contract is quarantined."),
    "check": (10, "Judge the session's data by deterministic rules; what they refuse stops here."),
    "features": (30, "Clean the prices and compute what the model sees."),
    "plan_folds": (15, "Say on which blocks of the past a new model is judged."),
    "run_fold": (60, "Train on what was known before one block of the past, and forecast the block."),
    "train": (120, "Judge the forecasts, fit and register a model; promote it if it deserves to be."),
    "score": (15, "Rank all shares of the session with the champion and publish the ranks."),
    "evaluate": (15, "Compare ranks published a horizon ago with the returns since."),
    "drift": (30, "Compare the session's data, features and results with those of the champion's training."),
}

# What databases, sources and MLflow need to come back, and a person to be told after that.
PATIENCE: dict[str, Any] = {
    "owner": "bist",
    "retries": 3,
    "retry_delay": dt.timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": dt.timedelta(minutes=10),
    # In a backfill the session that has begun goes on before the next one begins.
    "weight_rule": "upstream",
}


class PageLink(BaseOperatorLink):
    """Where people see what the task made."""

    def __init__(self, label: str, variable: str, default: str, path: str) -> None:
        self.label, self.variable, self.default, self.path = label, variable, default, path

    @property
    def name(self) -> str:
        """Label of the button."""
        return self.label

    @property
    def xcom_key(self) -> str:
        """Where Airflow keeps the address."""
        return "link"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Build the address once the task has ended; a task that failed links to what was there before."""
        address = os.environ.get(self.variable, self.default).rstrip("/")
        details = getattr(operator, "details", None)
        return address + (self.path.format(**details) if details else "/")


_API = ("BIST_API_URL", "http://127.0.0.1:8000")
_MLFLOW = ("BIST_SERVING__MLFLOW_PAGE", "http://127.0.0.1:5000")
_LINKS = {
    "score": PageLink("Predictions", *_API, "/"),
    "drift": PageLink("Drift report", *_API, "/drift/reports/{session}"),
    "train": PageLink("MLflow", *_MLFLOW, "/#/runs/{mlflow_run_id}"),
}


class StageOperator(BaseOperator):
    """Runs one stage for one session, tells Airflow's assets what it wrote, and returns the receipt.

    Parameters
    ----------
    stage : str
        One of `bist_pipeline.stages`; the task is called like it.
    session : str
        ISO date, mostly a template; empty lets `ingest` take the newest one of its source.
    options : dict, optional
        What the stage takes beside settings and session.
    """

    template_fields: Sequence[str] = ("session", "options")
    ui_color = "#e8eef4"

    def __init__(
        self, *, stage: str, session: str, options: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{**_about(stage), **kwargs})
        self.stage = stage
        self.session = session
        self.options = dict(options or {})
        self.details: dict[str, Any] = {}
        if stage in _LINKS:
            self.operator_extra_links = (_LINKS[stage],)

    @classmethod
    def for_each_fold(cls, plan: StageOperator, **kwargs: Any) -> MappedOperator:
        """Make one task for each fold that the task `plan_folds` names."""
        stage = "run_fold"
        named = "{{ task.options['fold']['test_first'] }} – {{ task.options['fold']['test_last'] }}"
        common = {**_about(stage), "stage": stage, "map_index_template": named}
        return cls.partial(**common, **kwargs).expand(options=plan.output.map(_as_option))

    def execute(self, context: Context) -> Any:
        """Run the stage; what its error is stays behind for the alert."""
        receipt = run_stage(
            self.stage,
            self.session,
            params=context["params"],
            options=self.options,
            remember=lambda text: context["ti"].xcom_push(key=ERROR, value=text),
        )
        if isinstance(receipt, dict):
            record(context["outlet_events"], receipt)
            self.details = {**receipt["details"], "session": receipt["session"]}
        return receipt


def _about(stage: str) -> dict[str, Any]:
    minutes, doc = _ABOUT[stage]
    return {
        "task_id": stage,
        "doc_md": doc,
        "execution_timeout": dt.timedelta(minutes=minutes),
        "inlets": INLETS.get(stage, []),
        "outlets": OUTLETS.get(stage, []),
    }


def _as_option(fold: Mapping[str, Any]) -> dict[str, Any]:
    return {"fold": fold}
