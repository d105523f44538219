"""The weekly feature check: silent on stationary markets, loud on a fault, honest about its limits."""

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from scipy.stats import ks_2samp

from bist_pipeline.drift.distances import ks_distances_by_row
from bist_pipeline.drift.distribution import INFORMING, FeatureDriftReport, check_distribution
from bist_pipeline.drift.replays import build_replays
from bist_pipeline.drift.status import Status, worst
from bist_pipeline.drift.summary import summarise
from bist_pipeline.errors import DriftInputError

SHARES, SESSIONS = 40, 960
DAYS = pd.bdate_range("2020-01-01", periods=SESSIONS)
COLUMNS = ["fast", "slow"]
END = DAYS[-1].date()


def autoregressive(rng: np.random.Generator, persistence: float, columns: int) -> np.ndarray:
    """Standard normal AR(1) paths, shape (SESSIONS, columns)."""
    shocks = rng.normal(size=(SESSIONS + 300, columns))
    return lfilter([1], [1, -persistence], shocks, axis=0)[300:] * np.sqrt(1 - persistence**2)


def stationary_market(seed: int) -> dict[str, np.ndarray]:
    """Features that move together from share to share and from session to session, and never drift."""
    rng = np.random.default_rng(seed)
    market = {}
    for name, persistence in zip(COLUMNS, (0.5, 0.97), strict=True):
        level, spread, tail = autoregressive(rng, 0.95, 3).T[:, :, None]
        own = autoregressive(rng, persistence, SHARES)
        market[name] = level + np.exp(0.3 * spread) * np.sign(own) * np.abs(own) ** np.exp(0.2 * tail)
    return market


def as_table(market: dict[str, np.ndarray]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "session": np.repeat(DAYS.to_numpy(), SHARES),
            "symbol": np.tile([f"S{i:02}" for i in range(SHARES)], SESSIONS),
            "tradable": True,
            **{name: values.ravel() for name, values in market.items()},
        }
    )


def check(
    table: pd.DataFrame, *, name: str = "features", last: int = SESSIONS - 1, champion_age: int = 0
) -> FeatureDriftReport:
    """The check as it runs: replays frozen with the champion, then the newest sessions."""
    champion = last - champion_age
    dates = {"trained": DAYS[champion - 68], "champion": DAYS[champion]}
    return check_at(table, DAYS[last], name=name, **dates, age_sessions=champion_age)


def check_at(
    table: pd.DataFrame,
    session: pd.Timestamp,
    *,
    name: str = "features",
    trained: pd.Timestamp,
    champion: pd.Timestamp,
    age_sessions: int = 0,
) -> FeatureDriftReport:
    past = summarise(table, COLUMNS, until=champion.date())
    view = "centred" if name in INFORMING else "relative"
    dates = {"trained_until": trained.date(), "champion_session": champion.date()}
    replays = build_replays(past, view=view, **dates)
    newest = table[table["session"] > session - pd.Timedelta(days=60)]
    current = summarise(newest, COLUMNS, until=session.date())
    return check_distribution(replays, current, name=name, session=session.date(), age_sessions=age_sessions)


def relative(rows: pd.DataFrame, name: str) -> pd.Series:
    """Values relative to their session's median and mean distance from it."""
    centred = rows[name] - rows.groupby("session")[name].transform("median")
    return centred / centred.abs().groupby(rows["session"]).transform("mean")


@pytest.mark.slow
def test_stationary_markets_rarely_alarm():
    reports = [check(as_table(stationary_market(seed))) for seed in range(8)]
    alarms = [seed for seed, report in enumerate(reports) if report.check.status is not Status.OK]
    assert len(alarms) <= 1, f"seeds {alarms}"
    assert {report.replays for report in reports} == {104}
    assert all(0 < distance.typical <= distance.record < 1 for distance in reports[0].features)


def test_a_shifted_feature_alarms_and_is_named_first():
    market = stationary_market(1)
    market["slow"][-21:] = np.exp(2 * market["slow"][-21:])
    report = check(as_table(market))
    features = report.check
    assert features.status is Status.RED
    assert features.statistic > features.threshold
    assert features.p_value == pytest.approx(1 / 105)
    assert report.features[0].feature == "slow"
    assert "slow differs most" in features.message.en
    assert "1 of 105 checks" in features.message.en


def test_a_move_of_the_whole_market_is_no_fault():
    market = stationary_market(1)
    market["slow"][-21:] += 8
    statuses = [check(as_table(market), name=name).check.status for name in ("features", "regime")]
    assert statuses == [Status.OK, Status.OK]


def test_values_that_lie_further_apart_are_regime_and_no_fault():
    market = stationary_market(1)
    market["slow"][-21:] *= 4
    statuses = [check(as_table(market), name=name).check.status for name in ("features", "regime")]
    assert statuses == [Status.OK, Status.INFO]


def test_the_distance_is_that_of_all_rows_of_the_two_windows():
    table = as_table(stationary_market(2))
    report = check(table)
    last = SESSIONS - 1 - 68
    year = DAYS[np.arange(last, last - 252, -5)]
    assert (report.reference_first, report.reference_last) == (year[-1].date(), year[0].date())
    reference, current = table[table["session"].isin(year)], table[table["session"] > DAYS[-22]]
    for found in report.features:
        expected = ks_2samp(relative(reference, found.feature), relative(current, found.feature)).statistic
        assert found.distance == pytest.approx(expected, abs=0.01)


def test_what_happens_after_training_does_not_enter_the_record():
    market = stationary_market(3)
    before = check(as_table(market), champion_age=100)
    market["fast"][-100:-21] **= 3
    after = check(as_table(market), champion_age=100)
    assert before == after


def test_short_history_is_insufficient_never_ok():
    report = check(as_table(stationary_market(1)), last=500)
    assert 0 < report.replays < 52
    assert report.check.status is Status.INSUFFICIENT_HISTORY
    assert f"{report.replays} past weeks" in report.check.message.en
    assert [distance.record is None for distance in report.features] == [False, False]
    report = check(as_table(stationary_market(1)), last=120)
    assert (report.check.status, report.replays, report.features) == (Status.INSUFFICIENT_HISTORY, 0, ())


@pytest.mark.parametrize(
    ("sessions", "status", "said"),
    [
        (slice(-21, None), Status.ERROR, "newest sessions: slow"),
        (slice(0, -100), Status.INSUFFICIENT_HISTORY, "training window: slow"),
    ],
)
def test_a_feature_without_values_is_never_ok_and_the_others_are_judged(sessions, status, said):
    market = stationary_market(1)
    market["slow"][sessions] = np.nan
    report = check(as_table(market))
    assert report.check.status is status
    assert said in report.check.message.en
    assert [distance.feature for distance in report.features] == ["fast"]


def test_shares_that_nobody_could_trade_and_missing_values_do_not_count():
    table = as_table(stationary_market(4))
    locked = table["symbol"] == "S00"
    garbage = table.assign(tradable=~locked, slow=table["slow"].where(~locked, 1e9))
    assert check(garbage) == check(table[~locked])
    hidden = check(table.assign(**{name: table[name].where(~locked) for name in COLUMNS}))
    assert hidden.check == check(table[~locked]).check
    assert [distance.missing_now for distance in hidden.features] == pytest.approx([1 / SHARES, 1 / SHARES])


def test_one_symbol_is_never_ok():
    table = as_table(stationary_market(1))
    assert check(table[table["symbol"] == "S00"]).check.status is Status.INSUFFICIENT_HISTORY
    now = (table["session"] <= DAYS[-22]) | (table["symbol"] == "S00")
    assert check(table[now]).check.status is Status.ERROR


def test_the_same_check_made_twice_says_the_same():
    table = as_table(stationary_market(1))
    assert check(table) == check(table.sample(frac=1, random_state=1))


def test_a_feature_that_is_zero_for_everyone_does_not_drift():
    market = stationary_market(1)
    market["slow"][:] = 0.0
    report = check(as_table(market))
    assert {distance.feature: distance.distance for distance in report.features}["slow"] == 0.0


def test_tables_that_cannot_be_judged_are_refused():
    table = as_table(stationary_market(1))
    with pytest.raises(DriftInputError, match="slow"):
        check(table.drop(columns="slow"))
    with pytest.raises(DriftInputError, match="more than one row"):
        check(pd.concat([table, table.tail(1)]))
    with pytest.raises(DriftInputError, match="no rows of 2030-01-01"):
        check_at(table, DAYS[-1], trained=pd.Timestamp("2030-01-01"), champion=DAYS[-1])
    with pytest.raises(DriftInputError, match="after the session it was trained at"):
        build_replays(
            summarise(table, COLUMNS, until=END),
            view="relative",
            trained_until=DAYS[-69].date(),
            champion_session=DAYS[-80].date(),
        )
    with pytest.raises(DriftInputError, match="5 sessions before"):
        check_at(table, DAYS[-6], trained=DAYS[-80], champion=DAYS[-1], age_sessions=-5)


def test_a_calibration_of_other_columns_is_refused_by_name():
    table = as_table(stationary_market(1))
    past = summarise(table, COLUMNS, until=END)
    replays = build_replays(past, view="relative", trained_until=DAYS[-69].date(), champion_session=END)
    renamed = summarise(table.rename(columns={"slow": "new"}), ["fast", "new"], until=END)
    with pytest.raises(DriftInputError, match=r"2 differ.* new, slow"):
        check_distribution(replays, renamed, name="features", session=END, age_sessions=0)


def test_replayed_distances_are_those_of_the_adapter():
    rng = np.random.default_rng(1)
    then, now = rng.poisson(3, (2, 300)).astype(float), rng.poisson(3.3, (2, 200)).astype(float)
    then[0, :50] = np.nan
    expected = [ks_2samp(a[~np.isnan(a)], b).statistic for a, b in zip(then, now, strict=True)]
    assert ks_distances_by_row(then, now) == pytest.approx(expected, rel=1e-6)
    assert np.isnan(ks_distances_by_row(np.full((1, 3), np.nan), now[:1])).all()


def test_nothing_checked_is_an_error():
    assert worst([]) is Status.ERROR
