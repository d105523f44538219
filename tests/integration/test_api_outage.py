"""The API and its pages while the database is away and once it is back: real servers, ended and frozen."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from bist_pipeline.config import ServingSettings, Settings
from bist_pipeline.store.engine import begin, open_engine
from bist_pipeline.store.schema import COLLATION
from serving.app import create_app
from tests.api_client import Api, problem_of, serve
from tests.browser.invented_batch import create_tables, fill
from tests.database_servers import free_port, frozen, run_mariadb, run_mysql

pytestmark = pytest.mark.integration

FROM_MEMORY = (
    *("predictions", "predictions/THYAO", "predictions?sort=-lower", "scorecard", "models/champion"),
    *("drift", "returns/top", "runs", "runs?limit=2"),
)
FROM_DATABASE = ("predictions/THYAO/history", "returns/top?sessions=5", "runs?limit=500")
SEEN, UNSEEN = "/symbols/THYAO", "/symbols/ISCTR"
PAGES = ("/", "/?q=thy", SEEN, UNSEEN, "/drift", "/model")
BANNER = {"en": "The database does not answer.", "tr": "Veritabanı yanıt vermiyor."}
NOT_NOW = {"en": "Cannot be read at the moment", "tr": "Şu anda okunamıyor"}
_PATIENCE_S = 60
# Longer than a connection and an answer are waited for; whoever asks gives up after it.
_LONGEST_WAIT_S = 15

Start = Callable[[], AbstractContextManager[str]]


@pytest.fixture
def home() -> Iterator[Path]:
    # Not below pytest's base folder: that one is closed to the account the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="bist-outage-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["mariadb", "mysql"])
def start(request: pytest.FixtureRequest, home: Path) -> Start:
    """Start the server, or the same one again."""
    port = free_port()
    if request.param == "mariadb":
        return lambda: run_mariadb(home, f"--tmpdir={home}", port=port)
    return lambda: run_mysql(home, port=port)


@contextmanager
def api_of(server: str) -> Iterator[Api]:
    owner = open_engine(server)
    with begin(owner) as connection:
        connection.execute(text(f"CREATE DATABASE bist CHARACTER SET utf8mb4 COLLATE {COLLATION}"))
    database = f"{server}/bist?charset=utf8mb4"
    engine = open_engine(database)
    create_tables(engine)
    fill(engine)
    for opened in (owner, engine):
        opened.dispose()
    settings = Settings(database_url=database, serving=ServingSettings(poll_seconds=0.05))
    with serve(create_app(settings)) as api:
        wait_until(api, ready=True)
        yield api


def wait_until(api: Api, *, ready: bool) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while (api.get("/health/ready").status_code == 200) is not ready:
        assert time.monotonic() < deadline, "the API did not notice"
        time.sleep(0.05)


def read(api: Api, path: str, language: str = "en") -> str:
    page = api.get(path, headers={"Accept": "text/html", "Accept-Language": language})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
    return page.text


def test_what_was_read_is_served_with_a_banner_until_the_database_is_back(start):
    with ExitStack() as server, api_of(server.enter_context(start())) as api:
        before = read(api, SEEN)
        server.close()
        wait_until(api, ready=False)
        tell_what_is_left(api)
        server.enter_context(start())
        wait_until(api, ready=True)
        for path in (*FROM_MEMORY, *FROM_DATABASE):
            answer = api.get(f"/api/v1/{path}")
            assert (answer.status_code, "age" in answer.headers) == (200, False), path
        for path in PAGES:
            page = read(api, path)
            assert (BANNER["en"] in page, NOT_NOW["en"] in page) == (False, False), path
        assert read(api, SEEN) == before


def tell_what_is_left(api: Api) -> None:
    for path in FROM_DATABASE:  # none of them was asked for before
        answer = api.get(f"/api/v1/{path}")
        problem_of(answer, 503, "database-unavailable")
        assert int(answer.headers["retry-after"]) > 0
    for path in PAGES:
        for language in ("en", "tr"):
            page = read(api, path, language)
            assert BANNER[language] in page, path
            assert (NOT_NOW[language] in page) == (path == UNSEEN), path
    problem_of(api.get("/health/ready"), 503, "database-unavailable")
    assert api.get("/health/live").status_code == 200
    assert "bist_database_up 0.0" in api.get("/metrics").text
    for path in FROM_MEMORY:
        answer = api.get(f"/api/v1/{path}")
        assert answer.status_code == 200, path
        assert int(answer.headers["age"]) >= 0


def test_nobody_hangs_at_a_server_that_accepts_connections_and_says_nothing(start, home):
    with start() as server, api_of(server) as api:
        read(api, SEEN)
        with frozen(home):
            # Before anybody has noticed, and after.
            for path in ("/symbols/SISE", *PAGES, *(f"/api/v1/{path}" for path in FROM_MEMORY)):
                assert api.get(path, timeout=_LONGEST_WAIT_S).status_code == 200, path
            wait_until(api, ready=False)
            tell_what_is_left(api)
        wait_until(api, ready=True)
        assert NOT_NOW["en"] not in read(api, UNSEEN)
