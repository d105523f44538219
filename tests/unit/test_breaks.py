"""The daily break check: quiet on a market that moves, loud on data that breaks."""

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from bist_pipeline.drift import adapter
from bist_pipeline.drift.break_record import REACH, build_break_record
from bist_pipeline.drift.breaks import BreakReport, check_break
from bist_pipeline.drift.status import Status
from bist_pipeline.errors import DriftInputError
from bist_pipeline.wording import say

SHARES, SESSIONS = 60, 640
DAYS = pd.bdate_range("2021-01-04", periods=SESSIONS)
COLUMNS = {"slow": 1, "skewed": 1, "old": 250}
TODAY = DAYS[-1].date()


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    """Three features that hardly move from one session to the next."""
    rng = np.random.default_rng(2)
    paths = {}
    for name in COLUMNS:
        shocks = rng.normal(size=(SESSIONS + 500, SHARES))
        level = rng.normal(size=SHARES)
        paths[name] = level + 0.5 * lfilter([0.14], [1, -0.99], shocks, axis=0)[500:]
    paths["skewed"] = np.exp(paths["skewed"])
    return pd.DataFrame(
        {
            "session": np.repeat(DAYS.to_numpy(), SHARES),
            "symbol": np.tile([f"S{i:02}" for i in range(SHARES)], SESSIONS),
            **{name: values.ravel() for name, values in paths.items()},
        }
    )


@pytest.fixture(scope="module")
def record(market):
    return build_break_record(market, COLUMNS, champion_session=DAYS[-30].date())


def judge(record, table: pd.DataFrame, *, age: int = 600) -> BreakReport:
    ages = pd.Series(age, index=sorted(set(table["symbol"])))
    return check_break(record, table[table["session"] >= DAYS[-2]], COLUMNS, ages=ages, session=TODAY)


def compare(record, table: pd.DataFrame, day, *, good, apart: int = 1) -> BreakReport:
    ages = pd.Series(600, index=sorted(set(table["symbol"])))
    rows = table[table["session"].isin([good, day])]
    return check_break(record, rows, COLUMNS, ages=ages, session=day.date(), apart=apart)


def broken(market: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The market with other values today."""
    table = market.copy()
    today = table["session"] == DAYS[-1]
    for name, change in values.items():
        table.loc[today, name] = change(table.loc[today])
    return table


def test_a_quiet_day_is_ok_and_its_record_holds_two_years(market, record):
    report = judge(record, market)

    assert report.status is Status.OK
    assert record.sessions == 504
    assert len(report.measures) == 3 * len(COLUMNS)
    assert all(0 < measure.record <= 1 for measure in report.measures)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"slow": lambda rows: 10 * rows["slow"] + 10}, {"slow"}),
        ({"slow": lambda rows: rows["skewed"], "skewed": lambda rows: rows["slow"]}, {"slow", "skewed"}),
        ({"slow": lambda rows: np.random.default_rng(0).permutation(rows["slow"])}, {"slow"}),
    ],
    ids=["another unit", "swapped columns", "shuffled rows"],
)
def test_a_break_is_red_on_its_first_day_and_names_the_feature(market, record, change, named):
    report = judge(record, broken(market, **change))
    check, _ = report.checks

    assert check.status is Status.RED
    assert check.statistic > check.threshold
    assert {m.feature for m in report.measures if m.status is Status.RED} <= named
    assert any(name in str(check.message) for name in named)


def test_a_fault_that_lasts_is_red_against_the_last_good_session_and_loses_no_day(market, record):
    faulty = market["session"].isin(DAYS[-REACH:])
    table = market.assign(slow=market["slow"].where(~faulty, 10 * market["slow"] + 10))

    for apart in range(1, REACH + 1):
        day = DAYS[-1 - REACH + apart]
        assert compare(record, table, day, good=DAYS[-1 - REACH], apart=apart).checks[0].status is Status.RED
    # Against the day before, the second day of the fault would pass.
    assert compare(record, table, DAYS[-1], good=DAYS[-2]).checks[0].status is Status.OK


@pytest.mark.parametrize("apart", range(1, REACH + 1))
def test_a_good_session_further_back_is_judged_by_the_record_of_its_distance(market, record, apart):
    assert np.nanmedian(record.level[apart - 1]) >= np.nanmedian(record.level[0])

    (check, _) = compare(record, market, DAYS[-1], good=DAYS[-1 - apart], apart=apart).checks

    assert check.status is Status.OK
    assert ("the last good session" in str(check.message)) is (apart > 1)


def test_beyond_the_record_a_person_has_to_look(market, record):
    (check, _) = compare(record, market, DAYS[-1], good=DAYS[-2 - REACH], apart=REACH + 1).checks

    assert check.status is Status.RED
    assert "lies 6 sessions back" in str(check.message)


def test_the_record_ends_before_the_champion(market):
    at_champion = market["session"] == DAYS[-30]
    wild = market.assign(slow=market["slow"].where(~at_champion, 1e6))
    frozen = build_break_record(wild, COLUMNS, champion_session=DAYS[-30].date())

    assert (frozen.level[:, 0] < 0.5).all()


def test_missing_values_beyond_the_record_block(market, record):
    hidden = broken(market, slow=lambda rows: rows["slow"].where(np.arange(len(rows)) % 5 > 0))
    _, missing = judge(record, hidden).checks

    assert missing.status is Status.BLOCK
    assert "slow is missing for 20.0%" in str(missing.message)
    assert "hisselerin %20,0 kadarında eksik" in missing.message.tr
    assert len(missing.shares) == missing.statistic * len(hidden[hidden["session"] == DAYS[-1]])


def test_without_alibi_detect_there_is_no_verdict_on_breaks_and_missing_values_still_block(
    market, monkeypatch
):
    monkeypatch.setattr(adapter, "_load", absent)
    record = build_break_record(market, COLUMNS, champion_session=DAYS[-30].date())
    some = broken(market, old=lambda rows: rows["old"].mask(np.arange(len(rows)) % 2 == 0))
    for table, missing in ((market, Status.OK), (some, Status.BLOCK)):
        checks = {check.check: check for check in judge(record, table).checks}
        assert (checks["break"].status, checks["missing_values"].status) == (Status.ERROR, missing)
        assert "not installed" in checks["break"].message.en


def absent(detector: str) -> None:
    raise DriftInputError(say("{name} is not installed", "{name} kurulu değil", name=detector))


def test_a_feature_without_any_value_now_blocks_and_is_no_ok_either(market, record):
    report = judge(record, broken(market, slow=lambda _rows: np.nan))

    assert [check.status for check in report.checks] == [Status.ERROR, Status.BLOCK]
    assert "Not judged, for want of values: slow" in str(report.checks[0].message)


def test_a_feature_without_any_value_before_the_champion_is_said_and_is_no_ok(market):
    then = market.assign(slow=market["slow"].where(market["session"] >= DAYS[-30]))
    check, _ = judge(build_break_record(then, COLUMNS, champion_session=DAYS[-30].date()), market).checks

    assert check.status is Status.INSUFFICIENT_HISTORY
    assert "want of values before the champion: slow" in str(check.message)


def test_young_shares_need_no_value_of_a_long_window(market, record):
    hidden = broken(market, old=lambda _rows: np.nan)

    assert judge(record, hidden, age=100).checks[1].status is Status.OK
    assert judge(record, hidden, age=300).checks[1].status is Status.BLOCK


def test_a_stopped_session_is_no_record_and_its_neighbours_keep_their_distance(market):
    fault = DAYS[-200]
    wild = market.assign(slow=market["slow"].where(market["session"] != fault, 1e6))
    hidden = wild.assign(skewed=wild["skewed"].where(market["session"] != fault))
    champion = DAYS[-30].date()

    sound, faulty = (
        build_break_record(table, COLUMNS, champion_session=champion) for table in (market, hidden)
    )
    spared = build_break_record(hidden, COLUMNS, champion_session=champion, stopped=[fault.date()])

    assert faulty.level[0, 0] == 1.0
    assert (faulty.missing[1], spared.missing[1]) == (1.0, 0.0)
    assert spared.sessions == sound.sessions
    for name in ("level", "shape", "order"):
        np.testing.assert_allclose(getattr(spared, name), getattr(sound, name), atol=0.05)


def test_features_in_another_order_are_judged_by_their_own_record(market, record):
    hidden = broken(market, old=lambda rows: rows["old"].where(np.arange(len(rows)) % 5 > 0))
    ages = pd.Series(300, index=sorted(set(market["symbol"])))
    rows = hidden[hidden["session"] >= DAYS[-2]]

    reports = [
        check_break(record, rows, dict(order), ages=ages, session=TODAY)
        for order in (COLUMNS.items(), reversed(COLUMNS.items()))
    ]

    assert reports[0] == reports[1]
    assert "old is missing for 20.0%" in str(reports[1].checks[1].message)


def test_a_feature_whose_record_is_unknown_is_named_where_values_are_counted(market):
    record = build_break_record(market, {**COLUMNS, "old": 900}, champion_session=DAYS[-30].date())
    ages = pd.Series(600, index=sorted(set(market["symbol"])))
    rows = market[market["session"] >= DAYS[-2]]
    _, missing = check_break(record, rows, {**COLUMNS, "old": 900}, ages=ages, session=TODAY).checks

    assert missing.status is Status.INSUFFICIENT_HISTORY
    assert "want of values before the champion: old" in str(missing.message)


def test_a_short_record_or_one_symbol_is_never_ok(market, record):
    short = build_break_record(market, COLUMNS, champion_session=DAYS[60].date())
    assert judge(short, market).status is Status.INSUFFICIENT_HISTORY

    report = judge(record, market[market["symbol"] == "S00"])
    assert report.checks[0].status is Status.ERROR


def test_what_cannot_be_judged_is_refused_by_name(market, record):
    ages = pd.Series(600, index=sorted(set(market["symbol"])))
    newest = market[market["session"] >= DAYS[-2]]
    with pytest.raises(DriftInputError, match="more than one row"):
        judge(record, pd.concat([market, market.tail(1)]))
    with pytest.raises(DriftInputError, match=r"2 differ.* new, old"):
        check_break(record, newest, {"slow": 1, "skewed": 1, "new": 1}, ages=ages, session=TODAY)
    with pytest.raises(DriftInputError, match="no rows of 2030-01-01"):
        check_break(record, newest, COLUMNS, ages=ages, session=pd.Timestamp("2030-01-01").date())
