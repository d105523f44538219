"""What the pages tell people to type works: every command and Python block is run, or the reason is given."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from fastapi.testclient import TestClient

from bist_pipeline.config import Settings
from serving.app import create_app
from tests.command_line import SMALL, Bist
from tests.conftest import ROOT

# Whole runs and backtests, on machines that are busy with something else too.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Beginnings of commands that are not run here, and what runs them, or why nothing can.
ELSEWHERE = {
    "make demo": "tests/dags/test_airflow_run.py",
    "make airflow-run": "tests/dags/test_airflow_run.py",
    "make test": "this is it",
    "make up SCALE=celery": "tests/dags/test_celery.py",
    "make up": "tests/dags/test_services.py",
    "make status": "tests/dags/test_services.py",
    "make down": "tests/dags/test_services.py",
    "sudo make containers-test": "needs root and a quarter of an hour; the nightly workflow runs it",
    "make secrets": "tests/unit/test_containers.py",
    "make smoke": "tests/unit/test_workflows.py, through deploy.sh",
    "make backup": "tests/integration/test_backup.py",
    "make check": "a part of make test",
    "make backtest": "tests/e2e/test_backtest.py",
    "scripts/restore.sh": "tests/integration/test_backup.py",
    "scripts/images.sh": "tests/unit/test_workflows.py, with a stand-in for docker",
    "scripts/deploy.sh": "tests/unit/test_workflows.py, with a stand-in for docker",
    "docker compose": "test_compose_knows_every_command_of_the_pages; make containers-test runs the file",
    "git pull": "needs another repository",
    "make drift-bars": "takes ten minutes; the nightly workflow runs it",
    "scripts/services.sh run airflow": "needs Airflow's servers; its sessions: tests/dags/test_timetable.py",
    ".venv/bin/pytest": "tests/leakage/test_adding_a_feature.py, tests/contract/test_adding_a_source.py",
    ".venv/bin/bist run --source warehouse": "tests/contract/test_adding_a_source.py",
    ".venv/bin/bist serve": "tests/integration/test_logs.py",
    ".venv/bin/bist drift simulate": "tests/e2e/test_drift.py",
}
# Pages whose Python blocks another test runs.
PYTHON_ELSEWHERE = {
    "adding-a-feature.md": "tests/leakage/test_adding_a_feature.py",
    "ozellik-ekleme.md": "tests/leakage/test_adding_a_feature.py",
    "adding-a-source.md": "tests/contract/test_adding_a_source.py",
    "kaynak-ekleme.md": "tests/contract/test_adding_a_source.py",
    "adding-a-check.md": "tests/unit/test_adding_a_check.py",
    "denetim-ekleme.md": "tests/unit/test_adding_a_check.py",
}
COMPOSE = re.compile(r"docker compose ((?:[^`\n|<&;…'\"])+)")


class Example(NamedTuple):
    """A command or a block of Python, and the output that the page shows for it."""

    page: Path
    kind: str
    text: str
    output: str

    @property
    def name(self) -> str:
        return f"{self.page.name}: {self.text.splitlines()[0]}"


def examples() -> Iterator[Example]:
    for page in PAGES:
        for kind, block in re.findall(r"^```(console|python)\n(.*?)^```", page.read_text(), re.M | re.S):
            if kind == "python":
                yield Example(page, kind, block, "")
                continue
            assert block.startswith("$ "), f"{page.name}: a console block begins with a command:\n{block}"
            for command in re.split(r"^\$ ", re.sub(r"\\\n *", "", block), flags=re.M)[1:]:
                line, _, output = command.partition("\n")
                yield Example(page, kind, re.sub(r"\s+#.*", "", line), output)


def elsewhere(example: Example) -> str:
    if example.kind == "python":
        return PYTHON_ELSEWHERE.get(example.page.name, "")
    return next((why for start, why in ELSEWHERE.items() if example.text.startswith(start)), "")


ALL = list(examples())
# Each once, whatever the number of pages that have it.
RUN_HERE = [
    *{each.text.removesuffix(" --json"): each for each in reversed(ALL) if not elsewhere(each)}.values()
]
RUN_HERE.reverse()


def test_what_is_not_run_here_is_run_by_a_test_that_exists():
    reasons = {*map(elsewhere, ALL)} - {""}
    tests = {test for reason in reasons for test in re.findall(r"tests/\S+\.py", reason)}
    assert len(tests) > 4
    unused = [start for start in ELSEWHERE if not any(each.text.startswith(start) for each in ALL)]
    assert not unused, f"no page has these commands any more: {unused}"
    assert not [test for test in tests if not (ROOT / test).exists()]
    assert {example.page.name for example in RUN_HERE} >= {"README.md", "first-steps.md", "backtest.md"}


def test_compose_knows_every_command_of_the_pages(tmp_path: Path):
    """Docker's own program accepts each command with its options; the services are those of the file."""
    found = subprocess.run([ROOT / "scripts/get_compose.sh"], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(found.stderr.strip().splitlines()[-1])
    program = found.stdout.strip()
    file = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    profiles = {name for service in file["services"].values() for name in service.get("profiles", [])}
    texts = [page.read_text() for page in (*PAGES, ROOT / "docker/alerts.yml")]
    commands = {words.split("#")[0].strip() for text in texts for words in COMPOSE.findall(text)}
    assert len(commands) > 10
    helps: dict[str, str] = {}
    for command in commands:
        words = shlex.split(command)
        while words[0] == "--profile":
            assert words[1] in profiles, command
            words = words[2:]
        verb, *rest = words
        if verb not in helps:
            asked = subprocess.run([program, verb, "--help"], capture_output=True, text=True)
            assert asked.returncode == 0, f"docker compose {command}: {asked.stderr}"
            helps[verb] = asked.stdout
        for word in rest:
            if word.startswith("-"):
                assert re.search(rf"(?<![\w-]){word.split('=')[0]}(?![\w-])", helps[verb]), (
                    f"{word}: {command}"
                )
            elif not word.isdigit():
                assert word.split("=")[0] in file["services"], f"{word} is no service: {command}"
                if verb in ("exec", "run"):
                    break  # what follows is the container's


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Bist:
    """Where a reader sits: a folder with the prices that the first steps write, and one batch published."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_python(next(each for each in ALL if each.kind == "python" and each.page.name == "first-steps.md"))
    # A quarter of the folds takes a quarter of the time.
    environment = {**SMALL, "BIST_VALIDATION__BLOCK_SESSIONS": "252"}
    bist = Bist(folder / "var", folder / "prices.parquet", environment)
    result = bist("run")
    assert result.exit_code == 0, result.output
    return bist


@pytest.mark.parametrize("example", RUN_HERE, ids=lambda example: example.name)
def test_an_example_of_the_pages_works(example: Example, desk: Bist, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(desk.home.parent)
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    if example.kind == "python":
        run_python(example)
        return
    # The reader's own share: none of this market is called so.
    mine = desk.published()[0]["symbol"]
    program, *arguments = shlex.split(example.text.replace("THYAO", mine))
    if program == "curl":
        check_answer(desk, arguments[-1], example.output)
    else:
        assert program == ".venv/bin/bist", f"say in ELSEWHERE who runs: {example.text}"
        result = desk(*arguments)
        assert result.exit_code == 0, result.output
        assert result.stdout or result.stderr


def run_python(example: Example) -> None:
    exec(compile(example.text, example.name, "exec"), {"__name__": "example"})  # noqa: S102 (our own pages)


def check_answer(desk: Bist, address: str, shown: str) -> None:
    """Ask for the address, and look whether the answer has every field that the page shows."""
    host, _, path = address.partition("/")
    assert host == "127.0.0.1:8000"
    with TestClient(create_app(Settings(home=desk.home)), base_url="http://localhost") as client:
        answer = client.get(f"/{path}")
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.text)
    missing = [field for field in re.findall(r'"(\w+)":', shown) if f'"{field}":' not in answer.text]
    assert not missing, f"the page shows fields that the answer lacks: {missing}"
