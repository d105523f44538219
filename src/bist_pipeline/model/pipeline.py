"""The scikit-learn pipeline that turns features into forecasts.

Two steps: `ColumnSelector` takes exactly the columns the model was fitted on, `RankForecaster` turns them
into a score, an expected excess and an interval. Rows are scored one by one; whatever needs the
cross-section (ranks) was computed in the feature stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from bist_pipeline.config import TrainingSettings
from bist_pipeline.errors import FeatureSchemaError
from bist_pipeline.model.cross_fit import FOLD, CrossFitEstimator
from bist_pipeline.model.forecaster import RankForecaster

# Fewer rows than this may all be young shares without a long window; a whole market may not.
_CROSS_SECTION = 30
# The one plain factor that forecasts by itself (rank IC 0.12, t 5): calm shares do better (Ang, Hodrick, Xing
# and Zhang, Journal of Finance, 2006).
_FACTORS = {"vol_126_rank": -1.0}
# LightGBM's own default: what the settings ask for is meant for many sessions, and one has no leaf so large.
_SNAPSHOT_CHILD_SAMPLES = 20


def build_pipeline(
    training: TrainingSettings, columns: Sequence[str], *, horizon: int, embargo: int
) -> Pipeline:
    """Build the unfitted pipeline.

    Fit it with ``pipeline.fit(X, excess, forecaster__groups=positions)``, where `positions` are the places of
    the rows' sessions among all trading sessions.

    Parameters
    ----------
    training : TrainingSettings
        Hyper-parameters.
    columns : sequence of str
        Features to use, in this order.
    horizon, embargo : int
        Sessions a label looks ahead, and the further distance kept between fit and calibration rows.
    """
    forecaster = RankForecaster(
        booster=booster_parameters(training),
        trees=training.trees,
        seeds=training.seeds,
        ridge_penalty=training.ridge_penalty,
        factors={name: weight for name, weight in _FACTORS.items() if name in columns},
        interval=training.interval,
        interval_trees=training.interval_trees,
        interval_learning_rate=training.interval_learning_rate,
        calibration_sessions=training.calibration_sessions,
        horizon=horizon,
        embargo=embargo,
        threads=training.threads,
    )
    return Pipeline([("columns", ColumnSelector(list(columns))), ("forecaster", forecaster)])


def build_cross_fit_pipeline(training: TrainingSettings, columns: Sequence[str]) -> Pipeline:
    """Build the unfitted pipeline for one cross-section: fit it with ``pipeline.fit(X, excess)``.

    Parameters
    ----------
    training : TrainingSettings
        Hyper-parameters; leaves may be smaller than they say.
    columns : sequence of str
        Features to use, in this order; `X` needs the column `cross_fit.FOLD` besides.
    """
    booster = booster_parameters(training)
    booster["min_child_samples"] = min(training.min_child_samples, _SNAPSHOT_CHILD_SAMPLES)
    estimator = CrossFitEstimator(
        booster=booster,
        trees=training.trees,
        seeds=training.seeds,
        interval=training.interval,
        threads=training.threads,
    )
    return Pipeline([("columns", ColumnSelector([*columns, FOLD])), ("estimator", estimator)])


def has_same_recipe(one: Pipeline, other: Pipeline) -> bool:
    """Whether both use the same columns and hyper-parameters, whatever they were fitted on."""
    return bool(one[0].columns == other[0].columns and one[-1].get_params() == other[-1].get_params())


def explain(pipeline: Pipeline, X: pd.DataFrame, *, top: int = 5) -> list[list[dict[str, Any]]]:  # noqa: N803 (scikit-learn)
    """Per row the features that moved its score most; see `RankForecaster.contributions`."""
    drivers: list[list[dict[str, Any]]] = pipeline[-1].contributions(pipeline[:-1].transform(X), top=top)
    return drivers


def booster_parameters(training: TrainingSettings) -> dict[str, Any]:
    """Return LightGBM's own names for the settings."""
    return {
        "learning_rate": training.learning_rate,
        "num_leaves": training.leaves,
        "max_depth": training.depth,
        "min_child_samples": training.min_child_samples,
        "feature_fraction": training.column_share,
        "bagging_fraction": training.row_share,
        "bagging_freq": 1,
        "lambda_l2": training.l2,
    }


class ColumnSelector(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Select the model's columns as float32, and refuse a frame that cannot be what it was fitted on.

    Further columns are ignored. Single missing values are fine: LightGBM has a branch for them.

    Parameters
    ----------
    columns : list of str
        Columns to select, in this order.

    Examples
    --------
    >>> frame = pd.DataFrame({"vol_126": [0.02, 0.03], "beta_126": [0.9, 1.1], "symbol": ["AKBNK", "THYAO"]})
    >>> selector = ColumnSelector(["beta_126", "vol_126"]).fit(frame)
    >>> selector.transform(frame).columns.tolist()
    ['beta_126', 'vol_126']
    >>> selector.transform(frame[["vol_126"]])
    Traceback (most recent call last):
    bist_pipeline.errors.FeatureSchemaError: 1 of 2 feature columns are missing. Concerned: beta_126. ...
    """

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns

    def fit(self, X: pd.DataFrame, y: object = None, **_: object) -> ColumnSelector:  # noqa: N803 (scikit-learn)
        """Check the columns and remember them."""
        frame = self._select(X)
        self._refuse(frame.columns[frame.isna().all()], "have no value at all")
        self.columns_ = list(self.columns)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803 (scikit-learn)
        """Return the columns as float32, indexed like `X`.

        Raises
        ------
        FeatureSchemaError
            If a column is missing, is no number, holds an infinity, or has no value in a whole cross-section.
        """
        check_is_fitted(self)
        frame = self._select(X)
        if len(frame) >= _CROSS_SECTION:
            self._refuse(frame.columns[frame.isna().all()], "have no value at all")
        return frame

    def _select(self, frame: pd.DataFrame) -> pd.DataFrame:
        self._refuse([name for name in self.columns if name not in frame], "are missing")
        kinds = frame.dtypes
        self._refuse([name for name in self.columns if kinds[name].kind not in "fiu"], "are not numbers")
        selected = frame[self.columns].astype(np.float32)
        self._refuse(selected.columns[np.isinf(selected.to_numpy()).any(axis=0)], "hold infinities")
        return selected

    def _refuse(self, names: Sequence[str] | pd.Index[str], fault: str) -> None:
        if len(names):
            raise FeatureSchemaError(
                f"{len(names)} of {len(self.columns)} feature columns {fault}.",
                which=list(names),
                next_step="bist features, or train a model on the columns there are: bist train",
            )
