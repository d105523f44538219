"""The API against its own description: everything is described, and nothing else is ever answered."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bist_pipeline.config import Settings
from bist_pipeline.store.engine import open_engine
from serving.app import create_app
from tests.api_client import Api, serve
from tests.browser.invented_batch import create_tables, fill


@pytest.fixture(scope="module")
def schema() -> dict:
    return create_app(Settings(database_url="sqlite://")).openapi()


@pytest.fixture
def api(server_url) -> Iterator[Api]:
    engine = open_engine(server_url)
    create_tables(engine)
    fill(engine)
    engine.dispose()
    with serve(create_app(Settings(database_url=server_url))) as client:
        yield client


def operations(schema: dict) -> list[tuple[str, dict]]:
    return [(path, operation) for path, methods in schema["paths"].items() for operation in methods.values()]


def test_every_route_is_described(schema):
    assert {path for path, _ in operations(schema)} == {
        "/api/v1/predictions",
        "/api/v1/predictions/{symbol}",
        "/api/v1/predictions/{symbol}/history",
        "/api/v1/returns/top",
        "/api/v1/scorecard",
        "/api/v1/models/champion",
        "/api/v1/drift",
        "/api/v1/runs",
        "/health/live",
        "/health/ready",
        "/metrics",
    }
    assert all(operation["summary"] and operation["description"] for _, operation in operations(schema))


def test_every_field_has_a_description_and_an_example(schema):
    fields = [
        (f"{name}.{field}", described)
        for name, model in schema["components"]["schemas"].items()
        for field, described in model["properties"].items()
    ]
    assert len(fields) > 100
    assert [name for name, described in fields if not described.get("description")] == []
    # What refers to another description has its examples there.
    assert [name for name, field in fields if "examples" not in field and "$ref" not in str(field)] == []


def test_every_parameter_has_a_description_and_an_example(schema):
    found = [
        (f"{path}?{parameter['name']}", parameter)
        for path, operation in operations(schema)
        for parameter in operation.get("parameters", [])
    ]
    assert len(found) >= 19
    assert [name for name, parameter in found if not parameter.get("description")] == []
    examples = [name for name, each in found if "examples" not in each["schema"] and "example" not in each]
    assert examples == []


def test_every_error_is_a_problem_and_every_list_a_table_too(schema):
    for path, operation in operations(schema):
        kinds = {status: set(answer.get("content", {})) for status, answer in operation["responses"].items()}
        errors = [kind for status, kind in kinds.items() if status >= "400"]
        assert errors == [{"application/problem+json"}] * len(errors), path
        if path.startswith("/api/"):
            assert kinds["200"] == {"application/json", "text/csv"}
            assert {"304", "401", "406", "422", "429", "503"} <= set(kinds)


@pytest.mark.slow
@pytest.mark.integration
def test_nothing_undocumented_is_answered_whatever_is_asked(api, tmp_path):
    # Its own process: it patches libraries, and would look for a configuration in the project.
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{api.base_url}/openapi.json"]
    wishes = ["--phases=examples,coverage,fuzzing", "--max-examples=8", "--seed=1", "--no-shrink"]
    found = subprocess.run(
        [*command, *wishes, "--generation-database=none"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "NO_COLOR": "1"},
        check=False,
    )
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    assert "Tested: 11" in found.stdout
