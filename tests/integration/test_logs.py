"""What servers log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.database_servers import free_port

pytestmark = pytest.mark.integration


def test_every_line_of_the_api_is_one_json_object_in_containers(tmp_path: Path):
    port, log = free_port(), tmp_path / "log"
    command = [Path(sys.executable).with_name("bist"), "serve", "--port", str(port)]
    environment = {**os.environ, "BIST_LOG_FORMAT": "json", "BIST_HOME": str(tmp_path)}
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        ask(f"http://127.0.0.1:{port}/health/live")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"timestamp", "level", "logger", "event"} <= set.intersection(*map(set, lines))
    assert any("/health/live" in line["event"] for line in lines)


def run_bist(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    market = {"BIST_SYNTHETIC__SYMBOLS": "40", "BIST_SYNTHETIC__FIRST_SESSION": "2024-01-02"}
    environment = {**os.environ, **market, "BIST_LOG_FORMAT": "json", "BIST_HOME": str(home)}
    command = [Path(sys.executable).with_name("bist"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def lines_of(process: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in process.stderr.splitlines()]
    assert lines
    assert len({line["run_id"] for line in lines}) == 1, "every line says of which run it is"
    return lines


def test_every_line_of_a_stage_says_of_which_run_and_session_it_is(tmp_path: Path):
    process = run_bist(tmp_path, "ingest", "--session", "2024-06-28", "--json")
    assert process.returncode == 0, process.stderr
    receipt = json.loads(process.stdout)
    lines = lines_of(process)
    assert {(line["stage"], line["session"]) for line in lines} == {("ingest", "2024-06-28")}
    outcome = next(line for line in lines if "seconds" in line)
    assert outcome["rows"] == receipt["rows"]
    assert receipt["summary"] in str(outcome["event"])
    notes = [line["event"] for line in lines if line["level"] == "warning"]
    assert len(notes) == len(receipt["warnings"]) > 0


def test_an_error_is_one_line_with_its_class_and_the_next_command(tmp_path: Path):
    process = run_bist(tmp_path, "check", "--session", "2024-06-28")
    assert process.returncode == 1
    *_, error = lines_of(process)
    assert (error["level"], error["stage"], error["session"]) == ("error", "check", "2024-06-28")
    assert str(error["error"]).endswith("Error")
    assert str(error["next_step"]).startswith("bist ")


def ask(url: str) -> None:
    for _ in range(300):
        try:
            with urlopen(url, timeout=5):  # noqa: S310 (our own address)
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"{url} does not answer")
