"""Fixtures shared by all tests: settings in a temporary home, and a private MariaDB started once."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from bist_pipeline.config import Settings

ROOT = Path(__file__).parents[1]


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


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a private MariaDB server without databases of ours; it ends with the test run."""
    server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server is None:
        reason = "MariaDB is not installed: apt-get install mariadb-server"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    # Not below pytest's base folder: that one is closed to the account the server runs as.
    home = Path(tmp_path_factory.mktemp("mariadb")) if os.geteuid() else Path(_public_folder())
    account = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else "nobody"
    if not os.geteuid():
        shutil.chown(home, account)
    subprocess.run(
        [
            *("mariadb-install-db", "--no-defaults", f"--user={account}", f"--datadir={home}/data"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        ],
        check=True,
        capture_output=True,
    )
    port = free_port()
    process = subprocess.Popen(
        [
            *(server, "--no-defaults", f"--user={account}", f"--datadir={home}/data", f"--socket={home}/s"),
            *("--bind-address=127.0.0.1", f"--port={port}", f"--log-error={home}/error.log"),
            *("--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=2"),
        ]
    )
    url = f"mysql+mysqldb://root@127.0.0.1:{port}"
    try:
        _wait_for(url, home / "error.log")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(home, ignore_errors=True)


def _public_folder() -> str:
    import tempfile

    return tempfile.mkdtemp(prefix="bist-mariadb-")


def _wait_for(url: str, log: Path) -> None:
    engine = create_engine(url)
    for _ in range(300):
        try:
            with engine.connect():
                return
        except Exception:  # noqa: BLE001 - whatever the driver says while the server starts
            time.sleep(0.1)
        finally:
            engine.dispose()
    pytest.fail(f"MariaDB did not start within 30 s:\n{log.read_text()[-2000:]}")


@pytest.fixture
def mariadb_url(mariadb: str) -> Iterator[str]:
    """URL of an empty database on the private MariaDB."""
    engine = create_engine(mariadb)
    with engine.begin() as connection:
        connection.execute(text("CREATE DATABASE bist CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"))
    yield f"{mariadb}/bist?charset=utf8mb4"
    with engine.begin() as connection:
        connection.execute(text("DROP DATABASE bist"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, on every kind of server the pipeline writes to."""
    if request.param == "mariadb":
        url: str = request.getfixturevalue("mariadb_url")
        return url
    return f"sqlite:///{tmp_path}/bist.db"
