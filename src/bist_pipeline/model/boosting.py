"""LightGBM as every model here uses it: reproducible to the last bit, several boosters side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from bist_pipeline.model.intervals import Values

# Same rows, same seed, same bits. Each booster runs on one thread and boosters run side by side: the number
# of threads does not change the result, and no OpenMP threads wait for each other on a busy machine (which
# training up to 20 times slower than on an idle one). On one thread, columns are faster than rows.
_REPRODUCIBLE = {"deterministic": True, "force_col_wise": True, "num_threads": 1, "verbosity": -1}
# No feature may be dropped beforehand for one booster's min_child_samples.
_DATASET = {**_REPRODUCIBLE, "feature_pre_filter": False}


@dataclass(frozen=True)
class Job:
    """One booster to train; `parameters` in LightGBM's own names."""

    data: lgb.Dataset
    parameters: dict[str, Any]
    trees: int


def build_dataset(values: NDArray[np.float32], label: Values) -> lgb.Dataset:
    """Build what boosters learn from; several may read it at the same time."""
    return lgb.Dataset(values, label, params=_DATASET).construct()


def take_rows(data: lgb.Dataset, rows: NDArray[np.bool_], label: Values) -> lgb.Dataset:
    """Part of a data set with a label of its own.

    The bins stay those of all rows: finding them takes as long as training, and they know no label.
    """
    part = data.subset(np.flatnonzero(rows).tolist(), params=_DATASET).construct()
    return part.set_label(label[rows])


def train_all(jobs: Sequence[Job], *, threads: int) -> list[str]:
    """Train the boosters, `threads` at a time; return them as text, in the order of the jobs."""
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(_train, jobs))


def predict(model: str, values: NDArray[np.float32], **options: Any) -> Values:
    """Predict with a booster in text form."""
    booster = lgb.Booster(model_str=model)
    return np.asarray(booster.predict(values, num_threads=1, **options))


def tree_effects(models: Sequence[str], values: NDArray[np.float32]) -> Values:
    """What each feature adds to each prediction (SHAP values, mean over the models); shape of `values`."""
    per_model = [predict(text, values, pred_contrib=True) for text in models]
    effects: Values = np.mean(per_model, axis=0)[:, :-1]  # the last column is the mean prediction
    return effects


def describe_drivers(
    effects: Values, features: Sequence[str], values: NDArray[np.float32], *, top: int
) -> list[list[dict[str, Any]]]:
    """Per row the features that moved its score most.

    Parameters
    ----------
    effects : array, shape (n_rows, n_features)
        What each feature adds to each score.
    features : sequence of str, length n_features
    values : array of float32, shape (n_rows, n_features)
    top : int
        Features to name.

    Returns
    -------
    list of lists of dict
        For each row up to `top` of ``{feature, contribution, value}``, largest effect first; `contribution`
        in units of the score, `value` None where the feature is missing.
    """
    order = np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :top]
    return [
        [_driver(features[j], effect[j], row[j]) for j in chosen]
        for chosen, effect, row in zip(order, effects, values, strict=True)
    ]


def _train(job: Job) -> str:
    # Kept as text: what predicts is always what is stored, to the last bit.
    text: str = lgb.train(job.parameters | _REPRODUCIBLE, job.data, job.trees).model_to_string()
    return text


def _driver(feature: str, effect: float, value: float) -> dict[str, Any]:
    known = None if np.isnan(value) else float(value)
    return {"feature": feature, "contribution": float(effect), "value": known}
