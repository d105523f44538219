"""What a forecast must beat: models that anyone could have, on the same rows.

All have one signature: a `Task` goes in, one score for each row of its block comes out. Nothing of a block
but its features is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bist_pipeline.errors import FeatureSchemaError
from bist_pipeline.features.alpha158 import FEATURES as ALPHA158
from bist_pipeline.features.registry import NEUTRAL_RANK
from bist_pipeline.model.boosting import Job, build_dataset, predict, train_all
from bist_pipeline.model.intervals import Positions, Values

# LightGBM as Qlib's benchmarks publish it (examples/benchmarks/LightGBM of microsoft/qlib; the learning rate
# is the one of its Alpha360 file, which does better here), with the trees of its model class. They are all
# grown: stopping early leaves a constant on short histories, and under these penalties the last trees add
# nothing. Rows are not sampled: Qlib sets a share of rows, and leaves LightGBM's switch for it off.
_QLIB = {
    "objective": "mse",
    "learning_rate": 0.0421,
    "feature_fraction": 0.8879,
    "bagging_fraction": 0.8789,
    "lambda_l1": 205.6999,
    "lambda_l2": 580.9768,
    "max_depth": 8,
    "num_leaves": 210,
}
_QLIB_TREES = 1000


@dataclass(frozen=True)
class Task:
    """What a baseline may know of a fold.

    Parameters
    ----------
    past : DataFrame
        Tradable rows to learn from, with their features and `excess`.
    positions : integer array, shape (len(past),)
        Place of their sessions among all trading sessions.
    block : DataFrame
        Rows to score.
    seed : int
        Of whatever is left to chance.
    """

    past: pd.DataFrame
    positions: Positions
    block: pd.DataFrame
    seed: int


def random(task: Task) -> Values:
    """Score by chance."""
    return np.random.default_rng(task.seed).random(len(task.block))


def low_volatility(task: Task) -> Values:
    """Calm shares first: what any model has to beat here."""
    return -_rank(task, "vol_126")


def momentum(task: Task) -> Values:
    """Winners of the past year first, its last month left out (Jegadeesh and Titman, 1993)."""
    return _rank(task, "mom_252_21")


def reversal(task: Task) -> Values:
    """Losers of the past month first (Jegadeesh, 1990)."""
    return -_rank(task, "mom_21")


def qlib_lightgbm(task: Task) -> Values:
    """LightGBM with Qlib's published settings on raw Alpha158; it learns the excess standardised by session.

    Raises
    ------
    FeatureSchemaError
        If the rows have no column of Alpha158 with a value.
    """
    known = [row.name for row in ALPHA158 if row.name in task.past and task.past[row.name].notna().any()]
    if not known:
        raise FeatureSchemaError(
            f"0 of {len(ALPHA158)} features of Alpha158 have a value: Qlib's model needs them raw.",
            next_step="bist features",
        )
    label = _standardise(task.past["excess"].to_numpy(), task.positions)
    data = build_dataset(task.past[known].to_numpy(np.float32), label)
    (model,) = train_all([Job(data, {**_QLIB, "seed": task.seed}, _QLIB_TREES)], threads=1)
    return predict(model, task.block[known].to_numpy(np.float32))


BASELINES: Mapping[str, Callable[[Task], Values]] = {
    "low_vol_126": low_volatility,
    "momentum_252_21": momentum,
    "reversal_21": reversal,
    "random": random,
    "qlib_lightgbm": qlib_lightgbm,
}


def _rank(task: Task, feature: str) -> Values:
    # A share too young for the feature stands in the middle, so that all models are judged on the same rows.
    if f"{feature}_rank" not in task.block:
        return np.full(len(task.block), NEUTRAL_RANK)
    return task.block[f"{feature}_rank"].fillna(NEUTRAL_RANK).to_numpy(np.float64)


def _standardise(excess: Values, positions: Positions) -> Values:
    by_session = pd.Series(excess).groupby(positions)
    spread = by_session.transform("std").replace(0, np.nan)
    standardised: Values = ((excess - by_session.transform("mean")) / spread).fillna(0).to_numpy()
    return standardised
