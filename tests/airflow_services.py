"""Airflow, MLflow and the API as `make up` starts them, for tests: a client of REST; what can go wrong."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import Engine, text

from tests.database_servers import ROOT, free_port

# Seconds on a machine of its own; another one may be busy.
PATIENCE_S = 1_500
OVER = ("success", "failed")


@dataclass
class Services:
    """Where everything is, and a client of Airflow's REST API that has logged in."""

    environment: dict[str, str]
    home: Path
    airflow: str
    mlflow: str
    api: str
    password: str
    rest: httpx.Client
    engine: Engine

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self.rest.request(method, f"/api/v2/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def trigger(self, dag: str, **conf: str) -> str:
        """Ask for a run by hand; its id."""
        run: str = self.ask("POST", f"dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"]
        return run

    def tasks(self, dag: str, run: str = "~", **wanted: str) -> list[dict[str, Any]]:
        path = f"dags/{dag}/dagRuns/{run}/taskInstances"
        found: list[dict[str, Any]] = self.rest.get(
            f"/api/v2/{path}", params={**wanted, "limit": "100"}
        ).json()["task_instances"]
        return found

    def states(self, dag: str, run: str) -> dict[str, str]:
        return {task["task_id"]: task["state"] for task in self.tasks(dag, run)}

    def until(self, dag: str, run: str, task: str, state: str) -> dict[str, Any]:
        """Wait until a task is in a state."""

        def found() -> dict[str, Any] | None:
            return next(iter(self.tasks(dag, run, task_id=task, state=state)), None)

        return wait_for(found, f"{task} of {dag} {state}")

    def end_of(self, dag: str, run: str) -> str:
        """Wait until a run has ended, and say how."""

        def ended() -> str:
            state: str = self.ask("GET", f"dags/{dag}/dagRuns/{run}")["state"]
            return state if state in OVER else ""

        return wait_for(ended, f"end of {dag} {run}")

    def published(self) -> dict[str, int]:
        """Rows behind each published session."""
        query = (
            "SELECT publications.session, count(*) FROM publications JOIN predictions USING (run_id)"
            " GROUP BY 1 ORDER BY 1"
        )
        with self.engine.connect() as connection:
            return {str(session): count for session, count in connection.execute(text(query))}

    def kill(self, name: str) -> None:
        """Kill every process of a service, as when its machine is gone."""
        killed = marked(self.home, name)
        assert killed, f"no process of {name} is there"
        for process in killed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(killed)

    def make(self, word: str) -> str:
        """`make up`, `make status` or `make down`; what it tells people."""
        command = [ROOT / "scripts/services.sh", word]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr


@contextmanager
def run_services(home: Path, engine: Engine, **settings: str) -> Iterator[Services]:
    """Start everything with a home of its own; afterwards no process of it is left."""
    airflow, mlflow, api = (str(free_port()) for _ in range(3))
    outside = {name: value for name, value in os.environ.items() if not name.startswith("BIST_")}
    ports = {"AIRFLOW_PORT": airflow, "MLFLOW_PORT": mlflow, "API_PORT": api}
    environment = {**outside, **settings, **ports, "BIST_HOME": str(home)}
    addresses = [f"http://127.0.0.1:{port}" for port in (airflow, mlflow, api)]
    with httpx.Client(base_url=addresses[0], timeout=120) as rest:
        services = Services(environment, home, *addresses, "", rest, engine)
        try:
            (services.password,) = re.findall(r"password (\S+)", services.make("up"))
            login = {"username": "admin", "password": services.password}
            token = rest.post("/auth/token", json=login).json()["access_token"]
            rest.headers["Authorization"] = f"Bearer {token}"
            yield services
        finally:
            services.make("down")
    assert not marked(home)


def marked(home: Path, name: str | None = None) -> list[psutil.Process]:
    """Every process that was started for this home, or for one service of it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            marks = process.environ()
            if marks.get("BIST_SERVICES") == str(home) and name in (None, marks.get("BIST_SERVICE")):
                found.append(process)
    return found


def wait_for(look: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: nothing after {PATIENCE_S} s"
        time.sleep(0.3)
    return found


class Webhook:
    """Where alerts arrive, as in a chat service."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, str]] = []
        alerts = self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                alerts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Webhook:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def about(self, run: str) -> list[dict[str, str]]:
        """What was told of a run."""
        return [alert for alert in self.alerts if f"run {run}" in alert["cause"]]


class Gate:
    """The way to a server, which can be shut: connections are cut then, and new ones refused."""

    def __init__(self, server: int) -> None:
        self.port = free_port()
        self._server = server
        self._through: list[socket.socket] = []
        self.open()

    def open(self) -> None:
        self._door = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._admit, args=(self._door,), daemon=True).start()

    def shut(self) -> None:
        for each in (self._door, *self._through):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._through.clear()

    def _admit(self, door: socket.socket) -> None:
        with suppress(OSError), ExitStack() as ends:  # until the door is shut
            while True:
                client = ends.enter_context(door.accept()[0])
                server = ends.enter_context(socket.create_connection(("127.0.0.1", self._server)))
                self._through += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
