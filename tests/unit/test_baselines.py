"""Baselines score the same rows by what their names say, and look at no result of the rows they score."""

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.errors import FeatureSchemaError
from bist_pipeline.model.baselines import BASELINES, Task

N_SESSIONS, N_SHARES = 60, 120


def rows(seed=0):
    """`ROC20` and nothing else tells shares apart; calm and last year's winners are given by rank."""
    rng = np.random.default_rng(seed)
    count = N_SESSIONS * N_SHARES
    ranks = {f"{name}_rank": rng.uniform(size=count) for name in ("vol_126", "mom_252_21", "mom_21")}
    raw = {"ROC20": rng.normal(size=count), "KMID": np.full(count, np.nan)}
    frame = pd.DataFrame(ranks | raw).astype("float32")
    return frame.assign(excess=0.3 * frame["ROC20"] + rng.normal(0, 0.3, count))


def task(**changes):
    given = {"past": rows(), "block": rows(seed=1), "seed": 3}
    return Task(positions=np.repeat(np.arange(N_SESSIONS), N_SHARES), **given | changes)


@pytest.mark.parametrize(
    ("name", "feature", "sign"),
    [("low_vol_126", "vol_126", -1), ("momentum_252_21", "mom_252_21", 1), ("reversal_21", "mom_21", -1)],
)
def test_a_factor_orders_shares_by_its_feature_and_puts_young_ones_in_the_middle(name, feature, sign):
    block = rows(seed=1)
    block.loc[0, f"{feature}_rank"] = np.nan
    scores = pd.Series(sign * BASELINES[name](task(block=block)))
    assert scores[1:].corr(block[f"{feature}_rank"][1:]) == pytest.approx(1)
    assert scores[0] == pytest.approx(0.5)


def test_qlibs_model_learns_from_raw_alpha158_alone():
    block = rows(seed=1)
    scores = BASELINES["qlib_lightgbm"](task(block=block))
    assert np.corrcoef(scores, block["ROC20"])[0, 1] > 0.8


def test_qlibs_model_needs_raw_alpha158():
    without = rows().drop(columns="ROC20")
    with pytest.raises(FeatureSchemaError, match="0 of 158 features of Alpha158 have a value"):
        BASELINES["qlib_lightgbm"](task(past=without))


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_repeats_and_does_not_look_at_results_of_the_rows_it_scores(name):
    blind = rows(seed=1).assign(excess=np.nan)
    scores = BASELINES[name](task())
    assert scores.shape == (N_SESSIONS * N_SHARES,)
    assert np.ptp(scores) > 0
    assert BASELINES[name](task(block=blind)).tobytes() == scores.tobytes()


def test_chance_is_another_in_every_fold():
    assert abs(np.corrcoef(BASELINES["random"](task()), BASELINES["random"](task(seed=4)))[0, 1]) < 0.05
