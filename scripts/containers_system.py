"""The compose file run by podman, and what can be asked of it: used by containers_check.py.

The file is used as it is, but for what podman cannot do where there is no bridge: all containers share the
host's network and listen on 127.0.0.1.
"""

from __future__ import annotations

import base64
import configparser
import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import yaml

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
# As in the compose file; here each but MySQL's gives way to a free one: other things may run on this machine.
PORTS = {"mlflow": 5000, "api": 8000, "airflow": 8080, "scheduler": 8974, "prometheus": 9090, "redis": 6379}
MYSQL_PORT = 3306
AIRFLOW = ["airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"]
LONG_RUNNING = ["mysql", *AIRFLOW, "mlflow", "api", "prometheus"]
OF_CELERY = ["redis", "airflow-worker"]
BASE_IMAGE = "localhost/python:3.11-slim-bookworm"
OURS = ("pipeline", "mlflow", "serving")
IMAGES = {
    **{f"{name.upper()}_IMAGE": f"localhost/{name}:stand-in" for name in ("mysql", "redis", "prometheus")},
    **{f"{name.upper()}_IMAGE": f"localhost/bist-{name}:" for name in OURS},
}
# For one wait. On two busy cores a first training took 137 s, and a start of everything 300 s.
PATIENCE_S = 900


class ContainersError(Exception):
    """What did not hold."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast(int, probe.getsockname()[1])


def on_the_host(text: str, ports: dict[str, int]) -> dict[str, Any]:
    """Put every service of a compose file on the host's network, on `ports`."""
    compose = yaml.safe_load(moved(text, ports))
    names = list(compose["services"])
    del compose["networks"]
    for name, service in compose["services"].items():
        for key in ("networks", "ports", "build", "init", "depends_on"):
            service.pop(key, None)
        service["network_mode"] = "host"
        service["extra_hosts"] = [f"{other}:127.0.0.1" for other in names]
        service.setdefault("environment", {}).update(listening(name, ports))
    services = compose["services"]
    services["api"]["command"] = ["bist", "serve", "--host=127.0.0.1", f"--port={ports['api']}"]
    own = f"redis-server /tmp/redis.conf --bind 127.0.0.1 --port {ports['redis']}"
    redis = services["redis"]
    redis["command"][-1] = redis["command"][-1].replace("redis-server /tmp/redis.conf", own)
    redis["healthcheck"]["test"][-1] = redis["healthcheck"]["test"][-1].replace(
        "-cli", f"-cli -p {ports['redis']}"
    )
    services["prometheus"]["command"].append(f"--web.listen-address=127.0.0.1:{ports['prometheus']}")
    # As in their images, on the other ports.
    for name, path in (("api", "/health/live"), ("mlflow", "/health")):
        url = f"http://127.0.0.1:{ports[name]}{path}"
        services[name]["healthcheck"] = {"test": ["CMD", "python", "/opt/bist/bin/is_healthy.py", url]}
    return cast(dict[str, Any], compose)


def moved(text: str, ports: dict[str, int]) -> str:
    """Replace the ports in a file."""
    for name, port in PORTS.items():
        text = text.replace(f":{port}", f":{ports[name]}")
    return text


def listening(name: str, ports: dict[str, int]) -> dict[str, str]:
    """Return the settings that make a service listen on its port of 127.0.0.1."""
    if name.startswith("airflow"):
        return {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(ports["airflow"]),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(ports["scheduler"]),
        }
    return {"MLFLOW_LISTEN": "127.0.0.1", "MLFLOW_PORT": str(ports["mlflow"])} if name == "mlflow" else {}


class System:
    """The running containers."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.folder = work / "up"
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts/secrets.sh", self.folder / "scripts")
        shutil.copytree(ROOT / "docker", self.folder / "docker")
        self.ports = {name: free_port() for name in PORTS}
        compose = on_the_host((ROOT / "docker-compose.yaml").read_text(), self.ports)
        scraped = self.folder / "docker/prometheus.yml"
        scraped.write_text(moved(scraped.read_text(), self.ports))
        self.file = self.folder / "host.yaml"
        self.file.write_text(yaml.safe_dump(compose, sort_keys=False))
        profiles = ["--profile=monitoring", "--profile=celery"]
        self.compose = [str(BIN / "podman-compose"), *profiles, f"--file={self.file}"]
        self.secrets: dict[str, str] = {}

    def make_secrets(self) -> None:
        """Write .env, as a user would."""
        self.run([str(self.folder / "scripts/secrets.sh")])
        for key, image in IMAGES.items():
            self.set(key, image + version() if image.endswith(":") else image)
        lines = (self.folder / ".env").read_text().splitlines()
        self.secrets = dict(line.split("=", 1) for line in lines if not line.startswith("#"))

    def set(self, name: str, value: str) -> None:
        """Add a line to .env."""
        with (self.folder / ".env").open("a") as file:
            file.write(f"{name}={value}\n")

    def run(self, command: list[str], *, both: bool = False, **environment: str) -> str:
        """Run a command, with what it says in the log; return its standard output, or `both` outputs."""
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        with (self.work / "check.log").open("a") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}\n")
        if done.returncode:
            raise ContainersError(
                f"`{' '.join(command)}` failed: {(done.stdout + done.stderr).strip()[-1500:]}"
            )
        return done.stdout + done.stderr if both else done.stdout

    def do(self, command: list[str], **environment: str) -> None:
        """Run a command for what it does, not for what it says."""
        self.run(command, **environment)

    def up(self) -> None:
        """Start in the order of `depends_on`, which podman-compose waits for only in part."""
        self.run([*self.compose, "up", "-d", "mysql", "init"])
        code = self.run(["podman", "wait", "bist_init_1"]).strip()
        if code != "0":
            raise ContainersError(
                f"init ended with {code}: {self.run(['podman', 'logs', 'bist_init_1'])[-600:]}"
            )
        self.run([*self.compose, "up", "-d", "--no-recreate", *LONG_RUNNING[1:]])

    def down(self) -> None:
        """Remove containers and volumes, those of a broken-off run too; the images stay."""
        of_ours = "--filter=label=com.docker.compose.project=bist"
        containers = self.run(["podman", "ps", "--all", "--quiet", of_ours]).split()
        if containers:
            self.run(["podman", "rm", "--force", "--time=5", *containers])
        volumes = self.run(["podman", "volume", "ls", "--quiet", of_ours]).split()
        if volumes:
            self.run(["podman", "volume", "rm", "--force", *volumes])

    def wait_healthy(self, names: list[str]) -> None:
        """Wait until the health checks of the containers hold."""
        deadline = time.monotonic() + PATIENCE_S
        for name in names:
            while subprocess.run(
                ["podman", "healthcheck", "run", f"bist_{name}_1"], capture_output=True, check=False
            ).returncode:
                if time.monotonic() > deadline:
                    logs = subprocess.run(
                        ["podman", "logs", "--tail=15", f"bist_{name}_1"],
                        capture_output=True, text=True, check=False,
                    )  # fmt: skip
                    raise ContainersError(f"{name} is not healthy: {logs.stdout[-900:]}{logs.stderr[-900:]}")
                time.sleep(1)

    def kill(self, name: str) -> None:
        """Kill a container's first process from outside, and wait until another one is well."""
        container, killed = f"bist_{name}_1", dt.datetime.now(dt.UTC)
        before = self.inspect(container, "{{.State.Pid}}")
        os.kill(int(before), 9)

        def is_another() -> bool:
            pid, status = self.inspect(container, "{{.State.Pid}} {{.State.Status}}").split()
            return pid not in (before, "0") and status == "running"

        wait_for(is_another, f"{name} did not come back after it was killed")
        self.wait_healthy([name])
        part = name.removeprefix("airflow-").replace("-", "_")
        if part in ("scheduler", "dag_processor", "triggerer"):
            # Its last heartbeat outlives it by half a minute, and its health check with it.
            beats = lambda: self.heartbeat(part) > killed  # noqa: E731
            wait_for(beats, f"{name} has no heartbeat after it was killed")

    def heartbeat(self, part: str) -> dt.datetime:
        """Return when a part of Airflow was last heard of."""
        health = fetch(f"http://127.0.0.1:{self.ports['airflow']}/api/v2/monitor/health")
        return dt.datetime.fromisoformat(health[part][f"latest_{part}_heartbeat"] or "1970-01-01T00:00:00Z")

    def inspect(self, container: str, wanted: str) -> str:
        """Ask podman for one fact."""
        return self.run(["podman", "inspect", container, f"--format={wanted}"]).strip()

    def query(self, sql: str) -> str:
        """Ask MySQL as root."""
        shell = f'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysql --host=127.0.0.1 --user=root -N -e "{sql}"'
        return self.run(["podman", "exec", "bist_mysql_1", "sh", "-c", shell]).strip()


def wait_for(is_so: Callable[[], bool], otherwise: str) -> None:
    """Ask again and again; what cannot answer yet may do so later."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise ContainersError(f"{otherwise}, within {PATIENCE_S} s")
        time.sleep(0.5)


def version() -> str:
    """Return the package's version, which the images carry."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["metadata"]["version"]


def fetch(url: str, *, body: Any = None, method: str | None = None, **headers: str) -> Any:
    """Return the JSON behind a URL."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json", **headers}, method=method)  # noqa: S310
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310 (our own addresses)
            return json.loads(answer.read() or "{}")
    except HTTPError as error:
        raise ContainersError(f"{url}: {error.code} {error.read()[:900].decode(errors='replace')}") from error
    except (URLError, OSError) as error:
        raise ContainersError(f"{url}: {error}") from error


def run_dag(system: System) -> str:
    """Run the whole pipeline through Airflow's REST interface, with the login of its user."""
    airflow = f"http://127.0.0.1:{system.ports['airflow']}"
    login = {"username": "admin", "password": system.secrets["AIRFLOW_ADMIN_PASSWORD"]}
    token = fetch(f"{airflow}/auth/token", body=login)["access_token"]
    head = {"Authorization": f"Bearer {token}"}
    dag = f"{airflow}/api/v2/dags/bist_pipeline"
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fetch(dag, body={"is_paused": False}, method="PATCH", **head)
            break
        except ContainersError:  # the dag-processor has not read the file yet
            if time.monotonic() > deadline:
                raise
            time.sleep(2)
    run = fetch(f"{dag}/dagRuns", body={"logical_date": None, "conf": {}}, **head)["dag_run_id"]
    state = "unknown"
    while state not in ("success", "failed"):
        if time.monotonic() > deadline + PATIENCE_S:
            raise ContainersError(f"the DAG is {state} after {2 * PATIENCE_S} s")
        time.sleep(3)
        # A busy machine answers late, which is no fault of the run.
        with suppress(ContainersError):
            state = fetch(f"{dag}/dagRuns/{run}", **head)["state"]
    tasks = fetch(f"{dag}/dagRuns/{run}/taskInstances", **head)["task_instances"]
    if state != "success":
        raise ContainersError(f"the DAG failed: {[(t['task_id'], t['state']) for t in tasks]}")
    return ", ".join(f"{task['task_id']} {task['duration']:.0f}" for task in tasks) + " s"


def published(system: System) -> dict[str, Any]:
    """Return what the API serves."""
    answer = fetch(f"http://127.0.0.1:{system.ports['api']}/api/v1/predictions?limit=1")
    if not answer["predictions"]:
        raise ContainersError("the API serves no predictions")
    return cast(dict[str, Any], answer["publication"])


def champion(system: System) -> str:
    """Return the champion's version, as the pipeline's user of MLflow."""
    login = base64.b64encode(f"bist:{system.secrets['MLFLOW_BIST_PASSWORD']}".encode()).decode()
    name = published(system)["model"]["name"]
    server = f"http://127.0.0.1:{system.ports['mlflow']}/api/2.0/mlflow/registered-models/alias"
    return cast(
        str,
        fetch(f"{server}?name={name}&alias=champion", Authorization=f"Basic {login}")["model_version"][
            "version"
        ],
    )
