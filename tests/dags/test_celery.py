"""`make up SCALE=celery`: a distributed Airflow, whose workers may die; what `make up` tells people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine

from tests.airflow_services import Services, run_services
from tests.dags.test_airflow_run import TINY
from tests.database_servers import ROOT, free_port, give_up

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

SESSION = "2024-06-27"
STARTED = ("mysql", "redis", "airflow-worker-1", "airflow-worker-2")


@pytest.fixture(scope="module")
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that `make up` did not start."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]) as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory, bystander: subprocess.Popen[bytes]
) -> Iterator[Services]:
    mysql = subprocess.run([ROOT / "scripts/get_mysql.sh"], capture_output=True, text=True, check=False)
    if mysql.returncode:
        pytest.skip(mysql.stderr.strip().splitlines()[-1])
    if not Path("/usr/bin/redis-check-rdb").exists():
        give_up("no redis: apt-get install redis-tools")
    home = tmp_path_factory.mktemp("celery")
    engine = create_engine(f"sqlite:///{home}/bist.db")
    ports = {"MYSQL_PORT": str(free_port()), "REDIS_PORT": str(free_port())}
    with run_services(home, engine, **TINY, **ports, SCALE="celery") as services:
        yield services
    engine.dispose()
    assert bystander.poll() is None, "make down ended a process that make up did not start"


def status(services: Services, **changes: str) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "scripts/services.sh", "status"]
    environment = {**services.environment, **changes}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_worker_that_dies_in_the_middle_of_a_task_is_replaced_by_the_other(services):
    run = services.trigger("bist_pipeline", session=SESSION)
    busy = services.until("bist_pipeline", run, "train", "running")
    worker = psutil.Process(busy["pid"]).environ()["BIST_SERVICE"]
    assert worker in STARTED

    services.kill(worker)

    assert services.end_of("bist_pipeline", run) == "success"
    tries = services.ask("GET", f"dags/bist_pipeline/dagRuns/{run}/taskInstances/train")["try_number"]
    assert tries > 1, "the task was not interrupted"
    assert list(services.published()) == [SESSION]
    assert services.password not in services.make("up")  # starts what is missing; the password is told once
    assert status(services).returncode == 0


def test_what_runs_is_known_for_celery_when_its_stores_have_died(services):
    for store in ("mysql", "redis"):
        services.kill(store)

    told = status(services, SCALE="")

    assert told.returncode == 1
    assert "mysql" in told.stderr.splitlines()[-2]
    assert "redis" in told.stderr.splitlines()[-2]


def test_a_first_start_that_fails_has_told_the_password_all_the_same(tmp_path):
    ports = {name: str(free_port()) for name in ("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT")}
    outside = {name: value for name, value in os.environ.items() if not name.startswith("BIST_")}
    nowhere = "mysql+mysqldb://bist@127.0.0.1:1/bist"
    environment = {**outside, **ports, "BIST_HOME": str(tmp_path), "BIST_DATABASE_URL": nowhere}

    up = subprocess.run(
        [ROOT / "scripts/services.sh", "up"], env=environment, capture_output=True, text=True, check=False
    )

    assert up.returncode == 1
    assert "`bist db upgrade` failed" in up.stderr
    kept = json.loads((tmp_path / "airflow/simple_auth_manager_passwords.json.generated").read_text())
    assert f"password {kept['admin']}" in up.stderr
