"""Airflow, MLflow and the API as `make up` starts them, used as people do, and hurt as machines do.

Each test leaves whole batches in the database: none is half, none is there twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import create_engine, make_url

from tests.airflow_services import Gate, Services, run_services, wait_for
from tests.dags.test_airflow_run import TINY
from tests.database_servers import empty_database

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

FIRST = "2024-06-27"
HOLIDAY, FUTURE = "2024-06-17", "2031-06-27"
BACKFILLED = ["2024-06-28", "2024-07-01", "2024-07-02", "2024-07-03", "2024-07-04"]
# 60 invented shares, of which a few are not listed yet.
WHOLE = 55


@pytest.fixture(scope="module")
def database(mariadb: str) -> Iterator[str]:
    with empty_database(mariadb, name="services") as url:
        yield url


@pytest.fixture(scope="module")
def gate(database: str) -> Iterator[Gate]:
    """How the pipeline and the API reach their database."""
    port = make_url(database).port
    assert port is not None
    gate = Gate(port)
    yield gate
    gate.shut()


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, database: str, gate: Gate) -> Iterator[Services]:
    home, engine = tmp_path_factory.mktemp("services"), create_engine(database)
    through_gate = make_url(database).set(port=gate.port).render_as_string(hide_password=False)
    with run_services(home, engine, **TINY, BIST_DATABASE_URL=through_gate) as services:
        yield services
    engine.dispose()


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
def first_run(services: Services, page: Page) -> str:
    """The DAG `bist_pipeline`, triggered by its form in the browser; the id of the run."""
    page.goto(f"{services.airflow}/dags/bist_pipeline")
    page.get_by_role("button", name="Trigger").first.click()
    page.fill("#element_session", FIRST)
    page.get_by_role("dialog").get_by_role("button", name="Trigger").last.click()
    page.wait_for_url("**/runs/**")
    run: str = services.ask("GET", "dags/bist_pipeline/dagRuns")["dag_runs"][0]["dag_run_id"]
    assert services.end_of("bist_pipeline", run) == "success", services.states("bist_pipeline", run)
    return run


def only_whole_batches(services: Services, *sessions: str) -> bool:
    """These sessions are published, no other, and none of them half."""
    published = services.published()
    return sorted(published) == sorted(sessions) and min(published.values()) >= WHOLE


def test_nothing_of_airflow_can_be_read_without_login(services):
    for path in ("dags", "dags/bist_pipeline", "assets", "config", "plugins", "variables"):
        assert httpx.get(f"{services.airflow}/api/v2/{path}").status_code == 401, path
    password_file = services.home / "airflow/simple_auth_manager_passwords.json.generated"
    assert password_file.stat().st_mode & 0o777 == 0o600
    assert json.loads(password_file.read_text()) == {"admin": services.password}


def test_a_run_from_the_form_succeeds_and_leads_to_the_predictions(services, page, first_run):
    assert only_whole_batches(services, FIRST)

    page.goto(f"{services.airflow}/dags/bist_pipeline/runs/{first_run}/tasks/score/details")
    link = page.get_by_role("link", name="Predictions").last
    link.wait_for()
    assert link.get_attribute("href") == f"{services.api}/"
    page.goto(link.get_attribute("href"))
    assert "27 June 2024" in page.inner_text("main")


def test_the_pages_are_part_of_airflows_navigation(services, page, first_run):
    page.goto(f"{services.airflow}/plugin/predictions")

    framed = page.frame_locator("iframe").get_by_role("heading", level=1)
    framed.wait_for()


def test_a_day_without_trading_is_skipped_and_other_wrong_wishes_fail_in_words(services, first_run):
    wishes = {
        "NotASessionError": {"session": HOLIDAY},
        "SessionOutOfRangeError": {"session": FUTURE},
        "SourceNotFoundError": {"source": "files", "source_path": "/nowhere/prices.parquet"},
    }
    runs = {error: services.trigger("bist_pipeline", **wish) for error, wish in wishes.items()}
    unknown = {"logical_date": None, "conf": {"source": "bloomberg"}}
    refused = services.rest.post("/api/v2/dags/bist_pipeline/dagRuns", json=unknown)

    ends = {error: services.end_of("bist_pipeline", run) for error, run in runs.items()}
    first_tasks = {error: services.states("bist_pipeline", run)["ingest"] for error, run in runs.items()}
    assert refused.status_code == 400
    assert ends["SessionOutOfRangeError"] == ends["SourceNotFoundError"] == "failed"
    assert list(first_tasks.values()) == ["skipped", "failed", "failed"]
    for error, run in runs.items():
        path = f"/api/v2/dags/bist_pipeline/dagRuns/{run}/taskInstances/ingest/logs/1"
        assert error in services.rest.get(path, headers={"Accept": "application/json"}).text
    assert only_whole_batches(services, FIRST)


def test_two_triggers_at_once_while_mlflow_and_then_the_database_are_away_end_in_one_batch(
    services, gate, first_run
):
    first, second = (services.trigger("bist_pipeline", session=FIRST) for _ in range(2))

    services.until("bist_pipeline", first, "train", "running")
    services.kill("mlflow")
    assert set(services.states("bist_pipeline", second).values()) == {None}  # waits for the first
    services.until("bist_pipeline", first, "train", "up_for_retry")
    services.make("up")  # starts what is missing
    assert services.end_of("bist_pipeline", first) == "success"

    services.until("bist_pipeline", second, "score", "running")
    gate.shut()
    services.until("bist_pipeline", second, "score", "up_for_retry")
    assert only_whole_batches(services, FIRST)
    assert httpx.get(f"{services.api}/api/v1/predictions?limit=1").json()["predictions"]  # as it was
    gate.open()
    assert services.end_of("bist_pipeline", second) == "success"
    assert only_whole_batches(services, FIRST)


def test_a_backfill_with_a_killed_task_and_a_killed_scheduler_publishes_every_session(services, first_run):
    whole_days = {
        "from_date": f"{BACKFILLED[0]}T00:00:00+03:00",
        "to_date": f"{BACKFILLED[-1]}T23:00:00+03:00",
    }
    wish = {"dag_id": "bist_daily", "max_active_runs": 1, **whole_days}
    # Refused with 503 while another process writes to SQLite. Airflow then takes back the runs it had made,
    # which kills a scheduler that is looking at them: so the DAG is still off, as the guide says.
    wait_for(lambda: services.rest.post("/api/v2/backfills", json=wish).is_success, "a backfill let in")
    # Switched on, the DAG makes up for the newest session too, and that one goes first.
    services.ask("PATCH", "dags/bist_daily", {"is_paused": False})

    before = services.published()
    running = services.until("bist_daily", "~", "score", "running")
    os.kill(running["pid"], 9)
    services.until("bist_daily", running["dag_run_id"], "score", "up_for_retry")
    assert services.published() == before
    clear = {"dag_run_id": running["dag_run_id"], "task_ids": ["score"], "include_downstream": True}
    clear |= {"dry_run": False, "only_failed": False}
    services.ask("POST", "dags/bist_daily/clearTaskInstances", clear)
    assert services.end_of("bist_daily", running["dag_run_id"]) == "success"

    interrupted = services.until("bist_daily", "~", "features", "running")
    services.kill("airflow-scheduler")
    services.make("up")
    assert services.end_of("bist_daily", interrupted["dag_run_id"]) == "success"

    def all_published() -> bool:
        return set(BACKFILLED) < set(services.published())

    wait_for(all_published, "the last session of the backfill")
    newest = max(services.published())
    assert only_whole_batches(services, FIRST, *BACKFILLED, newest)
    assert newest > BACKFILLED[-1]
