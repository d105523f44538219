"""What the compose file and the Dockerfiles promise, checked without building or starting anything."""

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bist_pipeline.config import AlertSettings, Settings

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE_TEXT)["services"]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))

REFERENCE = re.compile(r"\$\{(\w+)(.*?)\}")
SECRET = re.compile(r"PASSWORD|SECRET|KEY")
# Settings that the pages tell people to give to the pipeline.
PASSED = re.compile(r"\b((?:BIST_(?:SOURCE|LAKE|FUNDAMENTALS|DEADLINES)|AWS)(?:_[A-Z]+)*)\b(?!_)")


def required_variables() -> set[str]:
    return {name for name, rest in REFERENCE.findall(COMPOSE_TEXT) if rest.startswith(":?")}


def instructions(dockerfile: Path) -> list[list[str]]:
    """Words of each instruction, continuation lines joined, comments left out."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    return [line.split() for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line]


def test_no_secret_has_a_default_or_is_written_down():
    assert "MYSQL_ROOT_PASSWORD" in required_variables()
    optional = {name for name, rest in REFERENCE.findall(COMPOSE_TEXT) if not rest.startswith(":?")}
    # API_KEYS holds hashes, and none by default.
    assert [name for name in optional if SECRET.search(name)] == ["API_KEYS"]
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            # Without a value it is taken from .env as it is.
            if SECRET.search(variable) and not variable.endswith("_FILE") and value is not None:
                assert value.startswith("${"), f"{variable} is written down"


def test_make_secrets_writes_exactly_what_is_required_and_never_overwrites(tmp_path: Path):
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts/secrets.sh"
    script.write_bytes((ROOT / "scripts/secrets.sh").read_bytes())
    subprocess.run(["bash", script], check=True, capture_output=True)
    written = (tmp_path / ".env").read_text()
    secrets = dict(line.split("=", 1) for line in written.splitlines() if not line.startswith("#"))

    assert set(secrets) == required_variables()
    assert len(set(secrets.values())) == len(secrets)
    assert min(map(len, secrets.values())) >= 44  # 32 bytes: 44 characters of base64, 64 hexadecimal ones
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600

    again = subprocess.run(["bash", script], capture_output=True, text=True)
    assert again.returncode == 1
    assert ".env exists" in again.stderr
    assert (tmp_path / ".env").read_text() == written

    # A file of an older version, which did not know the last secret.
    *older, newest = written.splitlines(keepends=True)
    (tmp_path / ".env").write_text("".join(older))
    subprocess.run(["bash", script], check=True, capture_output=True)
    completed = (tmp_path / ".env").read_text()
    assert completed.startswith("".join(older))
    assert set(re.findall(r"^(\w+)=", completed, re.MULTILINE)) == required_variables()
    assert newest not in completed


def test_ports_are_published_on_loopback_only_and_mysql_not_at_all():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert "ports" not in SERVICES["mysql"]
    assert SERVICES["mysql"]["networks"] == ["database"]
    assert yaml.safe_load(COMPOSE_TEXT)["networks"]["database"]["internal"] is True


def test_images_are_pinned_and_ours_carry_the_version_of_the_package():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    images = {re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", service["image"]) for service in SERVICES.values()}
    bases = {
        word.partition("=")[2]
        for path in DOCKERFILES
        for keyword, word, *_ in instructions(path)
        if keyword == "ARG" and word.startswith("BASE_IMAGE=")
    }
    assert len(bases) == 1
    for image in images | bases:
        assert re.search(r":v?\d", image), f"{image} is not pinned"
        if image.startswith("bist-"):
            assert image.endswith(f":{setup['metadata']['version']}")
    for service in SERVICES.values():
        built = service.get("build", {}).get("args")
        assert (
            not built
            or {"VERSION": setup["metadata"]["version"], "REVISION": "${REVISION:-unknown}"}.items()
            <= built.items()
        )


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_the_final_stage_is_not_root_and_has_no_compiler(dockerfile: Path):
    words = instructions(dockerfile)
    starts = [number for number, line in enumerate(words) if line[0] == "FROM"]
    assert len(starts) > 1
    build, final = words[starts[0] : starts[-1]], words[starts[-1] :]
    assert any("gcc" in line for line in build)
    assert not any({"gcc", "pkg-config"} & set(line) or "-dev" in " ".join(line) for line in final)
    (user,) = [line[1] for line in final if line[0] == "USER"]
    assert int(user) > 0
    assert not [line for line in final[final.index(["USER", user]) :] if line[0] == "RUN"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_what_is_installed_from_an_index_has_a_hash(dockerfile: Path):
    installs = [
        part
        for line in instructions(dockerfile)
        for part in " ".join(line).split("&&")
        if " install " in part and "lock" in part and "apt-get" not in part
    ]
    from_locks = [part for part in installs if " -r " in part]
    assert len(from_locks) == 3
    assert all("--require-hashes" in part for part in from_locks)


ONLY_WHAT_IS_LOCKED = """
import re, sys
from importlib.metadata import packages_distributions
from pathlib import Path

normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()
locked = set(re.findall(r"^([a-z0-9._-]+)==", Path("locks/serving.lock").read_text(), re.MULTILINE))
held = {"bist-pipeline", *locked}
absent = {name for name, of in packages_distributions().items() if not held & set(map(normal, of))}

class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not in the API's image")

sys.meta_path.insert(0, Absent())
import bist_pipeline.cli, serving.app
print(len(absent))
"""


def test_the_api_starts_with_what_its_lock_holds():
    """`bist serve` loads the whole command line, so that one needless import anywhere stops the API."""
    started = subprocess.run(
        [sys.executable, "-c", ONLY_WHAT_IS_LOCKED], capture_output=True, text=True, cwd=ROOT
    )
    assert started.returncode == 0, started.stderr
    assert int(started.stdout) > 100


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_says_what_it_is_what_it_holds_and_whether_it_is_well(dockerfile: Path):
    text, words = dockerfile.read_text(), [line[0] for line in instructions(dockerfile)]
    assert "HEALTHCHECK" in words
    for label in ("title", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{label}=" in text
    assert "COPY --from=described /build/sbom.json" in text
    assert "--compile-bytecode" in text


def test_every_service_comes_back_and_says_whether_it_is_well():
    long_running = {name: service for name, service in SERVICES.items() if name != "init"}
    assert all(service["restart"] == "unless-stopped" for service in long_running.values())
    # In compose the command decides what an image is, so there it has its test; these two are one thing only.
    without = {name for name, service in long_running.items() if "healthcheck" not in service}
    assert without == {"api", "mlflow"}
    for name in ("serving", "mlflow"):
        assert any(line[0] == "HEALTHCHECK" for line in instructions(ROOT / f"docker/{name}.Dockerfile"))


def test_nothing_of_ours_can_write_to_its_root_file_system_or_has_more_rights_than_a_user():
    ours = {name: service for name, service in SERVICES.items() if name != "mysql"}
    assert len(ours) > 8
    for name, service in ours.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_airflow_and_mlflow_ask_who_is_there():
    airflow = SERVICES["airflow-api-server"]["environment"]
    assert airflow["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".FabAuthManager")
    assert "app-name=basic-auth" in (ROOT / "docker/mlflow_server.py").read_text()


@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", "--no-color", *DOCKERFILES, *(ROOT / "docker/stand-ins").glob("*.Dockerfile")],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yaml"],
    ],
    ids=lambda command: command[0],
)
def test_static_checks_accept_the_files(command: list[str]):
    program = Path(sys.executable).with_name(command[0])
    checked = subprocess.run([program, *command[1:]], capture_output=True, text=True, cwd=ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.integration
def test_dockers_own_compose_accepts_the_file_and_asks_for_secrets(tmp_path: Path):
    found = subprocess.run([ROOT / "scripts/get_compose.sh"], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(found.stderr.strip().splitlines()[-1])
    profiles = ["--profile=celery", "--profile=monitoring"]
    (tmp_path / "docker-compose.yaml").write_text(COMPOSE_TEXT)

    def config(*options: str) -> subprocess.CompletedProcess[str]:
        command = [found.stdout.strip(), *profiles, "config", *options]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}
        )

    refused = config("--quiet")
    assert refused.returncode != 0
    assert "is missing a value: run make secrets" in refused.stderr
    (tmp_path / ".env").write_text("".join(f"{name}=x\n" for name in required_variables()))
    assert set(config("--services").stdout.split()) == set(SERVICES)

    # Settings of the pipeline that .env may name reach it; those that it does not name are not there at all.
    with (tmp_path / ".env").open("a") as file:
        file.write(
            'BIST_LAKE_URL=s3://bucket/lake\nBIST_ALERTS__MAIL_TO=["a@example.org"]\nBIST_DEADLINES=\n'
        )
    for name in ("airflow-scheduler", "airflow-dag-processor", "airflow-worker"):
        environment = json.loads(config("--format=json").stdout)["services"][name]["environment"]
        assert environment["BIST_LAKE_URL"] == "s3://bucket/lake"
        assert environment["BIST_ALERTS__MAIL_TO"] == '["a@example.org"]'
        assert environment["BIST_SOURCE_PATH"] is None


def test_every_setting_of_alerts_and_places_is_passed_on():
    passed = SERVICES["airflow-scheduler"]["environment"]
    alerts = {f"BIST_ALERTS__{name.upper()}" for name in AlertSettings.model_fields}
    assert {name for name in passed if name.startswith("BIST_ALERTS__")} == alerts
    named = {name for page in (ROOT / "docs").rglob("*.md") for name in PASSED.findall(page.read_text())}
    assert len(named) >= 4
    assert named <= set(passed)


@pytest.mark.parametrize("name", ["BIST_SOURCE_PATH", "BIST_LAKE_URL", "BIST_ALERTS__SMTP_PORT"])
def test_an_empty_setting_is_as_if_it_were_not_there(name: str, monkeypatch: pytest.MonkeyPatch):
    unset = Settings()
    monkeypatch.setenv(name, "")
    assert Settings() == unset


ALERTS = yaml.safe_load((ROOT / "docker/alerts.yml").read_text())["groups"][0]["rules"]


def test_alerts_use_metrics_that_the_api_has_and_say_what_to_do():
    assert len(ALERTS) > 5
    known = set(re.findall(r'"(bist_\w+)"', (ROOT / "serving/metrics.py").read_text()))
    for rule in ALERTS:
        for metric in re.findall(r"bist_\w+", rule["expr"]):
            assert re.sub(r"_(total|bucket|count|sum)$", "", metric) in known, f"{rule['alert']}: {metric}"
        assert rule["annotations"]["next"]


@pytest.mark.integration
def test_promtool_accepts_the_alerts_and_finds_what_is_wrong(tmp_path: Path):
    found = subprocess.run([ROOT / "scripts/get_promtool.sh"], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(found.stderr.strip().splitlines()[-1])
    promtool = found.stdout.strip()
    checked = subprocess.run(
        [promtool, "check", "config", ROOT / "docker/prometheus.yml"], capture_output=True
    )
    assert checked.returncode == 0, checked.stderr
    wrong = tmp_path / "alerts.yml"
    wrong.write_text((ROOT / "docker/alerts.yml").read_text().replace("expr: up{", "expr: up{{"))
    assert subprocess.run([promtool, "check", "rules", wrong], capture_output=True).returncode == 1
