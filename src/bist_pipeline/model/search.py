"""Search for hyper-parameters on a model's own past, never on the rows it is judged by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.config import Settings
from bist_pipeline.errors import ConfigError
from bist_pipeline.model import metrics
from bist_pipeline.model.boosting import Job, build_dataset, predict, take_rows, train_all
from bist_pipeline.model.forecaster import MIN_FIT_SESSIONS, gaussian_rank_by_session
from bist_pipeline.model.intervals import typical_spread
from bist_pipeline.model.linear import fit_ridge, predict_linear
from bist_pipeline.model.pipeline import booster_parameters
from bist_pipeline.model.splits import hold_out_newest

# Looked for up to this factor below and above what the settings say, evenly on a logarithmic scale.
_REACH = 4.0
_SEARCHED = ("learning_rate", "leaves", "min_child_samples", "column_share", "l2", "ridge_penalty")
_MOST = {"column_share": 1.0}


def tune(
    examples: pd.DataFrame, columns: Sequence[str], *, sessions: NDArray[np.datetime64], settings: Settings
) -> Settings:
    """Replace the hyper-parameters by those that did best on the newest of these rows.

    Each trial is fitted on the older rows and judged by the mean daily rank IC of the newest
    `training.calibration_sessions` sessions, purged as everywhere. The settings as they are take part: they
    stay unless something did better. Same rows, same settings, same outcome.

    Parameters
    ----------
    examples : DataFrame
        Tradable rows to learn from: inside a walk-forward those of the fold's past alone.
    columns, sessions, settings
        As in `walk_forward.run`; `training.search_trials` says how many to try, 0 for no search.

    Raises
    ------
    ConfigError
        If a search is asked for and Optuna is not installed.
    InsufficientDataError
        If the history is too short to hold anything out.
    """
    training = settings.training
    if not training.search_trials:
        return settings
    optuna = _import_optuna()
    trial_score = _prepare(examples, columns, sessions=sessions, settings=settings)
    known = {name: value for name in _SEARCHED if (value := getattr(training, name)) > 0}
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=training.seeds[0])
    )
    study.enqueue_trial(known)
    study.optimize(
        lambda trial: trial_score({name: _suggest(trial, name, value) for name, value in known.items()}),
        n_trials=training.search_trials,
    )
    return settings.model_copy(update={"training": training.model_copy(update=study.best_params)})


def _import_optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            "training.search_trials asks for a search, and Optuna is not installed.",
            consequence="No model was trained.",
            next_step="pip install 'bist-pipeline[tuning]', or set BIST_TRAINING__SEARCH_TRIALS to 0",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _suggest(trial: Any, name: str, value: float) -> float:
    low, high = value / _REACH, min(value * _REACH, _MOST.get(name, math.inf))
    if isinstance(value, int):
        whole: int = trial.suggest_int(name, max(int(low), 2), int(high), log=True)
        return whole
    number: float = trial.suggest_float(name, low, high, log=True)
    return number


def _prepare(
    examples: pd.DataFrame, columns: Sequence[str], *, sessions: NDArray[np.datetime64], settings: Settings
) -> Callable[[dict[str, float]], float]:
    """Bin the rows once; what is returned fits one trial and judges it."""
    values = examples[list(columns)].to_numpy(np.float32)
    positions = np.searchsorted(sessions, examples["session"])
    rank = gaussian_rank_by_session(examples["excess"].to_numpy(), positions)
    older, newer = hold_out_newest(
        positions,
        sessions=settings.training.calibration_sessions,
        gap=settings.horizon_sessions + settings.validation.embargo_sessions,
        min_fit_sessions=MIN_FIT_SESSIONS,
    )
    data = take_rows(build_dataset(values, rank), older, rank)
    judged = examples.loc[newer, ["session", "excess"]]

    def score(changes: dict[str, float]) -> float:
        training = settings.training.model_copy(update=changes)
        parameters = {**booster_parameters(training), "objective": "regression", "seed": training.seeds[0]}
        (trees,) = train_all([Job(data, parameters, training.trees)], threads=1)
        ridge = fit_ridge(values[older], rank[older], penalty=training.ridge_penalty)
        members = (predict(trees, values[newer]), predict_linear(ridge, values[newer]))
        spreads = [typical_spread(member, positions[newer]) for member in members]
        blended = sum(member / spread for member, spread in zip(members, spreads, strict=True) if spread > 0)
        ic = metrics.daily_rank_ic(judged.assign(score=blended))
        return float(ic.fillna(0.0).mean()) if len(ic) else 0.0

    return score
