"""Airflow over several machines, on this one: MySQL as its database, redis as its broker, two workers.

`make up SCALE=celery` starts them beside everything else. Elsewhere the workers run on machines of their own;
nothing in them knows that these two do not.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from service import AIRFLOW_HOME, LOGS, Service, ServicesError, write_private

FOLDER = AIRFLOW_HOME / "celery"
SECRETS = FOLDER / "secrets.json"
MYSQL_DATA = FOLDER / "mysql"
MYSQL_PORT = int(os.environ.get("MYSQL_PORT", "13306"))
REDIS_PORT = int(os.environ.get("REDIS_PORT", "16379"))
WORKERS = ("airflow-worker-1", "airflow-worker-2")
# Run at every start, before the first connection: root never goes without a password.
MYSQL_INIT = """\
ALTER USER 'root'@'localhost' IDENTIFIED BY '{root}';
CREATE DATABASE IF NOT EXISTS airflow CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE USER IF NOT EXISTS 'airflow'@'127.0.0.1' IDENTIFIED BY '{airflow}';
GRANT ALL PRIVILEGES ON airflow.* TO 'airflow'@'127.0.0.1';
"""
# Nothing is saved: Airflow notices a lost message and queues its task again. Redis keeps its name, because
# renaming itself overwrites the environment that marks it as ours.
REDIS_CONF = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
save ""
set-proc-title no
"""


def celery_environment() -> dict[str, str]:
    """Settings of Airflow that make it use all this."""
    passwords = _passwords()
    database = f"mysql+mysqldb://airflow:{passwords['airflow']}@127.0.0.1:{MYSQL_PORT}/airflow"
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        # Empty: no asynchronous connections. They would need aiomysql, which the lock does not hold.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": "",
        "AIRFLOW__CELERY__BROKER_URL": _broker(passwords),
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
        # One task a worker: both get some.
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "1",
        # A day, as is the default; only said, or every process warns that it is not.
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
    }


def stores() -> list[Service]:
    """MySQL and redis, which have to be there before Airflow is prepared."""
    passwords = _passwords()
    return [
        Service(
            "mysql",
            [*_mysqld(), f"--init-file={FOLDER / 'init.sql'}", "--bind-address=127.0.0.1"],
            partial(_mysql_answers, passwords["airflow"]),
            ports={"MYSQL_PORT": MYSQL_PORT},
        ),
        # Debian's redis-server is this program by another name, in a package that starts no service.
        Service(
            "redis",
            ["redis-server", str(FOLDER / "redis.conf")],
            partial(_redis_answers, passwords["redis"]),
            ports={"REDIS_PORT": REDIS_PORT},
            executable="/usr/bin/redis-check-rdb",
        ),
    ]


def workers() -> list[Service]:
    """Two workers; each runs one task at a time."""
    broker = _broker(_passwords())
    return [
        Service(
            name,
            ["airflow", "celery", "worker", "--skip-serve-logs", "--celery-hostname", f"{name}@%h"],
            partial(_worker_answers, broker, f"{name}@{socket.gethostname()}"),
        )
        for name in WORKERS
    ]


def prepare_stores() -> None:
    """Write passwords and settings; fill MySQL's folder the first time."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    passwords = _passwords()
    write_private(FOLDER / "init.sql", MYSQL_INIT.format(**passwords))
    redis = REDIS_CONF.format(port=REDIS_PORT, password=passwords["redis"], folder=FOLDER)
    write_private(FOLDER / "redis.conf", redis)
    if MYSQL_DATA.exists():
        return
    # Under another name until it is whole: an interrupted one is begun again.
    begun = FOLDER / "mysql.new"
    shutil.rmtree(begun, ignore_errors=True)
    with (LOGS / "mysql.log").open("a") as log:
        command = [*_mysqld(begun), "--initialize-insecure"]
        made = subprocess.run(command, stdout=log, stderr=log, check=False)  # noqa: S603
    if made.returncode:
        raise ServicesError(f"MySQL cannot make its folder.\nNext: read {log.name}")
    begun.rename(MYSQL_DATA)


def _mysqld(data: Path | None = None) -> list[str]:
    found = subprocess.run(["scripts/get_mysql.sh"], capture_output=True, text=True, check=False)  # noqa: S607
    if found.returncode:
        raise ServicesError(
            f"{found.stderr.strip()}\nNext: docker compose --profile celery up, which brings its own"
        )
    usr = Path(found.stdout.strip()) / "usr"
    libraries = usr / "lib/x86_64-linux-gnu"
    return [
        # Built with a newer C library than this machine's: that one is started, and loads the server.
        *(str(libraries / "ld-linux-x86-64.so.2"), "--library-path", f"{libraries}:{usr}/lib/mysql/private"),
        *(str(usr / "sbin/mysqld"), "--no-defaults", f"--basedir={usr}"),
        *(f"--datadir={data or MYSQL_DATA}", "--innodb-buffer-pool-size=128M"),
        *(f"--lc-messages-dir={usr}/share/mysql", f"--character-sets-dir={usr}/share/mysql/charsets"),
        # Its socket lies in its data: the path of a socket must be short.
        *(f"--user={getpass.getuser()}", f"--port={MYSQL_PORT}", "--socket=mysql.sock", "--mysqlx=OFF"),
        *("--secure-file-priv=NULL", "--skip-log-bin", "--skip-name-resolve"),
    ]


def _mysql_answers(password: str) -> bool:
    from MySQLdb import OperationalError, connect

    try:
        connect(host="127.0.0.1", port=MYSQL_PORT, user="airflow", password=password, db="airflow").close()
    except OperationalError:
        return False
    return True


def _redis_answers(password: str) -> bool:
    from redis import Redis, RedisError

    try:
        return bool(Redis(port=REDIS_PORT, password=password).ping())
    except RedisError:
        return False


def _worker_answers(broker: str, name: str) -> bool:
    from celery import Celery
    from kombu.exceptions import OperationalError

    try:
        return bool(Celery(broker=broker).control.ping(destination=[name], timeout=1, limit=1))
    except OperationalError:
        return False


def _broker(passwords: Mapping[str, str]) -> str:
    return f"redis://:{passwords['redis']}@127.0.0.1:{REDIS_PORT}/0"


def _passwords() -> dict[str, str]:
    if not SECRETS.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        made = {name: secrets.token_hex(16) for name in ("root", "airflow", "redis")}
        write_private(SECRETS, json.dumps(made))
    found: dict[str, str] = json.loads(SECRETS.read_text())
    return found
