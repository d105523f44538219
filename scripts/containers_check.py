"""Run the compose file with podman and see that it does its work: the second half of containers_test.sh.

    containers_check.py FOLDER

SKIP names parts to leave out, as in SKIP="kills celery"; the summary then says so. It is FOLDER/summary.txt,
and FOLDER/summary.md for the documentation.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from containers_images import images
from containers_summary import Summary, expect
from containers_system import (
    AIRFLOW,
    LONG_RUNNING,
    MYSQL_PORT,
    OF_CELERY,
    ROOT,
    ContainersError,
    System,
    champion,
    fetch,
    published,
    run_dag,
    wait_for,
)

CACHE = """
import os, pathlib, numpy as np
from bist_pipeline.features.cross_section import row_rank
files = lambda: {p for p in pathlib.Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbc")}
old = files(); row_rank(np.ones((2, 3), dtype=np.float32)); print(len(old), len(files() - old))
"""


Part = Callable[[System, Summary], None]


def start(system: System, summary: Summary) -> None:
    """From empty volumes to a system that answers."""
    summary.step("init, and every service started from empty volumes", system.up)
    summary.step("every health check holds", lambda: system.wait_healthy(LONG_RUNNING))
    summary.step("root file systems are read-only, users are not root", lambda: check_closed(system))
    summary.step("smoke test", lambda: smoke(system))
    summary.step("compiled loops are found in the image", lambda: check_numba(system))


def check_closed(system: System) -> str:
    """As they run, not as they are written down."""
    ours = [name for name in LONG_RUNNING if name != "mysql"]
    for name in ours:
        is_read_only = system.inspect(f"bist_{name}_1", "{{.HostConfig.ReadonlyRootfs}}")
        expect(is_read_only == "true", f"the root file system of {name} can be written to")
        pid = system.inspect(f"bist_{name}_1", "{{.State.Pid}}")
        expect(Path(f"/proc/{pid}").stat().st_uid != 0, f"{name} runs as root")
    return f"{len(ours)} containers"


def check_numba(system: System) -> str:
    """The cache of the image is used: compiling anew would add files to it."""
    held, added = system.run(["podman", "exec", "bist_airflow-scheduler_1", "python", "-c", CACHE]).split()
    expect(held != "0" and added == "0", f"the cache holds {held} loops, and {added} were compiled anew")
    return f"{held} of {held}"


def smoke(system: System) -> None:
    """Run what deploy.sh runs after every change."""
    ports = {f"{name.upper()}_PORT": str(system.ports[name]) for name in ("airflow", "mlflow", "api")}
    system.run([sys.executable, str(ROOT / "scripts/smoke.py"), "--patience=60"], **ports)


def pipeline(system: System, summary: Summary) -> None:
    """The main job, through Airflow: a model is registered, ranks are published and served."""
    summary.step("the DAG bist_pipeline, inside", lambda: run_dag(system))
    summary.step("predictions are in MySQL", lambda: f"{predictions(system)} rows")
    summary.step("the API serves", lambda: "{universe} shares of {session}".format_map(published(system)))
    summary.step("MLflow has a champion", lambda: f"version {champion(system)}")
    summary.step("users of the database have least rights", lambda: check_rights(system))


def predictions(system: System) -> str:
    """Count the rows; none at all is a fault."""
    rows = system.query("select count(*) from bist.predictions")
    expect(rows != "0", "MySQL holds no predictions")
    return rows


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


def monitoring(system: System, summary: Summary) -> None:
    """Prometheus reads the API, and judges every rule."""
    summary.step("Prometheus reads the API's metrics", lambda: check_metrics(system))
    summary.step("Prometheus judges every alert rule", lambda: check_rules_loaded(system))


def ask_prometheus(system: System, path: str) -> Any:
    """Return the data behind an address of Prometheus."""
    return fetch(f"http://127.0.0.1:{system.ports['prometheus']}/api/v1/{path}")["data"]


def check_metrics(system: System) -> str:
    """The newest batch is visible to the alert rules."""
    for query in ('up{job="bist-api"} == 1', "bist_published_shares"):
        path = f"query?query={quote(query)}"
        wait_for(partial(has_result, system, path), f"Prometheus has no {query}")
    (newest,) = ask_prometheus(system, "query?query=bist_published_shares")["result"]
    return f"{newest['value'][1]} shares"


def has_result(system: System, path: str) -> bool:
    """Whether a query finds anything."""
    return bool(ask_prometheus(system, path)["result"])


def check_rules_loaded(system: System) -> str:
    """Every rule of the file, none of them in error."""
    groups = yaml.safe_load((ROOT / "docker/alerts.yml").read_text())["groups"]
    written = {rule["alert"] for group in groups for rule in group["rules"]}

    def judged() -> set[str]:
        loaded = [rule for group in ask_prometheus(system, "rules")["groups"] for rule in group["rules"]]
        return {rule["name"] for rule in loaded if rule["health"] == "ok"}

    wait_for(lambda: judged() == written, f"Prometheus does not judge the rules {sorted(written)}")
    return f"{len(written)} rules"


def kills(system: System, summary: Summary) -> None:
    """Each container is killed, comes back, and nothing is lost; the work goes on."""
    first, rows = published(system), predictions(system)
    for name in LONG_RUNNING:
        summary.step(f"{name} comes back after kill -9", partial(system.kill, name))
    summary.step("every health check holds again", lambda: system.wait_healthy(LONG_RUNNING))
    expect(published(system) == first, "what the API serves changed while containers were killed")
    summary.step("the DAG once more, after the kills", lambda: run_dag(system))
    expect(predictions(system) == rows, "a rerun of a session changed the number of rows")
    summary.say(f"     nothing is lost and nothing doubled: {rows} rows of predictions")


def backup(system: System, summary: Summary) -> None:
    """Back up, lose everything, restore, and find it as it was; then once more, where nothing else runs."""
    compose = " ".join(word for word in system.compose if word != "--profile=celery")
    target = system.work / "backup"
    shutil.rmtree(target, ignore_errors=True)
    before, version_before, rows = published(system), champion(system), predictions(system)
    script = str(ROOT / "scripts/backup.sh")
    summary.step("backup, while everything runs", lambda: system.do([script, str(target)], COMPOSE=compose))
    summary.step(
        "every container and every volume removed, an empty system started", lambda: start_anew(system)
    )
    restore = [str(ROOT / "scripts/restore.sh"), str(target), "--yes"]

    def restored() -> None:
        system.do(restore, COMPOSE=compose)
        system.wait_healthy(LONG_RUNNING)
        expect(published(system) == before, "the restored publication differs")
        expect(champion(system) == version_before, "the restored champion differs")
        expect(predictions(system) == rows, "rows are missing after the restore")

    summary.step("restore", restored)
    summary.step("the DAG works on what was restored", lambda: run_dag(system))
    summary.step("a newer release that does not start: all but MySQL down", lambda: break_down(system))
    summary.step("restore, as deploy.sh does it to come back", restored)
    summary.step("smoke test", lambda: smoke(system))


def break_down(system: System) -> None:
    """As after a release that has migrated and then failed: this one's `init` and API refuse the tables."""
    claim(system, "9999")
    refusal(system, [*system.compose, "run", "--rm", "init"])
    system.do(
        ["podman", "stop", "--time=10", *(f"bist_{name}_1" for name in LONG_RUNNING if name != "mysql")]
    )


def start_anew(system: System) -> None:
    """Lose everything but .env."""
    system.down()
    system.up()
    system.wait_healthy(LONG_RUNNING)
    expect(system.query("select count(*) from bist.predictions") == "0", "the new system is not empty")


def bad_input(system: System, summary: Summary) -> None:
    """What is refused, with the next command, and without damage."""
    summary.step(
        "a schema newer than the images", lambda: check_schema(system, "9999", "update bist_pipeline")
    )
    summary.step("a schema older than the images", lambda: check_schema(system, "0000", "bist db upgrade"))
    summary.step("a port in use", lambda: check_port_in_use(system))
    summary.step("every health check holds", lambda: system.wait_healthy(LONG_RUNNING))


def check_schema(system: System, revision: str, advice: str) -> None:
    """API, stages and migrations refuse it; then the right revision is put back."""
    right = system.query("select version_num from bist.alembic_version")
    before = predictions(system)
    claim(system, revision)
    try:
        refused = [refusal(system, ["podman", "exec", "bist_airflow-scheduler_1", "bist", "check"])]
        if advice != "bist db upgrade":
            refused.append(refusal(system, [*system.compose, "run", "--rm", "init"]))
        system.run(["podman", "restart", "--time=5", "bist_api_1"])
        system.wait_healthy(["api"])
        for message in refused:
            expect(revision in message and advice in message, f"schema {revision}: {message}")
        # The API tells its readers less: not which of the two is older.
        answer = refusal_of_the_api(system)
        expect("schema-mismatch" in answer, f"schema {revision}: {answer}")
        expect(
            system.query("select version_num from bist.alembic_version") == revision, "the schema was changed"
        )
    finally:
        claim(system, right)
    expect(predictions(system) == before, "rows were changed")
    wait_for(lambda: is_serving(system), "the API does not serve the right schema")


def claim(system: System, revision: str) -> None:
    """Let the tables say that they are of a revision."""
    system.query(f"update bist.alembic_version set version_num = '{revision}'")  # noqa: S608 (ours)


def refusal(system: System, command: list[str]) -> str:
    """Return what a command says that must fail, without a stack trace."""
    try:
        system.run(command)
    except ContainersError as error:
        expect("Traceback" not in str(error), f"a stack trace: {error}")
        return str(error)
    raise ContainersError(f"`{' '.join(command)}` did not fail")


def refusal_of_the_api(system: System) -> str:
    """Return what the API answers; it must be a refusal."""
    try:
        published(system)
    except ContainersError as error:
        return str(error)
    raise ContainersError("the API serves a schema that it does not know")


def is_serving(system: System) -> bool:
    """Whether the API answers with ranks."""
    try:
        published(system)
    except ContainersError:
        return False
    return True


def check_port_in_use(system: System) -> None:
    """The API says which port and what to do, and starts when the port is free."""
    system.run(["podman", "stop", "--time=10", "bist_api_1"])
    started = f"--since={dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    with socket.create_server(("127.0.0.1", system.ports["api"])):
        system.run(["podman", "start", "bist_api_1"])

        def says_so() -> bool:
            log = ["podman", "logs", started, "bist_api_1"]
            said = subprocess.run(log, capture_output=True, text=True, check=False)
            words = said.stdout + said.stderr
            return "Address already in use" in words and "Next: end what listens there" in words

        wait_for(says_so, "the API does not say that its port is in use")
    wait_for(lambda: is_serving(system), "the API does not start when its port is free again")


def celery(system: System, summary: Summary) -> None:
    """The profile of that name: a worker does what the scheduler did."""
    rows = predictions(system)
    system.set("AIRFLOW_EXECUTOR", "CeleryExecutor")
    up = [*system.compose, "up", "-d", "--no-deps", "--force-recreate", *OF_CELERY, *AIRFLOW]
    summary.step("Redis and a worker started, Airflow moved to them", lambda: system.do(up))
    summary.step("every health check holds", lambda: system.wait_healthy([*LONG_RUNNING, *OF_CELERY]))
    summary.step("the DAG, by the worker", lambda: run_dag(system))
    summary.step("the worker's log tells what the tasks did", lambda: check_log_of_tasks(system))
    tasks = "select count(*) from airflow.celery_taskmeta where status = 'SUCCESS'"
    # The worker reports the last one a moment after its run has ended.
    wait_for(lambda: int(system.query(tasks)) >= 7, "the tasks were not done by the worker")
    expect(predictions(system) == rows, "a rerun of a session changed the number of rows")
    for name in OF_CELERY:
        summary.step(f"{name} comes back after kill -9", partial(system.kill, name))
    summary.step("the DAG once more, after the kills", lambda: run_dag(system))


def check_log_of_tasks(system: System) -> str:
    """`docker compose logs | grep` finds a session's story, by whichever executor it was done."""
    said = system.run(["podman", "logs", "bist_airflow-worker_1"], both=True)
    searched = f'"session":"{published(system)["session"]}"'
    lines = [json.loads(line) for line in said.splitlines() if searched in line]
    tasks = {line["task_id"] for line in lines}
    # `ingest` is the one that finds out which session is the newest.
    expect({"check", "score", "drift"} <= tasks, f"the worker's log tells of the tasks {sorted(tasks)}")
    return f"{len(lines)} lines of {len(tasks)} tasks"


# In this order; those that the others stand on cannot be left out.
PARTS: list[tuple[str, Part, str]] = [
    ("images", images, "Images, secrets, alert rules: what must be true before the start"),
    ("start", start, "Every service from empty volumes, healthy, closed"),
    ("pipeline", pipeline, "The DAG inside: model in MLflow, predictions in MySQL, served by the API"),
    ("monitoring", monitoring, "Profile `monitoring`: Prometheus reads the API and judges the rules"),
    ("kills", kills, "Eight containers killed one by one, then a second run: nothing lost"),
    ("backup", backup, "Backup, everything removed, restore, a third run; restore where nothing starts"),
    ("bad-input", bad_input, "Another schema, a port in use: refused, no damage"),
    ("celery", celery, "Profile `celery`: the same DAG by a worker, killed too"),
]
NEEDED = {"images", "start", "pipeline"}


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


def parts_to_skip() -> set[str]:
    """Read SKIP."""
    skipped = set(os.environ.get("SKIP", "").split())
    if wrong := skipped - {name for name, *_ in PARTS} | skipped & NEEDED:
        able = [name for name, *_ in PARTS if name not in NEEDED]
        sys.exit(f"error: SKIP names {sorted(wrong)}. Next: choose of {able}")
    return skipped


def check_all(system: System, summary: Summary) -> None:
    """Each part, in order."""
    for name, check, what in PARTS:
        if name in summary.skipped:
            summary.parts.append((what, "skipped", 0.0))
            continue
        with summary.part(name, what):
            check(system, summary)


def main() -> None:
    """Check everything; end with the verdict."""
    summary = Summary(Path(sys.argv[1]), parts_to_skip())
    if built := os.environ.get("BUILD_S"):
        summary.parts.append(("Images built from the locks", "ok", float(built)))
    (summary.work / "check.log").unlink(missing_ok=True)
    started = time.monotonic()
    try:
        system = System(summary.work)
        with running(system):
            require_free_port()
            check_all(system, summary)
    except ContainersError as error:
        summary.say(f"FAILED {error}\nNext: read {summary.work / 'check.log'}")
        summary.close("FAILED")
        sys.exit(1)
    summary.close(f"green after {time.monotonic() - started + float(built or 0):.0f} s")


if __name__ == "__main__":
    main()
