"""What Airflow adds: importing the DAG files, a warm daily run on real prices beyond the stages, `make up`.

    python -m benchmarks.airflow [--json] [--prices FILE] [--import-only]

Floors: `import airflow.sdk` for the import, the seconds inside the stages for the run. The run is one of the
scheduler, with an executor and a process for each task, as `make up` starts them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bist_pipeline.calendar import bist_calendar

ROOT = Path(__file__).parents[1]
PRICES = ROOT.parent / "shared/data/prices_daily.parquet"
FIRST = dt.date(2024, 6, 24)
WARM_RUNS = 3
TIMES = 5
IMPORTS = {
    "airflow_sdk": "import airflow.sdk",
    "dag_files": f"import sys; sys.path[:0] = [{str(ROOT / 'plugins')!r}, {str(ROOT / 'dags')!r}]\n"
    "import bist_daily_dag, bist_train_dag, bist_pipeline_dag",
}


def cpu_seconds(code: str) -> float:
    """CPU of a Python that runs the code."""
    told = f"{code}\nimport time; print(time.process_time())"
    answer = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)  # noqa: S603
    return float(answer.stdout.splitlines()[-1])


def measure_imports() -> dict[str, float]:
    """Alternated, so that a busy machine is equally unfair to both."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
        for _ in range(TIMES + 1):
            for name, code in IMPORTS.items():
                seconds[name].append(cpu_seconds(code))
    medians = {name: statistics.median(found[1:]) for name, found in seconds.items()}
    return {**medians, "ratio": medians["dag_files"] / medians["airflow_sdk"]}


def environment_of(home: Path, prices: Path) -> dict[str, str]:
    """Settings of a system of its own, on ports that are free."""
    with socket.socket() as a, socket.socket() as b, socket.socket() as c:
        for each in (a, b, c):
            each.bind(("127.0.0.1", 0))
        ports = [str(each.getsockname()[1]) for each in (a, b, c)]
    return {
        **os.environ,
        **dict(zip(("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT"), ports, strict=True)),
        "BIST_HOME": str(home),
        "BIST_SOURCE": "files",
        "BIST_SOURCE_PATH": str(prices),
    }


def make(word: str, environment: dict[str, str]) -> str:
    """`make up` or `make down`; what it tells people."""
    command = [ROOT / "scripts/services.sh", word]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stderr


@contextmanager
def services(home: Path, prices: Path) -> Iterator[httpx.Client]:
    """What `make up` starts, and a client that has logged in."""
    environment = environment_of(home, prices)
    try:
        (password,) = re.findall(r"password (\S+)", make("up", environment))
        address = f"http://127.0.0.1:{environment['AIRFLOW_PORT']}"
        login = httpx.post(f"{address}/auth/token", json={"username": "admin", "password": password})
        token = {"Authorization": f"Bearer {login.json()['access_token']}"}
        with httpx.Client(base_url=f"{address}/api/v2/dags/", headers=token, timeout=60) as client:
            yield client
    finally:
        make("down", environment)


def run(client: httpx.Client, dag: str, moment: str | None, conf: dict[str, str]) -> dict[str, Any]:
    """Trigger a run and wait for its end."""
    client.patch(dag, json={"is_paused": False}).raise_for_status()
    made = client.post(f"{dag}/dagRuns", json={"logical_date": moment, "conf": conf}).raise_for_status()
    path = f"{dag}/dagRuns/{made.json()['dag_run_id']}"
    while True:
        found: dict[str, Any] = client.get(path).raise_for_status().json()
        if found["state"] in ("success", "failed"):
            assert found["state"] == "success", path
            return found
        time.sleep(0.5)


def body_seconds(client: httpx.Client, run_id: str) -> list[float]:
    """Seconds that each task spent in its stage: what is logged between preparation and aftermath."""
    path = f"bist_daily/dagRuns/{run_id}/taskInstances"
    bodies = []
    for task in client.get(path).json()["task_instances"]:
        answer = client.get(f"{path}/{task['task_id']}/logs/1", headers={"Accept": "application/json"})
        lines = [line for line in answer.json()["content"] if line.get("timestamp")]
        when = [dt.datetime.fromisoformat(line["timestamp"]) for line in lines]
        events = [line["event"] for line in lines]
        begin, end = events.index("::endgroup::"), events.index("::group::Post Execute")
        bodies.append((when[end] - when[begin]).total_seconds())
    return bodies


def measure_daily(prices: Path) -> dict[str, float]:
    """A first run trains the champion, a second warms up; of the others, the median counts."""
    with tempfile.TemporaryDirectory() as folder, services(Path(folder), prices) as client:
        run(client, "bist_pipeline", None, {"session": str(FIRST)})
        found = []
        for i in range(1, WARM_RUNS + 2):
            moment = bist_calendar().cutoff(bist_calendar().offset(FIRST, i)) + dt.timedelta(minutes=30)
            each = run(client, "bist_daily", moment.isoformat(), {})
            bodies = body_seconds(client, each["dag_run_id"])
            found.append((each["duration"], sum(bodies), len(bodies)))
    wall, bodies_s, tasks = sorted(found[1:])[WARM_RUNS // 2]
    return {"wall_s": wall, "stages_s": bodies_s, "beyond_a_task_s": (wall - bodies_s) / tasks}


def measure_up(prices: Path) -> dict[str, float]:
    """`make up` until all is healthy, the first time and with databases that are there already."""
    with tempfile.TemporaryDirectory() as folder:
        environment, seconds = environment_of(Path(folder), prices), []
        for _ in range(WARM_RUNS + 1):
            begun = time.perf_counter()
            try:
                make("up", environment)
                seconds.append(time.perf_counter() - begun)
            finally:
                make("down", environment)
    return {"cold_up_s": seconds[0], "warm_up_s": statistics.median(seconds[1:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--prices", type=Path, default=PRICES)
    parser.add_argument("--import-only", action="store_true")
    asked = parser.parse_args()
    found: dict[str, Any] = {"import_cpu_s": measure_imports()}
    if not asked.import_only:
        found["daily_run"] = measure_daily(asked.prices)
        found["make_up"] = measure_up(asked.prices)
    if asked.json:
        print(json.dumps(found))
        return
    reach = {"ratio": 1.1, "wall_s": 60, "beyond_a_task_s": 1.3, "warm_up_s": 60}
    for part, figures in found.items():
        for name, value in figures.items():
            to_reach = f"   (to reach: ≤ {reach[name]})" if name in reach else ""
            print(f"{part:<14}{name:<18}{value:8.2f}{to_reach}")


if __name__ == "__main__":
    main()
