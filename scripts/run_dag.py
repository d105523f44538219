"""Run the DAG `bist_pipeline` through Airflow in this process and show how it goes, then the best shares.

    run_dag.py PARAMS LOG 3>&1 4>&2 >LOG 2>&1

Called like this by airflow_run.sh: what Airflow has to say goes to the log, what people read to the
descriptors 3 and 4. Airflow's own loop `DAG.test` does the scheduling: the run, its task states and its
receipts are in Airflow's database afterwards, and no server has to be started or stopped.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import signal
import sys
import time
from typing import Any, TextIO

from airflow.dag_processing.dagbag import DagBag
from airflow.listeners import hookimpl
from airflow.models.dagrun import DagRun
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, ParamValidationError
from airflow.sdk.listener import get_listener_manager
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState

from bist_pipeline.errors import BistError, ConfigError

DAG_ID = "bist_pipeline"


class Progress(logging.Handler):
    """Shows each task as it runs, from Airflow's events and from what `bist_tasks` logs."""

    def __init__(self, people: TextIO) -> None:
        super().__init__(logging.INFO)
        self.people = people
        self.said: list[str] = []
        self.started = 0.0
        self.complaint = "Airflow itself failed; the end of its log says why."

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what the running task says for people."""
        self.said.append(record.getMessage())

    @hookimpl
    def on_task_instance_running(self, task_instance: Any) -> None:
        """Name the task that starts."""
        # Airflow has just replaced the handler by one that does nothing: SIGTERM shall end us, like Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self.said.clear()
        self.started = time.perf_counter()
        if self.people.isatty():
            self.people.write(f"{task_instance.task_id:<9} …\r")

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:
        """Show the receipt."""
        summary, *notes = self.said
        self._close_line(task_instance, summary)
        self.people.writelines(f"          note: {note}\n" for note in notes)

    @hookimpl
    def on_task_instance_skipped(self, task_instance: Any) -> None:
        """Remember why; Airflow does not hand over the exception here."""
        self.complaint = self.said[-1]
        self._close_line(task_instance, "skipped, and all after it")

    @hookimpl
    def on_task_instance_failed(self, task_instance: Any, error: BaseException) -> None:
        """Remember why, and say so at once if Airflow will try again."""
        if isinstance(error, KeyboardInterrupt):
            raise error  # else Airflow would take Ctrl-C for a failure and try the task again
        is_named = isinstance(error, AirflowException)
        self.complaint = str(error) if is_named else f"{type(error).__name__}: {error}"
        if task_instance.state == TaskInstanceState.UP_FOR_RETRY:
            self._close_line(task_instance, f"up for retry: {self.complaint.splitlines()[0]}")
        else:
            self._close_line(task_instance, "failed")

    def _close_line(self, task_instance: Any, text: str) -> None:
        seconds = time.perf_counter() - self.started
        self.people.write(f"{task_instance.task_id:<9} {text} ({seconds:.1f} s)\n")


def parse(params: str) -> dict[str, Any]:
    """Read the params of a run; empty text leaves the form as it is."""
    try:
        values = json.loads(params or "{}")
    except json.JSONDecodeError as error:
        values = error
    if not isinstance(values, dict):
        raise ConfigError(
            f"The params are not a JSON object: {params}.",
            next_step="""make airflow-run CONF='{"session": "2024-06-28"}'""",
        )
    return values


def run(params: dict[str, Any], progress: Progress) -> bool:
    """Run the DAG once; whether every task succeeded."""
    moment = dt.datetime.now(dt.UTC)
    get_listener_manager().add_listener(progress)  # type: ignore[no-untyped-call]
    logging.getLogger("bist_tasks").addHandler(progress)
    try:
        dag_run = load_dag().test(logical_date=moment, run_conf=params)
    finally:
        fail_unfinished(moment)
    return all(task.state == TaskInstanceState.SUCCESS for task in dag_run.get_task_instances())


def load_dag() -> DAG:
    """Parse the DAG file."""
    bag = DagBag()
    if DAG_ID not in bag.dags:
        raise AirflowException(f"The DAG {DAG_ID} cannot be loaded: {bag.import_errors or 'no such DAG'}")
    return bag.dags[DAG_ID]


def fail_unfinished(moment: dt.datetime) -> None:
    """Mark an interrupted run as failed: a scheduler started later would otherwise go on with it."""
    with create_session() as session:
        running = DagRunState.RUNNING
        for dag_run in DagRun.find(dag_id=DAG_ID, logical_date=moment, state=running, session=session):
            for task in dag_run.get_task_instances(session=session):
                if task.state not in State.finished:
                    task.set_state(TaskInstanceState.FAILED, session=session)
            dag_run.set_state(DagRunState.FAILED)


def show_best(session: str | None) -> None:
    """Give way to `bist top`, on the session of the run."""
    os.dup2(3, 1)
    os.dup2(4, 2)
    of_session = ["--session", session] if session else []
    os.execvp("bist", ["bist", "top", "--limit", "10", *of_session])  # noqa: S606, S607


def main(params: str, log: str) -> int:
    """Run the DAG and show the best shares; return the exit code if it comes to none."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    people = os.fdopen(4, "w", buffering=1)
    progress = Progress(people)
    code = 1
    try:
        form = parse(params)
        if run(form, progress):
            show_best(form.get("session"))
    except KeyboardInterrupt:
        progress.complaint = "Interrupted. What was published before stays in use.\nNext: run it again"
        code = 130
    except ParamValidationError as error:
        # The rest of the text is the JSON schema.
        progress.complaint = f"{str(error).splitlines()[0]}. Nothing was run."
    except (BistError, AirflowException) as error:
        progress.complaint = str(error)
    finally:
        people.write(f"{progress.complaint}\nFull log: {log}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
