"""Results: an end of the skill is seen, and where nothing can be known it is said."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from bist_pipeline.drift import adapter
from bist_pipeline.drift.performance import check_performance, compute_daily_ic
from bist_pipeline.drift.status import Status
from bist_pipeline.errors import DriftInputError
from bist_pipeline.wording import say


def ics(mean: float, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.1, count)


def judge(stream, *, reference=None, quarterly=None, daily=None):
    return check_performance(
        ics(0.03, 252, 1) if reference is None else reference,
        stream,
        daily=stream if daily is None else daily,
        quarterly=np.full(252, 0.1) if quarterly is None else quarterly,
        horizon=63,
    )


def test_the_daily_ic_is_spearmans_correlation_session_by_session():
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({"session": np.repeat(pd.bdate_range("2024-01-01", periods=3), 30)})
    rows["score"], rows["excess"] = rng.integers(0, 9, 90).astype(float), rng.normal(size=90)
    rows.loc[60:, "excess"] = np.nan  # the newest session has no return yet

    found = compute_daily_ic(rows)

    expected = [spearmanr(day["score"], day["excess"]).statistic for _, day in rows[:60].groupby("session")]
    assert found.tolist() == pytest.approx(expected)


def test_sessions_of_few_shares_or_equal_scores_have_no_ic():
    rows = pd.DataFrame({"session": pd.Timestamp("2024-01-01"), "excess": np.arange(30.0), "score": 1.0})
    assert compute_daily_ic(rows).empty
    assert compute_daily_ic(rows.assign(score=np.arange(30.0)).head(10)).empty


def test_lasting_skill_is_ok():
    assert [check.status for check in judge(ics(0.03, 126, 2))] == [Status.OK] * 3


def test_an_end_of_the_skill_is_amber_then_red():
    change, daily, quarter = judge(ics(-0.1, 126, 3), quarterly=np.full(252, -0.05))

    assert (change.status, daily.status, quarter.status) == (Status.AMBER, Status.RED, Status.RED)
    assert change.statistic > change.threshold
    assert "4.0 independent periods of 63 sessions" in quarter.message.en


def test_better_results_than_before_are_no_alarm():
    assert judge(ics(0.2, 126, 4))[0].status is Status.OK


@pytest.mark.parametrize("count", [0, 20])
def test_too_few_results_are_insufficient_never_ok(count):
    checks = judge(ics(0.03, count, 5), quarterly=np.empty(0))

    assert {check.status for check in checks} == {Status.INSUFFICIENT_HISTORY}
    assert f"{count} daily results" in checks[0].message.en
    assert "0.0 independent periods" in checks[2].message.en


def test_without_its_detector_there_is_no_verdict_on_change_and_the_means_are_judged(monkeypatch):
    def absent(detector: str) -> None:
        raise DriftInputError(say("{name} is not installed", "{name} kurulu değil", name=detector))

    monkeypatch.setattr(adapter, "_load", absent)
    change, daily, quarter = judge(ics(0.03, 252, 2))
    assert (change.status, daily.status, quarter.status) == (Status.ERROR, Status.OK, Status.OK)
    assert "CVMDriftOnline is not installed" in change.message.en


def test_skill_too_small_to_be_monitored_is_said():
    small = ics(0.0, 252, 6)
    small += 0.005 - small.mean()

    change, daily, _ = judge(ics(0.02, 126, 7), reference=small)

    for check in (change, daily):
        assert check.status is not Status.OK
        assert "too small to be monitored" in check.message.en
