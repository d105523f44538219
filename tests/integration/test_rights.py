"""The pipeline's user writes rows, the API's user only reads them: on real servers, by `sql/grants.sql`."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import MySQLdb
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, Executable, delete, insert, make_url, select, text, update

from bist_pipeline.config import Settings
from bist_pipeline.errors import DatabaseRightsError
from bist_pipeline.store.engine import begin, connect, open_engine
from bist_pipeline.store.migrate import script_location, upgrade
from bist_pipeline.store.schema import COLLATION, metadata
from serving.app import create_app
from tests.publishing import ROWS, before, publish_score, published

pytestmark = pytest.mark.integration

GRANTS = Path(script_location()) / "grants.sql"
PREPARE = Path(__file__).parents[2] / "docker/prepare_databases.py"
DDL = [
    "CREATE TABLE mine (id INTEGER)",
    "ALTER TABLE predictions ADD COLUMN mine INTEGER",
    "TRUNCATE TABLE past_returns",
    "DROP TABLE price_series",
    "DROP VIEW current_predictions",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE INDEX mine ON predictions (score)",
]


class Users(NamedTuple):
    """Engines of the two users on one database."""

    pipeline: Engine
    api: Engine


@pytest.fixture
def users(server_url: str) -> Iterator[Users]:
    owner = open_engine(server_url)
    upgrade(owner)
    names = ("bist", "bist_api")
    with begin(owner) as connection:
        for name in names:
            connection.execute(text(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'its-password'"))
        for line in GRANTS.read_text(encoding="utf-8").splitlines():
            if not line.startswith("--"):
                connection.execute(text(line))
    urls = [make_url(server_url).set(username=name, password="its-password") for name in names]
    yield Users(*(open_engine(u.render_as_string(hide_password=False), can_load_files=True) for u in urls))
    with begin(owner) as connection:
        for name in names:
            connection.execute(text(f"DROP USER '{name}'@'%'"))


def refused(engine: Engine, statement: Executable) -> None:
    with pytest.raises(DatabaseRightsError, match="refuses this user") as caught, begin(engine) as connection:
        connection.execute(statement)
    assert "sql/grants.sql" in caught.value.next_step


def test_the_pipelines_user_publishes_by_way_of_a_file_and_changes_no_schema(users):
    staged = before(users.pipeline, "LOAD DATA LOCAL", lambda _: None)
    publish_score(users.pipeline, 1.0)

    assert staged
    assert published(users.pipeline) == 1.0
    for statement in DDL:
        refused(users.pipeline, text(statement))


def test_the_apis_user_reads_everything_and_writes_nothing(users):
    publish_score(users.pipeline, 1.0)

    for table in metadata.tables.values():
        column = next(iter(table.c))
        refused(users.api, insert(table).from_select(list(table.c), select(table)))
        refused(users.api, update(table).values({column: column}))
        refused(users.api, delete(table))
    for statement in DDL:
        refused(users.api, text(statement))
    with connect(users.api) as connection:
        assert len(connection.execute(text("SELECT * FROM current_predictions")).all()) == ROWS
    assert published(users.api) == 1.0


def test_the_api_serves_every_page_and_endpoint_with_its_users_rights(users):
    publish_score(users.pipeline, 1.0)
    url = users.api.url.render_as_string(hide_password=False)
    paths = ["/", "/symbols/S00000", "/drift", "/model", "/api/v1/predictions", "/api/v1/predictions/S00000"]

    with TestClient(create_app(Settings(database_url=url)), base_url="http://localhost") as client:
        documented = [path for path in client.get("/openapi.json").json()["paths"] if "{" not in path]
        answers = {path: client.get(path).status_code for path in {*paths, *documented} - {"/health/ready"}}

    assert len(answers) > len(paths)
    assert {path: status for path, status in answers.items() if status != 200} == {}


@pytest.fixture
def containers_server(mysql: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The MySQL server that the containers' script finds under its name there, and its root."""
    place, connect_to = make_url(mysql), MySQLdb.connect
    monkeypatch.setenv("MYSQL_ROOT_PASSWORD", str(place.password or ""))
    for name in ("BIST", "BIST_API", "AIRFLOW", "MLFLOW"):
        monkeypatch.setenv(f"{name}_DB_PASSWORD", "its-password")
    here = {"host": place.host, "port": place.port}
    monkeypatch.setattr(MySQLdb, "connect", lambda **asked: connect_to(**{**asked, **here}))
    owner = open_engine(mysql)
    yield owner
    with begin(owner) as connection:
        for name in ("bist", "airflow", "mlflow"):
            connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        for name in ("bist", "bist_api", "airflow", "mlflow"):
            connection.execute(text(f"DROP USER IF EXISTS '{name}'@'%'"))
    owner.dispose()


def test_the_containers_database_has_the_one_collation_of_our_tables(containers_server):
    with begin(containers_server) as connection:  # as an older version left it
        connection.execute(text("CREATE DATABASE bist COLLATE utf8mb4_unicode_ci"))

    for _ in range(2):
        runpy.run_path(str(PREPARE))

    with begin(containers_server) as connection:
        collation = connection.scalar(
            text("SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = 'bist'")
        )
    assert collation == COLLATION
