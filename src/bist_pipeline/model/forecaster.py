"""The estimator: LightGBM score models, conformalised quantile models, and what a score is worth."""

from __future__ import annotations

from collections.abc import Sequence
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
from bist_pipeline.model.boosting import Job, build_dataset, describe_drivers, predict, train_all
from bist_pipeline.model.intervals import (
    Positions,
    Values,
    conformal_margin,
    conformalise,
    shrunk_slope,
    typical_spread,
)

# About a month: less cannot show a quantile model more than one state of the market.
_MIN_FIT_SESSIONS = 21


class RankForecaster(BaseEstimator):  # type: ignore[misc]
    """Score shares by the mean of several LightGBMs, and say what the score is worth.

    The score models learn the Gaussian rank of the excess among the shares of its session. Two quantile
    models learn the excess itself, on rows before the calibration sessions, and are conformalised on these.
    One more score model is fitted on the older half of the history; how its scores did on the newer half
    gives the slope that turns a score into an expected excess.

    Parameters
    ----------
    booster : dict
        LightGBM's parameters, in its own names.
    trees : int
        Trees of each score model.
    seeds : sequence of int
        One score model each; the score is their mean.
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
            Features of tradable shares.
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
        rank = _gaussian_rank_by_session(excess, positions)
        older, newer = self._hold_out(positions, _span(positions) // 2)
        before, recent = self._hold_out(positions, self.calibration_sessions)
        *scorers, slope_model, low, high = train_all(
            [
                *self._score_jobs(build_dataset(values, rank), self.seeds),
                *self._score_jobs(build_dataset(values[older], rank[older]), self.seeds[:1]),
                *self._quantile_jobs(build_dataset(values[before], excess[before])),
            ],
            threads=self.threads,
        )
        self.features_ = list(X.columns)
        self.scorers_, self.quantiles_ = scorers, [low, high]
        lower, upper = (predict(text, values[recent]) for text in self.quantiles_)
        misses = (lower - excess[recent], excess[recent] - upper)
        self.margins_ = [conformal_margin(miss, share=(1 + self.interval) / 2) for miss in misses]
        held_out = predict(slope_model, values[newer])
        slope = shrunk_slope(held_out, rank[newer], positions[newer], horizon=self.horizon)
        self.slope_ = slope * typical_spread(excess[newer], positions[newer])
        return self

    def predict(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803 (scikit-learn)
        """Forecast each row.

        Returns
        -------
        DataFrame, shape (n_rows, 4)
            Indexed like `X`: `score` (about the expected Gaussian rank), `expected_excess_return`, `lower`
            and `upper` (fractions over the universe median); always ``lower <= expected <= upper``.
        """
        check_is_fitted(self)
        values = X.to_numpy()
        score = np.mean([predict(text, values) for text in self.scorers_], axis=0)
        expected = self.slope_ * score
        lower, upper = (predict(text, values) for text in self.quantiles_)
        ends = conformalise(lower, upper, margins=self.margins_, point=expected)
        return pd.DataFrame(dict(zip(FORECAST_COLUMNS, (score, expected, *ends), strict=True)), index=X.index)

    def contributions(self, X: pd.DataFrame, *, top: int = 5) -> list[list[dict[str, Any]]]:  # noqa: N803 (scikit-learn)
        """Per row the features that moved its score most (SHAP values, mean over the seeds).

        Returns
        -------
        list of lists of dict
            For each row up to `top` of ``{feature, contribution, value}``, largest effect first;
            `contribution` in units of the score, `value` None where the feature is missing.
        """
        check_is_fitted(self)
        return describe_drivers(self.scorers_, self.features_, X.to_numpy(), top=top)

    def _hold_out(self, groups: Positions, sessions: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Rows to fit on, and the rows of the last `sessions` sessions that their labels do not reach."""
        start = int(groups.max()) - sessions + 1
        gap = self.horizon + self.embargo
        spare = start - gap + 1 - int(groups.min())
        if spare < _MIN_FIT_SESSIONS:
            raise InsufficientDataError(
                f"{_span(groups)} labelled sessions: {sessions} to calibrate on and a gap of {gap} leave"
                f" {max(spare, 0)} to fit on, need {_MIN_FIT_SESSIONS}.",
                consequence="No model was trained.",
                next_step="load a longer history",
            )
        return groups <= start - gap, groups >= start

    def _score_jobs(self, data: lgb.Dataset, seeds: Sequence[int]) -> list[Job]:
        shared = {**self.booster, "objective": "regression"}
        return [Job(data, {**shared, "seed": seed}, self.trees) for seed in seeds]

    def _quantile_jobs(self, data: lgb.Dataset) -> list[Job]:
        tails = ((1 - self.interval) / 2, (1 + self.interval) / 2)
        shared = {**self.booster, "objective": "quantile", "seed": self.seeds[0]}
        shared["learning_rate"] = self.interval_learning_rate
        return [Job(data, {**shared, "alpha": alpha}, self.interval_trees) for alpha in tails]


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


def _span(positions: Positions) -> int:
    return int(positions.max()) - int(positions.min()) + 1


def _gaussian_rank_by_session(excess: Values, groups: Positions) -> Values:
    _, row = np.unique(groups, return_inverse=True)
    column = pd.Series(row).groupby(row).cumcount().to_numpy()
    wide = np.full((row.max() + 1, column.max() + 1), np.nan)
    wide[row, column] = excess
    ranks: Values = gaussian_rank(wide)[row, column]
    return ranks
