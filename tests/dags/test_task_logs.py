"""What a task logs, as Airflow writes it in containers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]

# What Airflow's task runner does before it runs a task, and then what the task does.
TASK = """
import json, sys
from airflow.sdk.log import configure_logging
from structlog.contextvars import bind_contextvars

configure_logging(json_output=True, output=open(sys.argv[1], "wb", buffering=0))
bind_contextvars(dag_id="bist_daily", run_id="scheduled__2024-06-28")
import bist_tasks

bist_tasks.run_stage("ingest", "2024-06-28", params={}, options={}, remember=print)
"""


def test_every_line_of_a_task_says_of_which_run_and_session_it_is(airflow_home, tmp_path, monkeypatch):
    settings = {"HOME": tmp_path, "SYNTHETIC__SYMBOLS": "40", "SYNTHETIC__FIRST_SESSION": "2024-01-02"}
    for name, value in settings.items():
        monkeypatch.setenv(f"BIST_{name}", str(value))
    command = [sys.executable, "-c", TASK, tmp_path / "log"]
    subprocess.run(command, cwd=ROOT / "plugins", check=True, capture_output=True)

    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    ours = [line for line in lines if line["logger"] == "bist_tasks"]
    assert "from synthetic" in ours[0]["event"]
    after = lines[lines.index(ours[0]) :]
    assert {(line["run_id"], line["session"]) for line in after} == {("scheduled__2024-06-28", "2024-06-28")}
