"""The timetable of the daily DAG: one run for every session, after its prices are final, and no other."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bist_pipeline.calendar import ISTANBUL, bist_calendar

pytestmark = pytest.mark.integration

CALENDAR = bist_calendar()
MOMENTS = st.datetimes(
    dt.datetime(2015, 1, 1), dt.datetime(2027, 12, 1), timezones=st.just(dt.UTC), allow_imaginary=False
)


@pytest.fixture(scope="module")
def airflow(airflow_home):
    from types import SimpleNamespace

    from airflow.timetables import base

    from bist_timetable import SessionTimetable

    return SimpleNamespace(**vars(base), SessionTimetable=SessionTimetable)


@pytest.fixture(scope="module")
def following(airflow):
    """Give the run that follows the one at a moment, as Airflow asks for it in a backfill."""
    import pendulum

    def ask(moment, timetable=None, *, until=None):
        restriction = airflow.TimeRestriction(
            earliest=pendulum.datetime(2010, 1, 1), latest=until, catchup=True
        )
        last = airflow.DataInterval.exact(pendulum.instance(moment))
        return (timetable or airflow.SessionTimetable()).next_dagrun_info(
            last_automated_data_interval=last, restriction=restriction
        )

    return ask


@given(moment=MOMENTS)
@settings(max_examples=300, deadline=None)
def test_the_next_run_is_that_of_the_next_session_whose_prices_become_final(following, moment):
    run = following(moment)
    local = run.logical_date.astimezone(ISTANBUL)

    assert run.run_after == run.logical_date > moment
    assert CALENDAR.is_session(local.date())
    assert local - CALENDAR.cutoff(local.date()) == dt.timedelta(minutes=30)
    between = CALENDAR.between(moment.astimezone(ISTANBUL).date(), local.date()).tolist()
    skipped = [day for day in between[:-1] if CALENDAR.cutoff(day) + dt.timedelta(minutes=30) > moment]
    assert not skipped


def test_a_backfill_has_a_run_for_every_session_and_no_other(following):
    moment, days = dt.datetime(2015, 1, 1, tzinfo=dt.UTC), []
    while moment.year < 2027:
        moment = following(moment).logical_date
        days.append(moment.astimezone(ISTANBUL).date())

    first, last = dt.date(2015, 1, 1), dt.date(2026, 12, 31)
    assert days[:-1] == CALENDAR.between(first, last).tolist()
    assert dt.date(2023, 2, 8) not in days  # cancelled by the exchange


def test_a_half_day_is_due_earlier(following):
    ordinary = following(dt.datetime(2024, 4, 5, 16, tzinfo=dt.UTC)).logical_date
    eve = following(ordinary).logical_date  # of the Feast of Ramadan

    assert ordinary.astimezone(ISTANBUL).strftime("%Y-%m-%d %H:%M") == "2024-04-08 18:40"
    assert eve.astimezone(ISTANBUL).strftime("%Y-%m-%d %H:%M") == "2024-04-09 13:10"


def test_nothing_is_due_beyond_the_dags_end_or_the_known_calendar(following):
    import pendulum

    assert (
        following(dt.datetime(2024, 6, 28, tzinfo=dt.UTC), until=pendulum.datetime(2024, 6, 28, 12)) is None
    )
    assert following(dt.datetime(2028, 6, 1, tzinfo=dt.UTC)) is None


@pytest.mark.parametrize("every", [1, 63])
def test_the_schedule_ends_with_a_run_that_fails_and_not_in_silence(airflow, following, every):
    timetable = airflow.SessionTimetable(every=every)
    last_known = CALENDAR.cutoff(CALENDAR.last) + timetable.margin
    alarm = following(last_known, timetable).logical_date

    assert not CALENDAR.first <= alarm.astimezone(ISTANBUL).date() <= CALENDAR.last
    assert following(alarm, timetable) is None


def test_without_catch_up_only_the_newest_run_that_fell_due_is_made_up_for(airflow):
    import pendulum

    restriction = airflow.TimeRestriction(earliest=pendulum.datetime(2020, 1, 1), latest=None, catchup=False)
    run = airflow.SessionTimetable().next_dagrun_info(
        last_automated_data_interval=None, restriction=restriction
    )
    now = dt.datetime.now(dt.UTC)

    assert run.run_after <= now
    newest = CALENDAR.last_closed(now - dt.timedelta(minutes=30))
    assert run.run_after.astimezone(ISTANBUL).date() == newest


def test_every_63rd_session_is_a_quarter(airflow, following):
    moment, quarters = dt.datetime(2015, 1, 1, tzinfo=dt.UTC), []
    for _ in range(8):
        moment = following(moment, airflow.SessionTimetable(every=63)).logical_date
        quarters.append(moment.astimezone(ISTANBUL).date())

    gaps = {CALENDAR.count(a, b) for a, b in pairwise(quarters)}
    assert gaps == {63}


def test_airflow_can_store_it_and_says_what_it_is(airflow):
    timetable = airflow.SessionTimetable(every=63, margin=dt.timedelta(minutes=45))
    again = airflow.SessionTimetable.deserialize(timetable.serialize())

    assert (again.every, again.margin) == (63, dt.timedelta(minutes=45))
    assert again.description == "Every 63 sessions of Borsa Istanbul, 45 minutes after its prices are final"
    assert again.summary == "Every 63 sessions"
