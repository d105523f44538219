"""The estimator for one cross-section: five models, each share estimated by the one that never saw it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from bist_pipeline.contracts import FORECAST_COLUMNS
from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.model.boosting import (
    Job,
    build_dataset,
    describe_drivers,
    predict,
    train_all,
    tree_effects,
)
from bist_pipeline.model.intervals import Values, conformal_margin, conformalise

# Column of the shares' folds, the last one of what the estimator is given.
FOLD = "fold"
FOLDS = 5
# With fewer, a fold has too few shares to say anything, and the interval rests on a handful of errors.
MIN_SHARES = 50


def assign_folds(symbols: pd.Series) -> pd.Series:
    """Give each share its fold, 0 to 4: by its name alone, whichever other shares there are.

    >>> assign_folds(pd.Series(["EREGL", "TUPRS", "BIMAS"])).tolist()
    [1, 4, 3]
    """
    hashes = (blake2b(symbol.encode(), digest_size=8).digest() for symbol in symbols)
    folds = [int.from_bytes(digest, "big") % FOLDS for digest in hashes]
    return pd.Series(folds, index=symbols.index, dtype=np.int64)


class CrossFitEstimator(BaseEstimator):  # type: ignore[misc]
    """Estimate the excess return of shares of one date by models that were not fitted on them.

    Of each fold's models (one a seed, averaged) none has seen a share of the fold. So every prediction is out
    of fold, also that of a share the estimator was fitted on. The errors of these predictions give the
    interval (Barber, Candès, Ramdas and Tibshirani, "Predictive inference with the jackknife+", *Annals of
    Statistics*, 2021, section 3, with one margin for all shares).

    Parameters
    ----------
    booster : dict
        LightGBM's parameters, in its own names.
    trees : int
        Trees of each model.
    seeds : sequence of int
        Models of each fold.
    interval : float
        Share of results that ``[lower, upper]`` should hold.
    threads : int
        Boosters trained side by side.
    """

    def __init__(
        self, *, booster: dict[str, Any], trees: int, seeds: Sequence[int], interval: float, threads: int
    ) -> None:
        self.booster = booster
        self.trees = trees
        self.seeds = seeds
        self.interval = interval
        self.threads = threads

    def fit(self, X: pd.DataFrame, y: Any) -> CrossFitEstimator:  # noqa: N803 (scikit-learn)
        """Train the models of all folds.

        Parameters
        ----------
        X : DataFrame of float32, shape (n_shares, n_features + 1)
            Features and, last, the column `FOLD`.
        y : array, shape (n_shares,)
            Excess return (fraction), all known.

        Raises
        ------
        InsufficientDataError
            If there are fewer than `MIN_SHARES` shares, none of some fold, or nothing to learn.
        """
        values, folds = _split(X)
        excess = np.asarray(y, dtype=np.float64)
        _require_usable(excess, folds)
        texts = train_all(
            [job for fold in range(FOLDS) for job in self._jobs(values, excess, folds != fold)],
            threads=self.threads,
        )
        self.features_ = list(X.columns[:-1])
        self.folds_ = [
            texts[start : start + len(self.seeds)] for start in range(0, len(texts), len(self.seeds))
        ]
        estimated = self._estimate(values, folds)
        misses = (estimated - excess, excess - estimated)
        self.margins_ = [conformal_margin(miss, share=(1 + self.interval) / 2) for miss in misses]
        return self

    def predict(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803 (scikit-learn)
        """Estimate each share out of fold.

        Returns
        -------
        DataFrame, shape (n_shares, 4)
            Indexed like `X`: `score`, equal to `expected_excess_return`, `lower` and `upper` (fractions over
            the universe median).
        """
        check_is_fitted(self)
        score = self._estimate(*_split(X))
        ends = conformalise(score, score, margins=self.margins_, point=score)
        return pd.DataFrame(dict(zip(FORECAST_COLUMNS, (score, score, *ends), strict=True)), index=X.index)

    def contributions(self, X: pd.DataFrame, *, top: int = 5) -> list[list[dict[str, Any]]]:  # noqa: N803 (scikit-learn)
        """Per row the features that moved its estimate most; see `boosting.describe_drivers`."""
        check_is_fitted(self)
        values, folds = _split(X)
        drivers: dict[int, list[dict[str, Any]]] = {}
        for fold, models in enumerate(self.folds_):
            rows = np.flatnonzero(folds == fold)
            if rows.size:
                effects = tree_effects(models, values[rows])
                found = describe_drivers(effects, self.features_, values[rows], top=top)
                drivers |= dict(zip(rows.tolist(), found, strict=True))
        return [drivers[row] for row in range(len(X))]

    def _jobs(self, values: NDArray[np.float32], excess: Values, rows: NDArray[np.bool_]) -> list[Job]:
        data = build_dataset(values[rows], excess[rows])
        shared = {**self.booster, "objective": "regression"}
        return [Job(data, {**shared, "seed": seed}, self.trees) for seed in self.seeds]

    def _estimate(self, values: NDArray[np.float32], folds: NDArray[np.int64]) -> Values:
        score = np.full(len(values), np.nan)
        for fold, models in enumerate(self.folds_):
            rows = folds == fold
            if rows.any():
                score[rows] = np.mean([predict(text, values[rows]) for text in models], axis=0)
        return score


def judge(estimates: pd.DataFrame, excess: pd.Series) -> dict[str, float]:
    """Compare out-of-fold estimates with what happened.

    Parameters
    ----------
    estimates : DataFrame, shape (n_shares, 4)
        From `CrossFitEstimator.predict`.
    excess : Series, shape (n_shares,)
        Excess return (fraction), all known.

    Returns
    -------
    dict
        `r2`, the share of the variance explained: 0 is what the mean explains, below it is worse; `mae`;
        `coverage` of the interval.
    """
    estimated = estimates["expected_excess_return"]
    return {
        "r2": float(r2_score(excess, estimated)),
        "mae": float((excess - estimated).abs().mean()),
        "coverage": float(excess.between(estimates["lower"], estimates["upper"]).mean()),
    }


def _split(X: pd.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.int64]]:  # noqa: N803 (scikit-learn)
    if X.columns[-1] != FOLD:
        raise ValueError(f"The last column should be {FOLD!r}, not {X.columns[-1]!r}.")
    return X.iloc[:, :-1].to_numpy(), X[FOLD].to_numpy().astype(np.int64)


def _require_usable(excess: Values, folds: NDArray[np.int64]) -> None:
    present = np.unique(folds).size
    if excess.size < MIN_SHARES or present < FOLDS:
        raise InsufficientDataError(
            f"{excess.size} shares with a known result, in {present} of {FOLDS} folds;"
            f" need {MIN_SHARES}, in all of them.",
            consequence="No model was trained.",
            next_step="load a snapshot of more shares",
        )
    if np.ptp(excess) == 0:
        raise InsufficientDataError(
            f"All {excess.size} results are {excess[0]}: there is nothing to learn.",
            consequence="No model was trained.",
        )
