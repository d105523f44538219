"""Every deterministic rule catches its fault, names the shares, and stays silent on a quiet market."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.drift.data_quality import check_missing, check_session
from bist_pipeline.drift.findings import QualityReport
from bist_pipeline.drift.status import Status
from bist_pipeline.errors import ContractError, DriftInputError

SESSIONS = pd.bdate_range("2022-01-03", periods=200).to_numpy().astype("datetime64[D]")
TODAY: dt.date = SESSIONS[-1].item()
SYMBOLS = [f"S{i:02}" for i in range(40)]
RULES = ["rows", "columns", "missing_values", "unchanged", "moves", "volume", "young"]


def quiet_market() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    shape = len(SESSIONS), len(SYMBOLS)
    close = 10 * np.exp(np.cumsum(rng.normal(0, 0.015, shape), axis=0))
    return pd.DataFrame(
        {
            "session": np.repeat(SESSIONS.astype("datetime64[ns]"), len(SYMBOLS)),
            "symbol": np.tile(SYMBOLS, len(SESSIONS)),
            "open": close.ravel() * 1.001,
            "high": close.ravel() * 1.01,
            "low": close.ravel() * 0.99,
            "close": close.ravel(),
            "volume": rng.lognormal(13, 0.4, shape).round().ravel(),
        }
    )


def check(prices: pd.DataFrame) -> QualityReport:
    return check_session(prices, session=TODAY, sessions=SESSIONS)


def today(prices: pd.DataFrame, symbols: list[str] = SYMBOLS) -> pd.Series:
    return (prices["session"] == pd.Timestamp(TODAY)) & prices["symbol"].isin(symbols)


def scaled(
    column: str, factor: float, symbols: list[str] = SYMBOLS
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def fault(prices: pd.DataFrame) -> pd.DataFrame:
        prices.loc[today(prices, symbols), column] *= factor
        return prices

    return fault


def stale(symbols: list[str]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def fault(prices: pd.DataFrame) -> pd.DataFrame:
        yesterday = (prices["session"] == pd.Timestamp(SESSIONS[-2])) & prices["symbol"].isin(symbols)
        columns = ["close", "volume"]
        prices.loc[today(prices, symbols), columns] = prices.loc[yesterday, columns].to_numpy()
        return prices

    return fault


def listed_late(prices: pd.DataFrame) -> pd.DataFrame:
    return prices[(prices["session"] == pd.Timestamp(TODAY)) | ~prices["symbol"].isin(SYMBOLS[:3])]


def judge_days(prices: pd.DataFrame, last: int, *, released: int | None = None) -> list[Status]:
    """Check the newest sessions one after the other; what is stopped is no yardstick, unless released."""
    stopped: set[dt.date] = set()
    found = []
    for position in range(-last, 0):
        day: dt.date = SESSIONS[position].item()
        found.append(check_session(prices, session=day, sessions=SESSIONS, stopped=stopped).status)
        if found[-1] is Status.BLOCK and position != released:
            stopped.add(day)
    return found


@pytest.mark.parametrize(("column", "factor"), [("close", 10), ("volume", 0.01)])
def test_a_fault_that_lasts_is_blocked_every_day_and_never_becomes_what_is_usual(column, factor):
    days = 5 if column == "close" else 70
    prices = quiet_market()
    prices.loc[prices["session"] >= pd.Timestamp(SESSIONS[-days]), column] *= factor

    assert judge_days(prices, days) == [Status.BLOCK] * days


def test_a_release_ends_a_change_that_was_real():
    prices = quiet_market()
    prices.loc[prices["session"] >= pd.Timestamp(SESSIONS[-5]), "close"] *= 10

    assert judge_days(prices, 5, released=-3) == [Status.BLOCK] * 3 + [Status.OK] * 2


def test_a_session_after_a_stopped_one_may_have_moved_by_two_limits():
    prices = quiet_market()
    prices.loc[prices["session"] >= pd.Timestamp(SESSIONS[-2]), "close"] *= 1.09
    prices.loc[today(prices), "close"] *= 1.09
    stopped = [SESSIONS[-2].item()]

    report = check_session(prices, session=TODAY, sessions=SESSIONS, stopped=stopped)

    assert report.findings[4].rule == "moves"
    assert report.findings[4].status in (Status.OK, Status.INFO)


def test_a_rerun_of_a_stopped_session_judges_it_again():
    report = check_session(quiet_market(), session=TODAY, sessions=SESSIONS, stopped=[TODAY])
    assert report.status is Status.OK


def test_a_quiet_market_is_ok():
    report = check(quiet_market())
    assert [finding.rule for finding in report.findings] == RULES
    assert {finding.status for finding in report.findings} == {Status.OK}
    assert report.status is Status.OK


@pytest.mark.parametrize(
    ("fault", "rule", "status", "symbols"),
    [
        (lambda p: p[~today(p, SYMBOLS[:5])], "rows", Status.BLOCK, SYMBOLS[:5]),
        (lambda p: p[~today(p, SYMBOLS[:2])], "rows", Status.INFO, SYMBOLS[:2]),
        (scaled("high", np.nan, SYMBOLS[:3]), "missing_values", Status.BLOCK, SYMBOLS[:3]),
        (scaled("high", np.nan, SYMBOLS[:1]), "missing_values", Status.INFO, SYMBOLS[:1]),
        (stale(SYMBOLS), "unchanged", Status.BLOCK, SYMBOLS),
        (stale(SYMBOLS[:1]), "unchanged", Status.INFO, SYMBOLS[:1]),
        (scaled("close", 10), "moves", Status.BLOCK, SYMBOLS),
        (scaled("close", 0.5, SYMBOLS[:2]), "moves", Status.INFO, SYMBOLS[:2]),
        (scaled("volume", 0.01), "volume", Status.BLOCK, SYMBOLS),
        (scaled("volume", 0, SYMBOLS[:9]), "volume", Status.BLOCK, SYMBOLS[:9]),
        (scaled("volume", 0, SYMBOLS[:8]), "volume", Status.INFO, SYMBOLS[:8]),
        (listed_late, "young", Status.AMBER, SYMBOLS[:3]),
    ],
)
def test_a_fault_is_caught_by_its_rule_alone(fault, rule, status, symbols):
    report = check(fault(quiet_market()))
    others = {finding.rule: finding.status for finding in report.findings if finding.rule != rule}
    (finding,) = report.having(status)
    assert (finding.rule, list(finding.symbols)) == (rule, symbols)
    assert set(others.values()) == {Status.OK}
    assert report.status is status


@pytest.mark.parametrize(
    "fault",
    [
        lambda p: p.drop(columns="volume"),
        scaled("volume", np.nan),
        lambda p: p.assign(volume=p["volume"].where(~today(p), 7.0)),
    ],
    ids=["absent", "empty", "constant"],
)
def test_a_column_without_content_blocks_and_nothing_else_is_judged(fault):
    report = check(fault(quiet_market()))
    assert [(finding.rule, finding.status) for finding in report.findings] == [
        ("rows", Status.OK),
        ("columns", Status.BLOCK),
    ]
    assert "volume" in report.findings[1].message.en


def test_a_feed_of_closes_only_is_poor_but_not_broken():
    report = check(quiet_market().assign(open=np.nan, high=np.nan, low=np.nan, volume=np.nan))
    statuses = {finding.rule: finding.status for finding in report.findings}
    assert (statuses["columns"], statuses["volume"]) == (Status.INFO, Status.INSUFFICIENT_HISTORY)
    assert not report.having(Status.BLOCK)


def test_a_session_without_any_bar_blocks():
    prices = quiet_market()
    report = check(prices[~today(prices)])
    assert [finding.status for finding in report.findings] == [Status.BLOCK, Status.BLOCK]


def test_what_lacks_history_says_so_and_is_never_ok():
    prices = quiet_market()
    report = check(prices[today(prices)])
    lacking = [finding.rule for finding in report.having(Status.INSUFFICIENT_HISTORY)]
    assert lacking == ["rows", "missing_values", "unchanged", "moves", "volume", "young"]
    assert report.status is Status.INSUFFICIENT_HISTORY


def test_later_bars_and_days_without_trading_do_not_count():
    prices = quiet_market()
    cancelled = SESSIONS[-2]
    traded = SESSIONS[cancelled != SESSIONS]
    placeholder = prices["session"] == pd.Timestamp(cancelled)
    prices.loc[placeholder, ["open", "high", "low", "close", "volume"]] = 1.0
    report = check_session(prices, session=SESSIONS[-3].item(), sessions=traded)
    assert report.status is Status.OK
    after = check_session(prices, session=TODAY, sessions=traded)
    assert not after.having(Status.BLOCK)


def test_a_value_is_due_only_from_shares_old_enough_for_it():
    features = listed_late(quiet_market())[["session", "symbol"]]
    age = features.groupby("symbol").cumcount()
    features["mom_20"] = np.where(age >= 20, 0.1, np.nan)
    finding = check_missing(features, session=TODAY, min_history={"mom_20": 20})
    assert (finding.status, finding.value) == (Status.OK, 0.0)
    features.loc[today(features, SYMBOLS[5:9]), "mom_20"] = np.nan
    finding = check_missing(features, session=TODAY, min_history={"mom_20": 20})
    assert (finding.status, list(finding.symbols)) == (Status.BLOCK, SYMBOLS[5:9])


def test_tables_that_cannot_be_judged_are_refused():
    prices = quiet_market()
    with pytest.raises(ContractError, match="more than once"):
        check(pd.concat([prices, prices.tail(1)]))
    with pytest.raises(DriftInputError, match="symbol"):
        check(prices.drop(columns="symbol"))
    with pytest.raises(DriftInputError, match="no session"):
        check_session(prices, session=dt.date(2022, 1, 1), sessions=SESSIONS)
    with pytest.raises(DriftInputError, match="no row of"):
        check_missing(prices[~today(prices)], session=TODAY, min_history={"close": 0})
