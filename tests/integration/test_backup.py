"""Backup and restore, as the scripts do it, on real servers; only the containers are played by folders."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from sqlalchemy import Engine, create_engine, make_url, text

from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.migrate import current_revision, downgrade, upgrade
from bist_pipeline.store.schema import REVISION
from tests.publishing import publish_score, published

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.integration

NAMES = ("bist", "airflow", "mlflow")
AGAIN = ("DROP DATABASE IF EXISTS", "CREATE DATABASE")
# What compose runs in a container runs here, its places below one folder; of `init`, the migrations.
COMPOSE = """#!/usr/bin/env bash
set -eu
PATH={folder}/bin:$PATH
export MYSQL_ROOT_PASSWORD=
[ "$1" = exec ] || echo "$*" >>{folder}/calls
if [ "$*" = "run --rm init" ] && [ -e {folder}/has_schema ]; then exec {bist} db upgrade; fi
case "$*" in
    "exec -T "*) shift 3 ;;
    "run --rm --no-deps -T "*) shift 5 ;;
    *) exit 0 ;;
esac
args=("$@")
args=("${{args[@]//\\/var\\/lib\\/bist/{folder}\\/lake}}")
args=("${{args[@]//\\/var\\/lib\\/mlflow/{folder}\\/models}}")
exec "${{args[@]}}"
"""
# Options that come later win: the scripts know one address only.
CLIENT = """#!/bin/sh
exec {program} --no-defaults --protocol=tcp "$@" --host={host} --port={port}
"""


@pytest.fixture(params=["mariadb", "mysql"])
def server(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


def client(server: str, name: str) -> str:
    """Command of the server's own client: MariaDB's is installed, MySQL's is unpacked with its C library."""
    with create_engine(server).connect() as connection:
        if "MariaDB" in connection.execute(text("SELECT VERSION()")).scalar_one():
            return {"mysql": "mariadb", "mysqldump": "mariadb-dump"}[name]
    found = subprocess.run([ROOT / "scripts/get_mysql.sh"], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(found.stderr.strip().splitlines()[-1])
    tree = found.stdout.strip()
    libraries = f"{tree}/usr/lib/x86_64-linux-gnu"
    loader = f"{libraries}/ld-linux-x86-64.so.2 --library-path {libraries}:{tree}/usr/lib/mysql/private"
    return f"{loader} {tree}/usr/bin/{name}"


class Installation:
    """A system with one row, one price file and one model."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.engine = folder, create_engine(server)
        self.url = f"{server}/bist?charset=utf8mb4"
        self.lake, self.models = folder / "lake/prices.parquet", folder / "models/model.skops"
        (folder / "bin").mkdir()
        for path in (self.lake, self.models):
            path.parent.mkdir()
            path.write_text(f"content of {path.name}")
        at = make_url(server)
        for name in ("mysql", "mysqldump"):
            text = CLIENT.format(program=client(server, name), host=at.host, port=at.port)
            self.write(f"bin/{name}", text)
        bist = Path(sys.executable).with_name("bist")
        self.write("compose", COMPOSE.format(folder=str(folder).replace("/", "\\/"), bist=bist))
        execute(self.engine, *(f"{do} {name}" for name in NAMES for do in AGAIN))
        execute(
            self.engine,
            "CREATE TABLE bist.alembic_version (version_num VARCHAR(32))",
            f"INSERT INTO bist.alembic_version VALUES ('{REVISION}')",  # noqa: S608
            "CREATE TABLE bist.predictions (symbol VARCHAR(9), name TEXT, score DOUBLE) CHARSET utf8mb4",
            "INSERT INTO bist.predictions VALUES ('SISE', 'Şişe ve Cam', 0.1)",
        )

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def run(self, script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "scripts" / script, *arguments],
            env={
                "PATH": "/usr/bin:/bin",
                "COMPOSE": str(self.folder / "compose"),
                "BIST_DATABASE_URL": self.url,
            },
            capture_output=True,
            text=True,
        )

    def state(self) -> tuple[list[tuple[object, ...]], str, str]:
        with self.engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(text("SELECT * FROM bist.predictions"))]
        return rows, self.lake.read_text(), self.models.read_text()


def execute(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture
def installation(tmp_path: Path, server: str) -> Iterator[Installation]:
    made = Installation(tmp_path, server)
    yield made
    execute(made.engine, *(f"DROP DATABASE IF EXISTS {name}" for name in NAMES))
    made.engine.dispose()


@pytest.fixture
def backup(installation: Installation, tmp_path: Path) -> Path:
    done = installation.run("backup.sh", tmp_path / "backup")
    assert done.returncode == 0, done.stderr
    return tmp_path / "backup"


def test_what_was_lost_or_changed_since_the_backup_is_as_it_was(installation: Installation, backup: Path):
    before = installation.state()
    execute(installation.engine, "DROP TABLE bist.predictions", "CREATE TABLE bist.later (x INT)")
    installation.lake.unlink()
    installation.models.with_name("later.skops").touch()

    done = installation.run("restore.sh", backup, "--yes")
    assert done.returncode == 0, done.stderr
    assert installation.state() == before
    assert not installation.models.with_name("later.skops").exists()
    stop, *calls = (installation.folder / "calls").read_text().splitlines()
    # Whatever writes is stopped before, workers too, and nothing but MySQL has to run meanwhile.
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    stopped = stop.removeprefix("--profile celery stop ").split()
    assert {*services} - {*stopped} == {"mysql", "init", "redis", "prometheus"}
    assert [" ".join(call.split()[:6]) for call in calls] == [
        "up --detach --wait --no-build mysql",
        "run --rm --no-deps -T airflow-scheduler sh",
        "run --rm --no-deps -T mlflow sh",
        "run --rm init",
        "up --detach --wait --no-build",
    ]


@pytest.mark.parametrize("server", ["mysql"], indirect=True)
def test_a_server_that_numbers_its_transactions_takes_its_own_backup_back(
    installation: Installation, tmp_path: Path
):
    number = f"{uuid4()}:1"
    with installation.engine.connect() as connection:
        if connection.execute(text("SELECT @@GLOBAL.gtid_mode")).scalar_one() != "ON":
            pytest.skip("this server does not number its transactions: MySQL before 9 has to be told to")
        for statement in (f"SET gtid_next = '{number}'", "COMMIT", "SET gtid_next = AUTOMATIC"):
            connection.execute(text(statement))
        assert number[:36] in connection.execute(text("SELECT @@GLOBAL.gtid_executed")).scalar_one()
    before = installation.state()
    assert installation.run("backup.sh", tmp_path / "numbered").returncode == 0
    execute(installation.engine, "DROP TABLE bist.predictions")

    done = installation.run("restore.sh", tmp_path / "numbered", "--yes")

    assert done.returncode == 0, done.stderr
    assert installation.state() == before


def test_a_backup_of_last_month_is_migrated_to_the_schema_of_today(
    installation: Installation, tmp_path: Path
):
    execute(installation.engine, *(f"{do} bist" for do in AGAIN))
    engine = open_engine(installation.url, can_load_files=True)
    upgrade(engine)
    publish_score(engine, 1.0)
    downgrade(engine, to="0006")
    assert installation.run("backup.sh", tmp_path / "old").returncode == 0
    upgrade(engine)
    publish_score(engine, 2.0)
    (tmp_path / "has_schema").touch()

    done = installation.run("restore.sh", tmp_path / "old", "--yes")

    assert done.returncode == 0, done.stderr
    with connect(engine) as connection:
        assert current_revision(connection) == REVISION
    assert published(engine) == 1.0
    engine.dispose()


def damage(backup: Path) -> None:
    (backup / "lake.tar.gz").write_bytes(b"x")


def replace_text(backup: Path, name: str, content: str) -> None:
    """Write another content into a backup, with its checksum."""
    (backup / name).write_text(content)
    sums = backup / "SHA256SUMS"
    kept = [line for line in sums.read_text().splitlines() if not line.endswith(name)]
    digest = hashlib.sha256(content.encode()).hexdigest()
    sums.write_text("\n".join([*kept, f"{digest}  {name}", ""]))


@pytest.mark.parametrize("server", ["mysql"], indirect=True)
@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        (damage, ["--yes"], "damaged"),
        (lambda backup: replace_text(backup, "version", "99.0.0\n"), ["--yes"], "made by version 99.0.0"),
        (lambda backup: replace_text(backup, "schema", "9999\n"), ["--yes"], "has the schema 9999"),
        (lambda backup: (backup / "SHA256SUMS").unlink(), ["--yes"], "not a complete one"),
        (lambda backup: None, [], "--yes"),
    ],
    ids=["damaged", "of a newer version", "of a newer schema", "incomplete", "not confirmed"],
)
def test_a_backup_that_should_not_be_restored_changes_nothing(
    installation: Installation,
    backup: Path,
    change: Callable[[Path], None],
    options: list[str],
    says: str,
):
    change(backup)
    execute(installation.engine, "UPDATE bist.predictions SET score = 0.2")
    before = installation.state()

    done = installation.run("restore.sh", backup, *options)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Nothing was changed." in done.stderr
    assert installation.state() == before


def test_a_dump_that_breaks_off_is_no_backup(installation: Installation, tmp_path: Path):
    execute(installation.engine, "DROP DATABASE airflow")
    done = installation.run("backup.sh", tmp_path / "half")
    assert done.returncode != 0
    assert "Unknown database" in done.stderr
    assert not list(tmp_path.glob("half*"))


@pytest.mark.parametrize("server", ["mysql"], indirect=True)
def test_a_backup_never_replaces_another(installation: Installation, backup: Path):
    done = installation.run("backup.sh", backup)
    assert done.returncode == 1
    assert "never replaces" in done.stderr
