"""Episodes and requests follow from the history alone, in whatever order and however often it was written."""

import numpy as np
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.drift.policy import (
    RUNBOOK,
    Outcome,
    build_episodes,
    find_retrain_reason,
    find_since,
    find_stopped,
    find_yardstick,
    is_weekly_due,
)
from bist_pipeline.drift.status import Status
from bist_pipeline.wording import Wording

SESSIONS = bist_calendar().sessions
START = int(np.searchsorted(SESSIONS, np.datetime64("2024-01-05")))  # a Friday
A, R, OK, INFO = Status.AMBER, Status.RED, Status.OK, Status.INFO


def day(offset: int):
    return SESSIONS[START + offset].item()


def history(check: str, statuses: dict[int, Status]) -> list[Outcome]:
    return [
        Outcome(day(offset), check, status, Wording(f"day {offset}", f"gün {offset}"))
        for offset, status in statuses.items()
    ]


def episodes(check: str, statuses: dict[int, Status]):
    return build_episodes(history(check, statuses), sessions=SESSIONS)


def test_alarms_on_neighbouring_days_are_one_episode():
    (episode,) = episodes("break", {0: A, 1: A, 2: OK, 4: A, 10: OK})

    assert (episode.opened_on, episode.last_seen, episode.closed_on) == (day(0), day(4), day(10))
    assert (episode.cause.tr, episode.urgency.en) == ("gün 0", "this week")


def test_an_episode_lasts_until_five_quiet_sessions_have_passed():
    (episode,) = episodes("break", {0: A, 5: OK})
    assert episode.closed_on is None

    first, second = episodes("break", {0: A, 6: A})
    assert (first.closed_on, second.opened_on) == (day(6), day(6))


def test_more_urgent_is_another_episode_less_urgent_is_not():
    amber, red = episodes("break", {0: A, 1: R, 2: A})

    assert (amber.status, amber.closed_on) == (A, day(1))
    assert (red.status, red.last_seen, red.closed_on) == (R, day(2), None)
    assert red.urgency.en == "before the next session"


def test_a_weekly_amber_counts_from_its_second_week_running():
    assert episodes("features", {0: A, 5: OK, 10: A}) == []
    assert episodes("features", {0: A, 15: A}) == []

    (episode,) = episodes("features", {0: A, 5: A, 10: A, 15: OK})
    assert (episode.opened_on, episode.last_seen, episode.closed_on) == (day(5), day(10), day(15))


def test_an_amber_of_the_scores_alone_bothers_nobody_but_what_is_worse_does():
    assert episodes("scores", {0: A, 5: A, 10: A}) == []
    assert [episode.status for episode in episodes("scores", {0: A, 5: R})] == [R]
    assert [episode.status for episode in episodes("scores", {0: Status.ERROR})] == [Status.ERROR]


def test_a_weekly_red_counts_at_once():
    (episode,) = episodes("features", {0: R})
    assert episode.status is R


def test_information_and_want_of_history_open_nothing():
    assert episodes("features", {0: INFO, 5: Status.INSUFFICIENT_HISTORY}) == []


def test_the_order_in_which_checks_were_made_does_not_matter():
    written = history("break", {0: A, 1: R, 2: A, 9: A})
    assert build_episodes(written[::-1], sessions=SESSIONS) == build_episodes(written, sessions=SESSIONS)


def test_a_model_is_asked_for_when_features_and_scores_drift_two_weeks_running_once_a_quarter():
    def reason(scores: dict[int, Status], requested: tuple[int, ...] = ()):
        both = history("features", {0: A, 5: A}) + history("scores", scores)
        days = [day(offset) for offset in requested]
        return find_retrain_reason(both, session=day(5), requested=days, sessions=SESSIONS)

    asked = reason({0: A, 5: R})
    assert ("two weeks running" in asked.en, "iki haftadır" in asked.tr) == (True, True)
    assert reason({0: OK, 5: A}) is None
    assert reason({0: A, 5: Status.ERROR}) is None
    assert reason({0: A, 5: A}, requested=(-57,)) is None
    assert reason({0: A, 5: A}, requested=(-58,)) is not None


@pytest.mark.parametrize(
    ("check", "statuses", "expected"),
    [
        ("break", {0: A, 1: OK, 2: A}, 0),
        ("break", {0: R, 1: A}, 0),
        ("break", {0: R, 7: A}, 7),
        ("break", {0: R, 1: OK}, None),
        ("features", {0: A}, 0),
        ("features", {0: R, 5: A, 10: A}, 0),
        ("features", {0: R, 5: OK, 10: A}, 10),
        ("features", {0: A, 15: A}, 15),
        ("scores", {0: A, 5: A}, 0),
        ("regime", {0: OK, 5: INFO, 10: INFO}, 5),
        ("regime", {0: INFO, 5: OK}, None),
        # Single shares are named on most days: that is nothing that lasts.
        ("data_quality", {0: INFO, 1: INFO, 2: Status.BLOCK}, 2),
    ],
)
def test_since_when_is_told_of_whatever_is_not_fine(check, statuses, expected):
    found = find_since(history(check, statuses)[::-1], sessions=SESSIONS)

    assert found == ({} if expected is None else {check: day(expected)})


@pytest.mark.parametrize(
    ("offset", "last", "due"), [(1, 0, False), (5, 4, True), (6, 1, True), (2, None, True)]
)
def test_weekly_checks_are_due_at_the_end_of_a_week_or_after_five_sessions(offset, last, due):
    before = None if last is None else day(last)
    assert is_weekly_due(day(offset), sessions=SESSIONS, last=before) is due


def test_what_was_stopped_and_not_released_is_stopped():
    known = [
        *history("data_quality", {0: Status.BLOCK, 1: A}),
        *history("break", {2: R, 3: R, 4: A, 5: Status.ERROR}),
        *history("missing_values", {6: Status.BLOCK, 7: Status.BLOCK}),
        *history("performance_daily", {8: R}),
    ]

    assert find_stopped(known, released={}) == {day(offset) for offset in (0, 2, 3, 6, 7)}
    # What is missing stays missing, whoever releases it.
    seen = {outcome.session: outcome.message for outcome in known}
    released = {day(offset): seen[day(offset)] for offset in (0, 2, 6)}
    assert find_stopped(known, released=released) == {day(3), day(6), day(7)}
    # A person released what the check said then, and not what it says now.
    assert day(0) in find_stopped(known, released={day(0): Wording("another fault", "başka bir arıza")})


@pytest.mark.parametrize(
    ("good", "stopped", "expected"),
    [
        ([1, 2, 3, 4], [], 4),
        ([1, 2, 3], [4], 3),
        ([1], [2, 3, 4], 1),
        ([1, 2, 3, 4], [3, 4], 2),  # published before it was stopped
        ([], [1, 2, 3, 4], 0),  # the champion learned from it
        ([1], [], 1),  # nobody looked at 2, 3 and 4
        ([], [], 4),  # nobody looked for longer than the record reaches
        ([1, 6], [], 1),
        ([], [0, 1, 2, 3, 4], -1),
    ],
)
def test_the_yardstick_is_the_last_session_that_was_good(good, stopped, expected):
    known = {"good": set(map(day, good)), "stopped": set(map(day, stopped)), "trusted": day(0)}

    found = find_yardstick(SESSIONS[START - 9 :].astype("datetime64[D]"), session=day(5), **known, reach=4)

    assert found == day(expected)


def test_without_any_good_session_there_is_no_yardstick():
    held = SESSIONS[START : START + 2]
    known = {"good": set(), "stopped": {day(0)}, "trusted": day(0), "reach": 5}
    assert find_yardstick(held, session=day(1), **known) is None


def test_every_runbook_line_is_one_line_in_both_languages():
    assert RUNBOOK
    assert all(0 < len(text) <= 300 for line in RUNBOOK.values() for text in (line.en, line.tr))
