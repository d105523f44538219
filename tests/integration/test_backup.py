"""Backup and restore, as the scripts do it, on a real MySQL; only the containers are played by folders."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from tests.database_servers import run_mysql

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.integration

# `compose exec -T SERVICE …` runs here, with the places of the containers below one folder.
NAMES = ("bist", "airflow", "mlflow")
AGAIN = ("DROP DATABASE IF EXISTS", "CREATE DATABASE")
COMPOSE = """#!/usr/bin/env bash
set -eu
PATH={folder}/bin:$PATH
export MYSQL_ROOT_PASSWORD=
[ "$1" = exec ] || {{ echo "$*" >>{folder}/calls; exit 0; }}
shift 3
args=("$@")
args=("${{args[@]//\\/var\\/lib\\/bist/{folder}\\/lake}}")
args=("${{args[@]//\\/var\\/lib\\/mlflow/{folder}\\/models}}")
exec "${{args[@]}}"
"""
CLIENT = """#!/bin/sh
libraries={tree}/usr/lib/x86_64-linux-gnu
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:{tree}/usr/lib/mysql/private" \\
    {tree}/usr/bin/{program} --no-defaults --protocol=tcp --port={port} "$@"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with run_mysql() as url:
        yield url


class Installation:
    """A system with one row, one price file and one model."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.engine = folder, create_engine(server)
        self.lake, self.models = folder / "lake/prices.parquet", folder / "models/model.skops"
        tree = subprocess.check_output([ROOT / "scripts/get_mysql.sh"], text=True).strip()
        (folder / "bin").mkdir()
        for path in (self.lake, self.models):
            path.parent.mkdir()
            path.write_text(f"content of {path.name}")
        for name in ("mysql", "mysqldump"):
            self.write(f"bin/{name}", CLIENT.format(tree=tree, program=name, port=make_url(server).port))
        self.write("compose", COMPOSE.format(folder=str(folder).replace("/", "\\/")))
        execute(self.engine, *(f"{do} {name}" for name in NAMES for do in AGAIN))
        execute(
            self.engine,
            "CREATE TABLE bist.predictions (symbol VARCHAR(9), name TEXT, score DOUBLE) CHARSET utf8mb4",
            "INSERT INTO bist.predictions VALUES ('SISE', 'Şişe ve Cam', 0.1)",
        )

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def run(self, script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "scripts" / script, *arguments],
            env={"PATH": "/usr/bin:/bin", "COMPOSE": str(self.folder / "compose")},
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
    calls = (installation.folder / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["stop", "run", "restart"]


def damage(backup: Path) -> None:
    (backup / "lake.tar.gz").write_bytes(b"x")


def make_newer(backup: Path) -> None:
    (backup / "version").write_text("99.0.0\n")
    sums = backup / "SHA256SUMS"
    kept = [line for line in sums.read_text().splitlines() if not line.endswith("version")]
    digest = hashlib.sha256((backup / "version").read_bytes()).hexdigest()
    sums.write_text("\n".join([*kept, f"{digest}  version", ""]))


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        (damage, ["--yes"], "damaged"),
        (make_newer, ["--yes"], "made by version 99.0.0"),
        (lambda backup: (backup / "SHA256SUMS").unlink(), ["--yes"], "not a complete one"),
        (lambda backup: None, [], "--yes"),
    ],
    ids=["damaged", "of a newer version", "incomplete", "not confirmed"],
)
def test_a_backup_that_should_not_be_restored_changes_nothing(
    installation: Installation, backup: Path, change, options: list[str], says: str
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


def test_a_backup_never_replaces_another(installation: Installation, backup: Path):
    done = installation.run("backup.sh", backup)
    assert done.returncode == 1
    assert "never replaces" in done.stderr
