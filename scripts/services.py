"""Airflow, MLflow and the API on this machine, without containers: `make up`, `make down`, `make status`.

    services.py up | down | status | run COMMAND…

Called by services.sh, which sets Airflow's environment; `SCALE=celery` gives Airflow a MySQL, a redis and
two workers. Everything listens on 127.0.0.1 only. `up` starts what does not run; `down` ends what was
started, also after a crash; `run airflow …` is Airflow's own command line in the same environment.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import service_celery as celery
from service import (
    AIRFLOW_HOME,
    HOME,
    HOME_MARK,
    LOGS,
    Service,
    ServicesError,
    answers,
    running,
    say,
    start,
    stop,
    wait_for,
    write_private,
)

PASSWORDS = AIRFLOW_HOME / "simple_auth_manager_passwords.json.generated"
POOLS = {
    "bist": {"slots": 1, "description": "Stages that write: one at a time"},
    "bist_folds": {"slots": 1, "description": "Folds of a training: as many as there are machines for them"},
}
AIRFLOW_PORT = int(os.environ.get("AIRFLOW_PORT", "8080"))
MLFLOW_PORT = int(os.environ.get("MLFLOW_PORT", "5000"))
API_PORT = int(os.environ.get("API_PORT", "8000"))
AIRFLOW, MLFLOW, API = (f"http://127.0.0.1:{port}" for port in (AIRFLOW_PORT, MLFLOW_PORT, API_PORT))
STORES = ("mysql", "redis")


def services() -> list[Service]:
    """Everything that `up` starts, in order."""
    monitor = f"{AIRFLOW}/api/v2/monitor/health"
    api_server = [
        "airflow",
        "api-server",
        "--host",
        "127.0.0.1",
        "--port",
        str(AIRFLOW_PORT),
        "--workers",
        "1",
    ]
    mlflow = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(MLFLOW_PORT), "--workers", "1"]
    places = [
        *("--backend-store-uri", f"sqlite:///{HOME}/mlflow.db"),
        *("--artifacts-destination", str(HOME / "mlflow-artifacts")),
    ]
    api = ["bist", "serve", "--port", str(API_PORT)]

    def daemon(name: str, *command: str) -> Service:
        component = name.replace("-", "_")
        return Service(f"airflow-{name}", ["airflow", *command], partial(answers, monitor, component))

    return [
        *(celery.stores() if scale() == "celery" else []),
        Service(
            "mlflow",
            [*mlflow, *places],
            partial(answers, f"{MLFLOW}/health"),
            ports={"MLFLOW_PORT": MLFLOW_PORT},
            environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        ),
        Service("api", api, partial(answers, f"{API}/health/live"), ports={"API_PORT": API_PORT}),
        Service(
            "airflow-api-server", api_server, partial(answers, monitor), ports={"AIRFLOW_PORT": AIRFLOW_PORT}
        ),
        daemon("scheduler", "scheduler", "--skip-serve-logs"),
        daemon("dag-processor", "dag-processor"),
        daemon("triggerer", "triggerer", "--skip-serve-logs"),
        *(celery.workers() if scale() == "celery" else []),
    ]


def scale() -> str:
    """Return how Airflow runs tasks: as it does already, as `SCALE` says, else locally.

    Raises
    ------
    ServicesError
        If `SCALE` is unknown, or is not what runs.
    """
    asked = os.environ.get("SCALE", "")
    if asked not in ("", "local", "celery"):
        raise ServicesError(
            f"SCALE={asked} is unknown; known are local and celery.\nNext: make up SCALE=celery"
        )
    alive = running()
    found = ("celery" if alive.intersection((*STORES, *celery.WORKERS)) else "local") if alive else ""
    if asked and found and asked != found:
        raise ServicesError(f"{HOME} is up already, with SCALE={found}.\nNext: make down")
    return found or asked or "local"


def environment() -> dict[str, str]:
    """Environment of everything that is started."""
    return {
        **os.environ,
        HOME_MARK: str(HOME),
        "BIST_HOME": str(HOME),
        "BIST_MLFLOW_URL": MLFLOW,
        "BIST_API_URL": API,
        "BIST_SERVING__MLFLOW_PAGE": MLFLOW,
        "BIST_SERVING__AIRFLOW_PAGE": AIRFLOW,
        "AIRFLOW__API__BASE_URL": AIRFLOW,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{AIRFLOW}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(PASSWORDS),
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "false",
        # A task whose machine or scheduler died is found within a minute, not within five.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        # A busy or cold API server may take longer than the 5 s after which a starting task gives up.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "PYTHONUNBUFFERED": "1",
        # Else processes that rename themselves, as Airflow's do, overwrite the environment that marks them.
        "SPT_NOENV": "1",
        **(celery.celery_environment() if scale() == "celery" else {}),
    }


def up() -> None:
    """Start what does not run and wait until all of it works; else stop again what was started."""
    alive = running()
    missing = [service for service in services() if service.name not in alive]
    names = {service.name for service in missing}
    # Of one that died, processes of its own may be left.
    stop(only=names.__contains__)
    _require_free(missing)
    LOGS.mkdir(parents=True, exist_ok=True)
    _make_password()
    try:
        _start(missing, is_first=not alive)
    except BaseException:
        stop(only=names.__contains__)
        raise
    say(f"Airflow      {AIRFLOW}   user admin (its password: {PASSWORDS})")
    say(f"Predictions  {API}\nMLflow       {MLFLOW}")
    say(f"Logs         {LOGS}\nEnd it with  make down")


def down() -> None:
    """End every process that `up` started, and wait for it; what the others write to last."""
    ended = stop(only=lambda name: name not in STORES)
    say(f"{ended + stop()} processes ended.")


def status() -> None:
    """Show for each service whether it answers; fail if one does not."""
    states = [(service, service.is_healthy()) for service in services()]
    for service, healthy in states:
        say(f"{service.name:<22} {'healthy' if healthy else 'not healthy':<12} {service.log}")
    sick = [service.name for service, healthy in states if not healthy]
    if sick:
        raise ServicesError(f"{len(sick)} services do not answer: {', '.join(sick)}.\nNext: make up")


def run(command: Sequence[str]) -> None:
    """Become another command, such as `airflow`, in the environment of the services but not one of them."""
    outside = {name: value for name, value in environment().items() if name != HOME_MARK}
    os.execvpe(command[0], command, outside)  # noqa: S606


def _start(missing: Sequence[Service], *, is_first: bool) -> None:
    settings = environment()
    stores = [service for service in missing if service.name in STORES]
    if stores:
        celery.prepare_stores()
        wait_for([(service, start(service, settings)) for service in stores])
    others = [service for service in missing if service not in stores]
    started = []
    if is_first:
        # It needs nothing of the others, and takes as long as preparing them.
        started = [(service, start(service, settings)) for service in others if service.name == "mlflow"]
        _prepare(settings)
    begun = [service for service, _ in started]
    wait_for([*started, *((service, start(service, settings)) for service in others if service not in begun)])


def _require_free(missing: Sequence[Service]) -> None:
    """Refuse to start beside something else."""
    for variable, port in (port for service in missing for port in service.ports.items()):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise ServicesError(
                    f"Port {port} of 127.0.0.1 is in use by another program.\n"
                    f"Next: {variable}={port + 1} make up"
                )


def _prepare(settings: Mapping[str, str]) -> None:
    """Bring both databases to their schemas, side by side, then make the pools of the stages."""
    pools = AIRFLOW_HOME / "pools.json"
    pools.write_text(json.dumps({name: {**pool, "include_deferred": False} for name, pool in POOLS.items()}))
    with (LOGS / "prepare.log").open("w") as log:
        for commands in (
            [["airflow", "db", "migrate"], ["bist", "db", "upgrade"]],
            [["airflow", "pools", "import", str(pools)]],
        ):
            steps = [subprocess.Popen(step, env=settings, stdout=log, stderr=log) for step in commands]  # noqa: S603
            for step in steps:
                if step.wait():
                    raise ServicesError(f"`{' '.join(map(str, step.args))}` failed.\nNext: read {log.name}")


def _make_password() -> None:
    """Make what to log in with, unless it is there; shown at once, and never again."""
    if not PASSWORDS.exists():
        password = secrets.token_urlsafe(12)
        write_private(PASSWORDS, json.dumps({"admin": password}))
        say(f"Airflow's user admin has the password {password}")


def main(word: str, *rest: str) -> None:
    """Do what the command line says."""
    commands: dict[str, Callable[[], None]] = {
        "up": up,
        "down": down,
        "status": status,
        "run": partial(run, rest),
    }
    commands[word]()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ServicesError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
