"""Fixtures shared by all tests: settings in a temporary home, real database servers, a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from bist_pipeline.config import Settings
from tests.database_servers import empty_database, run_mariadb, run_mysql

ROOT = Path(__file__).parents[1]
CHROMIUM = Path(os.environ.get("BIST_CHROMIUM", "/usr/bin/chromium"))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's BIST_… variables must not steer the tests."""
    for name in [name for name in os.environ if name.startswith("BIST_") and name != "BIST_SHARED_DATA"]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Defaults, with everything that is written going to a temporary folder."""
    return Settings(home=tmp_path / "var")


@pytest.fixture(scope="session")
def shared_prices() -> Path:
    """Real prices, which a user's machine does not have."""
    path = Path(os.environ.get("BIST_SHARED_DATA", ROOT / "../shared/data")) / "prices_daily.parquet"
    if not path.exists():
        pytest.skip(f"no real prices at {path}; set BIST_SHARED_DATA to the folder that holds them")
    return path


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """URL of a private MariaDB server without databases of ours; it ends with the test run."""
    with run_mariadb() as url:
        yield url


@pytest.fixture(scope="session")
def mysql() -> Iterator[str]:
    """URL of a private MySQL server without databases of ours; it ends with the test run."""
    with run_mysql() as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb: str) -> Iterator[str]:
    """URL of an empty database on the private MariaDB."""
    with empty_database(mariadb) as url:
        yield url


@pytest.fixture
def mysql_url(mysql: str) -> Iterator[str]:
    """URL of an empty database on the private MySQL."""
    with empty_database(mysql) as url:
        yield url


@pytest.fixture(params=["sqlite", "mariadb", "mysql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, on every kind of server the pipeline writes to."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bist.db"
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["mariadb", "mysql"])
def server_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database, on every kind of server that runs by itself."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser of one test file: while Playwright is there, nothing else can run an event loop."""
    if not CHROMIUM.exists():
        reason = f"no Chromium at {CHROMIUM}: apt-get install chromium, or set BIST_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()
