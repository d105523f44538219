"""Train and judge on the past as it would have been: fold by fold, each on what was known before it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from bist_pipeline.config import Settings
from bist_pipeline.contracts import FORECAST_COLUMNS
from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.model import metrics
from bist_pipeline.model.baselines import BASELINES, Task
from bist_pipeline.model.pipeline import build_pipeline
from bist_pipeline.model.search import tune
from bist_pipeline.model.splits import Fold, PurgedWalkForward

# The forecast that is published, its two learned members, and what they must beat.
BLEND, LOW_VOLATILITY = "blend", "low_vol_126"
MODELS = (BLEND, "lightgbm", "ridge", *BASELINES)
# What the promotion gate compares.
GATE_MODELS = (BLEND, LOW_VOLATILITY)
VOLATILITY = "vol_126"
_KEPT = ["session", "symbol", "tradable", "excess"]


@dataclass(frozen=True)
class WalkForward:
    """Out-of-sample forecasts and what they were worth.

    Parameters
    ----------
    forecasts : DataFrame
        From `forecast_fold`, of all folds: every labelled share of the test sessions, tradable or not.
    folds : tuple of Fold
        What each model was trained and tested on.
    metrics : dict
        From `judge`, and `rank_ic_low_vol_126` of the same rows, NaN where no volatility is known.
    models : tuple of Pipeline
        The model of each fold; empty where the forecasts were made elsewhere.
    """

    forecasts: pd.DataFrame
    folds: tuple[Fold, ...]
    metrics: dict[str, float]
    models: tuple[Pipeline, ...] = ()


def run(
    examples: pd.DataFrame, columns: Sequence[str], *, sessions: NDArray[np.datetime64], settings: Settings
) -> WalkForward:
    """Forecast the folds that the promotion gate looks at, and judge the tradable rows.

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
    models = [fit_fold(examples, columns, fold, sessions=sessions, settings=settings) for fold in folds]
    parts = [
        forecast_fold(examples, columns, fold, sessions=sessions, settings=settings, model=model)
        for fold, model in zip(folds, models, strict=True)
    ]
    judged = judge_folds(pd.concat(parts, ignore_index=True), folds, settings=settings)
    return replace(judged, models=tuple(models))


def judge_folds(forecasts: pd.DataFrame, folds: Sequence[Fold], *, settings: Settings) -> WalkForward:
    """Judge the forecasts of all folds together, as `run` does."""
    figures = {f"rank_ic_{LOW_VOLATILITY}": mean_rank_ic(forecasts, LOW_VOLATILITY)}
    return WalkForward(forecasts, tuple(folds), judge(forecasts, settings=settings) | figures)


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
    examples: pd.DataFrame,
    *,
    sessions: NDArray[np.datetime64],
    settings: Settings,
    first_test: dt.date | None = None,
) -> tuple[Fold, ...]:
    """Bounds of the folds; parameters and errors as in `run`.

    With `first_test` everything is tested from that date to the last one with a known result; without, the
    newest `validation.folds` blocks.
    """
    splits = settings.validation.folds if first_test is None else None
    return _splitter(sessions, settings, n_splits=splits, first_test=first_test).folds(examples["session"])


def earliest_test(examples: pd.DataFrame, *, sessions: NDArray[np.datetime64], settings: Settings) -> dt.date:
    """First session of the first quarter of a year before which there is enough to train on.

    A quarter's start, because results are read by year. Parameters as in `run`.
    """
    enough = _splitter(sessions, settings, n_splits=1).earliest(examples["session"])
    quarter = pd.Timestamp(enough).to_period("Q")
    begins = quarter.start_time if quarter.start_time.date() == enough else (quarter + 1).start_time
    later = sessions[sessions >= np.datetime64(begins.date())]
    known = np.datetime64(examples["session"].max(), "D")
    start: dt.date = later[0].astype("datetime64[D]").item() if later.size and later[0] <= known else enough
    return start


def find_lives(folds: Sequence[Fold], *, until: dt.date) -> list[tuple[dt.date, dt.date]]:
    """First and last session on which each fold's model is the newest there is; the last one's is `until`.

    >>> past, days = dt.date(2023, 6, 1), [dt.date(2024, 1, n) for n in (1, 7, 8, 14)]
    >>> folds = [Fold(1, past, past, *days[:2]), Fold(2, past, past, *days[2:])]
    >>> [f"{first} {last}" for first, last in find_lives(folds, until=dt.date(2024, 2, 29))]
    ['2024-01-01 2024-01-07', '2024-01-08 2024-02-29']
    """
    ends = [*(fold.test_last for fold in folds[:-1]), until]
    return [(fold.test_first, end) for fold, end in zip(folds, ends, strict=True)]


def fit_fold(
    examples: pd.DataFrame,
    columns: Sequence[str],
    fold: Fold,
    *,
    sessions: NDArray[np.datetime64],
    settings: Settings,
) -> Pipeline:
    """Tune and fit the model on the fold's past; parameters and errors as in `run`."""
    past, block = _split(examples, fold)
    known = _known(columns, past, block)
    tuned = tune(past, known, sessions=sessions, settings=settings)
    return fit(past, known, sessions=sessions, settings=tuned)


def forecast_fold(
    examples: pd.DataFrame,
    columns: Sequence[str],
    fold: Fold,
    *,
    sessions: NDArray[np.datetime64],
    settings: Settings,
    models: Collection[str] = GATE_MODELS,
    model: Pipeline | None = None,
) -> pd.DataFrame:
    """Train on the fold's past, forecast its test block; parameters and errors as in `run`.

    Folds do not depend on each other: they may run in any order, side by side, or on different machines.

    Parameters
    ----------
    models : collection of str
        Of `MODELS`, the ones to compute.
    model : Pipeline, optional
        From `fit_fold`; without, it is fitted here.

    Returns
    -------
    DataFrame
        One row a labelled share and session of the block: `session, symbol, tradable, excess`, the number of
        the `fold`, raw `volatility` (NaN where there is none), a score for each model under its name, and the
        blend's `expected_excess_return, lower, upper` if it is asked for.
    """
    past, block = _split(examples, fold)
    forecasts = block[_KEPT].assign(fold=fold.number, volatility=block.get(VOLATILITY, np.nan))
    if {BLEND, "lightgbm", "ridge"} & set(models):
        if model is None:
            model = fit_fold(examples, columns, fold, sessions=sessions, settings=settings)
        forecasts = forecasts.join(_forecast(model, block, models))
    task = Task(past, np.searchsorted(sessions, past["session"]), block, seed=fold.number)
    scores = {name: BASELINES[name](task) for name in BASELINES if name in models}
    return forecasts.assign(**scores)


def rescore(
    recipe: Pipeline,
    examples: pd.DataFrame,
    folds: Sequence[Fold],
    *,
    sessions: NDArray[np.datetime64],
) -> pd.DataFrame:
    """Scores that another model's recipe would have given in the same folds.

    Parameters
    ----------
    recipe : Pipeline
        Its columns and hyper-parameters are used; what it was fitted on is not.
    examples, folds, sessions
        As in `forecast_fold`.

    Returns
    -------
    DataFrame
        The rows of `forecast_fold`: `session, symbol, tradable, excess` and the forecast columns.
    """
    parts = []
    for fold in folds:
        past, block = _split(examples, fold)
        model = clone(recipe).set_params(columns__columns=_known(recipe[0].columns, past, block))
        position = np.searchsorted(sessions, past["session"])
        model.fit(past, past["excess"], forecaster__groups=position)
        parts.append(block[_KEPT].join(model.predict(block)))
    return pd.concat(parts, ignore_index=True)


def fit(
    examples: pd.DataFrame, columns: Sequence[str], *, sessions: NDArray[np.datetime64], settings: Settings
) -> Pipeline:
    """Fit the pipeline on the tradable rows; parameters as in `run`."""
    rows = examples[examples["tradable"]]
    position = np.searchsorted(sessions, rows["session"])
    return build(columns, settings=settings).fit(rows, rows["excess"], forecaster__groups=position)


def build(columns: Sequence[str], *, settings: Settings) -> Pipeline:
    """Build the pipeline that `fit` fits."""
    return build_pipeline(
        settings.training,
        columns,
        horizon=settings.horizon_sessions,
        embargo=settings.validation.embargo_sessions,
    )


def judge(forecasts: pd.DataFrame, *, settings: Settings) -> dict[str, float]:
    """Figures of the blend on the tradable rows of the forecasts of all folds."""
    lag = math.ceil(settings.horizon_sessions / settings.validation.sample_every)
    tradable = forecasts[forecasts["tradable"]].rename(columns={BLEND: "score"})
    return metrics.summarise(tradable, horizon=settings.horizon_sessions, lag=lag)


def mean_rank_ic(forecasts: pd.DataFrame, model: str) -> float:
    """Mean daily rank IC of one column of scores on the tradable rows; NaN where it has none."""
    tradable = forecasts[forecasts["tradable"]]
    return float(metrics.daily_rank_ic(tradable.assign(score=tradable[model])).mean())


def _splitter(
    sessions: NDArray[np.datetime64],
    settings: Settings,
    *,
    n_splits: int | None,
    first_test: dt.date | None = None,
) -> PurgedWalkForward:
    return PurgedWalkForward(
        sessions,
        n_splits=n_splits,
        first_test=first_test,
        block_sessions=settings.validation.block_sessions,
        horizon=settings.horizon_sessions,
        embargo=settings.validation.embargo_sessions,
        min_train_sessions=settings.validation.min_train_sessions,
    )


def _split(examples: pd.DataFrame, fold: Fold) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tradable rows to learn from, and all rows to forecast."""
    days = examples["session"]
    past = examples[(days <= pd.Timestamp(fold.train_last)) & examples["tradable"]]
    return past, examples[days.between(pd.Timestamp(fold.test_first), pd.Timestamp(fold.test_last))]


def _known(columns: Sequence[str], past: pd.DataFrame, block: pd.DataFrame) -> list[str]:
    # What no row of either side has (volumes, where a file has none at first) is no feature of this fold.
    return [name for name in columns if past[name].notna().any() and block[name].notna().any()]


def _forecast(model: Pipeline, block: pd.DataFrame, models: Collection[str]) -> pd.DataFrame:
    forecasts = pd.DataFrame(index=block.index)
    if BLEND in models:
        forecasts = model.predict(block)[FORECAST_COLUMNS].rename(columns={"score": BLEND})
    members = [name for name in ("lightgbm", "ridge") if name in models]
    if members:
        scores: pd.DataFrame = model[-1].score_members(model[:-1].transform(block))
        forecasts = forecasts.join(scores[members])
    return forecasts
