"""The API over a real socket and a real database, as its users meet it."""

import csv
import datetime as dt
import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import Engine, delete, text

from bist_pipeline.calendar import Session
from bist_pipeline.config import ServingSettings, Settings
from bist_pipeline.store.engine import begin, open_engine
from bist_pipeline.store.schema import REVISION, metadata
from bist_pipeline.store.write import Run, publish, write_securities, write_sessions
from serving.app import create_app
from serving.board import Board
from tests.api_client import Api, problem_of, serve
from tests.database_servers import empty_database

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

MARIADB, MYSQL = (pytest.param(name, marks=pytest.mark.integration) for name in ("mariadb", "mysql"))
# What asks the database for something that SQLite and MariaDB could understand in another way than MySQL.
on_every_server = pytest.mark.parametrize("engine", ["sqlite", MARIADB, MYSQL], indirect=True)


@pytest.fixture(scope="module", params=["sqlite", MARIADB])
def engine(request, tmp_path_factory) -> Iterator[Engine]:
    if request.param == "sqlite":
        yield open_engine(f"sqlite:///{tmp_path_factory.mktemp('store')}/bist.db")
        return
    with empty_database(request.getfixturevalue(request.param), name="bist_api") as url:
        engine = open_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture(scope="module")
def server(engine) -> Iterator[Api]:
    with serve(create_app(_settings(engine))) as client:
        yield client


@pytest.fixture(scope="module")
def state(engine) -> dict[str, bool]:
    """Whether the database is as `_fill` leaves it: most tests only read, and filling takes time."""
    return {"is_filled": False}


@pytest.fixture
def empty(engine, state) -> Iterator[Engine]:
    state["is_filled"] = False
    _clear(engine)
    yield engine
    state["is_filled"] = False


@pytest.fixture
def database(empty) -> Engine:
    _fill(empty)
    return empty


@pytest.fixture
def api(request, server, engine, state) -> Api:
    if "database" in request.fixturenames:
        request.getfixturevalue("database")
    elif not state["is_filled"]:
        _clear(engine)
        _fill(engine)
        state["is_filled"] = True
    server.keeper.refresh()
    return server


@pytest.fixture
def api_on_empty(server, empty) -> Api:
    server.keeper.refresh()
    return server


def _clear(engine: Engine) -> None:
    _create(engine)
    with begin(engine) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": REVISION})


def _settings(engine: Engine) -> Settings:
    url = engine.url.render_as_string(hide_password=False)
    return Settings(database_url=url, serving=ServingSettings(poll_seconds=0.05))


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


def _symbols(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [share["symbol"] for share in answer.json()["predictions"]]


@on_every_server
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
        "age_sessions": 0,
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
        "drivers": [DRIVER | {"raw": None, "text": None}],
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
        ("symbol=THYAO&symbol=akbnk.is", ["THYAO", "AKBNK"], 2),
        ("symbol=THYAO&sector=Banks", [], 0),
        ("sort=-expected_excess_return&limit=1", ["ISCTR"], 5),
        ("sort=symbol&limit=3", ["AKBNK", "ISCTR", "SISE"], 5),
        ("sort=-sector&sector=Banks", ["ISCTR", "AKBNK"], 2),
        ("after=3", ["SISE", "TUPRS"], 5),
        ("after=5", [], 5),
        ("after=100000000000000000000", [], 5),
    ],
)
def test_filters_narrow_the_answer_and_leave_ranks_alone(api, query, symbols, matched):
    answer = api.get(f"/api/v1/predictions?{query}")
    assert _symbols(answer) == symbols
    assert answer.json()["matched"] == matched
    assert answer.json()["publication"]["universe"] == 5
    everywhere = list(SHARES)
    assert all(everywhere[share["rank"] - 1] == share["symbol"] for share in answer.json()["predictions"])


@on_every_server
def test_an_earlier_session_can_be_asked_for(api):
    answer = api.get(f"/api/v1/predictions?session={OLDER}")
    assert len(_symbols(answer)) == 5
    publication = answer.json()["publication"]
    assert (publication["model"]["version"], publication["age_sessions"]) == ("1", 2)


def test_a_session_without_publication_names_the_nearest(api):
    problem = problem_of(api.get(f"/api/v1/predictions?session={OLD}"), 404, "session-not-published")
    assert sorted(problem["near"]) == [str(OLDER), str(NEWEST)]


@on_every_server
def test_a_rerun_of_an_old_session_does_not_become_current(api, database):
    _publish(database, OLDER, version="3")
    api.keeper.refresh()
    assert api.get("/api/v1/predictions").json()["publication"]["session"] == str(NEWEST)
    older = api.get(f"/api/v1/predictions?session={OLDER}").json()
    assert (older["matched"], older["publication"]["model"]["version"]) == (5, "3")


@on_every_server
def test_the_source_that_published_last_is_served(api, database):
    _publish(database, OLD, version="1", symbols=("SYN01", "SYN02"), source="synthetic")
    api.keeper.refresh()
    answer = api.get("/api/v1/predictions")
    assert _symbols(answer) == ["SYN01", "SYN02"]
    assert answer.json()["predictions"][0]["sector"] == "unknown"
    problem_of(api.get(f"/api/v1/predictions?session={NEWEST}"), 404, "session-not-published")


@pytest.mark.parametrize("typed", ["THYAO", "thyao", "THYAO.IS", "ＴＨＹＡＯ"])
def test_one_share_by_any_of_its_spellings(api, typed):
    answer = api.get(f"/api/v1/predictions/{quote(typed)}").json()
    assert (answer["prediction"]["symbol"], answer["prediction"]["rank"]) == ("THYAO", 2)
    assert answer["publication"]["session"] == str(NEWEST)


@on_every_server
@pytest.mark.parametrize("typed", ["isctr", "ısctr", "İSCTR"])
def test_one_share_by_dotted_or_dotless_i(api, typed):
    assert api.get(f"/api/v1/predictions/{quote(typed)}").json()["prediction"]["symbol"] == "ISCTR"


def test_an_unknown_symbol_names_near_ones(api):
    problem = problem_of(api.get("/api/v1/predictions/THYA0"), 404, "unknown-symbol")
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
        ("after=-1", "after"),
        ("after=0", "after"),
        ("sort=1;DROP", "sort"),
        ("symbol=" + "x" * 10_000, "symbol"),
        ("&".join(["symbol=THYAO"] * 101), "symbol"),
        ("sector=Banks&sector=Energy", "sector"),
        ("tradable=true&tradable=false", "tradable"),
    ],
)
def test_a_bad_parameter_is_named(api, query, parameter):
    answer = api.get(f"/api/v1/predictions?{query}")
    problem = problem_of(answer, 422, "invalid-parameters")
    assert [error["parameter"] for error in problem["errors"]] == [parameter]
    assert len(answer.content) < 1000


def test_a_misspelt_sector_names_near_ones(api):
    problem = problem_of(api.get("/api/v1/predictions?sector=Bank"), 404, "unknown-sector")
    assert problem["near"] == ["Banks"]


PARAMETERS = {
    "/api/v1/predictions": (
        *("session", "symbol", "sector", "tradable", "min_excess"),
        *("sort", "limit", "after"),
    ),
    "/api/v1/predictions/THYAO/history": ("limit", "before"),
    "/api/v1/returns/top": ("sessions", "limit", "after"),
    "/api/v1/drift": ("limit", "before"),
    "/api/v1/runs": ("limit", "before"),
}


@on_every_server
@pytest.mark.parametrize(
    "evil", ["' OR '1'='1", "'; DROP TABLE predictions; --", "%", "%00", "%FF", "\\'", "💥", "-1", "1e9"]
)
def test_sql_and_broken_text_find_nothing_and_break_nothing(api, evil):
    sent = evil if evil in ("%00", "%FF") else quote(evil)
    problem_of(api.get(f"/api/v1/predictions/{sent}"), 404, "unknown-symbol")
    problem_of(api.get(f"/api/v1/predictions/{sent}/history"), 404, "unknown-symbol")
    for path, names in PARAMETERS.items():
        for name in names:
            answer = api.get(f"{path}?{name}={sent}")
            if name in ("symbol", "sector"):
                problem_of(answer, 404, f"unknown-{name}")
            elif (name, answer.status_code) != ("min_excess", 200):  # -1 and 1e9 are numbers
                problem_of(answer, 422, "invalid-parameters")
    assert len(_symbols(api.get("/api/v1/predictions"))) == 5


@pytest.mark.parametrize(
    "path", ["/api/v1/predictions/THYAO", "/api/v1/scorecard", "/api/v1/models/champion"]
)
def test_a_parameter_where_there_are_none_is_named(api, path):
    problem = problem_of(api.get(f"{path}?session={OLDER}"), 422, "invalid-parameters")
    assert [error["parameter"] for error in problem["errors"]] == ["session"]


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/drift", "/api/v1/predictions/THYAO/history"])
@pytest.mark.parametrize(
    "query", ["before=0000-00-00", "before=20240628", "before=10000-01-01", "limit=-1", "limit=1001"]
)
def test_a_bad_paging_key_is_named(api, path, query):
    problem = problem_of(api.get(f"{path}?{query}"), 422, "invalid-parameters")
    assert [error["parameter"] for error in problem["errors"]] == [query.partition("=")[0]]
    assert api.get(f"{path}?before=0001-01-01").status_code == 200


@on_every_server
def test_pages_of_any_order_make_up_the_whole_and_stay_with_one_batch(api, database):
    whole = _symbols(api.get("/api/v1/predictions?sort=-symbol"))
    answer = api.get("/api/v1/predictions?sort=-symbol&limit=2")
    found = _symbols(answer)
    _publish(database, TODAY, version="5", symbols=("NEW",))
    api.keeper.refresh()
    while answer.json()["next"] is not None:
        assert answer.headers["link"] == f'<{answer.json()["next"]}>; rel="next"'
        answer = api.get(answer.json()["next"])
        found += _symbols(answer)
    assert found == whole == sorted(SHARES, reverse=True)
    assert _symbols(api.get("/api/v1/predictions")) == ["NEW"]


def test_no_name_of_a_share_is_a_formula_to_a_spreadsheet(api, database):
    evil = {"ISCTR": "=HYPERLINK(1)", "THYAO": "+90 212", "AKBNK": "-A1", "SISE": "@SUM(A1)", "TUPRS": "A=B"}
    write_securities(database, "files", [{"symbol": s, "name": n, "sector": n} for s, n in evil.items()])
    _publish(database, NEWEST, version="6")
    api.keeper.refresh()

    table = api.get("/api/v1/predictions", headers={"Accept": "text/csv"}).text

    rows = {row["symbol"]: row for row in csv.DictReader(io.StringIO(table, newline=""))}
    for symbol, name in evil.items():
        told = name if symbol == "TUPRS" else f"'{name}"
        assert rows[symbol]["name"] == rows[symbol]["sector"] == told
        assert float(rows[symbol]["lower"]) == -0.3, "a negative number is no text"
    assert api.get("/api/v1/predictions/ISCTR").json()["prediction"]["name"] == evil["ISCTR"]


def test_choices_are_listed_in_the_language_of_the_problem(api):
    answer = api.get("/api/v1/predictions?sort=nothing", headers={"Accept-Language": "tr"})
    message = problem_of(answer, 422, "invalid-parameters")["errors"][0]["message"]
    assert message.startswith("Şunlardan biri olmalı: 'rank', ")
    assert (" ya da " in message, " or " in message) == (True, False)


def test_a_very_long_symbol_is_refused_briefly(api):
    answer = api.get("/api/v1/predictions/" + "A" * 10_000)
    problem = problem_of(answer, 422, "invalid-parameters")
    assert len(problem["errors"][0]["got"]) < 100


def test_paths_and_methods_that_do_not_exist_are_problems_too(api):
    for answer, status in ((api.get("/api/v2"), 404), (api.delete("/api/v1/predictions"), 405)):
        assert answer.status_code == answer.json()["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"] == "GET"


@on_every_server
def test_a_client_that_has_the_publication_gets_304_until_the_next_one(api, database):
    etag = api.get("/api/v1/predictions").headers["etag"]
    known = {"If-None-Match": f'"other", {etag}'}
    for path in ("/api/v1/predictions", "/api/v1/predictions/THYAO"):
        answer = api.get(path, headers=known)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    _publish(database, NEWEST, version="2")
    api.keeper.refresh()
    answer = api.get("/api/v1/predictions", headers=known)
    assert len(_symbols(answer)) == 5
    assert answer.headers["etag"] != etag


@on_every_server
def test_ready_while_no_closed_session_is_missing(api):
    answer = api.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "schema_revision": REVISION,
        "published_session": str(NEWEST),
        "age_sessions": 0,
    }


@on_every_server
def test_not_ready_when_closed_sessions_are_missing(api_on_empty, empty):
    write_sessions(empty, [_session(day) for day in (OLDER, OLD, NEWEST, UPCOMING)])
    _publish(empty, OLDER, version="1")
    api_on_empty.keeper.refresh()
    problem = problem_of(api_on_empty.get("/health/ready"), 503, "stale-publication")
    assert problem["age_sessions"] == 2
    assert problem["next"] == f"bist run --session {NEWEST}"
    assert len(_symbols(api_on_empty.get("/api/v1/predictions"))) == 5


def test_not_ready_once_the_stored_calendar_has_ended(api, database):
    write_sessions(database, [_session(day) for day in (OLDER, OLD, NEWEST)])
    api.keeper.refresh()
    problem_of(api.get("/health/ready"), 503, "freshness-unknown")


DATA_PATHS = (
    "/api/v1/predictions",
    "/api/v1/predictions/THYAO",
    "/api/v1/predictions/THYAO/history",
    "/api/v1/returns/top",
    "/api/v1/scorecard",
    "/api/v1/models/champion",
    "/api/v1/drift",
    "/api/v1/runs",
)
EVERY_PATH = (*DATA_PATHS, "/health/ready")


@on_every_server
def test_a_database_without_tables_names_the_command(database):
    _drop(database)
    with serve(create_app(_settings(database))) as api:
        for path in EVERY_PATH:
            assert problem_of(api.get(path), 503, "schema-mismatch")["next"].startswith("bist run")


@pytest.mark.parametrize("steps", [-1, 1], ids=["one behind", "one ahead"])
def test_a_schema_of_another_revision_is_not_read(api, database, steps):
    revision = f"{int(REVISION) + steps:04}"
    with begin(database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    with serve(create_app(_settings(database))) as started_now:
        for path in EVERY_PATH:
            assert "bist db upgrade" in problem_of(started_now.get(path), 503, "schema-mismatch")["next"]
    api.keeper.refresh()
    problem_of(api.get("/health/ready"), 503, "schema-mismatch")
    assert len(_symbols(api.get("/api/v1/predictions"))) == 5, (
        "what was read before the upgrade is still right"
    )


@on_every_server
def test_a_database_without_publication_names_the_command(api_on_empty):
    for path in (*EVERY_PATH, f"/api/v1/predictions?session={OLD}"):
        assert problem_of(api_on_empty.get(path), 503, "nothing-published")["next"] == "bist run"


def test_without_its_database_the_last_snapshot_is_served_with_its_age_until_it_is_back(tmp_path):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    engine = open_engine(f"sqlite:///{here}/bist.db")
    _create(engine)
    with begin(engine) as connection:
        connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": REVISION})
    _fill(engine)
    with serve(create_app(_settings(engine))) as api:
        before = api.get("/api/v1/predictions")
        assert len(_symbols(before)) == 5
        assert "age" not in before.headers
        here.rename(elsewhere)
        api.keeper.refresh()
        for path in ("/api/v1/predictions", "/api/v1/predictions/THYAO", "/api/v1/scorecard"):
            answer = api.get(path)
            assert answer.status_code == 200
            assert int(answer.headers["age"]) >= 0
        assert _symbols(api.get("/api/v1/predictions?sort=-rank")) == list(SHARES)[::-1]
        not_read_before = api.get(f"/api/v1/predictions?session={OLDER}")
        for answer in (api.get("/health/ready"), not_read_before):
            problem_of(answer, 503, "database-unavailable")
            assert answer.headers["retry-after"]
            assert str(tmp_path) not in answer.text
        assert "bist_database_up 0.0" in api.get("/metrics").text
        assert api.get("/health/live").status_code == 200
        elsewhere.rename(here)
        api.keeper.refresh()
        assert api.get("/health/ready").status_code == 200
        assert "age" not in api.get("/api/v1/predictions").headers


def test_a_server_that_starts_before_its_database_serves_once_that_is_there(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/later/bist.db")
    with serve(create_app(_settings(engine))) as api:
        answer = api.get("/api/v1/predictions")
        problem_of(answer, 503, "database-unavailable")
        assert answer.headers["retry-after"]
        (tmp_path / "later").mkdir()
        _create(engine)
        with begin(engine) as connection:
            connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": REVISION})
        _fill(engine)
        api.keeper.refresh()
        assert len(_symbols(api.get("/api/v1/predictions"))) == 5


@pytest.mark.parametrize("engine", [MARIADB, MYSQL], indirect=True)
def test_connections_that_the_server_closed_are_replaced(api, database):
    assert len(_symbols(api.get("/api/v1/predictions"))) == 5
    others = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    with begin(database) as connection:
        closed = [connection.execute(text(f"KILL {number}")) for number in connection.scalars(text(others))]
    assert closed
    assert len(_symbols(api.get(f"/api/v1/predictions?session={OLDER}"))) == 5
    assert api.get("/health/ready").status_code == 200


@on_every_server
def test_a_publication_becomes_visible_by_itself(api, database):
    _publish(database, NEWEST, version="7")
    for _ in range(1000):
        if api.get("/api/v1/predictions").json()["publication"]["model"]["version"] == "7":
            return
        time.sleep(0.01)
    pytest.fail("the new publication was not noticed")


@on_every_server
def test_a_batch_that_cannot_be_read_leaves_the_last_one_in_place(api, database):
    unreadable = text("UPDATE predictions SET drivers = '[{\"feature\": null}]' WHERE symbol = 'THYAO'")
    with begin(database) as connection:
        connection.execute(text("UPDATE publications SET published_at = '2999-01-01 00:00:00.000000'"))
        connection.execute(unreadable)
    api.keeper.refresh()
    problem = problem_of(api.get("/health/ready"), 503, "unreadable-data")
    assert problem["next"] == "bist run"
    assert "feature" not in problem["detail"]
    assert len(_symbols(api.get("/api/v1/predictions"))) == 5
    _publish(database, NEWEST, version="8")
    api.keeper.refresh()
    assert api.get("/health/ready").status_code == 200


@on_every_server
def test_readers_get_one_whole_batch_while_a_writer_replaces_it(api, database):
    # Score and model version tell the generation of a row.
    symbols = tuple(f"S{n:04}" for n in range(300))
    _publish(database, NEWEST, version="0", symbols=symbols)
    api.keeper.refresh()
    seen: set[str] = set()
    done = threading.Event()

    def write() -> None:
        for generation in range(1, 200):
            _publish(database, NEWEST, version=str(generation), symbols=symbols)
            if generation >= 8 and len(seen) >= 4:
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
    assert len(seen) >= 4, "the readers did not meet the writer"


def test_a_fault_of_ours_is_a_problem_without_details_and_with_all_headers(api, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the engine's password")

    monkeypatch.setattr(Board, "select", fail)
    answer = api.get("/api/v1/predictions?limit=3")
    problem_of(answer, 500, "internal-error")
    assert "engine" not in answer.text
    assert "content-security-policy" in answer.headers


def test_the_start_page_is_for_people_and_leads_to_the_documentation(api):
    assert 'href="/docs"' in api.get("/").text
    assert "swagger" in api.get("/docs").text


def test_serving_needs_none_of_the_heavy_packages():
    code = "import sys, serving.app; print(*{name.partition('.')[0] for name in sys.modules})"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "fastapi" in found
    heavy = {"pandas", "numpy", "lightgbm", "mlflow", "alibi_detect", "airflow", "alembic", "sklearn"}
    assert heavy.isdisjoint(found)
