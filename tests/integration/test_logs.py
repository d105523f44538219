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


def ask(url: str) -> None:
    for _ in range(300):
        try:
            with urlopen(url, timeout=5):  # noqa: S310 (our own address)
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"{url} does not answer")
