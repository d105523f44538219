"""The house rules of the layout, read from the import statements themselves."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/bist_pipeline"
EDGES = {"alerts", "sources", "lake", "tracking", "store"}
PURE = ["market", "features", "model", "drift"]
HEAVY = {"pandas", "numpy", "lightgbm", "mlflow", "alibi_detect", "airflow", "sklearn"}
CLOCK_AND_FILES = {"open", "now", "today", "utcnow", "read_text", "write_text", "read_parquet", "to_parquet"}


def imports_of(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Absolute names of everything a module imports."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def edges_of(path: Path) -> set[str]:
    """The edge modules of the package that a module imports."""
    names = {name.split(".")[1] for name in imports_of(path) if name.startswith("bist_pipeline.")}
    return names & EDGES


def modules(*folders: Path) -> list[Path]:
    found = [path for folder in folders for path in folder.rglob("*.py") if "__pycache__" not in path.parts]
    assert found, f"no modules under {folders}"
    return found


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(PACKAGE), ids=label)
def test_nothing_under_src_imports_airflow(path):
    assert not [name for name in imports_of(path) if name.split(".")[0] == "airflow"]


@pytest.mark.parametrize("path", modules(*(PACKAGE / ring for ring in PURE)), ids=label)
def test_pure_modules_know_no_edge_no_file_and_no_clock(path):
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}

    assert not edges_of(path)
    assert not names & CLOCK_AND_FILES


@pytest.mark.parametrize("path", modules(PACKAGE), ids=label)
def test_only_stages_and_the_command_line_know_more_than_one_edge(path):
    if path.parent.name not in ("stages", "cli"):
        assert len(edges_of(path)) <= 1


@pytest.mark.parametrize("path", modules(ROOT / "serving"), ids=label)
def test_serving_is_light_and_knows_only_settings_errors_and_the_store(path):
    names = imports_of(path)
    inner = {name.split(".")[1] for name in names if name.startswith("bist_pipeline.")}

    assert not {name.split(".")[0] for name in names} & HEAVY
    assert inner <= {"config", "errors", "store", "__version__"}


@pytest.mark.parametrize(
    ("library", "owner"),
    [("alibi_detect", "drift/adapter.py"), ("mlflow", "tracking"), ("lightgbm", "model")],
)
def test_each_heavy_library_has_one_owner(library, owner):
    importers = {
        str(path.relative_to(PACKAGE))
        for path in modules(PACKAGE)
        if any(name.split(".")[0] == library for name in imports_of(path))
    }

    assert importers
    assert all(name.startswith(owner) for name in importers)


@pytest.mark.parametrize("path", modules(ROOT / "dags"), ids=label)
def test_dags_import_the_package_inside_tasks_only(path):
    assert not [name for name in imports_of(path, top_level_only=True) if name.startswith("bist_pipeline")]
