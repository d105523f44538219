"""The workflows: valid, safe, thin, and every `run:` step of them executed."""

from __future__ import annotations

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

import pytest

from tests.workflow_driver import run_workflow, steps_of

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".gitea/workflows").glob("*.yaml"))
OLD, NEW = "a" * 40, "b" * 40
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
    """Airflow, MLflow and the API in one, all well."""

    def do_GET(self) -> None:
        is_closed = self.path.startswith("/api/2.0/")
        body = {"scheduler": {"status": "healthy"}, "publication": {"session": "2024-06-28"}}
        self.send_response(401 if is_closed else 200)
        self.end_headers()
        answer = {name: part for name, part in body.items() if name == "scheduler" or "/v1/" in self.path}
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def healthy_port() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield str(server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


class Host:
    """A checkout with what scripts need, and a docker that only writes down what it is asked."""

    def __init__(self, folder: Path, port: str) -> None:
        self.checkout, self.fake, self.home = folder / "checkout", folder / "fake", folder / "bist"
        for path in (self.checkout, self.fake, self.home):
            path.mkdir()
        for name in ("scripts", "docker", "sql", "Makefile", "setup.cfg", "docker-compose.yaml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, self.checkout / name)
        (self.home / ".env").touch()
        (self.fake / "schema").write_text("0001\n")
        self.environment = {
            **dict.fromkeys(("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT"), port),
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
def host(tmp_path: Path, healthy_port: str) -> Host:
    return Host(tmp_path, healthy_port)


@pytest.mark.parametrize("name", ["ci", "nightly"])
def test_every_step_of_the_tests_names_a_command_that_is_there(name: str, host: Host):
    done = host.run(name)
    assert len(done) >= 3
    assert all(status == 0 for _, status in done), host.said


def test_images_are_built_scanned_described_tagged_and_pushed(host: Host):
    done = host.run("images")
    assert [status for _, status in done] == [0] * 6, host.said
    for image in ("pipeline", "mlflow", "serving"):
        assert f"docker/{image}.Dockerfile -t bist-{image}:0.1.0" in host.calls
        bom = json.loads((host.checkout / f"var/images/sbom-{image}.json").read_text())
        assert bom["bomFormat"] == "CycloneDX"
        for tag in ("0.1.0", NEW):
            assert f"push git.example.org/team/bist-{image}:{tag}" in host.calls
    assert (host.fake / "token").read_text() == "t0ken"
    assert "t0ken" not in host.calls


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


@pytest.mark.parametrize("changes_schema", [False, True], ids=["same schema", "new schema"])
def test_a_failed_smoke_test_brings_the_old_release_back(host: Host, changes_schema: bool):
    host.run("deploy", commit=OLD)
    if changes_schema:
        (host.fake / "newer").write_text("0002\n")
    host.environment["API_PORT"] = "1"
    assert host.run("deploy")[-1] == ("scripts/deploy.sh roll", 1)

    assert host.current == OLD
    assert f"the smoke test of {NEW} failed; {OLD} runs again" in host.said
    started = [line for line in host.calls.splitlines() if " up --detach" in line]
    assert [revision in started[-1] for revision in (OLD, NEW)] == [True, False]
    # Data goes back only where the old code would not know it.
    assert (host.fake / "restored").exists() is changes_schema


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
