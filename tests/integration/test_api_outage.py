"""The API while its database is away and once it is back: a real server that ends and is started again."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from bist_pipeline.config import ServingSettings, Settings
from bist_pipeline.store.engine import begin, open_engine
from bist_pipeline.store.schema import COLLATION
from serving.app import create_app
from tests.api_client import Api, problem_of, serve
from tests.browser.invented_batch import create_tables, fill
from tests.database_servers import free_port, run_mariadb

pytestmark = pytest.mark.integration

FROM_MEMORY = ("predictions", "predictions/THYAO", "predictions?sort=-lower", "scorecard", "models/champion")
FROM_DATABASE = ("drift", "predictions/THYAO/history", "returns/top", "runs")
PAGES = ("/", "/symbols/THYAO", "/drift", "/model")
_PATIENCE_S = 60


@pytest.fixture
def home() -> Iterator[Path]:
    # Not below pytest's base folder: that one is closed to the account the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="bist-outage-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(api: Api) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while api.get("/health/ready").status_code != 200:
        assert time.monotonic() < deadline, "the API did not recover"
        time.sleep(0.05)


def test_what_was_read_is_served_and_the_rest_says_when_to_come_back_until_it_does_by_itself(home):
    port = free_port()
    with ExitStack() as server:
        url = server.enter_context(run_mariadb(home, f"--tmpdir={home}", port=port))
        owner = open_engine(url)
        with begin(owner) as connection:
            connection.execute(text(f"CREATE DATABASE bist CHARACTER SET utf8mb4 COLLATE {COLLATION}"))
        database = f"{url}/bist?charset=utf8mb4"
        engine = open_engine(database)
        create_tables(engine)
        fill(engine)
        for opened in (owner, engine):
            opened.dispose()
        settings = Settings(database_url=database, serving=ServingSettings(poll_seconds=0.05))
        with serve(create_app(settings)) as api:
            wait_until_ready(api)
            server.close()
            tell_what_is_left(api)
            server.enter_context(run_mariadb(home, f"--tmpdir={home}", port=port))
            wait_until_ready(api)
            for path in (*FROM_MEMORY, *FROM_DATABASE):
                answer = api.get(f"/api/v1/{path}")
                assert (answer.status_code, "age" in answer.headers) == (200, False), path
            assert {api.get(path).status_code for path in PAGES} == {200}


def tell_what_is_left(api: Api) -> None:
    for path in FROM_DATABASE:  # none of them was asked for before
        answer = api.get(f"/api/v1/{path}")
        problem_of(answer, 503, "database-unavailable")
        assert int(answer.headers["retry-after"]) > 0
    for path in PAGES:
        page = api.get(path, headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert int(page.headers["retry-after"]) > 0
    problem_of(api.get("/health/ready"), 503, "database-unavailable")
    assert api.get("/health/live").status_code == 200
    assert "bist_database_up 0.0" in api.get("/metrics").text
    for path in FROM_MEMORY:
        answer = api.get(f"/api/v1/{path}")
        assert answer.status_code == 200, path
        assert int(answer.headers["age"]) >= 0
