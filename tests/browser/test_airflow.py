"""Airflow, MLflow and the API as `make up` starts them, used as people do: form, REST, backfill, repair."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page

from tests.dags.test_airflow_run import ROOT, TINY
from tests.dags.test_airflow_run import rows as read_rows

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

FIRST, SECOND, THIRD = "2024-06-27", "2024-06-28", "2024-07-01"
HOLIDAY = "2024-06-17"
PATIENCE_S = 400


@dataclass
class Services:
    """Where everything is, and a client of Airflow's REST API that has logged in."""

    home: Path
    airflow: str
    api: str
    password: str
    rest: httpx.Client

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self.rest.request(method, f"/api/v2/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def tasks(self, dag: str, run: str = "~") -> dict[str, str]:
        found = self.ask("GET", f"dags/{dag}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]
        return {task["task_id"]: task["state"] for task in found}

    def finish(self, dag: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until the newest runs have ended."""

        def ended() -> list[dict[str, Any]]:
            runs = self.ask("GET", f"dags/{dag}/dagRuns?order_by=-id&limit={count}")["dag_runs"]
            is_over = len(runs) == count and all(run["state"] in ("success", "failed") for run in runs)
            return runs if is_over else []

        return wait_for(ended)

    def published(self) -> list[tuple[str, int]]:
        query = (
            "SELECT publications.session, count(*) FROM publications JOIN predictions USING (run_id)"
            " GROUP BY 1 ORDER BY 1"
        )
        return read_rows(self.home / "bist.db", query)


def wait_for(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"{look.__name__}: nothing after {PATIENCE_S} s"
        time.sleep(0.5)
    return found


def free_ports(count: int) -> list[str]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in sockets]


def marked(home: Path) -> list[psutil.Process]:
    """Every process that was started for this home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("BIST_SERVICES") == str(home):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    home = tmp_path_factory.mktemp("services")
    airflow, mlflow, api = free_ports(3)
    outside = {name: value for name, value in os.environ.items() if not name.startswith("BIST_")}
    ports = {"AIRFLOW_PORT": airflow, "MLFLOW_PORT": mlflow, "API_PORT": api}
    environment = {**outside, **TINY, **ports, "BIST_HOME": str(home)}

    def make(word: str) -> subprocess.CompletedProcess[str]:
        command = [ROOT / "scripts/services.sh", word]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    up = make("up")
    try:
        assert up.returncode == 0, up.stderr
        (password,) = re.findall(r"password (\S+)", up.stderr)
        assert make("status").returncode == 0
        address = f"http://127.0.0.1:{airflow}"
        answer = httpx.post(f"{address}/auth/token", json={"username": "admin", "password": password})
        login = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        with httpx.Client(base_url=address, headers=login, timeout=30) as rest:
            yield Services(home, address, f"http://127.0.0.1:{api}", password, rest)
    finally:
        down = make("down")
    assert down.returncode == 0
    assert not marked(home)


@pytest.fixture(scope="module")
def page(chromium: Browser, services: Services) -> Iterator[Page]:
    """Someone who has logged in."""
    with chromium.new_context(viewport={"width": 1400, "height": 1000}) as context:
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(services.airflow)
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", services.password)
        page.click("button[type=submit]")
        page.wait_for_url(f"{services.airflow}/")
        yield page


@pytest.fixture(scope="module")
def first_run(services: Services, page: Page) -> dict[str, Any]:
    """The DAG `bist_pipeline`, triggered by its form in the browser."""
    page.goto(f"{services.airflow}/dags/bist_pipeline")
    page.get_by_role("button", name="Trigger").first.click()
    page.fill("#element_session", FIRST)
    page.get_by_role("dialog").get_by_role("button", name="Trigger").last.click()
    page.wait_for_url("**/runs/**")
    (run,) = services.finish("bist_pipeline")
    return run


def test_nothing_of_airflow_can_be_read_without_login(services):
    for path in ("dags", "dags/bist_pipeline", "assets", "config", "plugins", "variables"):
        assert httpx.get(f"{services.airflow}/api/v2/{path}").status_code == 401, path
    password_file = services.home / "airflow/simple_auth_manager_passwords.json.generated"
    assert password_file.stat().st_mode & 0o777 == 0o600
    assert json.loads(password_file.read_text()) == {"admin": services.password}


def test_a_run_from_the_form_succeeds_and_leads_to_the_predictions(services, page, first_run):
    assert first_run["state"] == "success", services.tasks("bist_pipeline")
    assert [session for session, _ in services.published()] == [FIRST]

    page.goto(f"{services.airflow}/dags/bist_pipeline/runs/{first_run['dag_run_id']}/tasks/score/details")
    link = page.get_by_role("link", name="Predictions").last
    link.wait_for()
    assert link.get_attribute("href") == f"{services.api}/"
    page.goto(link.get_attribute("href"))
    assert "27 June 2024" in page.inner_text("main")


def test_the_pages_are_part_of_airflows_navigation(services, page, first_run):
    page.goto(f"{services.airflow}/plugin/predictions")

    framed = page.frame_locator("iframe").get_by_role("heading", level=1)
    framed.wait_for()


def test_a_holiday_by_rest_is_skipped_and_wrong_params_are_refused(services, first_run):
    body = {"logical_date": None, "conf": {"session": HOLIDAY}}
    services.ask("POST", "dags/bist_pipeline/dagRuns", body)
    wrong = services.rest.post(
        "/api/v2/dags/bist_pipeline/dagRuns", json={**body, "conf": {"source": "bloomberg"}}
    )
    (run,) = services.finish("bist_pipeline")

    assert set(services.tasks("bist_pipeline", run["dag_run_id"]).values()) == {"skipped"}
    assert wrong.status_code == 400
    assert [session for session, _ in services.published()] == [FIRST]


def test_a_backfill_with_a_task_that_was_killed_and_cleared_publishes_every_session(services, first_run):
    before = services.published()
    services.ask("PATCH", "dags/bist_daily", {"is_paused": False})
    # Switched on, the DAG makes up for the newest session too, and that one goes first.
    backfill = {"dag_id": "bist_daily", "from_date": f"{SECOND}T00:00:00+03:00", "max_active_runs": 1}
    services.ask("POST", "backfills", {**backfill, "to_date": f"{THIRD}T23:00:00+03:00"})
    kill_task(services, "score")
    killed = wait_for(lambda: find_task(services, "score", "up_for_retry"))
    assert services.published() == before  # never half

    clear = {
        "dry_run": False,
        "task_ids": ["score"],
        "dag_run_id": killed["dag_run_id"],
        "only_failed": False,
    }
    services.ask("POST", "dags/bist_daily/clearTaskInstances", {**clear, "include_downstream": True})
    wait_for(lambda: [day for day, _ in services.published()][:3] == [FIRST, SECOND, THIRD])
    # Whole batches: 60 invented shares, of which a few are not listed yet.
    assert min(count for _, count in services.published()) >= 55


def find_task(services: Services, task: str, state: str) -> dict[str, Any] | None:
    path = f"dags/bist_daily/dagRuns/~/taskInstances?task_id={task}&state={state}"
    found = services.ask("GET", path)["task_instances"]
    return next(iter(found), None)


def kill_task(services: Services, task: str) -> None:
    """Kill the process of a task as soon as it runs, as the kernel does where memory ends."""
    running = wait_for(lambda: find_task(services, task, "running"))
    os.kill(running["pid"], 9)
