"""Private database servers for tests: real ones, on a free port of 127.0.0.1, gone with the test run."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import create_engine, text

ROOT = Path(__file__).parents[1]
_SMALL = ["--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=2"]
# Seconds on a machine of its own; another one may be busy.
_PATIENCE_S = 120


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_mariadb(home: Path | None = None, *options: str, port: int | None = None) -> Iterator[str]:
    """URL of a MariaDB server without databases of ours; `home` must be open to the account it runs as.

    The same `home` and `port` again are the same server, back with its data.
    """
    server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server is None:
        give_up("MariaDB is not installed: apt-get install mariadb-server")
    with _home(home, "mariadb") as folder:
        account = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else "nobody"
        if not os.geteuid():
            shutil.chown(folder, account)
        common = ["--no-defaults", f"--user={account}", f"--datadir={folder}/data", *options]
        if home is None:
            # A server that starts removes the temporary tables of all others with the same folder for them.
            common.append(f"--tmpdir={folder}")
        install = ["mariadb-install-db", *common, "--auth-root-authentication-method=normal"]
        if not (folder / "data").exists():
            subprocess.run([*install, "--skip-test-db"], check=True, capture_output=True)
        with _run([server, *common, *_SMALL], folder, port) as url:
            yield url


@contextmanager
def run_mysql(home: Path | None = None, *options: str, port: int | None = None) -> Iterator[str]:
    """URL of a MySQL server without databases of ours; `scripts/get_mysql.sh` says where it comes from.

    Where one runs already, as beside the job of a workflow, TEST_MYSQL_URL names it; with a `home`, there is
    always one of its own, as `run_mariadb` has it.
    """
    if home is None and (given := os.environ.get("TEST_MYSQL_URL")):
        _let_files_in(given)
        yield given
        return
    found = subprocess.run([ROOT / "scripts/get_mysql.sh"], capture_output=True, text=True, check=False)
    if found.returncode:
        reason = found.stderr.strip().splitlines()[-1]
        if os.environ.get("TEST_MYSQL_URL"):  # all but what ends, freezes or fills a server is tested there
            pytest.skip(reason)
        give_up(reason)
    usr = Path(found.stdout.strip()) / "usr"
    libraries = usr / "lib/x86_64-linux-gnu"
    # It was built with a newer C library than this machine's: that one is started, and loads the server.
    command = [
        str(libraries / "ld-linux-x86-64.so.2"),
        "--library-path",
        f"{libraries}:{usr}/lib/mysql/private",
    ]
    command += [str(usr / "sbin/mysqld"), "--no-defaults", f"--basedir={usr}", "--mysqlx=OFF"]
    command += [f"--lc-messages-dir={usr}/share/mysql", f"--character-sets-dir={usr}/share/mysql/charsets"]
    with _home(home, "mysql") as folder:
        account = pwd.getpwuid(os.geteuid()).pw_name
        command += [f"--user={account}", f"--datadir={folder}/data", "--secure-file-priv=NULL", *options]
        if not (folder / "data").exists():
            made = subprocess.run(
                [*command, "--initialize-insecure"], capture_output=True, text=True, check=False
            )
            assert made.returncode == 0, made.stderr[-2000:]
        with _run([*command, *_SMALL, "--skip-log-bin", "--local-infile=ON"], folder, port) as url:
            yield url


def _let_files_in(server: str) -> None:
    # Off by default in MySQL: the faster way of loading would never be tested.
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("SET GLOBAL local_infile = ON"))
    engine.dispose()


@contextmanager
def frozen(home: Path) -> Iterator[None]:
    """Let the server of this home hang: its connections stay open, and nobody answers."""
    process = int((home / "pid").read_text())
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@contextmanager
def empty_database(server: str, *, name: str = "bist") -> Iterator[str]:
    """URL of an empty database on a server."""
    engine = create_engine(server)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"))
    yield f"{server}/{name}?charset=utf8mb4"
    with engine.begin() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    engine.dispose()


def give_up(reason: str) -> NoReturn:
    """Skip where people run tests; in CI a missing server is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _home(given: Path | None, name: str) -> Iterator[Path]:
    # Not below pytest's base folder: that one is closed to the account the server runs as.
    folder = given or Path(tempfile.mkdtemp(prefix=f"bist-{name}-"))
    try:
        yield folder
    finally:
        if given is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _run(command: Sequence[str], folder: Path, port: int | None = None) -> Iterator[str]:
    port = port or free_port()
    listen = [
        f"--socket={folder}/s",
        "--bind-address=127.0.0.1",
        f"--port={port}",
        f"--pid-file={folder}/pid",
    ]
    process = subprocess.Popen(
        [*command, *listen, f"--log-error={folder}/error.log"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"mysql+mysqldb://root@127.0.0.1:{port}"
    try:
        _wait_for(url, process, folder / "error.log")
        yield url
    finally:
        process.kill()  # nothing on it is worth an orderly end
        process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    engine = create_engine(url)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with engine.connect():
                return
        except Exception:  # noqa: BLE001 - whatever the driver says while the server starts
            assert process.poll() is None, f"the server ended:\n{log.read_text()[-2000:]}"
            time.sleep(0.1)
        finally:
            engine.dispose()
    pytest.fail(f"the server did not start within {_PATIENCE_S} s:\n{log.read_text()[-2000:]}")


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Folder on a disk of its own that is soon full: a tmpfs, which only root may mount."""
    folder = Path(tempfile.mkdtemp(prefix="bist-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode:
        folder.rmdir()
        give_up(f"no small disk can be mounted: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
