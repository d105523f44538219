"""Airflow, MLflow and the API on this machine, without containers: `make up`, `make down`, `make status`.

    services.py up | down | status

Called by services.sh, which sets Airflow's environment. Everything listens on 127.0.0.1 only. Whatever is
started here carries `BIST_SERVICES=<its home>` in its environment, and so do the processes it starts:
`down` ends these and no others, also after a crash.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

HOME = Path(os.environ.get("BIST_HOME", "var")).absolute()
AIRFLOW_HOME = Path(os.environ["AIRFLOW_HOME"])
LOGS = HOME / "logs"
MARK = "BIST_SERVICES"
PASSWORDS = AIRFLOW_HOME / "simple_auth_manager_passwords.json.generated"
POOLS = {
    "bist": {"slots": 1, "description": "Stages that write: one at a time"},
    "bist_folds": {"slots": 1, "description": "Folds of a training: as many as there are machines for them"},
}
# Cold, on two busy cores, Airflow's API server takes most of it.
PATIENCE_S = 180
STOP_S = 30


class ServicesError(Exception):
    """What is wrong and what to do, for people."""


@dataclass(frozen=True)
class Ports:
    """Where the three things that people open listen."""

    airflow: int = int(os.environ.get("AIRFLOW_PORT", "8080"))
    mlflow: int = int(os.environ.get("MLFLOW_PORT", "5000"))
    api: int = int(os.environ.get("API_PORT", "8000"))


@dataclass(frozen=True)
class Service:
    """One process, and how to know that it works.

    Parameters
    ----------
    command : list of str
        What is started.
    health : str
        A URL that answers 2xx when it works.
    component : str
        Its name in Airflow's own health report, where it has no URL.
    """

    name: str
    command: list[str]
    health: str
    component: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """Everything that it says."""
        return LOGS / f"{self.name}.log"


def services(ports: Ports) -> list[Service]:
    """Everything that `up` starts, in order."""
    monitor = f"http://127.0.0.1:{ports.airflow}/api/v2/monitor/health"
    api_server = ["airflow", "api-server", "--host", "127.0.0.1", "--port", str(ports.airflow)]
    mlflow = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(ports.mlflow), "--workers", "1"]
    stores = [
        *("--backend-store-uri", f"sqlite:///{HOME}/mlflow.db"),
        *("--artifacts-destination", str(HOME / "mlflow-artifacts")),
    ]
    return [
        Service(
            "mlflow",
            [*mlflow, *stores],
            f"http://127.0.0.1:{ports.mlflow}/health",
            environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        ),
        Service(
            "api", ["bist", "serve", "--port", str(ports.api)], f"http://127.0.0.1:{ports.api}/health/live"
        ),
        Service("airflow-api-server", [*api_server, "--workers", "1"], monitor),
        Service("airflow-scheduler", ["airflow", "scheduler", "--skip-serve-logs"], monitor, "scheduler"),
        Service("airflow-dag-processor", ["airflow", "dag-processor"], monitor, "dag_processor"),
        Service("airflow-triggerer", ["airflow", "triggerer", "--skip-serve-logs"], monitor, "triggerer"),
    ]


def environment_of(ports: Ports) -> dict[str, str]:
    """Environment of everything that is started."""
    address = f"http://127.0.0.1:{ports.airflow}"
    return {
        **os.environ,
        MARK: str(HOME),
        "BIST_HOME": str(HOME),
        "BIST_MLFLOW_URL": f"http://127.0.0.1:{ports.mlflow}",
        "BIST_API_URL": f"http://127.0.0.1:{ports.api}",
        "BIST_SERVING__MLFLOW_PAGE": f"http://127.0.0.1:{ports.mlflow}",
        "BIST_SERVING__AIRFLOW_PAGE": address,
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(PASSWORDS),
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "false",
        "PYTHONUNBUFFERED": "1",
    }


def up() -> None:
    """Start everything and wait until all of it works; else stop all of it again."""
    ports = Ports()
    if running := sorted({process.pid for process in ours()}):
        raise ServicesError(
            f"{len(running)} processes of {HOME} are up already.\nNext: make status, or make down"
        )
    require_free(ports)
    LOGS.mkdir(parents=True, exist_ok=True)
    environment = environment_of(ports)
    prepare(environment)
    password = make_password()
    started = [(service, start(service, environment)) for service in services(ports)]
    try:
        wait_for(started)
    except BaseException:
        down()
        raise
    say(f"Airflow      http://127.0.0.1:{ports.airflow}   user admin, password {password}")
    say(f"Predictions  http://127.0.0.1:{ports.api}")
    say(f"MLflow       http://127.0.0.1:{ports.mlflow}")
    say(f"Logs         {LOGS}\nEnd it with  make down")


def down() -> None:
    """End every process that `up` started, and wait for it."""
    processes = list(ours())
    # Servers first asked, so that they end their own children in order; who stays is killed.
    for process in processes:
        send(process, psutil.Process.terminate)
    _, alive = psutil.wait_procs(processes, timeout=STOP_S)
    for process in [*alive, *ours()]:
        send(process, psutil.Process.kill)
    psutil.wait_procs(alive, timeout=STOP_S)
    say(f"{len(processes)} processes ended.")


def status() -> None:
    """Show for each service whether it answers; fail if one does not."""
    states = [(service, is_healthy(service)) for service in services(Ports())]
    for service, healthy in states:
        say(f"{service.name:<22} {'healthy' if healthy else 'not healthy':<12} {service.log}")
    sick = [service.name for service, healthy in states if not healthy]
    if sick:
        raise ServicesError(f"{len(sick)} services do not answer: {', '.join(sick)}.\nNext: make down up")


def ours() -> Iterator[psutil.Process]:
    """Every process with our mark, but for this one."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == str(HOME):
                yield process
        except psutil.Error:  # of another user, or gone meanwhile
            continue


def send(process: psutil.Process, signal: object) -> None:
    """Signal a process that may be gone meanwhile."""
    try:
        signal(process)  # type: ignore[operator]
    except psutil.NoSuchProcess:
        return


def require_free(ports: Ports) -> None:
    """Refuse to start beside something else."""
    for name, port in vars(ports).items():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise ServicesError(
                    f"Port {port} of 127.0.0.1 is in use by another program.\n"
                    f"Next: {name.upper()}_PORT={port + 1} make up"
                )


def prepare(environment: Mapping[str, str]) -> None:
    """Bring both databases to their schemas, side by side, then make the pools of the stages."""
    pools = AIRFLOW_HOME / "pools.json"
    pools.write_text(json.dumps({name: {**pool, "include_deferred": False} for name, pool in POOLS.items()}))
    with (LOGS / "prepare.log").open("w") as log:
        for commands in (
            [["airflow", "db", "migrate"], ["bist", "db", "upgrade"]],
            [["airflow", "pools", "import", str(pools)]],
        ):
            steps = [subprocess.Popen(step, env=environment, stdout=log, stderr=log) for step in commands]  # noqa: S603
            for step in steps:
                if step.wait():
                    raise ServicesError(f"`{' '.join(map(str, step.args))}` failed.\nNext: read {log.name}")


def make_password() -> str:
    """Return what to log in with; shown once, when it is new."""
    if PASSWORDS.exists():
        return f"as in {PASSWORDS}"
    password = secrets.token_urlsafe(12)
    with os.fdopen(os.open(PASSWORDS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"admin": password}, file)
    return password


def start(service: Service, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start one process that outlives this one."""
    with service.log.open("w") as log:
        return subprocess.Popen(  # noqa: S603
            service.command,
            env={**environment, **service.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(started: list[tuple[Service, subprocess.Popen[bytes]]]) -> None:
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
        waiting = [(service, process) for service, process in waiting if not is_healthy(service)]
        time.sleep(0.5)


def is_healthy(service: Service) -> bool:
    """Ask the service, or Airflow about it."""
    try:
        with urlopen(service.health, timeout=5) as answer:  # noqa: S310 (our own address)
            body = answer.read()
    except (URLError, OSError):
        return False
    return not service.component or json.loads(body)[service.component]["status"] == "healthy"


def say(text: str) -> None:
    """Tell people."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    try:
        {"up": up, "down": down, "status": status}[sys.argv[1]]()
    except ServicesError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
