"""One process of `make up`: how it is started, found again, asked for its health, and ended.

Whatever is started here carries `BIST_SERVICES=<its home>` and `BIST_SERVICE=<its name>` in its environment,
and so do the processes that it starts: they are found again after a crash, and nothing else is touched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

HOME = Path(os.environ.get("BIST_HOME", "var")).absolute()
AIRFLOW_HOME = Path(os.environ["AIRFLOW_HOME"])
LOGS = HOME / "logs"
HOME_MARK, NAME_MARK = "BIST_SERVICES", "BIST_SERVICE"
# Cold, on two busy cores, Airflow's API server takes most of it.
PATIENCE_S = 180
STOP_S = 30


class ServicesError(Exception):
    """What is wrong and what to do, for people."""


@dataclass(frozen=True)
class Service:
    """One process, and how to know that it works.

    Parameters
    ----------
    command : list of str
        What is started.
    is_healthy : callable
        Whether it works; asked again and again.
    ports : mapping
        Port of 127.0.0.1 by the name of the variable that changes it.
    executable : str, optional
        The program, where its first argument is called otherwise.
    """

    name: str
    command: Sequence[str]
    is_healthy: Callable[[], bool]
    ports: Mapping[str, int] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    executable: str | None = None

    @property
    def log(self) -> Path:
        """Everything that it says."""
        return LOGS / f"{self.name}.log"


def start(service: Service, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start one process that outlives this one."""
    with service.log.open("a") as log:
        return subprocess.Popen(  # noqa: S603
            service.command,
            executable=service.executable,
            env={**environment, **service.environment, NAME_MARK: service.name},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(started: Sequence[tuple[Service, subprocess.Popen[bytes]]]) -> None:
    """Wait until every service is healthy.

    Raises
    ------
    ServicesError
        If one ends, or is not healthy in time.
    """
    deadline, waiting = time.monotonic() + PATIENCE_S, started
    while waiting:
        for service, process in started:
            if process.poll() is not None:
                raise ServicesError(f"{service.name} ended by itself.\nNext: read {service.log}")
        if time.monotonic() > deadline:
            names = ", ".join(service.name for service, _ in waiting)
            raise ServicesError(f"Not healthy after {PATIENCE_S} s: {names}.\nNext: read the logs in {LOGS}")
        waiting = [(service, process) for service, process in waiting if not service.is_healthy()]
        time.sleep(0.25)


def answers(url: str, component: str = "") -> bool:
    """Whether a URL answers 2xx, and says of a component of Airflow that it is healthy."""
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 (our own address)
            body = answer.read()
    except (URLError, OSError):
        return False
    return not component or json.loads(body)[component]["status"] == "healthy"


def ours() -> Iterator[tuple[psutil.Process, str]]:
    """Every process with our mark, but for this one, and the name of its service."""
    for process in psutil.process_iter():
        try:
            marks = process.environ()
        except psutil.Error:  # of another user, or gone meanwhile
            continue
        if process.pid != os.getpid() and marks.get(HOME_MARK) == str(HOME):
            yield process, marks.get(NAME_MARK, "")


def running() -> set[str]:
    """Names of the services whose own process lives; of one that died, children may be left."""
    return {name for process, name in ours() if _is_first(process)}


def stop(*, only: Callable[[str], bool] = lambda name: True) -> int:
    """End every process of the services whose name passes, wait for it, and return how many they were."""
    processes = [process for process, name in ours() if only(name)]
    # Servers first asked, so that they end their own children in order; who stays is killed.
    for process in processes:
        _send(process, psutil.Process.terminate)
    _, alive = psutil.wait_procs(processes, timeout=STOP_S)
    for process in [*alive, *(process for process, name in ours() if only(name))]:
        _send(process, psutil.Process.kill)
    psutil.wait_procs(alive, timeout=STOP_S)
    return len(processes)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def say(text: str) -> None:
    """Tell people."""
    sys.stderr.write(f"{text}\n")


def _is_first(process: psutil.Process) -> bool:
    try:
        return os.getsid(process.pid) == process.pid and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.Error):
        return False


def _send(process: psutil.Process, signal: Callable[[psutil.Process], None]) -> None:
    """Signal a process that may be gone meanwhile."""
    try:
        signal(process)
    except psutil.NoSuchProcess:
        return
