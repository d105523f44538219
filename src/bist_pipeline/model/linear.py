"""Linear members of the blend: Ridge on ranks, and plain factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from bist_pipeline.features.registry import NEUTRAL_RANK
from bist_pipeline.model.intervals import Values


def fit_ridge(values: NDArray[np.float32], label: Values, *, penalty: float) -> Values:
    """Fit Ridge on ranks around their middle; a missing rank counts as the middle.

    Parameters
    ----------
    values : array of float32, shape (n_rows, n_features)
        Ranks, NaN where missing.
    label : array, shape (n_rows,)
    penalty : float
        Of the squared coefficients, beside the sum of squared errors.

    Returns
    -------
    array of float64, shape (n_features + 1,)
        One coefficient a feature, then the intercept.
    """
    ridge = Ridge(alpha=penalty, solver="cholesky", copy_X=False).fit(_centre(values), label)
    return np.append(ridge.coef_, ridge.intercept_)


def weigh_factors(factors: Mapping[str, float], features: Sequence[str]) -> Values:
    """Coefficients, as of `fit_ridge`, that nobody fitted: fixed weights of some ranks, 0 for the others.

    >>> weigh_factors({"vol_126_rank": -1.0}, ["beta_252_rank", "vol_126_rank"]).tolist()
    [0.0, -1.0, 0.0]
    """
    return np.array([*(factors.get(name, 0.0) for name in features), 0.0])


def predict_linear(coefficients: Values, values: NDArray[np.float32]) -> Values:
    """Predict rows one by one: a row's bits do not depend on how many others come with it, as BLAS's may."""
    predicted: Values = np.einsum("ij,j->i", _centre(values), coefficients[:-1]) + coefficients[-1]
    return predicted


def linear_effects(coefficients: Values, values: NDArray[np.float32]) -> Values:
    """What each feature adds to each prediction, beyond the intercept; shape of `values`."""
    effects: Values = _centre(values) * coefficients[:-1]
    return effects


def _centre(values: NDArray[np.float32]) -> Values:
    centred: Values = np.nan_to_num(values.astype(np.float64) - NEUTRAL_RANK, copy=False, nan=0.0)
    return centred
