"""The data-health report: what it says of a market whose faults are known, and how it looks."""

import datetime as dt
import json
import re

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import SyntheticSettings
from bist_pipeline.drift.data_quality import check_session
from bist_pipeline.market.health import QUARTER_SESSIONS, compute_health
from bist_pipeline.market.health_report import FIGURES
from bist_pipeline.reports.health import QUALITY_RULES, REPAIRS, render_health
from bist_pipeline.sources.synthetic import SyntheticSource

CALENDAR = bist_calendar()
SESSION = dt.date(2024, 6, 28)
QUARTER_AGO = CALENDAR.offset(SESSION, -QUARTER_SESSIONS)


@pytest.fixture(scope="module")
def fetch():
    market = SyntheticSettings(symbols=40, first_session=dt.date(2023, 6, 1))
    return SyntheticSource(market).fetch(SESSION, CALENDAR)


@pytest.fixture
def prices(fetch):
    """Every share has a bar in the last quarter: what a test takes away is all that is missing."""
    return fetch.prices.copy()


def report_on(prices, *, refused=(), sectors=None, session=SESSION):
    return compute_health(
        prices,
        session=session,
        sessions=CALENDAR.sessions,
        refused=pd.DataFrame(refused, columns=["symbol", "rule"]),
        sectors=sectors or {},
    )


def page_of(prices, **facts) -> str:
    quality = check_session(prices, session=SESSION, sessions=CALENDAR.sessions)
    return render_health(report_on(prices, **facts), quality, source="synthetic")


@pytest.fixture(scope="module")
def page(fetch):
    return page_of(fetch.prices)


def on(prices, session):
    return prices["session"] == pd.Timestamp(session)


def newest(prices):
    return prices.loc[on(prices, SESSION), "symbol"].tolist()


def test_shares_without_a_bar_or_volume_are_counted_and_named(prices):
    lost, silent = newest(prices)[:3], newest(prices)[3:8]
    prices.loc[on(prices, SESSION) & prices["symbol"].isin(silent), "volume"] = 0.0
    report = report_on(prices[~(on(prices, SESSION) & prices["symbol"].isin(lost))])

    assert report.today.priced == report.today.listed - 3
    assert report.today.traded == report.today.priced - 5
    assert report.gaps[0].is_open
    assert list(report.gaps[0].symbols) == lost
    missing = {column.column: column.missing for column in report.missing_values}
    assert missing == {"open": 0, "high": 0, "low": 0, "close": 0, "volume": 0, "volume_zero": 5}


def test_holes_of_the_same_sessions_are_one_gap_and_delisted_shares_are_none(prices):
    first, second, delisted = newest(prices)[:3]
    hole = [CALENDAR.offset(SESSION, -20), CALENDAR.offset(SESSION, -19)]
    gone = (prices["symbol"] == delisted) & (prices["session"] >= pd.Timestamp("2024-02-01"))
    holes = prices["symbol"].isin([first, second]) & prices["session"].isin(pd.to_datetime(hole))
    report = report_on(prices[~gone & ~holes])

    found = [gap for gap in report.gaps if gap.first == hole[0]]
    assert [(gap.last, gap.sessions, gap.is_open, gap.symbols) for gap in found] == [
        (hole[1], 2, False, (first, second))
    ]
    assert not [gap for gap in report.gaps if delisted in gap.symbols]


def test_a_session_whose_feed_lacks_shares_or_volume_is_poor(prices):
    without_shares, without_volume = CALENDAR.offset(SESSION, -5), CALENDAR.offset(SESSION, -3)
    dropped = on(prices, without_shares) & prices["symbol"].isin(newest(prices)[:10])
    prices.loc[on(prices, without_volume), "volume"] *= 0.01

    poor = [day.session for day in report_on(prices[~dropped]).completeness if day.is_poor]

    assert poor == [without_shares, without_volume]


def test_shares_are_ranked_by_what_they_made_over_the_quarter(prices):
    then, now = (prices[on(prices, day)].set_index("symbol")["close"] for day in (QUARTER_AGO, SESSION))
    made = (now / then - 1).dropna().sort_values()

    report = report_on(prices, sectors={made.index[-1]: "Energy"})

    assert report.quarter_start == QUARTER_AGO
    assert [gain.symbol for gain in report.gained] == made.index[::-1][:10].tolist()
    assert [gain.symbol for gain in report.lost] == made.index[:10].tolist()
    assert report.gained[0].change == pytest.approx(made.iloc[-1])
    assert report.gained[0].path[0] == 0
    assert report.gained[0].path[-1] == pytest.approx(made.iloc[-1], abs=1e-4)
    assert report.gained[0].sector == "Energy"


def test_a_split_that_the_feed_missed_is_no_gain(prices):
    symbol = report_on(prices).lost[0].symbol
    later = (prices["symbol"] == symbol) & (prices["session"] >= pd.Timestamp("2024-06-10"))
    prices.loc[later, ["open", "high", "low", "close"]] *= 5

    report = report_on(prices)

    moved = [(move.symbol, str(move.session), round(move.change)) for move in report.set_aside]
    assert moved[0] == (symbol, "2024-06-10", 4)  # others the invented market itself missed
    assert symbol not in {gain.symbol for gain in report.gained}
    assert [gain.symbol for gain in report.lost if gain.is_repaired] == [symbol]


def test_moves_beyond_the_limit_are_told_from_those_at_it(prices):
    jumped, locked = newest(prices)[:2]
    yesterday = prices[on(prices, CALENDAR.offset(SESSION, -1))].set_index("symbol")["close"]
    for symbol, factor in ((jumped, 1.5), (locked, 1.1)):
        rows = on(prices, SESSION) & (prices["symbol"] == symbol)
        prices.loc[rows, ["open", "high", "low", "close"]] = yesterday[symbol] * factor

    risers = {move.symbol: (round(move.change, 3), move.kind) for move in report_on(prices).risers}

    assert risers[jumped] == (0.5, "beyond_limit")
    assert risers[locked] == (0.1, "at_limit")


def test_refused_rows_are_counted_by_rule_with_the_most_frequent_share_first(prices):
    refused = [("BBB", "duplicate_key"), ("AAA", "duplicate_key"), ("AAA", "duplicate_key"), ("", "symbol")]
    counts = report_on(prices, refused=refused).refused

    assert [(rule.rule, rule.count, rule.symbols) for rule in counts] == [
        ("duplicate_key", 3, ("AAA", "BBB")),
        ("symbol", 1, ("",)),
    ]


def test_figures_describe_every_share_of_the_session_once(prices, fetch):
    report = report_on(prices, sectors=dict(fetch.securities[["symbol", "sector"]].values))
    correlations = np.array(report.correlations, dtype=float)

    assert [d.figure for d in report.distributions] == list(FIGURES)
    assert all(sum(d.counts) == d.shares > 30 for d in report.distributions)
    assert all(list(d.quantiles) == sorted(d.quantiles) for d in report.distributions)
    assert np.allclose(correlations, correlations.T)
    assert np.allclose(np.diag(correlations), 1)
    assert sum(sector.shares for sector in report.sectors) == report.today.priced
    assert len(report.sectors) > 5


def no_bar_today(prices):
    return prices[~on(prices, SESSION)]


def half_the_bars_today(prices):
    return prices[~(on(prices, SESSION) & prices["symbol"].isin(newest(prices)[:25]))]


def closes_only(prices):
    return prices.assign(open=np.nan, high=np.nan, low=np.nan, volume=np.nan)


def one_session(prices):
    return prices[on(prices, SESSION)]


def nothing_moves(prices):
    return prices.assign(open=1.0, high=1.0, low=1.0, close=1.0, volume=5.0)


POOR = [no_bar_today, half_the_bars_today, closes_only, one_session, nothing_moves]


@pytest.mark.parametrize("damage", POOR, ids=lambda damage: damage.__name__)
def test_the_poorest_data_still_have_a_report(prices, damage):
    damaged = damage(prices)

    facts = report_on(damaged).as_json()

    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["completeness"][-1]["session"] == str(SESSION)
    assert page_of(damaged).rstrip().endswith("</html>")


def test_the_page_holds_everything_it_shows_and_no_script(page):
    linked = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')\s>]{1,40})", page)
    assert len(linked) > 5
    assert all(link.startswith("data:") or link == f"{SESSION}.json" for link in linked)
    assert "<script" not in page


def test_the_same_data_give_the_same_page(page, prices):
    assert page_of(prices) == page


def test_whatever_a_feed_writes_into_names_stays_text(prices):
    symbols = newest(prices)
    sectors = dict.fromkeys(symbols[:20], "<script>alert(1)</script>")

    page = page_of(prices, sectors=sectors, refused=[("<img src=x>", "<b>rule</b>")])

    assert "&lt;script&gt;" in page
    assert not re.search(r"<script|<img src=x|<b>rule", page)


def test_every_text_is_there_in_both_languages(page, prices):
    quality = check_session(prices, session=SESSION, sessions=CALENDAR.sessions)

    assert page.count('<span lang="en">') == page.count('<span lang="tr">') > 100
    assert {finding.rule for finding in quality.findings} == set(QUALITY_RULES)
    assert {rule.rule for rule in report_on(prices).repairs} == set(REPAIRS)
