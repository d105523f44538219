"""Sessions of Borsa Istanbul, against facts published elsewhere."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bist_pipeline.calendar import CANCELLED, ISTANBUL, bist_calendar
from bist_pipeline.errors import NotASessionError, SessionOutOfRangeError

CALENDAR = bist_calendar()
SESSIONS = CALENDAR.sessions.tolist()
sessions = st.sampled_from(SESSIONS[70:-70])
moments = st.datetimes(dt.datetime(2015, 1, 1), dt.datetime(2027, 6, 1)).map(
    lambda t: t.replace(tzinfo=ISTANBUL)
)


@given(sessions, st.integers(-63, 63))
def test_moving_there_and_back_ends_where_it_began(session, n):
    there = CALENDAR.offset(session, n)

    assert CALENDAR.offset(there, -n) == session
    assert CALENDAR.count(session, there) == n
    assert len(CALENDAR.between(min(session, there), max(session, there))) == abs(n) + 1


@given(moments)
def test_the_last_closed_session_is_over_and_the_next_one_is_not(now):
    session = CALENDAR.last_closed(now)

    assert CALENDAR.cutoff(session) <= now < CALENDAR.cutoff(CALENDAR.offset(session, 1))


@pytest.mark.parametrize("day", [*CANCELLED, dt.date(2023, 2, 9), dt.date(2023, 2, 14), dt.date(2024, 4, 10)])
def test_cancelled_sessions_the_earthquake_closure_and_holidays_are_no_sessions(day):
    with pytest.raises(NotASessionError) as caught:
        CALENDAR.require(day)

    assert str(CALENDAR.at_or_before(day)) in caught.value.next_step


def test_half_days_end_at_noon():
    eve_of_bayram = CALENDAR.describe(dt.date(2024, 4, 9))

    assert eve_of_bayram.is_half_day
    assert eve_of_bayram.cutoff.time() < dt.time(13)
    assert not CALENDAR.describe(dt.date(2024, 4, 8)).is_half_day


@pytest.mark.parametrize("year", range(2015, 2028))
def test_every_year_has_as_many_sessions_as_an_exchange_with_turkish_holidays_can_have(year):
    in_year = CALENDAR.between(dt.date(year, 1, 1), dt.date(year, 12, 31))

    assert 240 <= len(in_year) <= 256
    assert np.is_busday(in_year).all()


@pytest.mark.parametrize("day", [dt.date(2009, 12, 31), dt.date(2028, 1, 3)])
def test_days_outside_the_known_calendar_say_which_years_are_known(day):
    with pytest.raises(SessionOutOfRangeError, match="2010-01-04 to 2027-12-31"):
        CALENDAR.require(day)


def test_counting_past_the_end_is_an_error_and_not_a_guess():
    with pytest.raises(SessionOutOfRangeError):
        CALENDAR.offset(CALENDAR.last, 1)


def test_the_end_of_the_known_calendar_is_announced_half_a_year_ahead():
    first_noticed = CALENDAR.offset(CALENDAR.last, -126)

    notice = CALENDAR.notice_of_end(first_noticed)
    assert "ends in 126 sessions" in notice.en
    assert "126 seans sonra" in notice.tr
    assert CALENDAR.notice_of_end(CALENDAR.offset(first_noticed, -1)) is None


def test_which_session_was_the_last_is_not_guessed_beyond_the_known_calendar():
    last_evening = dt.datetime(2027, 12, 31, 23, tzinfo=ISTANBUL)

    assert CALENDAR.last_closed(last_evening) == dt.date(2027, 12, 31)
    with pytest.raises(SessionOutOfRangeError, match="ends on 2027-12-31") as caught:
        CALENDAR.last_closed(dt.datetime(2028, 3, 1, tzinfo=ISTANBUL))
    assert "update exchange_calendars" in caught.value.next_step
