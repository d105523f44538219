"""The DAG run through Airflow as people run it, on a tiny synthetic market and a real SQLite database."""

import json
import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.small_snapshot import small_snapshot, write_raw

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
TINY = {
    "BIST_SYNTHETIC__SYMBOLS": "60",
    "BIST_SYNTHETIC__FIRST_SESSION": "2021-06-01",
    "BIST_VALIDATION__FOLDS": "2",
    "BIST_TRAINING__TREES": "20",
    "BIST_TRAINING__SEEDS": "[1]",
    "BIST_TRAINING__THREADS": "1",
}
STAGES = {"ingest", "check", "features", "train", "score", "evaluate", "drift"}


def command(home: Path, params: dict[str, str]) -> dict:
    """Arguments of a process that runs the DAG with its files under `home`."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("BIST_")}
    return {
        "args": [ROOT / "scripts/airflow_run.sh", json.dumps(params)],
        "env": {**outside, **TINY, "BIST_HOME": str(home)},
        "text": True,
    }


def run_dags(home: Path, code: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Let a Python program run DAGs in the environment of `airflow_run.sh`."""
    arguments = command(home, {})
    arguments["args"] = ["bash", "-c", '. scripts/airflow_env.sh; exec python -c "$0"', code]
    arguments["env"] |= {"BIST_DEADLINES": "off", **settings}
    return subprocess.run(**arguments, cwd=ROOT, capture_output=True)


def rows(database: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def states_of(airflow: Path, dag: str, day: str) -> list[tuple]:
    """Task, map index and state of every task of a DAG's run of a day."""
    query = (
        "SELECT task_id, map_index, tasks.state FROM task_instance tasks JOIN dag_run USING (dag_id, run_id)"
        " WHERE dag_id = '{}' AND logical_date LIKE '{}%' ORDER BY 1, 2"
    )
    return rows(airflow, query.format(dag, day))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("var")


@pytest.fixture(scope="module")
def first_run(home):
    params = {"source": "synthetic", "session": "2024-06-28"}
    return subprocess.run(**command(home, params), capture_output=True)


@pytest.fixture
def published(first_run, home):
    """What is published, and the numbers behind it."""
    assert first_run.returncode == 0, first_run.stderr

    def read():
        queries = "SELECT * FROM publications", "SELECT * FROM predictions ORDER BY symbol"
        return tuple(rows(home / "bist.db", query) for query in queries)

    return read


def test_a_run_publishes_one_batch_and_shows_it(first_run, published, home):
    publications, predictions = published()

    assert [row[:2] for row in publications] == [("synthetic", "2024-06-28")]
    assert len(predictions) >= 30
    assert "2024-06-28" in first_run.stdout
    assert all(f"\n{stage} " in first_run.stderr for stage in STAGES)


def test_receipts_and_nothing_larger_cross_the_tasks(published, home):
    receipts = rows(home / "airflow/airflow.db", "SELECT task_id, value FROM xcom WHERE key = 'return_value'")

    assert {task for task, _ in receipts} == STAGES
    for task, text in receipts:
        receipt = json.loads(text)
        receipt = json.loads(receipt) if isinstance(receipt, str) else receipt
        assert (receipt["stage"], receipt["session"]) == (task, "2024-06-28")
        # The longest are a dozen checks of drift in two languages; one column of a panel would be longer.
        assert len(text) < 10_000


def test_the_log_of_a_run_is_short_enough_to_read(published, home):
    log = (home / "logs/bist_pipeline.log").read_text()

    assert "ranked by" in log
    assert len(log.splitlines()) < 300


def test_what_airflow_keeps_secret_only_its_owner_can_read(published, home):
    assert (home / "airflow").stat().st_mode & 0o077 == 0
    assert (home / "airflow/airflow.cfg").stat().st_mode & 0o077 == 0


def test_a_file_without_prices_ends_in_our_message_and_the_batch_stays(published, home):
    before = published()
    wrong = home / "holidays.csv"
    wrong.write_text("day,name\n2024-06-17,Kurban Bayramı\n")

    run = subprocess.run(**command(home, {"source": "files", "source_path": str(wrong)}), capture_output=True)

    assert run.returncode == 1
    assert "holidays.csv" in run.stderr
    assert "\nNext: " in run.stderr
    assert "Traceback" not in run.stderr + run.stdout
    assert published() == before


def test_an_interrupted_run_leaves_no_process_and_no_running_task(published, home):
    before = published()
    arguments = command(home, {"session": "2024-06-27"})
    with subprocess.Popen(**arguments, stderr=subprocess.PIPE, start_new_session=True) as run:
        shown = iter(run.stderr.readline, "")
        assert any(line.startswith("ingest ") for line in shown)

        os.killpg(run.pid, signal.SIGINT)  # as a terminal does on Ctrl-C

        assert "Interrupted." in "".join(shown)
    assert run.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)
    states = rows(
        home / "airflow/airflow.db", "SELECT state FROM dag_run UNION SELECT state FROM task_instance"
    )
    assert {state for (state,) in states} <= {"success", "failed", "upstream_failed"}
    assert published() == before


SNAPSHOT_TRAINED = """
import datetime as dt
from airflow.dag_processing.dagbag import DagBag

moment = dt.datetime(2024, 12, 23, 20, tzinfo=dt.UTC)
print("ended:", DagBag().dags["bist_train"].test(logical_date=moment).state)
"""


def test_a_snapshot_goes_through_the_same_dags_as_what_it_is(published, home):
    path = write_raw(home / "snapshot.csv", small_snapshot())
    params = {"source": "snapshot", "source_path": str(path)}

    run = subprocess.run(**command(home, params), capture_output=True)

    assert run.returncode == 0, run.stderr
    assert "contemporaneous" in run.stdout
    publications, _ = published()
    assert {row[:2] for row in publications} >= {("snapshot", "2024-12-23"), ("synthetic", "2024-06-28")}

    training = run_dags(home, SNAPSHOT_TRAINED, BIST_SOURCE="snapshot", BIST_SOURCE_PATH=str(path))

    assert "ended: success" in training.stdout, training.stderr


BOTH = """
import datetime as dt
from airflow.dag_processing.dagbag import DagBag

bag = DagBag()
for name, hour in (("bist_daily", 16), ("bist_train", 20)):
    bag.dags[name].test(logical_date=dt.datetime(2024, 7, 1, hour, tzinfo=dt.UTC))
"""


def test_the_daily_run_and_a_training_by_folds_work_on_the_session_of_their_logical_date(first_run, home):
    process = run_dags(home, BOTH)

    assert process.returncode == 0, process.stderr
    airflow = home / "airflow/airflow.db"
    daily, train = (states_of(airflow, name, "2024-07-01") for name in ("bist_daily", "bist_train"))
    assert [task for task, _, _ in daily] == sorted(STAGES - {"train"})
    assert [task[:2] for task in train] == [
        *(("features", -1), ("plan_folds", -1), ("run_fold", 0), ("run_fold", 1), ("train", -1))
    ]
    assert {state for *_, state in daily + train} == {"success"}
    sessions = rows(home / "bist.db", "SELECT session FROM publications WHERE source = 'synthetic'")
    assert ("2024-07-01",) in sessions
    events = rows(
        airflow,
        "SELECT asset.name, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id"
        " JOIN dag_run ON (dag_id, run_id) = (source_dag_id, source_run_id)"
        " WHERE dag_id IN ('bist_daily', 'bist_train') AND logical_date LIKE '2024-07-01%'",
    )
    told = {name: json.loads(extra) for name, extra in events}
    assert set(told) == {"bist_prices", "bist_features", "bist_predictions", "bist_drift", "bist_model"}
    assert all(facts["session"] == "2024-07-01" and facts["rows"] for facts in told.values())
    assert told["bist_model"]["status"] in ("promoted", "not promoted")


ONE_FOLD_FAILS = """
import datetime as dt
from airflow.dag_processing.dagbag import DagBag
from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.stages import folds

whole = folds.run_fold

def run_fold(settings, session, *, fold):
    if fold["number"] == 1:
        raise InsufficientDataError("The first block is broken.")
    return whole(settings, session, fold=fold)

folds.run_fold = run_fold
moment = dt.datetime(2024, 6, 28, 21, tzinfo=dt.UTC)
print("ended:", DagBag().dags["bist_train"].test(logical_date=moment).state)
"""


def test_one_failed_fold_fails_the_training_and_the_old_champion_stays(published, home):
    champion = "SELECT version FROM registered_model_aliases WHERE alias = 'champion'"
    versions = "SELECT count(*) FROM model_versions"
    before = [rows(home / "mlflow.db", query) for query in (champion, versions)]

    process = run_dags(home, ONE_FOLD_FAILS, BIST_TRAINING__SEEDS="[2]")

    assert "ended: failed" in process.stdout, process.stderr
    assert states_of(home / "airflow/airflow.db", "bist_train", "2024-06-28") == [
        ("features", -1, "success"),
        ("plan_folds", -1, "success"),
        ("run_fold", 0, "failed"),
        ("run_fold", 1, "success"),
        ("train", -1, "upstream_failed"),
    ]
    assert "InsufficientDataError: The first block is broken." in process.stdout
    assert [rows(home / "mlflow.db", query) for query in (champion, versions)] == before
