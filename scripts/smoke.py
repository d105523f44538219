"""Does a running system do what people use it for? `make smoke`; called by deploy.sh after every change.

    smoke.py [--patience SECONDS]

Asks the ports published on this machine: Airflow with all its parts, MLflow, the API down to its database.
Ports: AIRFLOW_PORT, MLFLOW_PORT, API_PORT. Prints one line for each and fails if one is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen


class SmokeError(Exception):
    """What is not as it should be."""


def ask(port: str, path: str, *, known: tuple[int, ...] = ()) -> tuple[int, Any]:
    """Return status and content; statuses other than 2xx must be `known`."""
    url = f"http://127.0.0.1:{port}{path}"
    try:
        with urlopen(url, timeout=10) as answer:
            status, body = answer.status, answer.read()
    except HTTPError as error:
        status, body = error.code, error.read()
        if status not in known:
            raise SmokeError(f"{url} answers {status}") from error
    except (URLError, OSError) as error:
        raise SmokeError(f"{url} does not answer: {error}") from error
    try:
        return status, json.loads(body)
    except ValueError:
        return status, body.decode(errors="replace")


def airflow() -> str:
    """Every part of Airflow has a heartbeat."""
    _, parts = ask(os.environ.get("AIRFLOW_PORT", "8080"), "/api/v2/monitor/health")
    sick = [name for name, part in parts.items() if part["status"] != "healthy"]
    if sick:
        raise SmokeError(f"Airflow's {', '.join(sick)} not healthy")
    return f"{len(parts)} parts healthy"


def mlflow() -> str:
    """MLflow answers, and only to those who log in."""
    port = os.environ.get("MLFLOW_PORT", "5000")
    ask(port, "/health")
    status, _ = ask(port, "/api/2.0/mlflow/experiments/search?max_results=1", known=(401,))
    return "healthy, asks for a login" if status == 401 else "healthy, open to everyone"


def api() -> str:
    """The API reads its database; that nothing is published yet is no fault."""
    port = os.environ.get("API_PORT", "8000")
    ask(port, "/health/live")
    status, answer = ask(port, "/api/v1/predictions?limit=1", known=(401, 503))
    if status == 200:
        return f"serves session {answer['publication']['session']}"
    if status == 401:
        return "asks for a key"
    if "nothing" not in str(answer.get("type")):
        raise SmokeError(f"the API cannot serve: {answer.get('detail')}")
    return "nothing published yet"


def main() -> None:
    """Try each check until it holds or patience ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patience", type=float, default=0.0, help="seconds to go on trying")
    deadline = time.monotonic() + parser.parse_args().patience
    checks: dict[str, Callable[[], str]] = {"airflow": airflow, "mlflow": mlflow, "api": api}
    failed = False
    for name, check in checks.items():
        while True:
            try:
                print(f"{name:<8} ok      {check()}")  # noqa: T201
                break
            except SmokeError as error:
                if time.monotonic() < deadline:
                    time.sleep(2)
                    continue
                print(f"{name:<8} FAILED  {error}")  # noqa: T201
                failed = True
                break
    sys.exit(failed)


if __name__ == "__main__":
    main()
