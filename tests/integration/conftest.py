"""One database at the newest schema on every kind of server, cleared for each test: migrations are slow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, delete

from bist_pipeline.store.engine import begin, open_engine
from bist_pipeline.store.migrate import upgrade
from bist_pipeline.store.schema import metadata
from tests.database_servers import empty_database


@pytest.fixture(scope="session", params=["sqlite", "mariadb", "mysql"])
def migrated_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the database; parametrize it (`indirect`) for some of the servers only."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('migrated')}/bist.db"
        upgrade(open_engine(url))
        yield url
        return
    with empty_database(request.getfixturevalue(request.param), name="bist_migrated") as url:
        upgrade(open_engine(url))
        yield url


@pytest.fixture
def store(migrated_url: str) -> Iterator[Engine]:
    """The database without a row, as the pipeline opens it."""
    engine = open_engine(migrated_url, can_load_files=True)
    with begin(engine) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))
    yield engine
    engine.dispose()
