"""What every DAG of the project must have. Each message tells its owner what to do."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
HEAVY = {"alibi_detect", "bist_pipeline", "lightgbm", "mlflow", "numpy", "pandas", "scipy", "sklearn"}


@pytest.fixture
def dags(dag_bag):
    return list(dag_bag.dags.values())


@pytest.fixture
def tasks(dags):
    found = [task for dag in dags for task in dag.tasks]
    assert found, "no DAG has a task: build them inside the function under @dag, and call that function."
    return found


def test_every_dag_file_can_be_imported(dag_bag):
    assert not dag_bag.import_errors, (
        "correct these files: they cannot be imported, and their DAGs are gone from the list. Beside each is "
        f"its traceback. {dag_bag.import_errors}"
    )


def test_every_dag_has_a_runbook(dags):
    for dag in dags:
        assert dag.description, f"{dag.dag_id}: say in `description` what the DAG is for; lists show it."
        assert "### When a task fails" in (dag.doc_md or ""), (
            f"{dag.dag_id}: write the section '### When a task fails' in `doc_md`; on call it is read first."
        )


def test_every_dag_can_be_found_and_has_an_owner(dags):
    for dag in dags:
        assert "bist" in dag.tags, f"{dag.dag_id}: add the tag 'bist', by which people filter the list."
        assert dag.owner not in ("", "airflow"), (
            f"{dag.dag_id}: name an owner in `default_args`; 'airflow' is nobody."
        )


def test_no_dag_runs_twice_at_once(dags):
    for dag in dags:
        assert dag.max_active_runs == 1, (
            f"{dag.dag_id}: set max_active_runs=1; two runs at once would publish over each other."
        )
        assert dag.catchup is False, (
            f"{dag.dag_id}: leave catchup off; replays are backfills that a person starts."
        )


def test_every_task_waits_longer_before_each_retry_and_gives_up_in_the_end(tasks):
    for task in tasks:
        assert task.retries >= 1, f"{task.task_id}: give it retries; databases and sources come back."
        assert task.retry_exponential_backoff > 1, f"{task.task_id}: set retry_exponential_backoff=2.0."
        assert task.max_retry_delay, f"{task.task_id}: set max_retry_delay, or backoff grows without end."
        assert task.execution_timeout, (
            f"{task.task_id}: set execution_timeout; a task that hangs would block every later run."
        )


def test_every_task_waits_for_its_turn_in_a_pool(tasks):
    for task in tasks:
        assert task.pool.startswith("bist"), (
            f"{task.task_id}: give it the pool 'bist'; overlapping runs would write over each other."
        )


def test_a_failed_run_tells_somebody(dags):
    for dag in dags:
        assert dag.on_failure_callback, (
            f"{dag.dag_id}: set on_failure_callback=tell_failed; else a failure lasts until someone looks."
        )


def test_every_task_says_what_it_does(tasks):
    for task in tasks:
        assert task.doc_md, (
            f"{task.task_id}: say what it does, in a line of `_ABOUT` in plugins/bist_operators.py; Airflow "
            "shows it beside the log."
        )


def test_every_field_of_a_form_explains_itself(dags):
    for dag in dags:
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.schema.get("title"), f"{dag.dag_id}, param {name}: give it a title."
            assert param.description, f"{dag.dag_id}, param {name}: give it a description."
            if param.schema.get("format") == "date":
                assert "YYYY-MM-DD, from 2010-01-04 up to" in param.description, (
                    f"{dag.dag_id}, param {name}: name form, first and last value in the description; the "
                    "form checks none of them."
                )
            for value in filter(None, param.schema.get("enum", [])):
                label = param.schema.get("values_display", {}).get(value, "")
                assert label.startswith(f"{value}: "), (
                    f"{dag.dag_id}, param {name}: say in `values_display` what {value!r} means, as "
                    f"'{value}: …'; the form shows the bare word else."
                )


def test_parsing_loads_none_of_the_heavy_libraries(airflow_home):
    # Beyond what Airflow loads by itself, for which an empty folder is parsed first.
    code = (
        "import sys, os; from airflow.dag_processing.dagbag import DagBag; os.mkdir('empty')\n"
        "DagBag('empty'); before = set(sys.modules); bag = DagBag(); assert bag.dags, bag.import_errors\n"
        "print('loaded:', *sorted(set(sys.modules) - before))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=airflow_home, capture_output=True, text=True, check=True
    )
    loaded = process.stdout.split("loaded:")[1].split()

    assert "bist_tasks" in loaded, "no DAG was parsed: the test sees nothing; correct its folders."
    heavy = sorted(HEAVY & set(loaded))
    assert not heavy, f"a DAG file or plugin imports {heavy}: move the import into the task that needs it."


def test_no_file_hides_a_package():
    # Airflow puts both folders on the import path, before the finder of an editable installation.
    names = [path.stem for folder in ("dags", "plugins") for path in (ROOT / folder).glob("*.py")]
    assert names, "dags/ and plugins/ hold no file: correct ROOT in this test."
    code = f"from importlib.util import find_spec; print(*filter(find_spec, {names}))"
    process = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)

    hidden = process.stdout.split()
    assert not hidden, f"rename {hidden}: tasks that import a package of that name would get the DAG file."


def test_dags_do_not_think():
    nodes = [node for path in (ROOT / "dags").glob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    assert functions, "dags/ holds no function: build each DAG in one, under @dag."

    for function in functions:
        decisions = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try)
        thinking = [node for node in ast.walk(function) if isinstance(node, decisions)]
        assert not thinking, f"{function.name}: it decides or loops; move that into a stage."
