"""The estimator: a blend of score models, conformalised quantiles, and what a score is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from bist_pipeline.contracts import FORECAST_COLUMNS
from bist_pipeline.errors import ContractError, InsufficientDataError
from bist_pipeline.market.labels import gaussian_rank
from bist_pipeline.model.boosting import (
    Job,
    build_dataset,
    describe_drivers,
    predict,
    take_rows,
    train_all,
    tree_effects,
)
from bist_pipeline.model.intervals import (
    Positions,
    Values,
    conformal_margin,
    conformalise,
    shrunk_slope,
    typical_spread,
)
from bist_pipeline.model.linear import fit_ridge, linear_effects, predict_linear, weigh_factors
from bist_pipeline.model.splits import hold_out_newest

# About a month: less cannot show a quantile model more than one state of the market.
MIN_FIT_SESSIONS = 21


class RankForecaster(BaseEstimator):  # type: ignore[misc]
    """Score shares by a blend of models, and say what the score is worth.

    The members of the blend learn the Gaussian rank of the excess among the shares of its session: LightGBM,
    the mean of several seeds, and Ridge. A third member, plain factors, learns nothing. Each member counts
    equally, in units of its own spread.

    One LightGBM and one Ridge more are fitted on the older half of the history. How their scores did on the
    newer half gives each member's spread, and the slope that turns a score into an expected excess: neither
    is taken from rows that a model was fitted on.

    Two quantile models learn the excess itself, on rows before the calibration sessions, and are
    conformalised on these.

    Parameters
    ----------
    booster : dict
        LightGBM's parameters, in its own names.
    trees : int
        Trees of each score model.
    seeds : sequence of int
        One LightGBM each.
    ridge_penalty : float
        See `linear.fit_ridge`.
    factors : dict of str to float
        Weights of ranks that count as they are; may be empty.
    interval : float
        Share of results that ``[lower, upper]`` should hold.
    interval_trees, interval_learning_rate : int, float
        Size of the quantile models.
    calibration_sessions : int
        Newest labelled sessions, kept for conformalising the quantile models.
    horizon, embargo : int
        Sessions a label looks ahead, and the further distance to held-out rows.
    threads : int
        Boosters trained side by side.
    """

    def __init__(
        self,
        *,
        booster: dict[str, Any],
        trees: int,
        seeds: Sequence[int],
        ridge_penalty: float,
        factors: Mapping[str, float],
        interval: float,
        interval_trees: int,
        interval_learning_rate: float,
        calibration_sessions: int,
        horizon: int,
        embargo: int,
        threads: int,
    ) -> None:
        self.booster = booster
        self.trees = trees
        self.seeds = seeds
        self.ridge_penalty = ridge_penalty
        self.factors = factors
        self.interval = interval
        self.interval_trees = interval_trees
        self.interval_learning_rate = interval_learning_rate
        self.calibration_sessions = calibration_sessions
        self.horizon = horizon
        self.embargo = embargo
        self.threads = threads

    def fit(self, X: pd.DataFrame, y: Any, *, groups: Any) -> RankForecaster:  # noqa: N803 (scikit-learn)
        """Train all models.

        Parameters
        ----------
        X : DataFrame of float32, shape (n_rows, n_features)
            Features of tradable shares, as ranks.
        y : array, shape (n_rows,)
            Forward excess return (fraction), all known.
        groups : integer array, shape (n_rows,)
            Position of each row's session among all trading sessions, so that differences count sessions.

        Raises
        ------
        InsufficientDataError
            If the history is too short to hold anything out, or the labels are constant.
        """
        values, excess, positions = X.to_numpy(), np.asarray(y, dtype=np.float64), np.asarray(groups)
        _require_usable(excess, positions)
        rank = gaussian_rank_by_session(excess, positions)
        span = int(positions.max()) - int(positions.min()) + 1
        older, newer = self._hold_out(positions, span // 2)
        before, recent = self._hold_out(positions, self.calibration_sessions)
        data = build_dataset(values, rank)
        *boosters, half, low, high = train_all(
            [
                *self._score_jobs(data, self.seeds),
                *self._score_jobs(take_rows(data, older, rank), self.seeds[:1]),
                *self._quantile_jobs(take_rows(data, before, excess)),
            ],
            threads=self.threads,
        )
        self.features_ = list(X.columns)
        self.boosters_, self.linear_ = boosters, self._fit_linear(values, rank)
        held_out = _members([half], self._fit_linear(values[older], rank[older]), values[newer])
        self.weights_ = _weigh(held_out, positions[newer])
        score = _blend(held_out, self.weights_)
        slope = shrunk_slope(score, rank[newer], positions[newer], horizon=self.horizon)
        self.slope_ = slope * typical_spread(excess[newer], positions[newer])
        self.quantiles_ = [low, high]
        lower, upper = (predict(text, values[recent]) for text in self.quantiles_)
        misses = (lower - excess[recent], excess[recent] - upper)
        self.margins_ = [conformal_margin(miss, share=(1 + self.interval) / 2) for miss in misses]
        return self

    def predict(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803 (scikit-learn)
        """Forecast each row.

        Returns
        -------
        DataFrame, shape (n_rows, 4)
            Indexed like `X`: `score` (in units of the members' spread), `expected_excess_return`, `lower` and
            `upper` (fractions over the universe median); always ``lower <= expected <= upper``.
        """
        check_is_fitted(self)
        values = X.to_numpy()
        score = _blend(_members(self.boosters_, self.linear_, values), self.weights_)
        expected = self.slope_ * score
        lower, upper = (predict(text, values) for text in self.quantiles_)
        ends = conformalise(lower, upper, margins=self.margins_, point=expected)
        return pd.DataFrame(dict(zip(FORECAST_COLUMNS, (score, expected, *ends), strict=True)), index=X.index)

    def score_members(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803 (scikit-learn)
        """Score each row by every member alone.

        Returns
        -------
        DataFrame, shape (n_rows, 2 or 3)
            Indexed like `X`: `lightgbm` and `ridge` (about the expected Gaussian rank), and `factors` where
            there are any.
        """
        check_is_fitted(self)
        return pd.DataFrame(_members(self.boosters_, self.linear_, X.to_numpy()), index=X.index)

    def contributions(self, X: pd.DataFrame, *, top: int = 5) -> list[list[dict[str, Any]]]:  # noqa: N803 (scikit-learn)
        """Per row the features that moved its score most; see `boosting.describe_drivers`.

        The contributions of all features and a constant add up to the score.
        """
        check_is_fitted(self)
        values = X.to_numpy()
        effects = self.weights_["lightgbm"] * tree_effects(self.boosters_, values)
        for name, coefficients in self.linear_.items():
            effects += self.weights_[name] * linear_effects(coefficients, values)
        return describe_drivers(effects, self.features_, values, top=top)

    def _hold_out(self, positions: Positions, sessions: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        gap = self.horizon + self.embargo
        return hold_out_newest(positions, sessions=sessions, gap=gap, min_fit_sessions=MIN_FIT_SESSIONS)

    def _score_jobs(self, data: lgb.Dataset, seeds: Sequence[int]) -> list[Job]:
        shared = {**self.booster, "objective": "regression"}
        return [Job(data, {**shared, "seed": seed}, self.trees) for seed in seeds]

    def _quantile_jobs(self, data: lgb.Dataset) -> list[Job]:
        tails = ((1 - self.interval) / 2, (1 + self.interval) / 2)
        shared = {**self.booster, "objective": "quantile", "seed": self.seeds[0]}
        shared["learning_rate"] = self.interval_learning_rate
        return [Job(data, {**shared, "alpha": alpha}, self.interval_trees) for alpha in tails]

    def _fit_linear(self, values: NDArray[np.float32], rank: Values) -> dict[str, Values]:
        linear = {"ridge": fit_ridge(values, rank, penalty=self.ridge_penalty)}
        if self.factors:
            linear["factors"] = weigh_factors(self.factors, self.features_)
        return linear


def _members(
    boosters: Sequence[str], linear: Mapping[str, Values], values: NDArray[np.float32]
) -> dict[str, Values]:
    scores: dict[str, Values] = {"lightgbm": np.mean([predict(text, values) for text in boosters], axis=0)}
    return scores | {name: predict_linear(weights, values) for name, weights in linear.items()}


def _weigh(scores: Mapping[str, Values], positions: Positions) -> dict[str, float]:
    """Weights that give every member the same spread; a member that does not tell shares apart has none."""
    spreads = {name: typical_spread(score, positions) for name, score in scores.items()}
    return {name: 1 / (len(spreads) * spread) if spread > 0 else 0.0 for name, spread in spreads.items()}


def _blend(scores: Mapping[str, Values], weights: Mapping[str, float]) -> Values:
    blended: Values = np.sum([weights[name] * score for name, score in scores.items()], axis=0)
    return blended


def _require_usable(excess: Values, positions: Positions) -> None:
    if not np.issubdtype(positions.dtype, np.integer):
        raise TypeError(f"groups must be positions of sessions (integers), not {positions.dtype}")
    if not np.isfinite(excess).all():
        raise ContractError(f"{(~np.isfinite(excess)).sum()} of {excess.size} labels are no finite numbers.")
    if np.ptp(excess) == 0:
        raise InsufficientDataError(
            f"All {excess.size} labels are {excess[0]}: there is nothing to learn.",
            consequence="No model was trained.",
        )


def gaussian_rank_by_session(excess: Values, groups: Positions) -> Values:
    """Gaussian rank of each row's excess among the rows of its session; shape of `excess`."""
    _, row = np.unique(groups, return_inverse=True)
    column = pd.Series(row).groupby(row).cumcount().to_numpy()
    wide = np.full((row.max() + 1, column.max() + 1), np.nan)
    wide[row, column] = excess
    ranks: Values = gaussian_rank(wide)[row, column]
    return ranks
