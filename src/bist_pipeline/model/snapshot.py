"""What a snapshot can teach: estimates of its target, and how much of them is the answer itself."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from sklearn.pipeline import Pipeline

from bist_pipeline.config import TrainingSettings
from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.market.snapshot import outside_window
from bist_pipeline.model.cross_fit import judge
from bist_pipeline.model.pipeline import build_cross_fit_pipeline


def learn(
    examples: pd.DataFrame, columns: Sequence[str], training: TrainingSettings
) -> tuple[Pipeline, dict[str, float]]:
    """Fit five folds twice: with all columns, and without those that hold the target's own three months.

    Parameters
    ----------
    examples : DataFrame
        The `columns`, `cross_fit.FOLD` and `excess` (fraction, all known) of the shares to learn from.
    columns : sequence of str
        Numbers to estimate from.
    training : TrainingSettings
        Hyper-parameters.

    Returns
    -------
    Pipeline, dict
        Fitted with all columns; the figures of `cross_fit.judge`, each `_with_window` and `_without_window`.

    Raises
    ------
    InsufficientDataError
        If there are too few shares, or not both kinds of columns to compare.
    """
    outside = outside_window(columns)
    if not 0 < len(outside) < len(columns):
        raise InsufficientDataError(
            f"{len(columns) - len(outside)} columns hold the target's own three months, {len(outside)} do"
            " not: it takes both kinds to say what the first are worth.",
            consequence="No model was trained.",
            next_step="load a snapshot with more of its columns",
        )
    answers = examples["excess"]
    models = {
        "with_window": build_cross_fit_pipeline(training, columns).fit(examples, answers),
        "without_window": build_cross_fit_pipeline(training, outside).fit(examples, answers),
    }
    metrics = {
        f"{figure}_{name}": value
        for name, model in models.items()
        for figure, value in judge(model.predict(examples), answers).items()
    }
    return models["with_window"], metrics
