"""Run the compose file with podman and see that it does its work: the second half of containers_test.sh.

    containers_check.py FOLDER

The compose file is used as it is, but for what podman cannot do here: all containers share the host's network
and listen on 127.0.0.1. Ends with a summary, which is also FOLDER/summary.txt.
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import yaml

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
# As in the compose file; here each but MySQL's gives way to a free one: other things may run on this machine.
PORTS = {"mlflow": 5000, "api": 8000, "airflow": 8080, "scheduler": 8974, "prometheus": 9090}
MYSQL_PORT = 3306
LONG_RUNNING = [
    *("mysql", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
    *("mlflow", "api", "prometheus"),
]
IMAGES = {
    "MYSQL_IMAGE": "localhost/mysql:stand-in",
    "PROMETHEUS_IMAGE": "localhost/prometheus:stand-in",
    **{f"{name.upper()}_IMAGE": f"localhost/bist-{name}:" for name in ("pipeline", "mlflow", "serving")},
}
PATIENCE_S = 420


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
        self.compose = [str(BIN / "podman-compose"), "--profile=monitoring", f"--file={self.file}"]
        self.secrets: dict[str, str] = {}

    def make_secrets(self) -> None:
        """Write .env, as a user would."""
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg")
        version = setup["metadata"]["version"]
        self.run([str(self.folder / "scripts/secrets.sh")])
        images = {key: value + version if value.endswith(":") else value for key, value in IMAGES.items()}
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{key}={value}\n" for key, value in images.items())
        lines = (self.folder / ".env").read_text().splitlines()
        self.secrets = dict(line.split("=", 1) for line in lines if not line.startswith("#"))

    def run(self, command: list[str], **environment: str) -> str:
        """Run a command, with what it says in the log."""
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        with (self.work / "check.log").open("a") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}\n")
        if done.returncode:
            raise ContainersError(
                f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()[-400:]}"
            )
        return done.stdout

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
        """Kill a container's first process from outside, and wait until it is well again."""
        container, started = f"bist_{name}_1", time.monotonic()
        before = self.run(["podman", "inspect", container, "--format={{.State.Pid}}"]).strip()
        os.kill(int(before), 9)
        while True:
            state = self.run(
                ["podman", "inspect", container, "--format={{.State.Pid}} {{.State.Status}}"]
            ).split()
            if state[0] not in (before, "0") and state[1] == "running":
                break
            if time.monotonic() - started > PATIENCE_S:
                raise ContainersError(f"{name} did not come back after it was killed")
            time.sleep(0.5)
        self.wait_healthy([name])

    def query(self, sql: str) -> str:
        """Ask MySQL as root."""
        shell = f'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysql --host=127.0.0.1 --user=root -N -e "{sql}"'
        return self.run(["podman", "exec", "bist_mysql_1", "sh", "-c", shell]).strip()


def fetch(url: str, *, body: Any = None, method: str | None = None, **headers: str) -> Any:
    """Return the JSON behind a URL."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json", **headers}, method=method)  # noqa: S310
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310 (our own addresses)
            return json.loads(answer.read() or "{}")
    except HTTPError as error:
        raise ContainersError(f"{url}: {error.code} {error.read()[:300]!r}") from error
    except (URLError, OSError) as error:
        raise ContainersError(f"{url}: {error}") from error


def run_dag(system: System) -> dict[str, Any]:
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
    while (state := fetch(f"{dag}/dagRuns/{run}", **head)["state"]) not in ("success", "failed"):
        if time.monotonic() > deadline + PATIENCE_S:
            raise ContainersError(f"the DAG is {state} after {2 * PATIENCE_S} s")
        time.sleep(3)
    tasks = fetch(f"{dag}/dagRuns/{run}/taskInstances", **head)["task_instances"]
    if state != "success":
        raise ContainersError(f"the DAG failed: {[(t['task_id'], t['state']) for t in tasks]}")
    return cast(dict[str, Any], {task["task_id"]: task["duration"] for task in tasks})


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


class Summary:
    """What was tried and how it went."""

    def __init__(self, path: Path) -> None:
        self.lines: list[str] = []
        self.path = path
        self.started = time.monotonic()

    def step(self, name: str, check: Callable[[], object]) -> object:
        """Do one thing; keep its outcome in a line."""
        started = time.monotonic()
        outcome = check()
        took = time.monotonic() - started
        self.say(f"ok   {took:6.1f} s  {name}{f': {outcome}' if outcome is not None else ''}")
        return outcome

    def say(self, line: str) -> None:
        """Show a line, and keep it."""
        self.lines.append(line)
        self.path.write_text("\n".join(self.lines) + "\n")
        print(line, flush=True)  # noqa: T201


@contextmanager
def running(system: System) -> Iterator[None]:
    """Leave nothing behind, whatever happens."""
    system.down()
    try:
        yield
    finally:
        system.down()


def require_free_port() -> None:
    """Refuse to start beside another MySQL."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", MYSQL_PORT)) == 0:
            raise ContainersError(f"port {MYSQL_PORT} is in use. Next: end what listens there, and repeat")


def expect(is_so: bool, otherwise: str) -> None:  # noqa: FBT001
    """Stop with a sentence."""
    if not is_so:
        raise ContainersError(otherwise)


def check_all(system: System, summary: Summary) -> None:
    """Everything that must be true of the running system."""
    step = summary.step
    step("every secret is required", lambda: check_secrets_required(system))
    step("make secrets", system.make_secrets)
    step("alert rules and configuration (promtool)", lambda: check_alert_rules(system))
    step("the API's image is small and holds no other part", lambda: check_serving_image(system))
    step("init, and every service started from empty volumes", system.up)
    step("every health check holds", lambda: system.wait_healthy(LONG_RUNNING))
    step("smoke test", lambda: smoke(system))
    step("compiled loops are found in the image", lambda: check_numba(system))
    step("the DAG bist_pipeline, inside", lambda: run_dag(system))
    first = published(system)
    step("the API serves", lambda: f"{first['universe']} shares of {first['session']}")
    step("MLflow has a champion", lambda: f"version {champion(system)}")
    step("users of the database have least rights", lambda: check_rights(system))
    step("Prometheus reads the API's metrics", lambda: check_metrics(system))
    for name in LONG_RUNNING:
        step(f"{name} comes back after kill -9", lambda name=name: system.kill(name))
    step("every health check holds again", lambda: system.wait_healthy(LONG_RUNNING))
    expect(published(system) == first, "what the API serves changed while containers were killed")
    rows = system.query("select count(*) from bist.predictions")
    step("the DAG once more, after the kills", lambda: run_dag(system))
    expect(
        system.query("select count(*) from bist.predictions") == rows,
        "a rerun of a session changed the number of rows",
    )
    summary.say(f"ok             nothing is lost and nothing doubled: {rows} rows of predictions")
    check_backup(system, summary)


def check_secrets_required(system: System) -> None:
    """Without .env nothing starts, and the message says what to do."""
    try:
        system.run([*system.compose, "config"])
    except ContainersError as error:
        expect("make secrets" in str(error), f"a missing secret is not explained: {error}")
    else:
        raise ContainersError("the compose file works without secrets")


def check_alert_rules(system: System) -> None:
    """Ask promtool, from the image of Prometheus."""
    mount = f"--volume={system.folder}/docker:/rules:ro"
    tool = [
        "podman",
        "run",
        "--rm",
        "--network=host",
        mount,
        "--entrypoint=promtool",
        IMAGES["PROMETHEUS_IMAGE"],
    ]
    system.run([*tool, "check", "config", "/rules/prometheus.yml"])


def check_serving_image(system: System) -> str:
    """At most 150 MB over its base; no pandas, LightGBM, MLflow, Airflow, and no compiler."""
    image = next(
        line for line in (system.folder / ".env").read_text().splitlines() if line.startswith("SERVING_")
    )
    image = image.partition("=")[2]
    sizes = [
        int(system.run(["podman", "image", "inspect", name, "--format={{.Size}}"]))
        for name in (image, "localhost/python:3.11-slim-bookworm")
    ]
    added = (sizes[0] - sizes[1]) / 1e6
    expect(added <= 150, f"the API's image adds {added:.0f} MB to its base")
    code = (
        "import importlib.util, shutil\n"
        "names = ('pandas', 'numpy', 'lightgbm', 'mlflow', 'airflow', 'alibi_detect')\n"
        "print([n for n in names if importlib.util.find_spec(n)], shutil.which('gcc'))"
    )
    held = system.run(["podman", "run", "--rm", "--network=host", image, "python", "-c", code]).strip()
    expect(held == "[] None", f"the API's image holds {held}")
    return f"{added:.0f} MB over its base"


def check_numba(system: System) -> str:
    """The cache of the image is used: compiling anew would add files to it."""
    code = (
        "import os, pathlib, numpy as np; from bist_pipeline.features.cross_section import row_rank\n"
        "files = lambda: {p for p in pathlib.Path(os.environ['NUMBA_CACHE_DIR']).rglob('*.nbc')}\n"
        "old = files(); row_rank(np.ones((2, 3), dtype=np.float32)); print(len(old), len(files() - old))"
    )
    held, added = system.run(["podman", "exec", "bist_airflow-scheduler_1", "python", "-c", code]).split()
    expect(held != "0" and added == "0", f"the cache holds {held} loops, and {added} were compiled anew")
    return f"{held} of {held}"


def check_rights(system: System) -> None:
    """The API may only read; the pipeline may not change tables."""
    for user, password, sql in (
        ("bist_api", "BIST_API_DB_PASSWORD", "delete from predictions"),
        ("bist", "BIST_DB_PASSWORD", "drop table predictions"),
        ("bist", "BIST_DB_PASSWORD", "select * from airflow.dag"),
    ):
        try:
            system.run(
                ["podman", "exec", "-e", f"MYSQL_PWD={system.secrets[password]}", "bist_mysql_1", "mysql",
                 "--host=127.0.0.1", f"--user={user}", "bist", "-e", sql]
            )  # fmt: skip
        except ContainersError as error:
            expect("denied" in str(error), f"{user}: {error}")
        else:
            raise ContainersError(f"{user} may `{sql}`")


def smoke(system: System) -> None:
    """Run what deploy.sh runs after every change."""
    ports = {f"{name.upper()}_PORT": str(system.ports[name]) for name in ("airflow", "mlflow", "api")}
    system.run([sys.executable, str(ROOT / "scripts/smoke.py"), "--patience=60"], **ports)


def check_metrics(system: System) -> str:
    """The newest batch is visible to the alert rules."""
    deadline = time.monotonic() + 120
    while True:
        answer = fetch(
            f"http://127.0.0.1:{system.ports['prometheus']}/api/v1/query?query=bist_published_shares"
        )
        if results := answer["data"]["result"]:
            return f"bist_published_shares {results[0]['value'][1]}"
        expect(time.monotonic() < deadline, "Prometheus has no bist_published_shares after 120 s")
        time.sleep(3)


def check_backup(system: System, summary: Summary) -> None:
    """Back up, lose everything, restore, and find it as it was."""
    compose = " ".join(system.compose)
    target = system.work / "backup"
    shutil.rmtree(target, ignore_errors=True)
    before, version = published(system), champion(system)
    counts = system.query("select count(*) from bist.predictions")
    summary.step(
        "backup", lambda: system.run([str(ROOT / "scripts/backup.sh"), str(target)], COMPOSE=compose) and None
    )
    system.query("drop database bist; drop database mlflow")
    system.run(["podman", "exec", "bist_mlflow_1", "sh", "-c", "rm -rf /var/lib/mlflow/*"])
    system.run(["podman", "exec", "bist_airflow-scheduler_1", "sh", "-c", "rm -rf /var/lib/bist/*"])
    summary.step(
        "two databases, all models and the lake deleted, then restore",
        lambda: (
            system.run([str(ROOT / "scripts/restore.sh"), str(target), "--yes"], COMPOSE=compose) and None
        ),
    )
    summary.step("every health check holds after the restore", lambda: system.wait_healthy(LONG_RUNNING))
    expect(published(system) == before, "the restored publication differs")
    expect(champion(system) == version, "the restored champion differs")
    expect(
        system.query("select count(*) from bist.predictions") == counts, "rows are missing after the restore"
    )
    summary.step("the DAG works on what was restored", lambda: run_dag(system))


def main() -> None:
    """Check everything; end with the verdict."""
    work = Path(sys.argv[1])
    (work / "check.log").unlink(missing_ok=True)
    summary = Summary(work / "summary.txt")
    try:
        system = System(work)
        with running(system):
            require_free_port()
            check_all(system, summary)
    except ContainersError as error:
        summary.say(f"FAILED {error}\nNext: read {work / 'check.log'}")
        sys.exit(1)
    summary.say(f"green after {time.monotonic() - summary.started:.0f} s")


if __name__ == "__main__":
    main()
