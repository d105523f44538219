"""The DAG `bist_pipeline`: its order, its form, and what becomes of a stage's errors."""

from itertools import pairwise

import pytest

from bist_pipeline import errors

pytestmark = pytest.mark.integration


@pytest.fixture
def dag(dag_bag):
    return dag_bag.dags["bist_pipeline"]


@pytest.fixture
def bist_tasks(dag_bag):
    import bist_tasks

    return bist_tasks


def test_the_stages_follow_each_other_and_nothing_runs_by_itself(dag):
    chain = ["ingest", "check", "features", "train", "score", "evaluate", "drift"]

    assert [task.task_id for task in dag.topological_sort()] == chain
    assert all(dag.get_task(a).downstream_task_ids == {b} for a, b in pairwise(chain))
    assert not dag.timetable.can_be_scheduled


def test_the_form_accepts_itself_and_refuses_wrong_values(dag):
    from airflow.sdk.exceptions import ParamValidationError

    assert dag.params.validate() == {"source": None, "source_path": None, "session": None}
    for name, value in [("source", "bloomberg"), ("session", "28.06.2024"), ("session", "2024-02-30")]:
        with pytest.raises(ParamValidationError, match=value):
            dag.params.get_param(name).resolve(value)


def test_a_misspelt_param_is_refused_instead_of_running_another_session(bist_tasks):
    with pytest.raises(errors.ConfigError, match="Concerned: sesion"):
        bist_tasks.settings_of({"source": None, "source_path": None, "sesion": "2024-06-28"})


@pytest.mark.parametrize("day", ["28.06.2024", "2024-02-30", "yesterday"])
def test_a_session_that_is_no_date_fails_at_once_and_says_the_form(bist_tasks, day):
    # `bist_daily` has no form: what a trigger by REST brings is checked by nobody before.
    kept = []
    with pytest.raises(Exception, match="YYYY-MM-DD") as caught:
        bist_tasks.run_stage("ingest", day, params={}, options={}, remember=kept.append)

    assert caught.type.__name__ == "AirflowFailException"
    assert kept[0].startswith(f"ConfigError: The session '{day}' is no date")


def test_an_empty_form_leaves_the_installation_as_it_is_configured(bist_tasks, monkeypatch):
    monkeypatch.setenv("BIST_SOURCE", "files")
    monkeypatch.setenv("BIST_SOURCE_PATH", "prices.parquet")

    settings = bist_tasks.settings_of({"source": None, "source_path": None, "session": None})

    assert (settings.source, settings.source_path) == ("files", "prices.parquet")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.DataQualityError, "AirflowFailException"),
        (errors.NotASessionError, "AirflowSkipException"),
        (errors.DatabaseUnavailableError, "DatabaseUnavailableError"),
        (ZeroDivisionError, "ZeroDivisionError"),
    ],
)
def test_the_policy_of_an_error_decides_between_failure_skip_and_retry(bist_tasks, error, outcome):
    # What Airflow does not know it retries.
    kept = []
    with (
        pytest.raises(Exception, match="the feed is stale") as caught,
        bist_tasks.errors_by_policy(kept.append),
    ):
        raise error("the feed is stale")

    assert caught.type.__name__ == outcome
    # Kept for the alert, which would else say that the task was killed.
    assert kept == [f"{error.__name__}: {error('the feed is stale')}"]
