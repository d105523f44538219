"""Train and judge on the past as it would have been: fold by fold, each on what was known before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from bist_pipeline.config import Settings
from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.model import metrics
from bist_pipeline.model.pipeline import build_pipeline
from bist_pipeline.model.splits import Fold, PurgedWalkForward


@dataclass(frozen=True)
class WalkForward:
    """Out-of-sample forecasts and what they were worth.

    Parameters
    ----------
    forecasts : DataFrame
        `session, symbol, tradable, excess` and the forecast columns, for every labelled share of the test
        sessions, tradable or not.
    folds : tuple of Fold
        What each model was trained and tested on.
    metrics : dict
        `metrics.summarise` of the tradable rows.
    """

    forecasts: pd.DataFrame
    folds: tuple[Fold, ...]
    metrics: dict[str, float]


def run(
    examples: pd.DataFrame, columns: Sequence[str], *, sessions: NDArray[np.datetime64], settings: Settings
) -> WalkForward:
    """Forecast every fold and judge the tradable rows.

    Parameters
    ----------
    examples : DataFrame
        From `select_examples`.
    columns : sequence of str
        Features to use.
    sessions : array of datetime64, shape (n_sessions,)
        Every trading session in order.
    settings : Settings
        Uses `horizon_sessions`, `training` and `validation`.

    Raises
    ------
    InsufficientDataError
        If the history is too short for the folds, or nothing varies.
    """
    folds = plan_folds(examples, sessions=sessions, settings=settings)
    parts = [forecast_fold(examples, columns, fold, sessions=sessions, settings=settings) for fold in folds]
    forecasts = pd.concat(parts, ignore_index=True)
    return WalkForward(forecasts, folds, judge(forecasts, settings=settings))


def select_examples(
    features: pd.DataFrame, excess: pd.Series, *, sessions: NDArray[np.datetime64], settings: Settings
) -> pd.DataFrame:
    """Rows to learn from: every n-th session, counted back from the newest with a known result.

    Parameters
    ----------
    features : DataFrame
        `session, symbol, tradable` and the feature columns.
    excess : Series, shape (len(features),)
        Forward excess of the same rows (fraction), NaN where not yet known.
    sessions, settings
        As in `run`; uses `validation.sample_every` and `validation.min_symbols`.

    Returns
    -------
    DataFrame
        The labelled rows with the column `excess`, tradable or not, of sessions with enough tradable shares.

    Raises
    ------
    InsufficientDataError
        If no session has enough tradable shares with a known result.
    """
    known = np.isfinite(excess.to_numpy())
    eligible = features["session"][known & features["tradable"].to_numpy()]
    shares = eligible.value_counts()
    need = settings.validation.min_symbols
    enough = shares.index[shares >= need].sort_values()
    if enough.empty:
        raise InsufficientDataError(
            f"No session has {need} tradable shares with a known {settings.horizon_sessions}-session result"
            f" (the fullest has {shares.max() if len(shares) else 0}).",
            consequence="No model was trained.",
            next_step="load more shares or a longer history",
        )
    position = np.searchsorted(sessions, enough)
    chosen = enough[(position[-1] - position) % settings.validation.sample_every == 0]
    rows = known & features["session"].isin(chosen).to_numpy()
    labelled: pd.DataFrame = features[rows]
    return labelled.assign(excess=excess[rows])


def plan_folds(
    examples: pd.DataFrame, *, sessions: NDArray[np.datetime64], settings: Settings
) -> tuple[Fold, ...]:
    """Bounds of the folds that the settings ask for; parameters and errors as in `run`."""
    splitter = PurgedWalkForward(
        sessions,
        n_splits=settings.validation.folds,
        block_sessions=settings.validation.block_sessions,
        horizon=settings.horizon_sessions,
        embargo=settings.validation.embargo_sessions,
        min_train_sessions=settings.validation.min_train_sessions,
    )
    return splitter.folds(examples["session"])


def forecast_fold(
    examples: pd.DataFrame,
    columns: Sequence[str],
    fold: Fold,
    *,
    sessions: NDArray[np.datetime64],
    settings: Settings,
) -> pd.DataFrame:
    """Train on the fold's past, forecast its test block; parameters as in `run`.

    Folds do not depend on each other: they may run in any order, or on different machines.
    """
    days = examples["session"]
    past = examples[days <= pd.Timestamp(fold.train_last)]
    block = examples[days.between(pd.Timestamp(fold.test_first), pd.Timestamp(fold.test_last))]
    model = fit(past, columns, sessions=sessions, settings=settings)
    forecasts: pd.DataFrame = model.predict(block)
    return block[["session", "symbol", "tradable", "excess"]].join(forecasts)


def fit(
    examples: pd.DataFrame, columns: Sequence[str], *, sessions: NDArray[np.datetime64], settings: Settings
) -> Pipeline:
    """Fit the pipeline on the tradable rows; parameters as in `run`."""
    rows = examples[examples["tradable"]]
    model = build_pipeline(
        settings.training,
        columns,
        horizon=settings.horizon_sessions,
        embargo=settings.validation.embargo_sessions,
    )
    position = np.searchsorted(sessions, rows["session"])
    return model.fit(rows[list(columns)], rows["excess"], forecaster__groups=position)


def judge(forecasts: pd.DataFrame, *, settings: Settings) -> dict[str, float]:
    """Figures of the tradable rows of the forecasts of all folds."""
    lag = math.ceil(settings.horizon_sessions / settings.validation.sample_every)
    tradable = forecasts[forecasts["tradable"]]
    return metrics.summarise(tradable, horizon=settings.horizon_sessions, lag=lag)
