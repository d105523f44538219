"""The API over a real socket and a real database, as its users meet it."""

import datetime as dt
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine, delete, text

from bist_pipeline.calendar import Session
from bist_pipeline.config import Settings
from bist_pipeline.store.engine import begin, open_engine
from bist_pipeline.store.schema import REVISION, metadata
from bist_pipeline.store.write import Run, publish, write_securities, write_sessions
from serving.app import create_app

NOW = dt.datetime.now(dt.UTC)
TODAY = NOW.date()
OLDER, OLD, NEWEST = (TODAY - dt.timedelta(days=n) for n in (3, 2, 1))
UPCOMING = TODAY + dt.timedelta(days=30)

SHARES = {
    "ISCTR": ("Türkiye İş Bankası", "Banks"),
    "THYAO": ("Türk Hava Yolları", "Industrials"),
    "AKBNK": ("Akbank", "Banks"),
    "SISE": ("Şişecam", "Materials"),
    "TUPRS": ("Tüpraş", "Energy"),
}
ILLIQUID = "SISE"
DRIVER = {"feature": "vol_126_rank", "contribution": -0.02, "value": None}

MARIADB = pytest.param("mariadb", marks=pytest.mark.integration)


@pytest.fixture(scope="module", params=["sqlite", MARIADB])
def engine(request, tmp_path_factory) -> Iterator[Engine]:
    if request.param == "sqlite":
        yield open_engine(f"sqlite:///{tmp_path_factory.mktemp('store')}/bist.db")
        return
    url = request.getfixturevalue("mariadb")
    server = open_engine(url)
    with begin(server) as connection:
        connection.execute(text("CREATE DATABASE bist_api CHARACTER SET utf8mb4"))
    engine = open_engine(f"{url}/bist_api")
    yield engine
    engine.dispose()
    with begin(server) as connection:
        connection.execute(text("DROP DATABASE bist_api"))
    server.dispose()


@pytest.fixture(scope="module")
def server(engine) -> Iterator[httpx.Client]:
    with _serve(create_app(_settings(engine))) as client:
        yield client


@pytest.fixture
def empty(engine) -> Engine:
    _create(engine)
    with begin(engine) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": REVISION})
    return engine


@pytest.fixture
def database(empty) -> Engine:
    _fill(empty)
    return empty


@pytest.fixture
def api(server, database) -> httpx.Client:
    return server


@pytest.fixture
def api_on_empty(server, empty) -> httpx.Client:
    return server


def _settings(engine: Engine) -> Settings:
    return Settings(database_url=engine.url.render_as_string(hide_password=False))


def _create(engine: Engine) -> None:
    metadata.create_all(engine)
    with begin(engine) as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32))"))


def _drop(engine: Engine) -> None:
    metadata.drop_all(engine)
    with begin(engine) as connection:
        connection.execute(text("DROP TABLE IF EXISTS alembic_version"))


def _fill(engine: Engine) -> None:
    write_sessions(engine, [_session(day) for day in (OLDER, OLD, NEWEST, UPCOMING)])
    rows = [{"symbol": symbol, "name": name, "sector": sector} for symbol, (name, sector) in SHARES.items()]
    write_securities(engine, "files", rows)
    _publish(engine, OLDER, version="1")
    _publish(engine, NEWEST, version="2")


def _session(day: dt.date) -> Session:
    closes = dt.datetime.combine(day, dt.time(15, 10), dt.UTC)
    return Session(day, opens_at=closes - dt.timedelta(hours=8), cutoff=closes, is_half_day=False)


def _publish(
    engine: Engine, session: dt.date, *, version: str, symbols=tuple(SHARES), source="files"
) -> None:
    model = {"model_name": "bist-rank-63s", "model_version": version}
    batch = [
        {
            **model,
            "symbol": symbol,
            "horizon_sessions": 63,
            "score": float(version),
            "rank": place,
            "percentile": 1 - (place - 1) / len(symbols),
            "expected_excess_return": 0.06 - 0.02 * place,
            "lower": -0.3,
            "upper": 0.3,
            "tradable": symbol != ILLIQUID,
            "drivers": [DRIVER],
        }
        for place, symbol in enumerate(symbols, start=1)
    ]
    finished_at = dt.datetime.now(dt.UTC)
    facts = {"source": source, "session": session, "rows": len(batch), "data_hash": "", "code_version": ""}
    run = Run(f"{source}-{session}-{version}", rank_ic=0.1, finished_at=finished_at, **model, **facts)
    publish(engine, run, batch)


@contextmanager
def _serve(app: FastAPI) -> Iterator[httpx.Client]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive(), "the server did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def _symbols(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [share["symbol"] for share in answer.json()["predictions"]]


def _problem(answer: httpx.Response, status: int, kind: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:problem-type:bist:{kind}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


def test_the_newest_publication_is_ranked_best_first(api):
    answer = api.get("/api/v1/predictions").json()
    published_at = dt.datetime.fromisoformat(answer["publication"].pop("published_at"))
    assert published_at.tzinfo == dt.UTC
    assert answer["publication"] == {
        "run_id": f"files-{NEWEST}-2",
        "session": str(NEWEST),
        "source": "files",
        "horizon_sessions": 63,
        "universe": 5,
        "kind": "forecast",
        "model": {"name": "bist-rank-63s", "version": "2", "rank_ic": 0.1},
    }
    assert answer["matched"] == 5
    assert [share["rank"] for share in answer["predictions"]] == [1, 2, 3, 4, 5]
    assert answer["predictions"][1] == {
        "symbol": "THYAO",
        "name": "Türk Hava Yolları",
        "sector": "Industrials",
        "rank": 2,
        "percentile": 0.8,
        "score": 2.0,
        "expected_excess_return": pytest.approx(0.02),
        "lower": -0.3,
        "upper": 0.3,
        "tradable": True,
        "drivers": [DRIVER],
    }


@pytest.mark.parametrize(
    ("query", "symbols", "matched"),
    [
        ("limit=2", ["ISCTR", "THYAO"], 5),
        ("sector=Banks", ["ISCTR", "AKBNK"], 2),
        ("sector=Banks&limit=1", ["ISCTR"], 2),
        ("tradable=false", ["SISE"], 1),
        ("tradable=true&min_excess=-0.03", ["ISCTR", "THYAO", "AKBNK"], 3),
        ("sector=Materials&tradable=true", [], 0),
        ("min_excess=0.5", [], 0),
    ],
)
def test_filters_narrow_the_answer_and_leave_ranks_alone(api, query, symbols, matched):
    answer = api.get(f"/api/v1/predictions?{query}")
    assert _symbols(answer) == symbols
    assert answer.json()["matched"] == matched
    assert answer.json()["publication"]["universe"] == 5
    everywhere = list(SHARES)
    assert all(everywhere[share["rank"] - 1] == share["symbol"] for share in answer.json()["predictions"])


def test_an_earlier_session_can_be_asked_for(api):
    answer = api.get(f"/api/v1/predictions?session={OLDER}")
    assert len(_symbols(answer)) == 5
    assert answer.json()["publication"]["model"]["version"] == "1"


def test_a_session_without_publication_names_the_nearest(api):
    problem = _problem(api.get(f"/api/v1/predictions?session={OLD}"), 404, "session-not-published")
    assert sorted(problem["near"]) == [str(OLDER), str(NEWEST)]


def test_a_rerun_of_an_old_session_does_not_become_current(api, database):
    _publish(database, OLDER, version="3")
    assert api.get("/api/v1/predictions").json()["publication"]["session"] == str(NEWEST)
    older = api.get(f"/api/v1/predictions?session={OLDER}").json()
    assert (older["matched"], older["publication"]["model"]["version"]) == (5, "3")


def test_the_source_that_published_last_is_served(api, database):
    _publish(database, OLD, version="1", symbols=("SYN01", "SYN02"), source="synthetic")
    answer = api.get("/api/v1/predictions")
    assert _symbols(answer) == ["SYN01", "SYN02"]
    assert answer.json()["predictions"][0]["sector"] == "unknown"
    _problem(api.get(f"/api/v1/predictions?session={NEWEST}"), 404, "session-not-published")


@pytest.mark.parametrize("typed", ["THYAO", "thyao", "THYAO.IS", "ＴＨＹＡＯ"])
def test_one_share_by_any_of_its_spellings(api, typed):
    answer = api.get(f"/api/v1/predictions/{quote(typed)}").json()
    assert (answer["prediction"]["symbol"], answer["prediction"]["rank"]) == ("THYAO", 2)
    assert answer["publication"]["session"] == str(NEWEST)


@pytest.mark.parametrize("typed", ["isctr", "ısctr", "İSCTR"])
def test_one_share_by_dotted_or_dotless_i(api, typed):
    assert api.get(f"/api/v1/predictions/{quote(typed)}").json()["prediction"]["symbol"] == "ISCTR"


def test_an_unknown_symbol_names_near_ones(api):
    problem = _problem(api.get("/api/v1/predictions/THYA0"), 404, "unknown-symbol")
    assert problem["near"] == ["THYAO"]
    assert "THYA0" in problem["detail"]
    assert problem["instance"] == "/api/v1/predictions/THYA0"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=1000000000", "limit"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("min_excess=NaN", "min_excess"),
        ("min_excess=-inf", "min_excess"),
        ("min_excess=1e999", "min_excess"),
        ("session=2024-02-30", "session"),
        ("session=28.06.2024", "session"),
        ("session=20240628", "session"),
        ("session=", "session"),
        ("tradable=perhaps", "tradable"),
        ("sector=" + "x" * 10_000, "sector"),
        ("limti=5", "limti"),
    ],
)
def test_a_bad_parameter_is_named(api, query, parameter):
    answer = api.get(f"/api/v1/predictions?{query}")
    problem = _problem(answer, 422, "invalid-parameters")
    assert [error["parameter"] for error in problem["errors"]] == [parameter]
    assert len(answer.content) < 1000


def test_a_misspelt_sector_names_near_ones(api):
    problem = _problem(api.get("/api/v1/predictions?sector=Bank"), 422, "unknown-sector")
    assert problem["near"] == ["Banks"]


@pytest.mark.parametrize(
    "evil", ["' OR '1'='1", "'; DROP TABLE predictions; --", "%", "%00", "%FF", "\\'", "💥"]
)
def test_sql_and_broken_text_find_nothing_and_break_nothing(api, evil):
    sent = evil if evil in ("%00", "%FF") else quote(evil)
    _problem(api.get(f"/api/v1/predictions/{sent}"), 404, "unknown-symbol")
    _problem(api.get(f"/api/v1/predictions?sector={sent}"), 422, "unknown-sector")
    for parameter in ("limit", "session", "tradable", "min_excess"):
        _problem(api.get(f"/api/v1/predictions?{parameter}={sent}"), 422, "invalid-parameters")
    assert len(_symbols(api.get("/api/v1/predictions"))) == 5


def test_a_very_long_symbol_is_refused_briefly(api):
    answer = api.get("/api/v1/predictions/" + "A" * 10_000)
    problem = _problem(answer, 422, "invalid-parameters")
    assert len(problem["errors"][0]["got"]) < 100


def test_paths_and_methods_that_do_not_exist_are_problems_too(api):
    for answer, status in ((api.get("/api/v2"), 404), (api.delete("/api/v1/predictions"), 405)):
        assert answer.status_code == answer.json()["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"] == "GET"


def test_a_client_that_has_the_publication_gets_304_until_the_next_one(api, database):
    etag = api.get("/api/v1/predictions").headers["etag"]
    known = {"If-None-Match": f'"other", {etag}'}
    for path in ("/api/v1/predictions", "/api/v1/predictions/THYAO"):
        answer = api.get(path, headers=known)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    _publish(database, NEWEST, version="2")
    answer = api.get("/api/v1/predictions", headers=known)
    assert len(_symbols(answer)) == 5
    assert answer.headers["etag"] != etag


def test_ready_while_no_closed_session_is_missing(api):
    answer = api.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "schema_revision": REVISION,
        "published_session": str(NEWEST),
        "age_sessions": 0,
    }


def test_not_ready_when_closed_sessions_are_missing(api_on_empty, empty):
    write_sessions(empty, [_session(day) for day in (OLDER, OLD, NEWEST, UPCOMING)])
    _publish(empty, OLDER, version="1")
    problem = _problem(api_on_empty.get("/health/ready"), 503, "stale-publication")
    assert problem["age_sessions"] == 2
    assert problem["next"] == f"bist run --session {NEWEST}"
    assert len(_symbols(api_on_empty.get("/api/v1/predictions"))) == 5


def test_not_ready_once_the_stored_calendar_has_ended(api, database):
    write_sessions(database, [_session(day) for day in (OLDER, OLD, NEWEST)])
    _problem(api.get("/health/ready"), 503, "freshness-unknown")


DATA_PATHS = ("/api/v1/predictions", "/api/v1/predictions/THYAO", "/health/ready")


def test_a_database_without_tables_names_the_command(api, database):
    _drop(database)
    for path in DATA_PATHS:
        assert _problem(api.get(path), 503, "schema-mismatch")["next"].startswith("bist run")


def test_a_schema_of_another_revision_is_not_read(api, database):
    with begin(database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for path in DATA_PATHS:
        assert "bist db upgrade" in _problem(api.get(path), 503, "schema-mismatch")["next"]


def test_a_database_without_publication_names_the_command(api_on_empty):
    for path in (*DATA_PATHS, f"/api/v1/predictions?session={OLD}"):
        assert _problem(api_on_empty.get(path), 503, "nothing-published")["next"] == "bist run"


def test_a_database_that_goes_away_comes_back_without_a_restart(tmp_path):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    engine = open_engine(f"sqlite:///{here}/bist.db")
    _create(engine)
    with begin(engine) as connection:
        connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": REVISION})
    _fill(engine)
    with _serve(create_app(_settings(engine))) as api:
        assert len(_symbols(api.get("/api/v1/predictions"))) == 5
        here.rename(elsewhere)
        for path in DATA_PATHS:
            answer = api.get(path)
            _problem(answer, 503, "database-unavailable")
            assert answer.headers["retry-after"]
            assert str(tmp_path) not in answer.text
        assert api.get("/health/live").status_code == 200
        elsewhere.rename(here)
        assert len(_symbols(api.get("/api/v1/predictions"))) == 5


@pytest.mark.parametrize("engine", [MARIADB], indirect=True)
def test_connections_that_the_server_closed_are_replaced(api, database):
    assert len(_symbols(api.get("/api/v1/predictions"))) == 5
    others = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    with begin(database) as connection:
        closed = [connection.execute(text(f"KILL {number}")) for number in connection.scalars(text(others))]
    assert closed
    assert len(_symbols(api.get("/api/v1/predictions"))) == 5


def test_readers_get_one_whole_batch_while_a_writer_replaces_it(api, database):
    # Score and model version tell the generation of a row.
    symbols = tuple(f"S{n:04}" for n in range(300))
    _publish(database, NEWEST, version="0", symbols=symbols)
    seen: set[str] = set()
    done = threading.Event()

    def write() -> None:
        for generation in range(1, 200):
            _publish(database, NEWEST, version=str(generation), symbols=symbols)
            if generation >= 16 and len(seen) >= 5:
                break
        done.set()

    def read() -> None:
        while not done.is_set():
            answer = api.get("/api/v1/predictions?limit=1000")
            assert tuple(_symbols(answer)) == symbols
            found = answer.json()
            version = found["publication"]["model"]["version"]
            assert {share["score"] for share in found["predictions"]} == {float(version)}
            assert found["publication"]["universe"] == found["matched"] == 300
            seen.add(version)

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        pool.submit(write).result()
        for reader in readers:
            reader.result()
    assert len(seen) >= 5, "the readers did not meet the writer"


def test_a_fault_of_ours_is_a_problem_without_details():
    app = create_app(Settings(database_url="sqlite://"))
    app.state.engine = "no engine"
    with _serve(app) as api:
        answer = api.get("/api/v1/predictions")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "engine" not in answer.text


def test_every_field_is_described_and_every_error_is_a_problem(api):
    schema = api.get("/openapi.json").json()
    fields = [
        (f"{name}.{field}", described)
        for name, model in schema["components"]["schemas"].items()
        for field, described in model["properties"].items()
        if "$ref" not in described and "const" not in described
    ]
    assert len(fields) > 25
    assert [name for name, described in fields if not described.get("description")] == []
    # An array of described objects needs no example of its own.
    listed = [
        name for name, described in fields if "examples" not in described and "items" not in str(described)
    ]
    assert listed == []
    answers = [
        (path, status, set(answer.get("content", {})))
        for path, operations in schema["paths"].items()
        for status, answer in operations["get"]["responses"].items()
    ]
    assert {content for _, status, kinds in answers if status >= "400" for content in kinds} == {
        "application/problem+json"
    }
    assert ("/api/v1/predictions", "503", {"application/problem+json"}) in answers


def test_the_start_page_leads_to_the_documentation(api):
    answer = api.get("/", follow_redirects=True)
    assert answer.url.path == "/docs"
    assert "swagger" in answer.text


def test_serving_needs_none_of_the_heavy_packages():
    code = "import sys, serving.app; print(*{name.partition('.')[0] for name in sys.modules})"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "fastapi" in found
    heavy = {"pandas", "numpy", "lightgbm", "mlflow", "alibi_detect", "airflow", "alembic", "sklearn"}
    assert heavy.isdisjoint(found)
