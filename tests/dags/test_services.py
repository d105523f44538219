"""Airflow, MLflow and the API as `make up` starts them, used as people do, and hurt as machines do.

Each test leaves whole batches in the database: none is half, none is there twice. The tests follow each other
like the days of an operator: the first run, a bad day, a replay, a training that drift asked for.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import create_engine, make_url

from bist_pipeline.calendar import bist_calendar
from tests.airflow_services import Gate, Services, Webhook, run_services, wait_for
from tests.dags.test_airflow_run import TINY
from tests.database_servers import ROOT, empty_database

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

FIRST = "2024-06-27"
HOLIDAY, FUTURE = "2024-06-17", "2031-06-27"
BACKFILLED = ["2024-06-28", "2024-07-01", "2024-07-02", "2024-07-03", "2024-07-04"]
# 60 invented shares, of which a few are not listed yet.
WHOLE = 55
# What Airflow answers without login, and why that is no harm.
OPEN = {
    "/api/v2/monitor/health": "says whether each component lives, for those who watch it",
    "/api/v2/version": "the version of Airflow",
    "/api/v2/auth/login": "leads to the login",
    "/api/v2/auth/logout": "leads to the login",
}


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
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory, database: str, gate: Gate, webhook: Webhook
) -> Iterator[Services]:
    home, engine = tmp_path_factory.mktemp("services"), create_engine(database)
    through_gate = make_url(database).set(port=gate.port).render_as_string(hide_password=False)
    settings = {**TINY, "BIST_DATABASE_URL": through_gate, "BIST_ALERTS__WEBHOOK_URL": webhook.url}
    with run_services(home, engine, **settings) as services:
        yield services
    engine.dispose()


@pytest.fixture(scope="module")
def page(chromium: Browser, services: Services) -> Iterator[Page]:
    """Someone who has logged in."""
    with chromium.new_context(viewport={"width": 1400, "height": 1000}) as context:
        page = context.new_page()
        page.set_default_timeout(180_000)
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
    page.goto("about:blank")  # a page that refreshes itself would take the time of the tasks
    run: str = services.ask("GET", "dags/bist_pipeline/dagRuns")["dag_runs"][0]["dag_run_id"]
    assert services.end_of("bist_pipeline", run) == "success", services.states("bist_pipeline", run)
    return run


def only_whole_batches(services: Services, *sessions: str) -> bool:
    """These sessions are published, no other, and none of them half."""
    published = services.published()
    return sorted(published) == sorted(sessions) and min(published.values()) >= WHOLE


def test_nothing_of_airflow_can_be_read_without_login(services):
    paths = services.rest.get("/openapi.json").json()["paths"]
    readable = [path for path, methods in paths.items() if "get" in methods]
    assert len(readable) > 50
    with httpx.Client(base_url=services.airflow, timeout=120) as stranger:
        refused = {path for path in readable if stranger.get(re.sub("{.*?}", "1", path)).status_code == 401}
    assert set(readable) - refused == set(OPEN), "close these, or say in OPEN why they do no harm"
    password_file = services.home / "airflow/simple_auth_manager_passwords.json.generated"
    assert password_file.stat().st_mode & 0o777 == 0o600
    assert json.loads(password_file.read_text()) == {"admin": services.password}


def test_a_run_from_the_form_succeeds_and_leads_to_the_predictions(services, page, first_run):
    assert only_whole_batches(services, FIRST)

    page.goto(f"{services.airflow}/dags/bist_pipeline/runs/{first_run}")
    page.get_by_text("Success", exact=True).first.wait_for()
    page.goto(f"{services.airflow}/dags/bist_pipeline/runs/{first_run}/tasks/score/details")
    # Beside the one of the navigation, which leads to the same page inside Airflow.
    link = page.locator(f"a[href='{services.api}/']", has_text="Predictions")
    link.wait_for()
    page.goto(link.get_attribute("href"))
    assert "27 June 2024" in page.inner_text("main")


def test_the_links_of_a_task_lead_to_what_this_very_task_made(services, page, first_run):
    instances = f"dags/bist_pipeline/dagRuns/{first_run}/taskInstances"
    train, drift = (
        services.ask("GET", f"{instances}/{task}/links")["extra_links"] for task in ("train", "drift")
    )
    made = services.ask("GET", f"{instances}/train/xcomEntries/return_value")["value"]["details"]

    assert train == {"MLflow": f"{services.mlflow}/#/runs/{made['mlflow_run_id']}"}
    page.goto(train["MLflow"])
    page.get_by_text("rank_ic", exact=True).first.wait_for()
    assert drift == {"Drift report": f"{services.api}/drift/reports/{FIRST}"}
    page.goto(drift["Drift report"])
    assert FIRST in page.inner_text("h1")


def test_the_pages_are_part_of_airflows_navigation(services, page, first_run):
    page.goto(f"{services.airflow}/plugin/predictions")

    framed = page.frame_locator("iframe").get_by_role("heading", level=1)
    framed.wait_for()


def test_a_day_without_trading_is_skipped_and_other_wrong_wishes_fail_in_words(services, webhook, first_run):
    wishes = [
        ("NotASessionError", {"session": HOLIDAY}),
        ("SessionOutOfRangeError", {"session": FUTURE}),
        ("SessionOutOfRangeError", {"session": str(bist_calendar().last)}),
        ("SourceNotFoundError", {"source": "files", "source_path": "/nowhere/prices.parquet"}),
    ]
    runs = {services.trigger("bist_pipeline", **wish): error for error, wish in wishes}
    unknown = {"logical_date": None, "conf": {"source": "bloomberg"}}
    refused = services.rest.post("/api/v2/dags/bist_pipeline/dagRuns", json=unknown)

    assert refused.status_code == 400
    assert [services.end_of("bist_pipeline", run) for run in runs] == [
        "success",
        "failed",
        "failed",
        "failed",
    ]
    holiday, *failed = runs
    assert set(services.states("bist_pipeline", holiday).values()) == {"skipped"}
    assert [services.states("bist_pipeline", run)["ingest"] for run in failed] == ["failed"] * 3
    for run, error in runs.items():
        path = f"/api/v2/dags/bist_pipeline/dagRuns/{run}/taskInstances/ingest/logs/1"
        assert error in services.rest.get(path, headers={"Accept": "application/json"}).text
    assert only_whole_batches(services, FIRST)
    for run in failed:
        told = wait_for(lambda run=run: webhook.about(run), f"the alert of {run}")[0]
        assert (told["check"], told["urgency"]) == ("bist_pipeline failed", "at leisure")
        assert f"task ingest: {runs[run]}: " in told["cause"]
        assert "Next: " in told["cause"]
        assert told["runbook"] == "docs/en/operating.md, section 'A failed run'"
    assert not webhook.about(holiday)


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
    # Away for so long that the first retry, half a minute later, fails too.
    wait_for(
        lambda: services.until("bist_pipeline", second, "score", "up_for_retry")["try_number"] == 2,
        "a second try that failed",
    )
    assert only_whole_batches(services, FIRST)
    assert httpx.get(f"{services.api}/api/v1/predictions?limit=1").json()["predictions"]  # as it was
    gate.open()
    assert services.end_of("bist_pipeline", second) == "success"
    assert only_whole_batches(services, FIRST)


def test_a_backfill_with_a_killed_task_and_a_killed_scheduler_publishes_every_session(
    services, webhook, first_run
):
    whole_days = {
        "from_date": f"{BACKFILLED[0]}T00:00:00+03:00",
        "to_date": f"{BACKFILLED[-1]}T23:00:00+03:00",
    }
    wish = {"dag_id": "bist_daily", "max_active_runs": 1, **whole_days}
    # Refused with 503 while another process writes to SQLite. Airflow then takes back the runs it had made,
    # which kills a scheduler that is looking at them: so the DAG is still off, as the guide says.
    wait_for(lambda: services.rest.post("/api/v2/backfills", json=wish).is_success, "a backfill let in")
    # Switched on, the DAG makes up for the newest session too. Which goes first is Airflow's choice.
    services.ask("PATCH", "dags/bist_daily", {"is_paused": False})

    before = services.published()
    running = services.until("bist_daily", "~", "score", "running")
    os.kill(running["pid"], 9)
    services.until("bist_daily", running["dag_run_id"], "score", "up_for_retry")
    assert services.published() == before
    scheduled = "dags/bist_daily/dagRuns?run_type=scheduled"
    (newest,) = wait_for(lambda: services.ask("GET", scheduled)["dag_runs"], "a run of the newest session")
    # If it is 80 minutes old by now, it was late from the start.
    overdue = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(newest["logical_date"])
    if overdue > dt.timedelta(minutes=80):
        (late,) = wait_for(lambda: webhook.about(newest["dag_run_id"]), "the alert of a late batch")
        assert (late["check"], late["urgency"]) == ("batch not published in time", "today")
        assert f"the newest are of {FIRST}." in late["cause"]
        assert late["runbook"] == "docs/en/operating.md, section 'The batch is late'"
    clear = {"dag_run_id": running["dag_run_id"], "task_ids": ["score"], "include_downstream": True}
    clear |= {"dry_run": False, "only_failed": False}
    services.ask("POST", "dags/bist_daily/clearTaskInstances", clear)
    assert services.end_of("bist_daily", running["dag_run_id"]) == "success"

    interrupted = services.until("bist_daily", "~", "features", "running")
    services.kill("airflow-scheduler")
    services.make("up")
    assert services.end_of("bist_daily", interrupted["dag_run_id"]) == "success"

    runs = services.ask("GET", "dags/bist_daily/dagRuns")["dag_runs"]
    assert [run["run_type"] for run in runs].count("backfill") == len(BACKFILLED)
    assert {services.end_of("bist_daily", run["dag_run_id"]) for run in runs} == {"success"}
    assert only_whole_batches(services, FIRST, *BACKFILLED, max(services.published()))
    assert max(services.published()) > BACKFILLED[-1]


def test_a_training_that_drift_asks_for_starts_by_itself(services, webhook, first_run):
    services.ask("PATCH", "dags/bist_train", {"is_paused": False})
    # Switched on, it makes up for the training of the quarter, which this is not about.
    runs = "dags/bist_train/dagRuns"
    (quarter,) = wait_for(lambda: services.ask("GET", f"{runs}?run_type=scheduled")["dag_runs"], "a training")
    services.ask("PATCH", f"{runs}/{quarter['dag_run_id']}", {"state": "success"})

    wish = [ROOT / ".venv/bin/bist", "drift", "retrain", FIRST, "--reason", "a new regime"]
    subprocess.run(wish, env=services.environment, check=True, capture_output=True)
    clear = {"dag_run_id": first_run, "task_ids": ["drift"], "dry_run": False, "only_failed": False}
    services.ask("POST", "dags/bist_pipeline/clearTaskInstances", clear)

    asked = f"{runs}?run_type=asset_triggered"
    (training,) = wait_for(lambda: services.ask("GET", asked)["dag_runs"], "a training that was asked for")
    run = training["dag_run_id"]
    assert services.end_of("bist_train", run) == "success"
    (event,) = services.ask("GET", f"{runs}/{run}/upstreamAssetEvents")["asset_events"]
    assert (event["name"], event["extra"]["reason"]) == ("bist_retrain_request", "a new regime")
    features = services.ask("GET", f"{runs}/{run}/taskInstances/features/xcomEntries/return_value")["value"]
    assert features["session"] == FIRST


def test_a_training_of_a_day_without_trading_is_skipped(services):
    run = services.trigger("bist_train", session=HOLIDAY)

    assert services.end_of("bist_train", run) == "success"
    assert set(services.states("bist_train", run).values()) == {"skipped"}


def test_every_run_that_failed_was_told_once_and_no_other(services, webhook):
    runs = services.ask("GET", "dags/~/dagRuns?state=failed&limit=100")["dag_runs"]
    failed = Counter(run["dag_run_id"] for run in runs)
    assert failed

    told = [alert for alert in webhook.alerts if alert["check"].endswith(" failed")]
    assert Counter(alert["cause"].split(", ")[1].removeprefix("run ") for alert in told) == failed
