"""The workflows: valid, safe, thin, and every `run:` step of them executed."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import cast

import pytest
import yaml

from tests.workflow_driver import run_workflow, steps_of

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".gitea/workflows").glob("*.yaml"))
OLD, NEW = "a" * 40, "b" * 40
# The revisions of the tables, as deploy.sh reads them; the stand-in compares them as text.
REVISIONS = "bist 0001\nairflow 0001\nfab 0001\nmlflow 0001\n"
REGISTRY = {"GITHUB_SERVER_URL": "https://git.example.org", "GITHUB_REPOSITORY_OWNER": "Team"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_there_is_one_for_each_purpose():
    assert [path.stem for path in WORKFLOWS] == ["ci", "deploy", "images", "nightly"]


@pytest.mark.parametrize(
    "command",
    [
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
        ["zizmor", "--offline", "--no-progress", "--quiet"],
    ],
    ids=lambda command: command[0],
)
def test_checkers_accept_them(command: list[str]):
    checked = run(Path(sys.executable).with_name(command[0]), *command[1:], *WORKFLOWS)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.integration
def test_actionlint_accepts_them_and_finds_what_is_wrong(tmp_path: Path):
    checked = run(ROOT / "scripts/lint_workflows.sh")
    if checked.returncode == 3:
        pytest.skip(checked.stderr.strip())
    assert checked.returncode == 0, checked.stdout + checked.stderr
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "needs: nothing\n    runs-on:", 1))
    assert run(ROOT / "scripts/lint_workflows.sh", wrong).returncode == 1


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_steps_are_one_line_calls_of_what_people_run(path: Path):
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z ]+)?:", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for step in steps_of(path) if "run" in step]
    assert commands
    for command in commands:
        program, *words = command.split()
        assert "\n" not in command
        assert (program == "make" and words[0] in targets) or os.access(ROOT / program, os.X_OK), command
    for step in steps_of(path):
        assert re.search(r"@[0-9a-f]{40}$", step.get("uses", "@" + "0" * 40)), "an action is not pinned"


class Healthy(BaseHTTPRequestHandler):
    """Airflow, MLflow and the API in one: all well, unless the release runs that the test calls sick."""

    def do_GET(self) -> None:
        server = cast(Server, self.server)
        if server.running.exists() and server.running.read_text().strip() == server.sick:
            self.send_error(500)
            return
        is_closed = self.path.startswith("/api/2.0/")
        body = {"scheduler": {"status": "healthy"}, "publication": {"session": "2024-06-28"}}
        self.send_response(401 if is_closed else 200)
        self.end_headers()
        answer = {name: part for name, part in body.items() if name == "scheduler" or "/v1/" in self.path}
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        return


class Server(HTTPServer):
    """`running` holds the commit that the stand-in for docker has started."""

    running, sick = Path(), ""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Host:
    """A checkout with what scripts need, and a docker that only writes down what it is asked."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.checkout, self.fake, self.home = folder / "checkout", folder / "fake", folder / "bist"
        for path in (self.checkout, self.fake, self.home):
            path.mkdir()
        self.server, server.running = server, self.fake / "release"
        for name in ("scripts", "docker", "sql", "Makefile", "setup.cfg", "docker-compose.yaml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, self.checkout / name)
        (self.home / ".env").touch()
        (self.fake / "schema").write_text(REVISIONS)
        (self.fake / f"knows-{OLD}").write_text(REVISIONS)
        self.environment = {
            **dict.fromkeys(("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT"), str(server.server_port)),
            **REGISTRY,
            "PATH": f"{ROOT}/tests/stubs:{os.environ['PATH']}",
            "HOME": str(folder),
            "FAKE": str(self.fake),
            "REAL_MAKE": shutil.which("make") or "make",
            "BIST_DEPLOYMENT": str(self.home),
            "GITHUB_ACTOR": "anna",
            "PATIENCE_S": "0",
        }

    def run(self, name: str, *, commit: str = NEW) -> list[tuple[str, int]]:
        (self.fake / "commit").write_text(commit)
        path = ROOT / f".gitea/workflows/{name}.yaml"
        steps = run_workflow(
            path, self.checkout, environment=self.environment, secrets={"REGISTRY_TOKEN": "t0ken"}
        )
        self.said = "".join(step.output for step in steps)
        return [(step.command, step.status) for step in steps]

    @property
    def calls(self) -> str:
        return (self.fake / "calls").read_text()

    @property
    def current(self) -> str:
        return str((self.home / "current").readlink())


@pytest.fixture
def host(tmp_path: Path, server: Server) -> Host:
    return Host(tmp_path, server)


@pytest.mark.parametrize("name", ["ci", "nightly"])
def test_every_step_of_the_tests_names_a_command_that_is_there(name: str, host: Host):
    done = host.run(name)
    assert len(done) >= 3
    assert all(status == 0 for _, status in done), host.said


@pytest.mark.parametrize("is_release", [False, True], ids=["main", "a release"])
def test_images_are_tested_built_scanned_described_tagged_and_pushed(host: Host, is_release: bool):
    if is_release:
        host.environment |= {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v0.1.0"}
    done = host.run("images")
    assert [command.split()[0] for command, _ in done] == ["make"] * 3 + ["scripts/images.sh"] * 4 + [
        "scripts/registry_login.sh",
        "scripts/images.sh",
    ]
    assert not any(status for _, status in done), host.said
    for image in ("pipeline", "mlflow", "serving"):
        assert f"docker/{image}.Dockerfile -t bist-{image}:0.1.0" in host.calls
        bom = json.loads((host.checkout / f"var/images/sbom-{image}.json").read_text())
        assert bom["bomFormat"] == "CycloneDX"
        assert f"push git.example.org/team/bist-{image}:{NEW}" in host.calls
        # Only the tag of a release may move its images.
        assert (f"push git.example.org/team/bist-{image}:0.1.0" in host.calls) is is_release
    assert (host.fake / "token").read_text() == "t0ken"
    assert "t0ken" not in host.calls


def test_a_tag_that_is_not_the_packages_version_builds_nothing(host: Host):
    host.environment |= {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v0.2.0"}
    assert host.run("images")[-1] == ("scripts/images.sh build", 1)
    assert "the tag v0.2.0 is not of version 0.1.0" in host.said
    assert not (host.fake / "calls").exists()


def test_images_are_made_only_of_what_passes_the_same_tests_as_a_pull_request(host: Host):
    ci, images = (yaml.safe_load((path).read_text())["jobs"] for path in (WORKFLOWS[0], WORKFLOWS[2]))
    assert images["test"] == ci["test"]
    assert images["images"]["needs"] == "test"
    (host.checkout / "Makefile").write_text("")
    assert [status for _, status in host.run("images")] == [2]
    assert not (host.fake / "calls").exists()


def test_images_with_a_known_hole_are_not_pushed(host: Host):
    (host.fake / "broken").write_text("--exit-code 1")
    assert host.run("images")[-1] == ("scripts/images.sh scan", 1)
    assert "push" not in host.calls


def test_a_release_is_deployed_after_a_backup_and_a_migration(host: Host):
    assert host.run("deploy", commit=OLD)[-1][1] == 0, host.said
    assert not (host.home / "backups").exists()  # there was nothing before
    assert host.run("deploy")[-1][1] == 0, host.said
    assert host.current == NEW
    (backup,) = (host.home / "backups").iterdir()
    assert (backup / "SHA256SUMS").exists()
    order = [host.calls.rindex(word) for word in ("mysqldump", "run --rm init", "up --detach --wait")]
    assert order == sorted(order)


@pytest.mark.parametrize("migrates", ["nothing", "bist", "airflow", "mlflow"])
def test_a_failed_smoke_test_brings_the_old_release_back(host: Host, migrates: str):
    host.run("deploy", commit=OLD)
    newer = REVISIONS.replace(f"{migrates} 0001", f"{migrates} 0002")
    (host.fake / f"knows-{NEW}").write_text(newer)
    host.server.sick = NEW
    assert host.run("deploy")[-1] == ("scripts/deploy.sh roll", 1)

    assert host.current == OLD
    assert f"the smoke test of {NEW} failed; {OLD} runs again" in host.said
    started = [line for line in host.calls.splitlines() if " up --detach" in line]
    assert [revision in started[-1] for revision in (OLD, NEW)] == [True, False]
    assert (host.fake / "running").read_text().split() == ["mysql", "airflow-scheduler", "mlflow", "api"]
    # Data goes back only where the old code would not know it, and then before the old code starts.
    assert (host.fake / "restored").exists() is (migrates != "nothing")
    assert (host.fake / "schema").read_text() == REVISIONS


def test_an_old_release_that_does_not_work_again_is_not_called_running(host: Host):
    host.run("deploy", commit=OLD)
    host.environment["API_PORT"] = "1"
    assert host.run("deploy")[-1][1] == 1
    assert f"the smoke test of {NEW} failed, and {OLD} does not do its work either" in host.said
    assert "runs again" not in host.said


def test_a_release_whose_images_cannot_be_pulled_touches_nothing(host: Host):
    host.run("deploy", commit=OLD)
    (host.fake / "broken").write_text("pull --quiet")
    before = host.calls.count(" up ")
    assert host.run("deploy")[-1][1] == 1
    assert f"nothing was touched, and {OLD} runs on" in host.said
    assert host.calls.count(" up ") == before


def test_deployments_wait_for_each_other(host: Host):
    lock = host.home / "deploy.lock"
    script, environment = host.checkout / "scripts/deploy.sh", host.environment
    (host.fake / "commit").write_text(OLD)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = subprocess.Popen([script, "roll"], env=environment, stderr=subprocess.PIPE, text=True)
        assert second.stderr is not None
        assert "another deployment runs here" in second.stderr.readline()
        assert not (host.fake / "calls").exists()
    assert f"{OLD} runs" in second.communicate(timeout=60)[1]
    assert second.returncode == 0


def test_a_release_that_cannot_start_leaves_the_old_one_and_the_data(host: Host):
    host.run("deploy", commit=OLD)
    (host.fake / "broken").write_text(f"releases/{NEW}/docker-compose.yaml up")  # as when a port is in use
    assert host.run("deploy")[-1][1] == 1
    assert f"the start of {NEW} failed; {OLD} runs again" in host.said
    assert host.current == OLD
    assert not (host.fake / "restored").exists()


def test_a_half_finished_migration_brings_the_data_back(host: Host):
    host.run("deploy", commit=OLD)
    (host.fake / "broken").write_text(f"releases/{NEW}/docker-compose.yaml run --rm init")
    assert host.run("deploy")[-1][1] == 1
    assert f"the migration of {NEW} failed; {OLD} runs again" in host.said
    assert (host.fake / "restored").exists()
