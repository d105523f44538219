"""The drift report: complete in both languages, honest where nothing is known, one line for every alarm."""

import datetime as dt
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.drift.breaks import FeatureBreak
from bist_pipeline.drift.policy import RUNBOOK
from bist_pipeline.drift.replays import build_replays
from bist_pipeline.drift.report import WEEKS_SHOWN, measure_scores, tell_features
from bist_pipeline.drift.status import Check, Status
from bist_pipeline.drift.summary import summarise
from bist_pipeline.drift.wording import CHECK_NAMES_TR, tell_check
from bist_pipeline.events import EVENTS, find_events
from bist_pipeline.reports.drift import (
    CHECKS,
    POINTS_TO,
    STATUSES,
    VERDICTS,
    CheckLine,
    Report,
    Stop,
    as_line,
    render_drift,
)
from bist_pipeline.store.drift import RetrainRequest
from bist_pipeline.wording import Wording
from tests.unit.test_distribution import COLUMNS, DAYS, as_table, stationary_market

END = DAYS[-1].date()
CHAMPION = DAYS[-101].date()


@pytest.fixture(scope="module")
def story():
    market = stationary_market(1)
    market["slow"][-30:] = np.exp(2 * market["slow"][-30:])
    summary = summarise(as_table(market), COLUMNS, until=END)
    dates = {"trained_until": DAYS[-101 - 68].date(), "champion_session": CHAMPION}
    replays = build_replays(summary, view="relative", **dates)
    return tell_features(
        replays, summary, session=END, champion_session=CHAMPION, importance={"slow": 0.6, "fast": 0.4}
    )


@pytest.fixture
def report(story):
    found = story.newest.check
    line = CheckLine(
        END,
        "features",
        found.status,
        found.statistic,
        found.p_value,
        found.threshold,
        found.record,
        found.message,
        since=dt.date(2023, 8, 1),
    )
    scores = pd.DataFrame(
        {"session": np.repeat(DAYS[-11:], 20), "symbol": [f"S{i}" for i in range(20)] * 11}
    ).assign(score=np.tile(np.arange(20.0), 11))
    return Report(
        session=END,
        source="files",
        status=found.status,
        told=tell_check("features", found.message),
        checks=[line],
        model="bist-rank-63s 3",
        trained_through=CHAMPION,
        story=story,
        scores=measure_scores(np.arange(10.0), scores),
        ic_before=np.random.default_rng(0).normal(0.02, 0.1, 252),
        ic_since=np.random.default_rng(1).normal(0.02, 0.1, 40),
        events=[EVENTS[5]],
        knows_events=True,
    )


def test_the_newest_week_is_the_check_itself_and_the_weeks_show_when_it_began(story):
    assert len(story.weeks) == WEEKS_SHOWN
    assert story.weeks[-1].check == story.newest.check
    assert story.newest.check.status is Status.AMBER
    assert story.weeks[0].check.status is Status.OK
    times = [week.times["slow"] for week in story.weeks]
    assert times[-1] > 3 > max(times[:-7])
    assert [sample.feature for sample in story.samples] == ["slow", "fast"]
    assert np.median(story.samples[0].now) > np.median(story.samples[0].then)


def test_the_event_near_the_session_is_marked_among_those_of_the_weeks(report):
    page = render_drift(replace(report, events=[EVENTS[4], EVENTS[5]], near=[EVENTS[5]]))

    assert page.count("near the session or an alarm") == 1
    assert "Known events within five sessions" in page
    assert "near the session or an alarm" not in render_drift(report)


def test_a_held_session_shows_what_jumped_most_and_the_events_near_it(report):
    told = Wording("a jump.", "bir sıçrama.")
    held = Check("break", Status.RED, 4.0, None, 1.5, told, told, record=0.1)
    measures = [
        FeatureBreak(f"f{i // 2}", ("level", "order")[i % 2], 0.4, 0.1, 4.0 - i / 10, Status.RED)
        for i in range(14)
    ]
    stopped = replace(
        report,
        status=Status.RED,
        checks=[as_line(held, END, since={"break": END})],
        story=None,
        scores=None,
        measures=measures,
        stop=Stop(None, told),
        events=[EVENTS[7]],
        near=[EVENTS[7]],
    )

    page = render_drift(stopped)

    assert "trading halted and the session&#39;s trades cancelled" in page
    assert [f"<small>f{i}</small>" in page for i in range(6)] == [True] * 5 + [False]
    assert "beyond the record: never" in page
    assert f'since</span><span lang="tr">başlangıç:</span> {END}' in page
    quiet = replace(stopped, checks=[as_line(replace(held, status=Status.OK), END)], events=[], near=[])
    assert "<small>f0</small>" not in render_drift(quiet)
    assert "None in the table, which is short" in render_drift(quiet)


@pytest.mark.parametrize(
    ("name", "p_value", "words"),
    [
        ("features", 0.03, "1 of 33 times"),
        ("performance_daily", 0.4, "4 of 10 times"),
        ("performance_daily", 1e-9, "1 of 1000 times"),
        ("data_quality", None, "a fixed limit, no rate"),
        ("performance_change", None, "an alarm in 1 of 1,000 sessions"),
        ("performance_quarter", None, "below zero without any skill: 1 of 2 times"),
    ],
)
def test_every_check_says_in_words_how_often_it_shows_as_much_while_nothing_is_wrong(
    report, name, p_value, words
):
    line = replace(report.checks[0], name=name, p_value=p_value)

    assert words in render_drift(replace(report, checks=[line]))


def test_effect_sizes_and_open_requests_stand_in_the_report(report):
    asked = RetrainRequest(END, Wording("both drift", "ikisi de kayıyor"), False, None, None)

    page = render_drift(replace(report, asked=[asked]))

    assert all(words in page for words in ("PSI</th>", "Wasserstein</th>", "both drift", "ikisi de kayıyor"))


def test_the_page_shows_what_a_person_needs(report):
    page = render_drift(report)
    for said in (
        "A quiet market shows as much in 1 of 104 checks",
        'since</span><span lang="tr">başlangıç:</span> 2023-08-01',
        "Russia invades Ukraine",
        "Rusya&#39;nın Ukrayna&#39;yı işgali",
        "resolution ES-11/1",
        '60%</span><span lang="tr">%60',
        "What it cannot see",
        RUNBOOK["features"].en.replace("SESSION", str(END)).replace("'", "&#39;"),
        "bist-rank-63s 3",
    ):
        assert said in page, said
    assert page.count("data:image/svg+xml") == 1 + 2 + 1 + 1  # distance, values of both, map, IC
    assert "<script" not in page
    assert "http" not in re.sub(r"data:[^\"]*", "", page)


def test_every_text_is_there_in_both_languages(report):
    assert set(RUNBOOK) <= set(CHECKS)
    assert set(CHECKS) == set(POINTS_TO) == set(CHECK_NAMES_TR)
    assert set(VERDICTS) == set(STATUSES) == {status.value for status in Status}
    page = render_drift(report)
    assert page.count('<span lang="en">') == page.count('<span lang="tr">')


def test_without_a_calibration_the_report_holds_the_checks_alone(report):
    line = replace(
        report.checks[0], status=Status.ERROR, statistic=None, p_value=None, threshold=None, record=None
    )
    bare = replace(
        report,
        status=Status.ERROR,
        checks=[line],
        story=None,
        scores=None,
        ic_before=np.empty(0),
        ic_since=np.empty(0),
    )
    page = render_drift(bare)
    assert "A check could not be made" in page
    assert "data:image" not in page


def test_a_stopped_session_says_which_rule_which_shares_what_stays_and_what_to_do():
    said = Wording("12.5% of the shares repeat.", "Hisselerin %12,5 kadarı yineliyor.")
    shares = tuple(f"S{i:02}" for i in range(40))
    blocked = Check("data_quality", Status.BLOCK, 0.125, None, 0.05, said, said, shares=shares)
    since = {"data_quality": dt.date(2024, 6, 26)}
    stop = Stop(dt.date(2024, 6, 25), Wording("bist ingest (repaired)", "bist ingest (onarılınca)"))
    page = render_drift(
        Report(
            session=END,
            source="files",
            status=Status.BLOCK,
            told=tell_check("data_quality", said),
            checks=[as_line(blocked, END, since=since)],
            model="",
            trained_through=None,
            stop=stop,
        )
    )
    for told in (
        "Veri kalitesi: Hisselerin %12,5 kadarı yineliyor.",
        "data_quality: 12.5% of the shares repeat.",
        "S00, S01",
        "and 10 more",
        "2024-06-26",
        "The ranks of 2024-06-25.",
        "bist ingest (onarılınca)",
        "önceden yayımlanan sıralama",
    ):
        assert told in page, told
    assert "trained on" not in page
    assert page.count('<span lang="en">') == page.count('<span lang="tr">')


def test_the_same_values_give_the_same_page(report):
    assert render_drift(report) == render_drift(report)


def test_scores_are_compared_with_a_week_before():
    days = np.repeat(DAYS[:11], 20)
    scores = pd.DataFrame({"session": days, "symbol": [f"S{i:02}" for i in range(20)] * 11})
    order = np.concatenate([np.arange(20)] * 10 + [np.arange(20)[::-1]])
    effect = measure_scores(np.array([0.0, 1.0, 2.0, 3.0]), scores.assign(score=order.astype(float)))
    assert (effect.changed, effect.changed_usually) == (1.0, 0.0)
    assert effect.spread_then == 1.5


def test_events_have_a_source_and_are_found_within_five_sessions():
    calendar = bist_calendar()
    assert [event.day for event in EVENTS] == sorted({event.day for event in EVENTS})
    assert all(event.source and event.english and event.turkish for event in EVENTS)
    day = dt.date(2022, 3, 3)  # five sessions after the invasion
    assert [event.day for event in find_events(day, day, calendar, within=5)] == [dt.date(2022, 2, 24)]
    later = calendar.offset(day, 1)
    assert find_events(later, later, calendar, within=5) == []
