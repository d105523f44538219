"""The DAGs `bist_daily` and `bist_train`: order and schedule of both, which session a run is about, what its
assets say.
"""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.integration

CHAIN = ["ingest", "check", "features", "score", "evaluate", "drift"]


@pytest.fixture
def session_of(dag_bag):
    from bist_sessions import session_of

    return session_of


def run_at(moment, *events, **changes):
    asked = [SimpleNamespace(extra=extra) for extra in events]
    at = dt.datetime.fromisoformat(moment)
    return SimpleNamespace(**{"logical_date": at, "run_after": at, "consumed_asset_events": asked, **changes})


def test_the_daily_stages_follow_each_other(dag_bag):
    dag = dag_bag.dags["bist_daily"]

    assert [task.task_id for task in dag.topological_sort()] == CHAIN
    assert all(dag.get_task(a).downstream_task_ids == {b} for a, b in pairwise(CHAIN))


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        ("2024-06-28T15:40:00+00:00", "2024-06-28"),  # as scheduled
        ("2024-06-28T21:30:00+00:00", "2024-06-28"),  # already tomorrow in Istanbul
        ("2024-06-28T15:00:00+00:00", "2024-06-27"),  # before the close
        ("2024-06-17T15:40:00+00:00", "2024-06-14"),  # a holiday
        ("2024-04-09T10:10:00+00:00", "2024-04-09"),  # a half day
    ],
)
def test_the_logical_date_decides_the_session(session_of, moment, session):
    assert session_of(run_at(moment), {}) == session


def test_every_scheduled_run_is_about_the_session_that_it_is_due_for(session_of, dag_bag):
    import pendulum
    from airflow.timetables.base import DataInterval, TimeRestriction

    from bist_timetable import SessionTimetable

    first = pendulum.datetime(2024, 1, 1)
    found, last = [], DataInterval.exact(first)
    for _ in range(250):
        info = SessionTimetable().next_dagrun_info(
            last_automated_data_interval=last, restriction=TimeRestriction(first, None, catchup=True)
        )
        last = info.data_interval
        found.append(session_of(run_at(info.logical_date.isoformat()), {}))

    from bist_pipeline.calendar import bist_calendar

    days = bist_calendar().between(dt.date(2024, 1, 1), dt.date(2025, 6, 1)).tolist()[:250]
    assert found == [str(day) for day in days]


def test_the_form_wins_then_the_request_then_the_moment(session_of):
    asked = run_at("2024-07-05T15:40:00+00:00", {"session": "2024-06-28"}, {"session": "2024-07-01"})
    without_date = run_at("2024-07-05T15:40:00+00:00", logical_date=None)

    assert session_of(asked, {"session": "2024-05-31"}) == "2024-05-31"
    assert session_of(asked, {"session": None}) == "2024-07-01"
    assert session_of(without_date, {}) == "2024-07-05"


def test_beyond_the_known_calendar_a_run_is_about_a_day_that_every_stage_refuses(session_of):
    assert session_of(run_at("2028-01-01T15:40:00+00:00"), {}) == "2028-01-01"


def test_a_request_of_drift_starts_a_training_as_the_quarter_does(dag_bag):
    import bist_assets

    schedule = dag_bag.dags["bist_train"].timetable
    asked = schedule.asset_condition.objects

    assert list(asked) == [bist_assets.RETRAIN_REQUEST], (
        "bist_train: schedule it by RETRAIN_REQUEST too, or nobody answers when drift asks for a new model."
    )
    assert bist_assets.RETRAIN_IF_ASKED in dag_bag.dags["bist_daily"].get_task("drift").outlets


def test_training_waits_for_the_daily_run_and_for_every_fold(dag_bag):
    dag = dag_bag.dags["bist_train"]
    order = ["features", "plan_folds", "run_fold", "train"]

    assert [task.task_id for task in dag.topological_sort()] == order
    assert dag.get_task("run_fold").is_mapped
    # A plan without folds skips them and keeps the model; a failed fold does not.
    assert dag.get_task("train").trigger_rule == "none_failed"
    assert dag.timetable.timetable.margin > dt.timedelta(hours=3)
    assert dag.timetable.timetable.every == 63


def test_only_a_request_starts_a_training(dag_bag):
    import bist_assets

    told, asked = {}, []
    receipt = {"stage": "drift", "session": "2024-06-28", "rows": 9, "data_hash": "", "details": {}}
    for each in (bist_assets.DRIFT, bist_assets.RETRAIN_IF_ASKED):
        told[each] = SimpleNamespace(extra={}, add=lambda asset, extra: asked.append((asset, extra)))

    bist_assets.record(told, {**receipt, "details": {"status": "OK", "retrain_requested": ""}})
    assert told[bist_assets.DRIFT].extra == {
        "session": "2024-06-28",
        "rows": 9,
        "hash": "",
        "status": "OK",
    }
    assert not asked

    bist_assets.record(told, {**receipt, "details": {"status": "RED", "retrain_requested": "two weeks RED"}})
    ((asset, extra),) = asked
    assert asset == bist_assets.RETRAIN_REQUEST
    assert (extra["session"], extra["reason"]) == ("2024-06-28", "two weeks RED")


def test_the_flow_of_assets_has_no_gap(dag_bag):
    import bist_assets

    made = {outlet for outlets in bist_assets.OUTLETS.values() for outlet in outlets}
    read = {inlet for inlets in bist_assets.INLETS.values() for inlet in inlets}

    assert read <= made
    assert made - read == {bist_assets.DRIFT, bist_assets.RETRAIN_IF_ASKED}
